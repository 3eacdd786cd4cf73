"""Search of hyper-parameters: the next place of a recipe's space to try, given all places that were tried and their scores.

With optuna (extra `search`) by its tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl, Algorithms for
hyper-parameter optimization, NeurIPS 2011); without it by seeded draws, every second one near the best place so far.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import random
import warnings
from typing import Any

from state.questions import PlanQuestion
from state.records import canonical_json
from tools.recipes.recipe import Recipe, Variant
from tools.recipes.spaces import Dimension, Value, placed, space, values_of

_DRAWS = 20
"""Draws until one is found that was not tried."""
_STARTUP = 5
"""Places tried before the estimator is asked; two or three say nothing about a space."""
_NEAR = 0.15
"""Width of a draw near the best place, as a share of each dimension."""

Trial = tuple[dict[str, Value], float]


def tuned(question: PlanQuestion, recipe: Recipe, parent: str | None, *, number: int = 0) -> Variant | None:
    """A variant of the recipe whose parameters were drawn from its space; None when nothing new is found there.

    parent: id of the candidate whose other parameters are kept; None for the recipe's defaults. number: of several draws
    for one question, counted from 0. The same question gives the same answer, in whatever order its candidates stand.
    """
    dimensions = space(recipe, question.task, question.profile)
    if not dimensions:
        return None
    base = recipe.variants(question.task, question.profile)[0]
    mine = sorted((one for one in question.tried if one.get("recipe") == recipe.name), key=lambda one: str(one["id"]))
    own = next((one for one in mine if one["id"] == parent), None)
    params = {**base.params, **((own or {}).get("params") or {})}
    seen = {canonical_json({**base.params, **(one.get("params") or {})}) for one in mine}
    trials = _trials(mine, base.params, dimensions)
    higher = question.task.metric.direction == "higher"
    for draw in range(_DRAWS):
        seed = _seed(question, recipe.name, parent, len(mine), number, draw)
        values, way = _drawn(dimensions, trials, higher, seed)
        made = placed(params, values)
        if canonical_json(made) not in seen:
            return _variant(base, made, values, way, own, number)
    return None


def _trials(mine: list[dict[str, Any]], defaults: dict[str, Any], dimensions: list[Dimension]) -> list[Trial]:
    """Places and scores of the recipe's candidates that have both."""
    found = []
    for one in mine:
        score, values = one.get("score"), values_of({**defaults, **(one.get("params") or {})}, dimensions)
        if score is not None and values is not None and math.isfinite(float(score)):
            found.append((values, float(score)))
    return found


def _seed(question: PlanQuestion, *parts: object) -> int:
    """A seed that follows from the question alone."""
    text = canonical_json([question.seed, question.iteration, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _drawn(dimensions: list[Dimension], trials: list[Trial], higher: bool, seed: int) -> tuple[dict[str, Value], str]:
    """A place of the space, and how it was found, for the plan's rationale."""
    if importlib.util.find_spec("optuna") is not None and len(trials) >= _STARTUP:
        return _by_estimator(dimensions, trials, higher, seed), "by a tree-structured Parzen estimator (optuna)"
    return _at_random(dimensions, trials, higher, seed)


def _by_estimator(dimensions: list[Dimension], trials: list[Trial], higher: bool, seed: int) -> dict[str, Value]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spread: dict[str, Any] = {one.name: _distribution(one) for one in dimensions}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=_STARTUP)
        study = optuna.create_study(direction="maximize" if higher else "minimize", sampler=sampler)
        for values, score in trials:
            study.add_trial(optuna.trial.create_trial(params=values, distributions=spread, value=score))
        params: dict[str, Value] = study.ask(fixed_distributions=spread).params
    return params


def _distribution(one: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.kind == "choice":
        return CategoricalDistribution(one.choices)
    if one.kind == "int":
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def _at_random(
    dimensions: list[Dimension], trials: list[Trial], higher: bool, seed: int
) -> tuple[dict[str, Value], str]:
    """A place drawn evenly; where places are known, every second time near the best of them."""
    generator = random.Random(seed)  # noqa: S311  a draw of parameters, nothing secret
    near: dict[str, Value] = {}
    if trials and generator.random() < 0.5:
        near = (max if higher else min)(trials, key=lambda trial: trial[1])[0]
    way = "at random near the best place tried" if near else "evenly at random"
    return {one.name: _point(one, near.get(one.name), generator) for one in dimensions}, way


def _point(one: Dimension, near: Value | None, generator: random.Random) -> Value:
    if one.kind == "choice":
        return near if near is not None and generator.random() < 0.7 else generator.choice(one.choices)
    low, high = (math.log(one.low), math.log(one.high)) if one.log else (one.low, one.high)
    at = generator.uniform(low, high)
    if near is not None:
        centre = math.log(float(near)) if one.log else float(near)
        at = min(max(generator.gauss(centre, _NEAR * (high - low)), low), high)
    value = math.exp(at) if one.log else at
    bounded = min(max(value, one.low), one.high)
    return round(bounded) if one.kind == "int" else bounded


def _variant(
    base: Variant, params: dict[str, Any], values: dict[str, Value], way: str, own: dict[str, Any] | None, number: int
) -> Variant:
    told = ", ".join(
        f"{name.rpartition('.')[2]} {value:.3g}" if isinstance(value, float) else f"{name.rpartition('.')[2]} {value}"
        for name, value in values.items()
    )
    title = str((own or {}).get("title") or base.title).split(" · ")[0]
    built = f"Builds on {own['id']}: " if own else ""
    return Variant(
        key=f"{base.key}-tuned" + (f"-{number + 1}" if number else ""),
        title=f"{title} · other settings",
        why=f"{built}settings drawn from the recipe's space {way}: {told}.",
        params=params,
        representation=base.representation,
        architecture=base.architecture,
        training=f"{base.training}; {told}",
    )
