"""Recipes on columns of one scale: linear models, kernel models, partial least squares."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import Columns, columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import Recipe, Variant, by_cells, forecasting, most_rows, only_sequences, relative


def _linear_params(task: Task, profile: Profile) -> dict[str, Any]:
    rows, columns = profile.rows, columns_for(task, profile, many="codes")
    if task.is_classification:
        strengths = (10.0, 1.0, 100.0, 1000.0) if columns.texts else (1.0, 0.1, 10.0, 0.01, 0.001)
        settings = [{"freedom": value} for value in strengths]
    else:
        settings = [{"strength": value} for value in (10.0, 1.0, 100.0, 0.1, 1000.0, 10_000.0)]
    numbers = _scaling(columns, profile)
    return {
        "family": "logistic" if task.is_classification else "ridge",
        "settings": settings,
        "numbers": numbers,
        "most": most_rows(rows, _row_bytes(columns, profile, numbers)),
        "letters": [2, 4],
        "inner": 4 if rows < 5_000 else 5,
        "single": rows >= 5_000,
        "balanced": False,
        "log": relative(task, profile),
        "drop_texts": False,
    }


def _row_bytes(columns: Columns, profile: Profile, numbers: str) -> float:
    """Bytes of a row of the encoded table: dense floats, and twelve for each term of a text (about three per letter)."""
    known = [profile.column(name) for name in columns.texts]
    letters = sum(float(column.stats.get("mean_chars") or 80.0) for column in known if column)
    dense = len(columns.numbers) * (9 if numbers == "curved" else 2) + 10 * len(columns.codes) + 11 * len(columns.dates)
    return (12.0 if columns.texts else 8.0) * dense + 36.0 * letters


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
        "most": 0,
        "landmarks": min(400, max(20, profile.rows)),
        "letters": [2, 4],
        "inner": 4,
        "single": profile.rows > 2_000,
        "balanced": False,
        "log": relative(task, profile),
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


def _numeric_share(task: Task) -> float:
    return sum(feature.kind == "numeric" for feature in task.features) / max(1, len(task.features))


def _has_sequence(task: Task) -> bool:
    return any(feature.kind in ("sequence", "image") for feature in task.features)


def _fits_linear(task: Task, profile: Profile) -> float:
    return 0.0 if only_sequences(task) else 0.8


def _fits_kernel(task: Task, profile: Profile) -> float:
    if _has_sequence(task) or forecasting(task) or profile.rows > 8_000 or _numeric_share(task) < 0.3:
        return 0.0
    return 0.75 if _numeric_share(task) > 0.8 and profile.rows < 2_000 else 0.5


def _fits_components(task: Task, profile: Profile) -> float:
    if task.is_classification or _has_sequence(task) or forecasting(task) or _numeric_share(task) < 0.6:
        return 0.0
    wide = len(task.features) > 0.3 * profile.rows
    return 0.65 if wide or len(profile.correlated) >= 10 else 0.0


def _kernel_seconds(task: Task, profile: Profile) -> float:
    """Support vectors compare all pairs of rows; the logistic one compares with a sample only."""
    pairs = 0.0 if task.is_classification else float(profile.rows) ** 2
    return by_cells(0.3, 3e-5)(task, profile) + 1.5e-7 * pairs


RECIPES = [
    Recipe("linear", "linear", _fits_linear, _linear_variants, _write_scaled, by_cells(0.2, 5e-6)),
    Recipe("kernel", "kernel", _fits_kernel, _kernel_variants, _write_scaled, _kernel_seconds, refit=0.5),
    Recipe("components", "linear", _fits_components, _components_variants, _write_scaled, by_cells(0.3, 3e-6)),
]
