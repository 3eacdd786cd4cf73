"""Which columns of a task go which way into a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from state.profile import Profile
from state.task import Feature, Task

MOST_LISTED = 40
"""Up to so many numeric columns a program names each; beyond, it selects them by kind."""
FEW_VALUES = 40
"""Categories with more values than this are many-valued."""


@dataclass(frozen=True)
class Columns:
    """Feature columns by the way they are encoded."""

    numbers: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    """Categories with few values."""
    means: list[str] = field(default_factory=list)
    """Categories with many values that repeat often enough for statistics per value."""
    texts: list[str] = field(default_factory=list)
    """Free text, and names and codes that hardly repeat."""
    dates: list[str] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    by_kind: bool = False
    """True when the numeric columns are selected by kind instead of being listed."""
    number_selector: str = ""
    """Source of the expression that selects them."""

    @property
    def plain(self) -> list[str]:
        return [*self.codes, *self.means]


def columns_for(task: Task, profile: Profile, **options: Any) -> Columns:
    """Sort the task's features. Group keys are left out unless they name the series of a forecast.

    options: {many: "means" | "codes" | "texts"} says where many-valued categories go; {drop_texts: True} leaves texts out.
    """
    left_out = set() if task.forecast else set(task.group_columns)
    features = [feature for feature in task.features if feature.name not in left_out] or list(task.features)
    ways = ("numbers", "codes", "means", "texts", "dates", "sequences", "images")
    by: dict[str, list[str]] = {way: [] for way in ways}
    for feature in features:
        by[_way(feature, profile.rows, options.get("many", "means"))].append(feature.name)
    if options.get("drop_texts") and any(by[way] for way in by if way != "texts"):
        by["texts"] = []
    by_kind = len(by["numbers"]) > MOST_LISTED
    selector = 'columns_of(task, "numeric")'
    if by_kind and (dropped := sorted(f.name for f in task.features if f.name in left_out and f.kind == "numeric")):
        selector = f"[name for name in {selector} if name not in {dropped!r}]"
    return Columns(**by, by_kind=by_kind, number_selector=selector if by_kind else "")


def _way(feature: Feature, rows: int, many: str) -> str:
    if feature.kind == "numeric":
        return "numbers"
    if feature.kind == "datetime":
        return "dates"
    if feature.kind == "sequence":
        return "sequences"
    if feature.kind == "image":
        return "images"
    if feature.kind == "text":
        return "texts"
    if feature.cardinality <= FEW_VALUES:
        return "codes"
    repeats = rows * (1 - feature.missing) / max(feature.cardinality, 1)
    return many if repeats >= 4 else "texts"
