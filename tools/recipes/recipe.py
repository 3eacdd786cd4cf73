"""What a recipe is, and small questions about tasks that several recipes ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task

ABSOLUTE_METRICS = frozenset({"mae", "median_ae", "mape", "smape", "wape"})
RELATIVE_METRICS = frozenset({"rmsle", "mape", "smape"})


LIGHTGBM: dict[str, Any] = {"bagging_freq": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
"""Settings of LightGBM that every recipe shares."""


@dataclass(frozen=True)
class Variant:
    """One way to follow a recipe: its parameters, and the words of a plan."""

    key: str
    """Short and unique among a task's variants; becomes part of the plan's id."""
    title: str
    why: str
    params: dict[str, Any] = field(default_factory=dict)
    representation: str = ""
    architecture: str = ""
    training: str = ""


@dataclass(frozen=True)
class Recipe:
    """A way from a task to a program."""

    name: str
    family: str
    """linear, boosting, forest, kernel, text, sequence or forecast: what diversity and drops are judged by."""
    fits: Callable[[Task, Profile], float]
    """0 when the recipe does not apply; else up to 1, higher for plans that should come earlier."""
    variants: Callable[[Task, Profile], list[Variant]]
    """First drafts, the default one first."""
    write: Callable[[Plan, Task, Profile], str]
    """The program of a plan. Missing params mean the default ones."""
    seconds: Callable[[Task, Profile], float]
    """Estimated seconds of one fit on one thread."""
    refit: float = 1.0
    """Time of a fit on all rows beside that of a fold, as measured: it has more rows, and finds no settings any more."""
    specialist: bool = False
    """Made for one kind of data (text, sequences, series); always among the first drafts where it applies."""


def wants_absolute(task: Task) -> bool:
    """True when the metric counts absolute errors, so that medians rather than means are wanted."""
    return task.metric.name in ABSOLUTE_METRICS


def series_columns(task: Task) -> list[str]:
    """Columns that name the series of a forecast."""
    known = {feature.name for feature in task.features}
    return [name for name in task.group_columns if name in known]


def forecasting(task: Task) -> bool:
    """True when values of one or more series are asked for at later times."""
    return task.forecast and task.kind == "regression" and task.time_column is not None


def lightgbm_objective(task: Task) -> str:
    """The loss LightGBM minimises for the task's metric."""
    if task.is_classification:
        return task.kind
    return "regression_l1" if wants_absolute(task) else "regression"


def relative(task: Task, profile: Profile) -> bool:
    """True when the metric counts errors in proportion to a positive target, so that its logarithm is learned."""
    low = profile.target.stats.get("min")
    if task.kind != "regression" or low is None:
        return False
    return task.metric.name in RELATIVE_METRICS and float(low) > (-1e-12 if task.metric.name == "rmsle" else 0.0)


def encoded_width(task: Task) -> int:
    """Columns of the table as trees see it, about: a text counts as 25, a date as 7."""
    widths = {"text": 25, "datetime": 7}
    return sum(widths.get(feature.kind, 1) for feature in task.features)


def most_rows(rows: int, bytes_per_row: float, megabytes: float = 200.0) -> int:
    """Rows a model learns from that keeps its whole encoded table in memory; 0 when all of them fit.

    More rows than this add little to a model of few parameters, and much to the memory of a job.
    """
    fitting = max(20_000, int(megabytes * 2**20 / max(bytes_per_row, 1.0)))
    return 0 if rows <= fitting else fitting


def only_sequences(task: Task) -> bool:
    """True when no column is left for recipes that know neither sequences nor images."""
    return all(feature.kind in ("sequence", "image") for feature in task.features)


def many_classes(task: Task) -> bool:
    """True when boosting, which grows a tree per class and round, is starved by them."""
    return len(task.classes) > 15


def by_cells(scale: float, per_cell: float) -> Callable[[Task, Profile], float]:
    """Cost model: seconds of one fit = scale + per_cell × rows × columns, texts counted as thirty columns."""

    def cost(task: Task, profile: Profile) -> float:
        width = sum(30 if feature.kind in ("text", "sequence") else 1 for feature in task.features)
        return scale + per_cell * profile.rows * width

    return cost


def by_classes(scale: float, per_cell: float) -> Callable[[Task, Profile], float]:
    """Cost model of boosting: `by_cells`, more where there are many classes."""
    cells = by_cells(scale, per_cell)

    def cost(task: Task, profile: Profile) -> float:
        return cells(task, profile) * max(1.0, len(task.classes) / 8)

    return cost
