"""Changes of a candidate's parameters: what each does, which findings it answers, and where it makes sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from state.profile import Profile
from state.task import Task
from tools.recipes.columns import columns_for
from tools.recipes.recipe import wants_absolute

Params = dict[str, Any]
_COUNTED = frozenset({"poisson", "tweedie", "gamma"})


@dataclass(frozen=True)
class Change:
    """A change of parameters that makes sense for some recipes. `apply` returns None where it does not."""

    key: str
    title: str
    topics: frozenset[str]
    """Topics of findings it answers."""
    apply: Callable[[Params, Task, Profile], Params | None]


def conservative(params: Params) -> Params:
    """The same recipe with fewer features, fewer rounds and nothing fancy: what a repair falls back to."""
    careful = {
        "drop_texts": True,
        "many": "codes",
        "native": False,
        "balanced": False,
        "log": False,
        "members": 1,
        "numbers": "scaled",
        "single": True,
    }
    smaller = {**params, **{name: value for name, value in careful.items() if name in params}}
    for name, most in (("rounds", 200), ("trees", 60), ("components", 8), ("landmarks", 100)):
        if name in params:
            smaller[name] = min(int(params[name]), most)
    return smaller


def _log_target(params: Params, task: Task, profile: Profile) -> Params | None:
    low = profile.target.stats.get("min")
    if params.get("loss") in _COUNTED or params.get("lgb", {}).get("objective") in _COUNTED:
        return None  # these losses have the logarithm in them
    if task.kind != "regression" or "log" not in params or params["log"] or low is None or float(low) < 0:
        return None
    return {**params, "log": True}


def _balanced(params: Params, task: Task, profile: Profile) -> Params | None:
    if not task.is_classification or task.metric.needs != "labels" or task.metric.name == "accuracy":
        return None
    return {**params, "balanced": True} if params.get("balanced") is False else None


def _lgb(params: Params, **changes: Any) -> Params | None:
    if "lgb" not in params:
        return None
    return {**params, "lgb": {**params["lgb"], **changes}}


def _robust(params: Params, task: Task, profile: Profile) -> Params | None:
    """A loss that far-off targets pull less: where one row in a hundred lies beyond three interquartile ranges."""
    stats = profile.target.stats
    spread = float(stats.get("q75") or 0.0) - float(stats.get("q25") or 0.0)
    if task.kind != "regression" or params.get("log") or spread <= 0:
        return None
    if float(stats.get("outliers") or 0) < 0.01 * profile.rows:
        return None
    if "lgb" in params and params["lgb"].get("objective") == "regression":
        # Quadratic up to about two standard deviations of the bulk, linear beyond.
        return _lgb(params, objective="huber", alpha=float(f"{2 * spread / 1.349:.3g}"))
    return None


def _absolute(params: Params, task: Task, profile: Profile) -> Params | None:
    if task.kind != "regression" or not wants_absolute(task) or params.get("loss") != "":
        return None
    return {**params, "loss": "absolute_error"}


def _slower(params: Params, task: Task, profile: Profile) -> Params | None:
    if "lgb" in params:
        rate = max(0.01, round(params["lgb"]["learning_rate"] / 2, 4))
        more = _lgb(params, learning_rate=rate, feature_fraction=0.5)
        return {**more, "rounds": min(2500, params["rounds"] * 2)} if more else None
    if "rate" in params:
        return {**params, "rate": max(0.015, round(params["rate"] / 2, 4)), "rounds": min(900, params["rounds"] * 2)}
    if "trees" in params and isinstance(params.get("leaf"), int):
        return {**params, "leaf": params["leaf"] + 2}
    return None


def _deeper(params: Params, task: Task, profile: Profile) -> Params | None:
    if "lgb" in params:
        return _lgb(params, num_leaves=min(255, params["lgb"]["num_leaves"] * 2))
    if "leaves" in params:
        return {**params, "leaves": min(255, params["leaves"] * 2)}
    if "trees" in params and params.get("leaf", 1) > 1:
        return {**params, "leaf": 1}
    return (
        {**params, "numbers": "curved"} if params.get("numbers") == "scaled" and params.get("family") != "pls" else None
    )


def _milder_fit(params: Params, task: Task, profile: Profile) -> Params | None:
    if "lgb" in params:
        lgb = params["lgb"]
        leaves, least = max(5, lgb["num_leaves"] // 2), lgb["min_data_in_leaf"] * 2
        return _lgb(params, num_leaves=leaves, min_data_in_leaf=least, lambda_l2=10.0, feature_fraction=0.5)
    if "leaves" in params:
        return {**params, "leaves": max(5, params["leaves"] // 2), "leaf": params["leaf"] * 2, "l2": 10.0}
    return {**params, "leaf": params["leaf"] + 3} if "trees" in params else None


def _native(params: Params, task: Task, profile: Profile) -> Params | None:
    if "native" not in params or params["native"] or not any(feature.kind == "category" for feature in task.features):
        return None
    return {**params, "native": True, "many": "codes"}


def _more_components(params: Params, task: Task, profile: Profile) -> Params | None:
    if "components" not in params or not columns_for(task, profile).texts:
        return None
    return {**params, "components": min(80, params["components"] * 2)}


def _ranked(params: Params, task: Task, profile: Profile) -> Params | None:
    if params.get("numbers") not in ("scaled", "curved") or all(feature.kind != "numeric" for feature in task.features):
        return None
    return {**params, "numbers": "ranked"}


def _other_forest(params: Params, task: Task, profile: Profile) -> Params | None:
    if params.get("kind") not in ("extra", "random") or params.get("sample"):
        return None
    return {**params, "kind": "random" if params["kind"] == "extra" else "extra"}


CHANGES = [
    Change("log", "logarithm of the target", frozenset({"skewed-target", "residuals"}), _log_target),
    Change("balanced", "rare classes weighted up", frozenset({"imbalance", "confusion"}), _balanced),
    Change("native", "categories split as sets", frozenset({"segment", "residuals", "refine"}), _native),
    Change(
        "milder",
        "simpler trees, stronger penalty",
        frozenset({"overfit", "time-drift", "confusion", "refine"}),
        _milder_fit,
    ),
    Change("robust", "a loss that outliers pull less", frozenset({"skewed-target", "residuals"}), _robust),
    Change("absolute", "absolute errors, as the metric counts them", frozenset({"residuals", "refine"}), _absolute),
    Change("deeper", "finer splits", frozenset({"underfit", "segment", "residuals"}), _deeper),
    Change(
        "slower",
        "slower learning on fewer columns at a time",
        frozenset({"refine", "overfit", "skewed-target"}),
        _slower,
    ),
    Change("other", "the other kind of forest", frozenset({"refine", "overfit", "underfit"}), _other_forest),
    Change("texts", "more text components", frozenset({"underfit", "ablation texts"}), _more_components),
    Change("ranked", "numbers by rank", frozenset({"residuals", "skewed-target", "imbalance", "refine"}), _ranked),
]
