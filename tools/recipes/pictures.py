"""Recipes for columns of images: kernel, linear, forest and boosted models on gradients, colours, textures and pixels."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import LIGHTGBM, Recipe, Variant, lightgbm_objective, most_rows

_WIDTH = 500
"""Numbers that a picture is described by, about."""


def _images(task: Task, profile: Profile) -> dict[str, dict[str, Any]]:
    """Image column → {side, grey} as the profile found them."""
    found = {}
    for feature in task.features:
        if feature.kind == "image":
            column = profile.column(feature.name)
            found[feature.name] = dict(column.stats) if column else {"side": 16, "grey": 0.0}
    return found


def _params(task: Task, profile: Profile, family: str) -> dict[str, Any]:
    rows = profile.rows
    many = len(task.classes) > 20
    common: dict[str, Any] = {
        "family": family,
        "directions": 60 if rows >= 300 else 20,
        "single": rows >= 2_000,
        "most": most_rows(rows, 8.0 * _WIDTH * (4 if family == "linear" else 1)),
    }
    if family == "boosting":
        lgb = {
            "objective": lightgbm_objective(task),
            "learning_rate": 0.1,
            "num_leaves": 15,
            "min_data_in_leaf": max(3, min(20, rows // 50)),
            "feature_fraction": 0.2,
            "bagging_fraction": 0.8,
            "lambda_l2": 5.0,
            **LIGHTGBM,
        }
        return {**common, "members": 1, "rounds": 150 if many else 400, "lgb": lgb}
    if family == "trees":
        return {
            **common,
            "trees": 400 if rows < 5_000 else 150,
            "leaf": 1 if task.is_classification else 2,
            "features": "sqrt" if task.is_classification else 0.3,
        }
    if family == "linear":
        settings = [{"strength": 10.0**power} for power in (0, -1, 1, 2)]
        if task.is_classification:
            settings = [{"freedom": value} for value in (3.0, 0.3, 30.0)]
        return {**common, "settings": settings}
    pairs = [(0.3, 3.0), (0.1, 10.0), (1.0, 3.0)]
    if task.is_classification:
        pairs = [(0.3, 30.0), (0.1, 30.0), (1.0, 10.0)]
    settings = [{"gamma": gamma, "freedom": freedom} for gamma, freedom in pairs]
    return {**common, "settings": settings, "landmarks": min(800, max(20, rows // 2))}


_WORDS = {
    "kernel": (
        "image",
        "Kernel model on gradients, textures and colours of the images",
        "Images of one kind are alike in the directions of their edges, their textures and colours. A Gaussian kernel compares "
        "images by all of these at once, which with some hundred or thousand images is hard to beat without a trained network.",
        "Gaussian kernel on standardised descriptors",
    ),
    "linear": (
        "image-linear",
        "Linear model on gradients and main directions of the images",
        "A penalised linear model on histograms of gradients and on the main directions of the pixels is quick and sober, and "
        "errs on other images than trees and kernels.",
        "penalised linear model",
    ),
    "trees": (
        "image-trees",
        "Extremely randomised trees on what the images show",
        "Many random trees on colours, textures and main directions need no tuning and take other columns beside the images.",
        "extremely randomised trees",
    ),
    "boosting": (
        "image-boosting",
        "Boosted trees on what the images show",
        "Boosted trees combine colours, textures and main directions of the images with the other columns of the table.",
        "LightGBM, few columns per tree",
    ),
}


def _variants_of(family: str) -> Any:
    key, title, why, architecture = _WORDS[family]

    def variants(task: Task, profile: Profile) -> list[Variant]:
        return [
            Variant(
                key=key,
                title=title,
                why=why,
                params=_params(task, profile, family),
                representation="histograms of oriented gradients, local binary patterns, colours in 4 × 4 parts, main "
                "directions of pixels and gradients",
                architecture=architecture,
                training="rounds or penalty chosen on inner folds",
            )
        ]

    return variants


def _writer_of(family: str) -> Any:
    def write(plan: Plan, task: Task, profile: Profile) -> str:
        p = merged(_params(task, profile, family), plan.params, plan.recipe)
        p["family"] = family
        columns, found = columns_for(task, profile, many="codes"), _images(task, profile)
        return assemble(
            "image",
            estimator="ExtraTreesClassifier" if task.is_classification else "ExtraTreesRegressor",
            title=plan.title,
            why=plan.rationale,
            columns=columns,
            others=bool(columns.numbers or columns.plain or columns.texts or columns.dates),
            kind=task.kind,
            p=p,
            sides={name: int(stats["side"]) for name, stats in found.items()},
            grey=[name for name, stats in found.items() if stats.get("grey") == 1.0],
        )

    return write


def _fits(bonus: float) -> Any:
    def fits(task: Task, profile: Profile) -> float:
        return bonus if _images(task, profile) else 0.0

    return fits


def _seconds(per_row: float) -> Any:
    def seconds(task: Task, profile: Profile) -> float:
        pixels = sum(int(one["side"]) ** 2 for one in _images(task, profile).values())
        return 1.0 + profile.rows * (1.5e-6 * pixels + per_row)

    return seconds


RECIPES = [
    Recipe(
        "image", "kernel", _fits(1.0), _variants_of("kernel"), _writer_of("kernel"), _seconds(2e-3), specialist=True
    ),
    Recipe("image-linear", "linear", _fits(0.97), _variants_of("linear"), _writer_of("linear"), _seconds(3e-3)),
    Recipe("image-trees", "forest", _fits(0.93), _variants_of("trees"), _writer_of("trees"), _seconds(2e-3)),
    Recipe("image-boosting", "boosting", _fits(0.95), _variants_of("boosting"), _writer_of("boosting"), _seconds(4e-3)),
]
