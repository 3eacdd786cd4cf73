"""The same group or entity on both sides: an error where the split promised otherwise, else a word on what scores mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from state.candidate import Finding
from state.profile import Profile
from state.task import Task
from tools.leaks.sides import SHOWN, Result, Sides, found, passed, skipped
from tools.profiling.columns import encode

NAME = "groups across borders"
_TELLING = 0.1
"""Share of the target's variance, or of its classes' errors, that knowing the entity explains, from which it matters."""
_STRONG = 0.5


def check_groups(sides: Sides, task: Task, profile: Profile) -> Result:
    """A group of a grouped split on both sides; without one, entities that both sides know and that tell the target."""
    if "group" in sides.known:
        return _promised(sides)
    columns = [column for column in profile.group_candidates if column in sides.features]
    if task.split.kind == "time" or not columns:
        return skipped(NAME, "no groups in this split")
    telling = [(column, share) for column in columns if (share := _explained(sides, task, column)) >= _TELLING]
    if not telling:
        return passed(NAME, f"knowing {', '.join(map(repr, columns[:SHOWN]))} tells little about the target")
    column, share = max(telling, key=lambda one: one[1])
    return _known_entities(sides, column, share)


def _promised(sides: Sides) -> Result:
    groups, sealed = sides.known["group"].to_numpy(), sides.hidden["group"].to_numpy()
    crossing = set(groups[sides.trained]) & set(sealed)
    for train, valid in sides.folds:
        crossing |= set(groups[train]) & set(groups[valid])
    crossing -= {""}  # rows without a group belong to none
    if not crossing:
        return passed(NAME, f"each of {len(set(groups) | set(sealed))} groups lies on one side")
    detail = f"{len(crossing)} groups lie on both sides of a border"
    finding = Finding(
        id="leak-groups",
        source="review",
        topic="leak",
        severity="error",
        route="reject",
        text=detail,
        evidence=[_rows_of_group(sides, name) for name in sorted(map(str, crossing))[:SHOWN]],
    )
    return found(NAME, detail, [finding])


def _rows_of_group(sides: Sides, name: str) -> str:
    opened = sides.open_rows[sides.known["group"].to_numpy() == name][:3]
    sealed = sides.sealed_rows[sides.hidden["group"].to_numpy() == name][:3]
    listed = [*(f"row {row}" for row in opened), *(f"sealed row {row}" for row in sealed)]
    return f"{name}: {', '.join(listed)}"


def _known_entities(sides: Sides, column: str, share: float) -> Result:
    values = sides.features[column].to_numpy(dtype=object).astype(str)
    judged = sides.sealed_features[column].to_numpy(dtype=object).astype(str)
    learnt = np.unique(values[sides.trained])
    if not len(judged):
        train, valid = sides.folds[0]
        learnt, judged = np.unique(values[train]), values[valid]
    known = float(np.isin(judged, learnt).mean())
    text = (
        f"{column!r} looks like repeated entities; they tell {share:.0%} of the target, and {known:.0%} of the judged "
        "rows belong to ones that training knows: scores hold for known ones, not for new ones"
    )
    finding = Finding(
        id="leak-groups",
        source="review",
        topic="groups",
        severity="warning" if share >= _STRONG else "info",
        route="ask",
        text=text,
        evidence=_shared_rows(sides, column, values),
        data={"group_column": column, "explained": round(share, 4), "known": round(known, 4)},
    )
    return found(NAME, text, [finding])


def _shared_rows(sides: Sides, column: str, values: NDArray[np.str_]) -> list[str]:
    """Rows of the most frequent entities, with their targets."""
    names, counts = np.unique(values, return_counts=True)
    lines = []
    for name in names[np.argsort(-counts, kind="stable")][:SHOWN]:
        rows = np.flatnonzero(values == name)[:3]
        told = ", ".join(f"row {sides.open_rows[row]} with target {sides.labels[row]!r}" for row in rows)
        lines.append(f"{column} = {name[:40]}: {told}")
    return lines


def _explained(sides: Sides, task: Task, column: str) -> float:
    """What the other rows of its entity tell about a row's target: share of variance, or of the chance error, 0 to 1."""
    codes = encode(column, sides.features[column]).codes
    kept = codes >= 0
    codes = codes[kept]
    if not len(codes):
        return 0.0
    outcomes = target_numbers(sides.labels[kept], task)
    sizes = np.bincount(codes)[codes]
    several = sizes > 1
    if several.sum() < 30:
        return 0.0
    left, base = 0.0, 0.0
    for outcome in outcomes.T:
        others = (np.bincount(codes, weights=outcome)[codes] - outcome) / np.maximum(1, sizes - 1)
        # Few rows of an entity say little, so their mean is drawn to that of all by one row's weight.
        guess = (others * (sizes - 1) + outcome.mean()) / sizes
        left += float(((outcome - guess)[several] ** 2).sum())
        base += float(((outcome - outcome[several].mean())[several] ** 2).sum())
    return max(0.0, 1.0 - left / base) if base > 0 else 0.0


def target_numbers(labels: NDArray[np.generic], task: Task) -> NDArray[np.float64]:
    """The target as columns of numbers: itself, or one indicator per class."""
    if not task.is_classification:
        return labels.astype(np.float64).reshape(len(labels), -1)
    return np.column_stack([(labels == label).astype(np.float64) for label in task.classes])
