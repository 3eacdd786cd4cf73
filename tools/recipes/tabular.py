"""Recipes for tables of numbers, categories, dates and some text: linear, boosting, forest, histogram, kernel, components."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import Columns, columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import LIGHTGBM, Recipe, Variant, forecasting, lightgbm_objective, wants_absolute


def _boosting_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows = profile.rows
    lgb = {
        "objective": lightgbm_objective(task),
        "learning_rate": 0.05 if rows < 20_000 else 0.1,
        "num_leaves": 15 if rows < 2_000 else 31 if rows < 20_000 else 63,
        "min_data_in_leaf": max(3, min(20, rows // 50)),
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "lambda_l2": 2.0,
        **LIGHTGBM,
    }
    return {
        "members": 4 if rows < 5_000 else 2 if rows < 20_000 else 1,
        "rounds": 1000 if rows < 20_000 else 600,
        "components": 20,
        "inner": 4 if rows < 5_000 else 5 if rows < 20_000 else 8,
        "single": rows >= 5_000,
        "many": "means",
        "native": False,
        "balanced": False,
        "log": False,
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
        )
    ]


def _write_boosting(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_boosting_params(task, profile), plan.params, "boosting")
    columns = columns_for(task, profile, many=p["many"], drop_texts=p["drop_texts"])
    return assemble("boosting", title=plan.title, why=plan.rationale, columns=columns, kind=task.kind, p=p)


def _linear_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows, columns = profile.rows, columns_for(task, profile, many="codes")
    if task.is_classification:
        strengths = (10.0, 1.0, 100.0, 1000.0) if columns.texts else (1.0, 0.1, 10.0, 0.01, 0.001)
        settings = [{"freedom": value} for value in strengths]
    else:
        settings = [{"strength": value} for value in (10.0, 1.0, 100.0, 0.1, 1000.0, 10_000.0)]
    return {
        "family": "logistic" if task.is_classification else "ridge",
        "settings": settings,
        "numbers": _scaling(columns, profile),
        "letters": [2, 4],
        "inner": 4 if rows < 5_000 else 5,
        "single": rows >= 5_000,
        "balanced": False,
        "log": False,
        "drop_texts": False,
    }


def _scaling(columns: Columns, profile: Profile) -> str:
    """Curves where there are rows enough to learn them; ranks where the numbers have outliers."""
    count = len(columns.numbers)
    if profile.rows >= 200 and 0 < count <= 40 and profile.rows >= 15 * count:
        return "curved"
    skews = [abs(float(c.stats.get("skew") or 0.0)) for c in profile.columns if c.name in set(columns.numbers)]
    return "ranked" if skews and sorted(skews)[len(skews) // 2] > 2 else "scaled"


def _linear_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _linear_params(task, profile)
    model = "Logistic" if task.is_classification else "Ridge"
    curved = params["numbers"].startswith("curved")
    return [
        Variant(
            key="linear",
            title=f"{model} regression {'on smooth curves of each column' if curved else 'on scaled columns'}",
            why="A regularised linear model is the sober reference: quick, stable on few rows, and wrong in other places "
            "than trees, which makes it worth its place in an ensemble.",
            params=params,
            representation=f"numbers: {params['numbers']}; categories one-hot, "
            "rare ones together; texts as hashed tf-idf; dates as trend and waves",
            architecture=f"{model.lower()} regression",
            training="strength of the penalty chosen on inner folds",
        )
    ]


def _write_scaled(plan: Plan, task: Task, profile: Profile) -> str:
    defaults = {"kernel": _kernel_params, "components": _components_params}.get(plan.recipe, _linear_params)
    p = merged(defaults(task, profile), plan.params, plan.recipe)
    columns = columns_for(task, profile, many="codes", drop_texts=p["drop_texts"])
    return assemble("scaled", title=plan.title, why=plan.rationale, columns=columns, kind=task.kind, p=p)


def _forest_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows = profile.rows
    width = max(1, len(task.features))
    return {
        "trees": 300 if rows < 3_000 else 150 if rows < 12_000 else 60,
        "leaf": (1 if rows < 20_000 else 2) if task.is_classification else (2 if rows < 12_000 else 3),
        "features": "sqrt" if task.is_classification or width > 100 else 0.6,
        "sample": 0 if rows < 15_000 else 15_000,
        "components": 20,
        "many": "means",
        "balanced": False,
        "log": False,
        "drop_texts": False,
    }


def _forest_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _forest_params(task, profile)
    return [
        Variant(
            key="forest",
            title="Extremely randomised trees",
            why="Averaging many random trees is hard to overfit and needs no tuning; on few or noisy rows it often stands "
            "beside boosting, and it makes different mistakes.",
            params=params,
            representation="categories as codes, many-valued ones as mean targets, texts as n-gram components, dates as parts",
            architecture=f"{_named('ExtraTrees', task)}, up to {params['trees']} trees, at least {params['leaf']} rows per leaf",
            training="grown in batches until the time is used",
        )
    ]


def _write_forest(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_forest_params(task, profile), plan.params, "forest")
    columns = columns_for(task, profile, many=p["many"], drop_texts=p["drop_texts"])
    return assemble(
        "forest",
        estimator=_named("ExtraTrees", task),
        title=plan.title,
        why=plan.rationale,
        columns=columns,
        kind=task.kind,
        p=p,
    )


def _histogram_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows = profile.rows
    return {
        "loss": "absolute_error" if wants_absolute(task) else "",
        "rounds": 450 if rows < 20_000 else 300,
        "rate": 0.06 if rows < 20_000 else 0.12,
        "leaves": 15 if rows < 2_000 else 31,
        "leaf": max(5, min(20, rows // 40)),
        "l2": 1.0,
        "features": 0.5,
        "few": 40,
        "components": 16,
        "inner": 5,
        "balanced": False,
        "log": False,
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
    )


def _kernel_params(task: Task, profile: Profile) -> dict[str, Any]:
    columns = columns_for(task, profile, many="codes", drop_texts=True)
    if task.is_classification:
        settings = [{"gamma": g, "freedom": c} for g in (0.5, 0.2, 1.0, 2.0) for c in (3.0, 30.0)]
    else:
        settings = [{"gamma": g, "freedom": c} for g in (0.3, 0.1, 1.0) for c in (1.0, 5.0)]
    skewed = _scaling(columns, profile).startswith(("ranked", "curved"))
    return {
        "family": "kernel" if task.is_classification else "svr",
        "settings": settings,
        "numbers": "ranked" if skewed else "scaled",
        "landmarks": min(400, max(20, profile.rows)),
        "letters": [2, 4],
        "inner": 4,
        "single": profile.rows > 2_000,
        "balanced": False,
        "log": False,
        "drop_texts": True,
    }


def _kernel_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _kernel_params(task, profile)
    kind = "Kernel logistic regression" if task.is_classification else "Support vector regression"
    return [
        Variant(
            key="kernel",
            title=f"{kind} with a Gaussian kernel",
            why="With few rows and smooth numeric columns, distances between rows say more than thresholds on single "
            "columns: a kernel model bends where trees step.",
            params=params,
            representation="numbers on one scale, categories one-hot",
            architecture=f"{kind.lower()}, Gaussian kernel",
            training="kernel width and penalty chosen on inner folds",
        )
    ]


def _components_params(task: Task, profile: Profile) -> dict[str, Any]:
    return {
        **_linear_params(task, profile),
        "family": "pls",
        "settings": [{"components": count} for count in (6, 3, 10, 15, 2, 20) if count < profile.rows // 3],
        "numbers": "scaled",
        "drop_texts": True,
    }


def _components_variants(task: Task, profile: Profile) -> list[Variant]:
    params = _components_params(task, profile)
    return [
        Variant(
            key="components",
            title="Partial least squares",
            why="Columns outnumber rows or repeat each other: a few directions that vary together with the target hold what "
            "can be learned.",
            params=params,
            representation="numbers on one scale, categories one-hot",
            architecture="partial least squares",
            training="number of components chosen on inner folds",
        )
    ]


def _named(stem: str, task: Task) -> str:
    """Name of scikit-learn's class for the task."""
    return f"{stem}Classifier" if task.is_classification else f"{stem}Regressor"


