"""Rows that nearly repeat across a border: jittered or rounded numbers, retyped texts.

Close rows are nothing strange where there are many, so no fixed distance decides. Where rows lie as data do, ten times
the distance catches at least ten times as many of them (in one dimension; a hundred times in two). Copies break this:
a small distance catches nearly all that ten times of it does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.candidate import Finding, Route
from state.task import Task
from tools.folds import Rows
from tools.leaks.duplicates import FIX_SHARE, few_combinations, row_hashes
from tools.leaks.encoding import Points, points
from tools.leaks.entities import target_numbers
from tools.leaks.sides import SHOWN, WORTH_A_WARNING, Result, Sides, found, passed, skipped, spaced

NAME = "near duplicates across borders"
_COST = 1e9
FULL_COST = 4e10
"""Bound on rows looked at × rows compared × dimensions; full reviews do more."""
_TEXTS, FULL_TEXTS = 3_000, 60_000
_LEAST = 5
"""Fewer close pairs are an accident."""
_MOST_ROWS = 200_000
"""Different rows among which near ones are looked for, evenly spaced."""
_CROWDED = 0.4
"""Share of the pairs within ten times a distance that lie within it; data without copies have at most a tenth."""
_REACHES = 0.05 * 10.0 ** -np.arange(0.0, 5.0, 0.5)
"""Distances tried, as shares of the usual distance between neighbours, widest first."""


@dataclass(frozen=True)
class Neighbours:
    """For each row looked at (a position among all different rows) its nearest other row, and how far it is."""

    rows: Rows
    nearest: Rows
    distance: NDArray[np.float64]


def check_near_duplicates(sides: Sides, task: Task) -> Result:
    """Rows of one side that are copies, but for small changes, of a row on the other side. Exact copies do not count.

    Whether the targets agree is asked of open rows alone.
    """
    hashes, first = _different_rows(sides)
    if len(first) < 30:
        return skipped(NAME, f"only {len(first)} different rows")
    if few_combinations(hashes):
        return passed(NAME, "the columns allow few combinations, so rows are close by nature")
    different = len(first)
    if not sides.full:
        first = spaced(first, _MOST_ROWS)
    place = points(_rows_at(sides, first), task.features, FULL_TEXTS if sides.full else _TEXTS)
    near = nearest_rows(place, FULL_COST if sides.full else _COST)
    reduced = "" if len(near.rows) == different else f"{len(near.rows):,} of {different:,} rows looked at"
    reach = copy_distance(near.distance)
    if reach is None:
        return passed(NAME, "close rows are as rare as they are among data", reduced=reduced)
    close = near.distance <= reach
    pairs = np.column_stack([first[near.rows[close]], first[near.nearest[close]]])
    crossing = pairs[_crosses(sides, pairs)]
    share = len(crossing) / len(near.rows)
    if len(crossing) < _LEAST or share < 0.5 * WORTH_A_WARNING:
        return passed(NAME, f"{len(crossing)} rows have a near copy on the other side", reduced=reduced)
    return _told(sides, task, crossing, share, reach, reduced)


def _told(sides: Sides, task: Task, crossing: NDArray[np.int64], share: float, reach: float, reduced: str) -> Result:
    agreement = _agreement(sides, task, crossing)
    flattered = share * (agreement or 0.0)
    warned = flattered >= WORTH_A_WARNING
    route: Route = "fix" if flattered >= FIX_SHARE else "ask" if warned else "report"
    detail = f"{share:.1%} of the rows are nearly the same as one on the other side of a border"
    if agreement is not None:
        detail += f", and the targets of such pairs agree by {agreement:.0%} (0 % is chance)"
    finding = Finding(
        id="leak-near-duplicates",
        source="review",
        topic="leak",
        severity="warning" if warned else "info",
        route=route,
        text=detail + (": scores are better than on rows nobody has seen" if warned else ""),
        evidence=[f"{_row_name(sides, one)} ≈ {_row_name(sides, other)}" for one, other in crossing[:SHOWN]],
        data={"share": round(share, 5), "agreement": agreement, "reach": reach}
        | ({"regroup": "near copies"} if route == "fix" else {}),
    )
    return found(NAME, detail, [finding], reduced=reduced)


def copy_distance(distance: NDArray[np.float64]) -> float | None:
    """The widest distance within which there are copies rather than neighbours; None when there are none."""
    usual = float(np.median(distance))
    if usual == 0:
        return 0.0
    for reach in _REACHES * usual:
        within = int((distance <= reach).sum())
        if within >= _LEAST and within > _CROWDED * int((distance <= 10 * reach).sum()):
            return float(reach)
    return None


def nearest_rows(place: Points, cost: float) -> Neighbours:
    """The nearest other row of each; of evenly spaced ones when all would cost too much."""
    from sklearn.neighbors import NearestNeighbors

    queries = int(np.clip(cost / (len(place) * place.shape[1]), 200, len(place)))
    rows = spaced(np.arange(len(place)), queries)
    # Subtracting squares of nearly equal numbers leaves no digits, so the candidates' distances are computed anew.
    finder = NearestNeighbors(n_neighbors=min(4, len(place))).fit(place)
    candidates = finder.kneighbors(place[rows], return_distance=False)
    exact = np.sqrt(((place[rows, None, :] - place[candidates]) ** 2).sum(axis=2))
    exact[candidates == rows[:, None]] = np.inf
    best = exact.argmin(axis=1)
    here = np.arange(len(rows))
    return Neighbours(rows, candidates[here, best].astype(np.int64), exact[here, best])


def _rows_at(sides: Sides, positions: Rows) -> pd.DataFrame:
    """The rows at ascending positions among the open rows and, after them, the sealed ones."""
    count = len(sides.features)
    opened, sealed = positions[positions < count], positions[positions >= count] - count
    return pd.concat([sides.features.iloc[opened], sides.sealed_features.iloc[sealed]], ignore_index=True)


def _different_rows(sides: Sides) -> tuple[NDArray[np.uint64], Rows]:
    """The hashes of all rows, and the first position of each different row (open ones come first)."""
    opened, sealed = row_hashes(sides)
    hashes = np.concatenate([opened, sealed])
    _, first = np.unique(hashes, return_index=True)
    return hashes, np.sort(first).astype(np.int64)


def _crosses(sides: Sides, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether one row of each pair is judged by a model that has learnt the other."""
    count = len(sides.features)
    part = np.zeros((len(sides.folds) + 1, count + len(sides.sealed_features)), dtype=np.int8)
    for number, (train, valid) in enumerate(sides.folds):
        part[number, train], part[number, valid] = 1, 2
    part[-1, sides.trained], part[-1, count:] = 1, 2
    one, other = part[:, pairs[:, 0]], part[:, pairs[:, 1]]
    return np.asarray((one + other == 3).any(axis=0))  # one learnt, the other judged


def _agreement(sides: Sides, task: Task, pairs: NDArray[np.int64]) -> float | None:
    """How far the targets of pairs of open rows agree beyond chance, 0 to 1; None when too few pairs are open."""
    opened = pairs[(pairs < len(sides.features)).all(axis=1)]
    if len(opened) < _LEAST:
        return None
    outcomes = target_numbers(sides.labels, task)
    apart = ((outcomes[opened[:, 0]] - outcomes[opened[:, 1]]) ** 2).sum(axis=1).mean()
    chance = 2.0 * outcomes.var(axis=0).sum()
    return round(float(max(0.0, 1.0 - apart / chance)), 4) if chance > 0 else None


def _row_name(sides: Sides, position: int) -> str:
    count = len(sides.features)
    return (
        f"row {sides.open_rows[position]}" if position < count else f"sealed row {sides.sealed_rows[position - count]}"
    )
