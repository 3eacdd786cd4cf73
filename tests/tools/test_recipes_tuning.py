"""Hyper-parameter search: spaces that are valid for every recipe, draws that are new, deterministic, and drawn to the best."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from state.candidate import Plan
from state.questions import PlanQuestion
from tests.support.recipe_cases import CASES, Case, pairs
from tools.program import check_program
from tools.recipes.catalogue import find_recipe, write_program
from tools.recipes.spaces import placed, space, values_of
from tools.recipes.tuning import tuned

PAIRS = pairs()


def _question(case: Case, tried: list[dict[str, Any]], **more: Any) -> PlanQuestion:
    given: dict[str, Any] = {"iteration": 2, "count": 4, "seconds_left": 60.0, "jobs": 2, **more}
    return PlanQuestion(task=case.task, profile=case.profile, tried=tried, **given)


def _tried(case: Case, recipe: str, params: dict[str, Any], score: float, number: int = 0) -> dict[str, Any]:
    return {"id": f"c{number}", "title": recipe, "recipe": recipe, "params": params, "status": "done", "score": score}


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_spaces_hold_the_defaults_and_every_draw_is_a_program(name: str, recipe: str) -> None:
    """The default lies in its own space, bounds are sane, and drawn parameters give a program that keeps the contract."""
    case, found = CASES[name](), find_recipe(recipe)
    dimensions = space(found, case.task, case.profile)
    defaults = found.variants(case.task, case.profile)[0].params
    home = values_of(defaults, dimensions)
    assert home is not None
    for one in dimensions:
        assert one.choices if one.kind == "choice" else one.low < one.high
        assert one.holds(home[one.name])
        assert not one.log or one.low > 0
    if not dimensions:
        return
    variant = tuned(_question(case, [_tried(case, recipe, defaults, 0.5)]), found, "c0")
    assert variant is not None
    drawn = values_of(variant.params, dimensions)
    assert drawn is not None
    assert all(one.holds(drawn[one.name]) for one in dimensions)
    plan = Plan(id="p", title=variant.title, rationale=variant.why, recipe=recipe, params=variant.params)
    assert check_program(write_program(plan, case.task, case.profile)) == []


def test_every_recipe_has_a_space() -> None:
    """There is something to search in each recipe of the catalogue."""
    for name, recipe in PAIRS:
        case = CASES[name]()
        assert space(find_recipe(recipe), case.task, case.profile), recipe


def test_the_same_question_gives_the_same_draw_in_any_order() -> None:
    """Draws follow from what was tried, not from the order in which branches ended; other numbers give other draws."""
    case, recipe = CASES["values"](), find_recipe("boosting")
    dimensions = space(recipe, case.task, case.profile)
    defaults = recipe.variants(case.task, case.profile)[0].params
    tried = [_tried(case, "boosting", defaults, 1.0)]
    for number in range(1, 8):
        variant = tuned(_question(case, tried), recipe, "c0")
        assert variant is not None
        tried.append(_tried(case, "boosting", variant.params, 1.0 + number / 10, number))
    forward, backward = (tuned(_question(case, order), recipe, "c0") for order in (tried, tried[::-1]))
    assert forward == backward
    second = tuned(_question(case, tried), recipe, "c0", number=1)
    assert second is not None
    assert forward is not None
    assert second.params != forward.params
    places = [values_of(one["params"], dimensions) for one in tried]
    assert len({str(place) for place in places}) == len(places)


def test_draws_keep_what_is_not_searched() -> None:
    """A child of a candidate keeps its other parameters, and a list of settings becomes the drawn one."""
    case, recipe = CASES["values"](), find_recipe("boosting")
    defaults = recipe.variants(case.task, case.profile)[0].params
    own = {**defaults, "log": True, "native": True, "many": "codes"}
    variant = tuned(_question(case, [_tried(case, "boosting", own, 1.0)]), recipe, "c0")
    assert variant is not None
    assert (variant.params["log"], variant.params["native"], variant.params["many"]) == (True, True, "codes")
    assert placed({"settings": [{"gamma": 1.0}, {"gamma": 2.0}]}, {"settings.gamma": 0.51234}) == {
        "settings": [{"gamma": 0.512}]
    }


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="optuna is an extra")
def test_the_estimator_comes_nearer_to_the_best() -> None:
    """With a score that depends on one parameter alone, later draws lie nearer to its optimum than the first ones."""
    case, recipe = CASES["values"](), find_recipe("boosting")
    defaults = recipe.variants(case.task, case.profile)[0].params
    tried: list[dict[str, Any]] = []
    distances = []
    for number in range(30):
        variant = tuned(_question(case, tried), recipe, None)
        assert variant is not None
        distance = abs(variant.params["lgb"]["bagging_fraction"] - 0.62)
        distances.append(distance)
        tried.append(_tried(case, "boosting", {**defaults, **variant.params}, 1.0 + distance, number))
    assert sum(distances[-10:]) < sum(distances[:10])


@pytest.mark.parametrize("there", [False, True])
def test_a_plan_says_how_its_settings_were_drawn(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the sixth place on by the estimator where optuna is installed; before, and without it, at random."""
    if there and importlib.util.find_spec("optuna") is None:
        pytest.skip("optuna is an extra")
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda *one: find(*one) if there or one != ("optuna",) else None)
    case, recipe = CASES["values"](), find_recipe("boosting")
    defaults = recipe.variants(case.task, case.profile)[0].params
    tried = [_tried(case, "boosting", {**defaults, "rounds": 100 + number}, 1.0, number) for number in range(5)]
    first, sixth = (tuned(_question(case, some), recipe, None) for some in (tried[:4], tried))
    assert first is not None
    assert sixth is not None
    assert "at random" in first.why
    assert ("optuna" in sixth.why, "at random" in sixth.why) == (there, not there)
