"""Recipes of trees: LightGBM, histogram boosting on a cleaned table (skrub), forests of random trees."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import columns_for
from tools.recipes.options import merged
from tools.recipes.positives import LAWS, exposure_options, histogram_loss, likely_power, objective_of, power_of
from tools.recipes.recipe import (
    LIGHTGBM,
    Recipe,
    Variant,
    by_cells,
    by_classes,
    encoded_width,
    forecasting,
    lightgbm_objective,
    many_classes,
    most_rows,
    only_sequences,
    relative,
)


def _boosting_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows, many, width = profile.rows, many_classes(task), encoded_width(task)
    lgb = {
        "objective": objective_of(task) or lightgbm_objective(task),
        "learning_rate": 0.1 if rows >= 8_000 or many else 0.05,
        "num_leaves": 15 if rows < 2_000 else 31 if rows < 10_000 else 63,
        "min_data_in_leaf": max(3, min(20, rows // 50)),
        "feature_fraction": 0.7 if width <= 300 else 0.3 if width <= 1_500 else 0.1,
        "bagging_fraction": 0.8,
        "lambda_l2": 2.0,
        **LIGHTGBM,
    }
    return {
        "members": 1 if many else 4 if rows < 5_000 else 2 if rows < 20_000 else 1,
        # Every round grows a tree per class.
        "rounds": max(80, 3000 // len(task.classes)) if many else 1000,
        "components": 20,
        "inner": 4 if rows < 5_000 else 5 if rows < 20_000 else 8,
        "single": rows >= 5_000 or many,
        "many": "means",
        "native": False,
        "balanced": False,
        "log": relative(task, profile),
        "drop_texts": False,
        "lgb": lgb,
    }


def _boosting_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _boosting_params(task, profile)
    members = f", mean of {params['members']} seeds" if params["members"] > 1 else ""
    return [
        Variant(
            key="boosting",
            title="Gradient boosted trees (LightGBM)",
            why="Boosted trees find thresholds and interactions in mixed columns on their own and take missing values "
            "as they come; the number of rounds is chosen on inner validation rows.",
            params=params,
            representation="categories as codes, many-valued ones as mean targets, texts as n-gram components, dates as parts",
            architecture=f"LightGBM, {params['lgb']['num_leaves']} leaves, rate {params['lgb']['learning_rate']}{members}",
            training=f"objective {params['lgb']['objective']}, early stopping on inner folds",
        ),
        *_counting_variants(task, params),
    ]


def _counting_variants(task: Task, params: dict[str, Any]) -> list[Variant]:
    """Counts judged by a squared error: the mean is asked for, and a loss made for counts often finds it with less noise."""
    power = likely_power(task)
    if power is None or power_of(task) is not None:
        return []
    return [
        Variant(
            key=f"boosting-{LAWS[power]}",
            title=f"Gradient boosted trees (LightGBM), {LAWS[power].capitalize()} loss",
            why="The target is never negative and its spread grows with its mean; this loss weighs errors accordingly.",
            params={**params, "log": False, "lgb": {**params["lgb"], "objective": LAWS[power]}},
            representation="categories as codes, many-valued ones as mean targets, texts as n-gram components, dates as parts",
            architecture=f"LightGBM, {params['lgb']['num_leaves']} leaves, rate {params['lgb']['learning_rate']}",
            training=f"objective {LAWS[power]}, early stopping on inner folds",
        )
    ]


def _write_boosting(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_boosting_params(task, profile), plan.params, "boosting")
    columns = columns_for(task, profile, many=p["many"], drop_texts=p["drop_texts"])
    exposed = exposure_options(task)
    return assemble("boosting", title=plan.title, why=plan.rationale, columns=columns, kind=task.kind, p=p, **exposed)


_FORESTS = {"extra": "ExtraTrees", "random": "RandomForest"}


def _forest_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows = profile.rows
    width = max(1, len(task.features))
    return {
        "trees": 300 if rows < 3_000 else 150 if rows < 12_000 else 60,
        "leaf": (1 if rows < 20_000 else 2) if task.is_classification else (2 if rows < 12_000 else 3),
        "features": "sqrt" if task.is_classification else 0.3 if width > 100 else 0.6,
        "kind": "random" if width > 100 and not task.is_classification else "extra",
        "sample": 0 if rows < 15_000 else 15_000,
        "most": most_rows(rows, 4.0 * encoded_width(task), 40.0),
        "components": 20,
        "many": "means",
        "balanced": False,
        "log": relative(task, profile),
        "drop_texts": False,
    }


def _forest_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _forest_params(task, profile)
    return [
        Variant(
            key="forest",
            title="Extremely randomised trees" if params["kind"] == "extra" else "Random forest",
            why="Averaging many random trees is hard to overfit and needs no tuning; on few or noisy rows it often stands "
            "beside boosting, and it makes different mistakes.",
            params=params,
            representation="categories as codes, many-valued ones as mean targets, texts as n-gram components, dates as parts",
            architecture=f"{_named(_FORESTS[params['kind']], task)}, up to {params['trees']} trees, at least {params['leaf']} rows per leaf",
            training="grown in batches until the time is used",
        )
    ]


def _write_forest(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_forest_params(task, profile), plan.params, "forest")
    columns = columns_for(task, profile, many=p["many"], drop_texts=p["drop_texts"])
    return assemble(
        "forest",
        estimator=_named(_FORESTS[p["kind"]], task),
        title=plan.title,
        why=plan.rationale,
        columns=columns,
        kind=task.kind,
        p=p,
    )


def _histogram_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows = profile.rows
    return {
        "loss": histogram_loss(task),
        "rounds": max(60, 1500 // len(task.classes)) if many_classes(task) else 450 if rows < 8_000 else 300,
        "rate": 0.06 if rows < 8_000 else 0.12,
        "leaves": 15 if rows < 2_000 else 31,
        "leaf": max(5, min(20, rows // 40)),
        "l2": 1.0,
        "features": 0.5,
        "few": 40,
        "most": most_rows(rows, 12.0 * encoded_width(task), 60.0),
        "components": 16,
        "inner": 5,
        "balanced": False,
        "log": relative(task, profile),
        "drop_texts": False,
    }


def _histogram_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _histogram_params(task, profile)
    return [
        Variant(
            key="histogram",
            title="Histogram boosting on a cleaned table (skrub)",
            why="The table is read column by column as it comes: categories stay categories, many-valued texts become "
            "short fingerprints, dates become parts, missing values are left to the trees.",
            params=params,
            representation="skrub TableVectorizer with native categories and hashed fingerprints of texts",
            architecture=f"{_named('HistGradientBoosting', task)}, {params['leaves']} leaves, rate {params['rate']}",
            training="rounds chosen on inner validation rows",
        )
    ]


def _write_histogram(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_histogram_params(task, profile), plan.params, "histogram")
    columns = columns_for(task, profile)
    used = {*columns.numbers, *columns.codes, *columns.means, *columns.texts, *columns.dates}
    features = [feature.name for feature in task.features if feature.name in used]
    listed = features if len(features) <= 60 else []
    return assemble(
        "histogram",
        estimator=_named("HistGradientBoosting", task),
        title=plan.title,
        why=plan.rationale,
        features=listed,
        kind=task.kind,
        p=p,
        **exposure_options(task),
    )


def _named(stem: str, task: Task) -> str:
    """Name of scikit-learn's class for the task."""
    return f"{stem}Classifier" if task.is_classification else f"{stem}Regressor"


