"""Recipes for forecasts: the season, trend and calendar of each series, mixed by how well they would have forecast."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.options import merged
from tools.recipes.recipe import Recipe, Variant, forecasting, series_columns, wants_absolute


def _params(task: Task, profile: Profile) -> dict[str, Any]:
    low = profile.target.stats.get("min")
    return {
        # Logarithms need a target without negative values.
        "logs": [False, True] if low is not None and float(low) >= 0 else [False],
        "levels": [0.1, 0.3, 0.6],
        "memories": [3, 8, 100],
        "waves": 6,
        "picks": 12,
        "part": 5,
    }


def _variants(task: Task, profile: Profile) -> list[Variant]:
    params = _params(task, profile)
    keys = series_columns(task)
    each = f"each series ({', '.join(keys)})" if keys else "the series"
    return [
        Variant(
            key="seasonal",
            title=f"Season, trend and calendar of {each}",
            why="Trees cannot run past what they have seen. Repeated seasons, exponential smoothing and calendar regression "
            "can; held-back ends of the history tell which mixture of them forecasts best.",
            params=params,
            representation="history on a grid of series × periods; waves of the year and week, weekdays in each month",
            architecture="mixture of seasonal repetition, damped exponential smoothing and weighted calendar regression",
            training="weights by repeated selection on held-back ends of the history",
        )
    ]


def _write(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_params(task, profile), plan.params, "seasonal")
    return assemble(
        "seasonal",
        title=plan.title,
        why=plan.rationale,
        p=p,
        time=task.time_column,
        keys=series_columns(task),
        absolute=wants_absolute(task),
    )


def _fits(task: Task, profile: Profile) -> float:
    """Series need a time column among the features, and about one row for each series and time."""
    times = next((feature for feature in task.features if feature.name == task.time_column), None)
    if not forecasting(task) or times is None or times.kind not in ("datetime", "numeric"):
        return 0.0
    series = 1
    for feature in task.features:
        if feature.name in series_columns(task):
            series *= max(1, feature.cardinality)
    return 1.0 if profile.rows <= 1.5 * max(times.cardinality, 1) * series else 0.3


def _seconds(task: Task, profile: Profile) -> float:
    return 0.4 + 1.2e-4 * profile.rows


RECIPES = [Recipe("seasonal", "forecast", _fits, _variants, _write, _seconds, specialist=True)]
