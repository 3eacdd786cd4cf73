"""Recipes for forecasts: each series' season, trend and calendar in a mixture, and one model of trees for all series."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import Columns, columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import (
    LIGHTGBM,
    RELATIVE_METRICS,
    Recipe,
    Variant,
    forecasting,
    lightgbm_objective,
    series_columns,
    wants_absolute,
)


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
            why="Trees cannot run past what they have seen. Repeated seasons, smoothing, autoregression and calendar "
            "regression can; held-back ends of the history tell which mixture of them forecasts best.",
            params=params,
            representation="history on a grid of series × periods; seasons of the step, or found by autocorrelation; waves of "
            "the year, week and day, weekdays in each month",
            architecture="mixture of seasonal repetition, damped smoothing, autoregression and weighted calendar regression",
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


def _lagged_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows = profile.rows
    return {
        "leads": 4,
        "most": 100_000,
        "members": 2 if rows < 5_000 else 1,
        "rounds": 600,
        "single": rows >= 5_000,
        "lgb": {
            "objective": lightgbm_objective(task),
            "learning_rate": 0.05,
            "num_leaves": 15 if rows < 2_000 else 31,
            "min_data_in_leaf": max(5, min(40, rows // 50)),
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "lambda_l2": 5.0,
            **LIGHTGBM,
        },
    }


def _lagged_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _lagged_params(task, profile)
    others = _other_columns(task, profile)
    beside = f"; beside it {', '.join([*others.numbers, *others.plain, *others.dates][:4])}" if _any(others) else ""
    return [
        Variant(
            key="lagged",
            title="Boosted trees on each series' past, one model for all",
            why="One model learns from all series how values follow from the recent level, trend and same seasons before. It "
            "is told how far ahead a row lies and predicts the distance from the level, so that it follows series up and down.",
            params=params,
            representation="level, trend and spread of the recent past; same season one to three turns before; calendar; steps "
            f"ahead{beside}",
            architecture=f"LightGBM, {params['lgb']['num_leaves']} leaves, for all series and all steps ahead (direct)",
            training="values in scales of their series, each row seen from several earlier origins; rounds chosen on the "
            "latest rows",
        )
    ]


def _other_columns(task: Task, profile: Profile) -> Columns:
    """Columns that are known at the time that is forecast: all but the time and the names of the series."""
    columns = columns_for(task, profile)
    left_out = {task.time_column, *series_columns(task)}

    def rest(names: list[str]) -> list[str]:
        return [name for name in names if name not in left_out]

    return replace(
        columns,
        numbers=rest(columns.numbers),
        codes=rest(columns.codes),
        means=rest(columns.means),
        texts=rest(columns.texts),
        dates=rest(columns.dates),
        sequences=[],
        images=[],
    )


def _any(columns: Columns) -> bool:
    return bool(columns.numbers or columns.plain or columns.texts or columns.dates)


def _write_lagged(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_lagged_params(task, profile), plan.params, "lagged")
    columns = _other_columns(task, profile)
    relative = task.metric.name in RELATIVE_METRICS
    return assemble(
        "lagged",
        title=plan.title,
        why=plan.rationale,
        p=p,
        time=task.time_column,
        keys=series_columns(task),
        columns=columns,
        named=task.horizon_named,
        others=_any(columns),
        weights="relative" if relative else "absolute" if wants_absolute(task) else "squared",
    )


def _fits_lagged(task: Task, profile: Profile) -> float:
    """A model for all series needs a past to learn from; it comes first where there are many series or other columns."""
    if _fits(task, profile) < 1.0 or profile.rows < 60:
        return 0.0
    return 0.95 if series_columns(task) or _any(_other_columns(task, profile)) else 0.85


def _lagged_seconds(task: Task, profile: Profile) -> float:
    return 1.0 + 6e-5 * min(4 * profile.rows, 100_000)


RECIPES = [
    Recipe("seasonal", "forecast", _fits, _variants, _write, _seconds, specialist=True),
    Recipe("lagged", "boosting", _fits_lagged, _lagged_variants, _write_lagged, _lagged_seconds),
]
