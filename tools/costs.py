"""What a job will cost, told before it starts: a recipe's own formula, corrected by the jobs of the run that have ended.

The ratio of measured to estimated seconds is taken per recipe as a weighted median of logarithms (later jobs weigh
more), shrunk towards the ratio of all recipes, and that towards 1: one slow job says little, ten say nearly everything.
Pure: who plans by the clock keeps the outcome with `tools.decisions`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from state.candidate import Candidate, Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.catalogue import RECIPES

FADING = 0.9
"""Weight of a job beside the one after it."""
PRIOR_SPREAD = 0.7
"""Standard deviation of a log ratio before anything was measured: an estimate is right within a factor of two."""
CAREFUL = 1.28
"""Upper estimates are met by nine jobs of ten, as far as the spread is known."""
FREE_SECONDS = 1.0
"""Guess for a program that follows no recipe, where none was measured."""
FREE_REFIT = 1.3
"""A fit on all rows beside one of a fold, for a program that follows no recipe: more rows, and all of the work again."""
SHARE_OF_LEFT = 0.5
"""Part of the seconds left that the two final fits of one candidate may take."""
_EFFORT = {
    "members": 1.0,
    "trees": 1.0,
    "rounds": 0.5,
    "leaves": 0.5,
    "landmarks": 1.0,
    "components": 0.3,
    "inner": 0.5,
}
"""Parameters that cost time, and the power of their size it grows with; rounds mostly stop early."""


class Estimate(NamedTuple):
    """Seconds of one job: expected, and what nine of ten stay below."""

    seconds: float
    upper: float


@dataclass(frozen=True)
class Measured:
    """A finished candidate: the recipe, what its formula said of one fold, and the mean seconds a fold took."""

    recipe: str
    guess: float
    seconds: float


class Costs:
    """Predicts the seconds of one fold from measured ones, the oldest first."""

    def __init__(self, measured: Sequence[Measured] = ()) -> None:
        count = len(measured)
        self._ratios = [
            (one.recipe, math.log(one.seconds / one.guess), FADING ** (count - 1 - place))
            for place, one in enumerate(measured)
            if one.seconds > 0 and one.guess > 0
        ]

    def of(self, recipe: str, guess: float) -> Estimate:
        """The prediction for a job of this recipe whose formula says `guess` seconds."""
        everything = [(ratio, weight) for _, ratio, weight in self._ratios]
        own = [(ratio, weight) for name, ratio, weight in self._ratios if name == recipe]
        weighed = sum(weight for _, weight in everything)
        general = _median(everything) * weighed / (weighed + 1.0) if everything else 0.0
        known = sum(weight for _, weight in own)
        middle = (known * _median(own) + general) / (known + 1.0) if own else general
        about = own or everything
        trusted = known if own else weighed / 2
        scatter = sum(weight * (ratio - middle) ** 2 for ratio, weight in about)
        spread = math.sqrt((PRIOR_SPREAD**2 + scatter) / (1.0 + trusted))
        return Estimate(guess * math.exp(middle), guess * math.exp(middle + CAREFUL * spread))


def _median(pairs: Sequence[tuple[float, float]]) -> float:
    """The weighted median of (value, weight)."""
    ordered = sorted(pairs)
    half = sum(weight for _, weight in ordered) / 2
    passed = 0.0
    for value, weight in ordered:
        passed += weight
        if passed >= half:
            return value
    return 0.0


def guess_of(recipe: str, params: Mapping[str, Any], task: Task, profile: Profile, *, rows: int = 0) -> float:
    """What the recipe's formula says of one fold with these parameters, trained on `rows` rows (0: all)."""
    if recipe not in RECIPES:
        return FREE_SECONDS
    known = RECIPES[recipe]
    sized = profile.model_copy(update={"rows": min(rows, profile.rows)}) if rows else profile
    variants = known.variants(task, profile)
    return known.seconds(task, sized) * _effort(params, variants[0].params if variants else {})


def grown(plan: Plan, task: Task, profile: Profile, rows: int) -> float:
    """Times as long as a first look's fold that one on `rows` rows takes: in the relation of the recipe's formula, or of the
    rows for a program that follows none. 1 for a plan that is no first look."""
    if not plan.rows:
        return 1.0
    if plan.recipe not in RECIPES:
        return rows / plan.rows
    whole, part = (guess_of(plan.recipe, plan.params, task, profile, rows=count) for count in (rows, plan.rows))
    return whole / part


def _effort(params: Mapping[str, Any], usual: Mapping[str, Any]) -> float:
    """How much more work these parameters are than the recipe's usual ones."""
    factor: float = 1.0
    for name, power in _EFFORT.items():
        factor *= _relation(params.get(name), usual.get(name)) ** power
    mine, base = params.get("lgb"), usual.get("lgb")
    if isinstance(mine, Mapping) and isinstance(base, Mapping):
        factor *= _relation(base.get("learning_rate"), mine.get("learning_rate")) ** 0.8
        factor *= _relation(mine.get("num_leaves"), base.get("num_leaves")) ** 0.5
    return float(factor * _relation(usual.get("rate"), params.get("rate")) ** 0.8)


def _relation(one: object, other: object) -> float:
    """One number over another; 1 where either is no positive number."""
    numbers = [value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)]
    return float(numbers[0] / numbers[1]) if len(numbers) == 2 and min(numbers) > 0 else 1.0


def costs_of(task: Task, profile: Profile, tried: Sequence[Mapping[str, Any]]) -> Costs:
    """The prediction after these candidates (as `PlanQuestion.tried` tells them), the oldest first.

    Their `fit_seconds` are those of a fold on all rows, of a first look as far as it tells (see `grown`).
    """
    return Costs(
        [
            Measured(
                recipe=str(one.get("recipe", "")),
                guess=guess_of(str(one.get("recipe", "")), one.get("params") or {}, task, profile),
                seconds=float(one["fit_seconds"]),
            )
            for one in tried
            if one.get("fit_seconds")
        ]
    )


def wall_seconds(fold: float, folds: int, slots: int) -> float:
    """Wall seconds of one candidate alone: its first fold by itself, then the others side by side."""
    return fold * (1 + math.ceil(max(0, folds - 1) / max(1, slots)))


def refit_seconds(candidate: Candidate) -> float:
    """Seconds of a fit on all rows, with the settings its folds have found."""
    recipe = RECIPES.get(candidate.plan.recipe)
    return candidate.fit_seconds * (recipe.refit if recipe else FREE_REFIT)


def can_be_refitted(fit: float, left: float) -> bool:
    """Whether two final fits of so many seconds end well within the seconds left."""
    return 2 * fit < SHARE_OF_LEFT * left


def folds_in_time(seconds: float, others: int, *, left: float, slots: int, promised: float, needed: bool) -> int:
    """How many of the other folds to start, when one takes `seconds`: all, or none when they cannot all end.

    left: wall seconds of the search. promised: slot seconds that candidates already begun will still use. needed: there
    is nothing usable yet, so that some folds are better than none, whatever was promised.
    """
    each = max(seconds * 1.1, 0.05)
    if wall_seconds(each, 1 + others, slots) - each <= left and others * each <= left * slots - promised:
        return others
    return min(others, int(left // each) * slots) if needed else 0
