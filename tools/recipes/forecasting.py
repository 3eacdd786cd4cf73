"""Recipes for forecasts: structural models of each series, and boosting over what was known at past origins."""

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
    return [Variant("seasonal", "Season, trend and calendar of each series", "w", _params(task, profile))]


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
    return 1.0 if forecasting(task) else 0.0


RECIPES = [Recipe("seasonal", "forecast", _fits, _variants, _write, lambda t, p: 1.0, specialist=True)]
