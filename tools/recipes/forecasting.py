"""Recipes for forecasts: structural models of each series, and boosting over what was known at past origins."""
from __future__ import annotations
from typing import Any
from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.options import merged
from tools.recipes.recipe import Recipe, Variant, forecasting, wants_absolute, series_columns


def _methods(task: Task, profile: Profile, waves: int) -> list[dict[str, Any]]:
    """The pool of methods: past seasons repeated, exponential smoothing, calendar regression, each in a few settings."""
    low = profile.target.stats.get("min")
    logs = [False, True] if low is not None and float(low) >= 0 else [False]
    pool: list[dict[str, Any]] = [
        {"kind": "repeat", "log": False, "seasons": seasons, "damping": 0.0} for seasons in (1, 2, 3, 5)
    ]
    pool += [
        {"kind": "smooth", "log": log, "level": level, "trend": 0.05, "season": season, "damping": damping}
        for log in logs
        for level in (0.1, 0.3, 0.6)
        for season in (0.1, 0.3)
        for damping in (0.0, 0.97, 1.0)
    ]
    pool += [
        {"kind": "regress", "log": log, "memory": memory, "anchor": anchor, "trend": trend, "reach": 5, "waves": waves}
        for log in logs
        for memory in (3, 8, 100)
        for anchor in (0.0, 0.7)
        for trend in (0.0, 0.5, 1.0)
    ]
    return pool


def _params(task: Task, profile: Profile) -> dict[str, Any]:
    return {"methods": _methods(task, profile, 6), "picks": 12, "part": 5}
def _variants(task: Task, profile: Profile) -> list[Variant]:
    return [Variant("seasonal", "Season, trend and calendar of each series", "w", _params(task, profile))]
def _write(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_params(task, profile), plan.params, "seasonal")
    return assemble("seasonal", title=plan.title, why=plan.rationale, p=p, time=task.time_column, keys=series_columns(task), absolute=wants_absolute(task))
def _fits(task: Task, profile: Profile) -> float:
    return 1.0 if forecasting(task) else 0.0
RECIPES = [Recipe("seasonal", "forecast", _fits, _variants, _write, lambda t, p: 1.0, specialist=True)]