def _numeric_share(task: Task) -> float:
    return sum(feature.kind == "numeric" for feature in task.features) / max(1, len(task.features))


def _has_sequence(task: Task) -> bool:
    return any(feature.kind == "sequence" for feature in task.features)


def _only_sequences(task: Task) -> bool:
    return all(feature.kind == "sequence" for feature in task.features)


def _fits_boosting(task: Task, profile: Profile) -> float:
    return 0.0 if _only_sequences(task) else 0.9


def _fits_linear(task: Task, profile: Profile) -> float:
    return 0.0 if _only_sequences(task) else 0.8


def _fits_forest(task: Task, profile: Profile) -> float:
    if _only_sequences(task) or forecasting(task):
        return 0.0
    return 0.7 if profile.rows < 5_000 else 0.55


def _fits_histogram(task: Task, profile: Profile) -> float:
    """Made for messy columns; where there are only numbers LightGBM does the same in less time."""
    messy = [feature.kind for feature in task.features if feature.kind in ("category", "datetime", "text")]
    if not messy or _only_sequences(task) or len(task.features) > 80:
        return 0.0
    return 0.35 if messy.count("text") * 2 >= len(task.features) else 0.6


def _fits_kernel(task: Task, profile: Profile) -> float:
    if _has_sequence(task) or forecasting(task) or profile.rows > 8_000 or _numeric_share(task) < 0.3:
        return 0.0
    return 0.75 if _numeric_share(task) > 0.8 and profile.rows < 2_000 else 0.5


def _fits_components(task: Task, profile: Profile) -> float:
    if task.is_classification or _has_sequence(task) or forecasting(task) or _numeric_share(task) < 0.6:
        return 0.0
    wide = len(task.features) > 0.3 * profile.rows
    return 0.65 if wide or len(profile.correlated) >= 10 else 0.0


def _seconds(scale: float, per_cell: float) -> Any:
    """Cost model: seconds of one fit = scale + per_cell × rows × columns, texts counted as thirty columns."""

    def cost(task: Task, profile: Profile) -> float:
        width = sum(30 if feature.kind in ("text", "sequence") else 1 for feature in task.features)
        return scale + per_cell * profile.rows * width

    return cost


RECIPES = [
    Recipe("boosting", "boosting", _fits_boosting, _boosting_variants, _write_boosting, _seconds(0.4, 6e-6)),
    Recipe("linear", "linear", _fits_linear, _linear_variants, _write_scaled, _seconds(0.2, 5e-6)),
    Recipe("forest", "forest", _fits_forest, _forest_variants, _write_forest, _seconds(0.5, 1e-5)),
    Recipe("histogram", "boosting", _fits_histogram, _histogram_variants, _write_histogram, _seconds(0.5, 6e-6)),
    Recipe("kernel", "kernel", _fits_kernel, _kernel_variants, _write_scaled, _seconds(0.3, 3e-5)),
    Recipe("components", "linear", _fits_components, _components_variants, _write_scaled, _seconds(0.3, 3e-6)),
]
