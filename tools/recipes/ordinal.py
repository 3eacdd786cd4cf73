"""Recipes for classes with an order: a regression on ranks, and one model of two classes per cut between classes.

Both stand on another recipe's program, which they enclose. Cumulative questions: Frank and Hall, A Simple Approach to
Ordinal Classification, ECML 2001.
"""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.metrics import METRICS
from tools.recipes import scaled, trees
from tools.recipes.assemble import enclose
from tools.recipes.recipe import Recipe, Variant
from tools.targetkinds import ORDINAL_METRICS

_BASES = {recipe.name: recipe for module in (trees, scaled) for recipe in module.RECIPES}
_USED = ("boosting", "linear", "histogram")
"""Recipes whose programs are enclosed, the first of them by default."""
_MOST_QUESTIONS = 8
_LEFT_OUT = frozenset({"balanced", "log"})
"""Parameters of the base that make no sense on ranks."""


def _inside(task: Task, way: str) -> Task:
    """The task a base recipe is asked to write for."""
    if way == "ranks":
        metric = METRICS["mae" if task.metric.name == "rank_mae" else "rmse"]
        return task.but(kind="regression", classes=[], positive=None, target_traits=[], metric=metric.plain())
    return task.but(kind="binary", classes=[0, 1], positive=1, target_traits=[], metric=METRICS["log_loss"].plain())


def _variants(task: Task, profile: Profile, way: str) -> list[Variant]:
    inside = _inside(task, way)
    found = []
    for name in _USED:
        base = _BASES[name]
        if base.fits(inside, profile) <= 0:
            continue
        own = base.variants(inside, profile)[0]
        params = {key: value for key, value in own.params.items() if key not in _LEFT_OUT}
        found.append(
            Variant(
                key=way if name == _USED[0] else f"{way}-{name}",
                title=f"{_TITLES[way]}: {own.title[0].lower() + own.title[1:]}",
                why=_REASONS[way],
                params={**params, "base": name, "parts": 3 if way == "ranks" else 2},
                representation=own.representation,
                architecture=f"{own.architecture}; {_TITLES[way].lower()}",
                training=f"{own.training}; cut points between classes found on rows held back",
            )
        )
    return found


_TITLES = {"ranks": "Regression on the ranks of the classes", "cumulative": "One question per cut between classes"}
_REASONS = {
    "ranks": "The classes have an order: as numbers they share their rows, and the cut points between them are set where the "
    "metric is best.",
    "cumulative": "The classes have an order: asking for each cut how likely a row lies above it uses the order without "
    "assuming equal steps.",
}


def _write(plan: Plan, task: Task, profile: Profile, way: str) -> str:
    params = dict(plan.params) or dict(_variants(task, profile, way)[0].params)
    name, parts = str(params.pop("base", _USED[0])), int(params.pop("parts", 3))
    base = _BASES[name if name in _USED else _USED[0]]
    inside = _inside(task, way)
    # A change of a candidate starts from the default base's parameters; those the other base does not know fall away.
    known = {one: set(_BASES[one].variants(inside, profile)[0].params) for one in _USED}
    foreign = set[str]().union(*known.values()) - known[base.name]
    params = {key: value for key, value in params.items() if key not in foreign | _LEFT_OUT}
    code = base.write(plan.but(recipe=base.name, params=params), inside, profile)
    if way == "ranks":
        renamed = {"fit": "fit_ranks", "predict": "predict_ranks"}
        return enclose(code, "ranks", renamed=renamed, parts=parts, inner_metric=inside.metric.name)
    renamed = {"fit": "fit_question", "predict": "predict_question"}
    return enclose(code, "cumulative", renamed=renamed, parts=parts, tuned=task.metric.name in ORDINAL_METRICS)


def _seconds(task: Task, profile: Profile, way: str) -> float:
    one = float(_BASES[_USED[0]].seconds(_inside(task, way), profile))
    return one * (3.0 if way == "ranks" else 2.0 * max(1, len(task.classes) - 1))


def _applies(task: Task, way: str) -> bool:
    return task.is_ordinal and (way == "ranks" or len(task.classes) <= _MOST_QUESTIONS)


def _fits_ranks(task: Task, profile: Profile) -> float:
    """Cut points move classes; they help metrics that count distances, not probabilities."""
    return 0.95 if _applies(task, "ranks") and task.metric.name in ORDINAL_METRICS else 0.0


def _fits_cumulative(task: Task, profile: Profile) -> float:
    if not _applies(task, "cumulative"):
        return 0.0
    return 0.85 if task.metric.name in ORDINAL_METRICS else 0.5


def _recipe(way: str, fits: Any, *, specialist: bool) -> Recipe:
    def variants(task: Task, profile: Profile) -> list[Variant]:
        return _variants(task, profile, way)

    def write(plan: Plan, task: Task, profile: Profile) -> str:
        return _write(plan, task, profile, way)

    def seconds(task: Task, profile: Profile) -> float:
        return _seconds(task, profile, way)

    return Recipe(way, "ordinal", fits, variants, write, seconds, specialist=specialist)


RECIPES = [_recipe("ranks", _fits_ranks, specialist=True), _recipe("cumulative", _fits_cumulative, specialist=False)]
