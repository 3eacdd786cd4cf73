"""Time: training rows after those they are judged on, and random splits of a target that moves with time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.candidate import Finding
from state.profile import Profile
from state.task import Task
from tools.leaks.encoding import numbers_of
from tools.leaks.entities import target_numbers
from tools.leaks.sides import SHOWN, Result, Sides, found, passed, skipped

NAME = "time order"
TRAVEL = "time travel"
_NEIGHBOURS = 10
"""Rows before and after, in time, whose mean target is taken for a row's."""
_TELLING = 0.1
"""Share of the target that neighbours in time explain, from which a random split flatters."""
_FEWEST_TIMES = 20


def check_time(sides: Sides, task: Task) -> Result:
    """In a split by time every training row must lie before every row it is judged on."""
    if "time" not in sides.known:
        return skipped(NAME, "the split is not by time")
    times, sealed = sides.known["time"], sides.hidden["time"]
    late = []
    for fold, (train, valid) in enumerate(sides.folds):
        if times.iloc[train].max() >= times.iloc[valid].min():
            late += [f"fold {fold + 1}: {line}" for line in _late(sides, train, times, times.iloc[valid].min())]
    # A test file that a person gave may cover any time; only our own sealed rows are promised to be the latest.
    if not task.split.test_given and len(sealed) and times.iloc[sides.trained].max() >= sealed.min():
        late += [f"sealed rows: {line}" for line in _late(sides, sides.trained, times, sealed.min())]
    if not late:
        return passed(NAME, "all training rows lie before those they are judged on")
    detail = "training rows lie at or after rows they are judged on"
    finding = Finding(
        id="leak-time",
        source="review",
        topic="leak",
        severity="error",
        route="reject",
        text=detail,
        evidence=late[:SHOWN],
    )
    return found(NAME, detail, [finding])


def _late(sides: Sides, train: NDArray[np.int64], times: pd.Series, first: object) -> list[str]:
    """Training rows at or after the first judged moment."""
    late = train[(times.iloc[train] >= first).to_numpy()]
    return [f"row {sides.open_rows[row]} of {times.iloc[row]}, judged from {first}" for row in late[:2]]


def check_time_travel(sides: Sides, task: Task, profile: Profile) -> Result:
    """A random split although the table has a time and the target moves with it: rows of tomorrow help with today.

    Compares what the rows around a row in time tell about its target with what they tell about a target dealt anew.
    """
    if task.split.kind == "time":
        return skipped(TRAVEL, "the split is by time")
    columns = [name for name in profile.time_candidates if name in sides.features]
    if not columns:
        return skipped(TRAVEL, "no column orders the rows in time")
    told = [(name, _explained_around(sides, task, name)) for name in columns]
    name, (share, distinct) = max(told, key=lambda one: one[1][0])
    if share < _TELLING:
        return passed(TRAVEL, f"the target does not move with {', '.join(map(repr, columns[:SHOWN]))}")
    text = (
        f"the target moves with {name!r} (rows around a row in time tell {share:.0%} of it) and the split is not by time: "
        "scores hold for times that training covers, not for later ones"
    )
    finding = Finding(
        id="leak-time-travel",
        source="review",
        topic="time-travel",
        severity="warning",
        route="ask",
        text=text,
        evidence=_around(sides, name),
        data={"time_column": name, "explained": round(share, 4), "times": distinct},
    )
    return found(TRAVEL, text, [finding])


def _explained_around(sides: Sides, task: Task, name: str) -> tuple[float, int]:
    """Share of the target told by the rows around in time, beyond what is accident; and the number of different times."""
    times = numbers_of(sides.features[name])
    rows = np.flatnonzero(np.isfinite(times))
    distinct = len(np.unique(times[rows]))
    if len(rows) < 50 or distinct < _FEWEST_TIMES:
        return 0.0, distinct
    order = rows[np.argsort(times[rows], kind="stable")]
    left, base = 0.0, 0.0
    for outcome in target_numbers(sides.labels[order], task).T:
        left += float(((outcome - _mean_around(outcome)) ** 2).sum())
        base += float(((outcome - outcome.mean()) ** 2).sum())
    return (max(0.0, 1.0 - left / base) if base > 0 else 0.0), distinct


def _mean_around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the rows before and after each, itself left out."""
    width = 2 * _NEIGHBOURS + 1
    kernel = np.ones(width)
    kernel[_NEIGHBOURS] = 0.0
    sums = np.convolve(values, kernel, mode="full")[_NEIGHBOURS : _NEIGHBOURS + len(values)]
    counts = np.convolve(np.ones(len(values)), kernel, mode="full")[_NEIGHBOURS : _NEIGHBOURS + len(values)]
    return np.asarray(sums / np.maximum(counts, 1.0))


def _around(sides: Sides, name: str) -> list[str]:
    """Validation rows between training rows in time."""
    times = numbers_of(sides.features[name])
    train, valid = sides.folds[0]
    learnt = np.sort(times[train][np.isfinite(times[train])])
    lines = []
    for row in valid:
        later = learnt[np.searchsorted(learnt, times[row], side="right") :]
        if np.isfinite(times[row]) and len(later):
            lines.append(
                f"row {sides.open_rows[row]} ({sides.features[name].iloc[row]}) is judged by a model that learnt "
                f"{len(later)} later rows"
            )
        if len(lines) == SHOWN:
            break
    return lines