def _fits_boosting(task: Task, profile: Profile) -> float:
    """Boosting comes first, but where it would grow many trees a round: then what sees all classes at once."""
    return 0.0 if only_sequences(task) else 0.65 if many_classes(task) else 0.9


def _fits_forest(task: Task, profile: Profile) -> float:
    if only_sequences(task) or forecasting(task):
        return 0.0
    return 0.75 if many_classes(task) else 0.7 if profile.rows < 5_000 else 0.55


def _fits_histogram(task: Task, profile: Profile) -> float:
    """Made for messy columns; where there are only numbers LightGBM does the same in less time."""
    messy = [feature.kind for feature in task.features if feature.kind in ("category", "datetime", "text")]
    if not messy or only_sequences(task) or len(task.features) > 80:
        return 0.0
    return 0.35 if messy.count("text") * 2 >= len(task.features) or many_classes(task) else 0.6


RECIPES = [
    Recipe(
        "boosting", "boosting", _fits_boosting, _boosting_variants, _write_boosting, by_classes(0.4, 1e-5), refit=0.8
    ),
    Recipe("forest", "forest", _fits_forest, _forest_variants, _write_forest, by_cells(0.5, 1e-5), refit=1.2),
    Recipe("histogram", "boosting", _fits_histogram, _histogram_variants, _write_histogram, by_classes(0.5, 1.2e-5)),
]
