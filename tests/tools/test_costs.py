"""What a job will cost: predictions get better with what was measured, and time is only given where it suffices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.recipe_cases import CASES
from tools.costs import Costs, Measured, can_be_refitted, costs_of, folds_in_time, grown, guess_of, wall_seconds
from tools.promises import Promises


def test_without_measurements_the_formula_counts_with_a_wide_margin() -> None:
    """The estimate itself, and an upper one well above it."""
    seconds, upper = Costs().of("boosting", 4.0)
    assert seconds == pytest.approx(4.0)
    assert 6.0 < upper < 12.0


def test_predictions_improve_with_observations() -> None:
    """On a machine three times as slow the error falls with each job, and so does the margin."""
    rng = np.random.default_rng(0)
    guesses = rng.uniform(0.5, 5.0, 12)
    seen = [Measured("boosting", guess, 3 * guess * rng.lognormal(0, 0.1)) for guess in guesses]
    errors, margins = [], []
    for count in (0, 1, 4, 12):
        seconds, upper = Costs(seen[:count]).of("boosting", 2.0)
        errors.append(abs(np.log(seconds / 6.0)))
        margins.append(upper / seconds)
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.15
    assert margins == sorted(margins, reverse=True)


def test_one_odd_job_changes_little() -> None:
    """The median of ratios does not follow a job that was held up."""
    usual = [Measured("linear", 1.0, 1.0)] * 6
    assert Costs([*usual, Measured("linear", 1.0, 60.0)]).of("linear", 1.0).seconds < 1.3


def test_other_recipes_are_corrected_by_what_all_have_in_common() -> None:
    """A slow machine is slow for a recipe that was not measured too, though less surely."""
    costs = Costs([Measured("boosting", 1.0, 4.0), Measured("linear", 0.5, 2.0), Measured("forest", 1.0, 4.0)])
    mine, others = costs.of("boosting", 1.0), costs.of("kernel", 1.0)
    assert 1.5 < others.seconds <= mine.seconds < 4.5
    assert others.upper > others.seconds


def test_later_jobs_weigh_more() -> None:
    """When the machine gets busier the newer ratios win."""
    early, late = [Measured("forest", 1.0, 1.0)] * 4, [Measured("forest", 1.0, 3.0)] * 4
    assert Costs([*early, *late]).of("forest", 1.0).seconds > Costs([*late, *early]).of("forest", 1.0).seconds


def test_larger_parameters_cost_more() -> None:
    """More members, a slower rate and more trees are more work than the recipe's usual ones."""
    case = CASES["values"]()
    base = case.plan("boosting").params
    usual = guess_of("boosting", base, case.task, case.profile)
    slower = {**base, "lgb": {**base["lgb"], "learning_rate": base["lgb"]["learning_rate"] / 2}}
    assert guess_of("boosting", slower, case.task, case.profile) > 1.3 * usual
    assert guess_of("boosting", {**base, "members": base["members"] * 3}, case.task, case.profile) > 2 * usual
    assert guess_of("a program of one's own", {}, case.task, case.profile) > 0


def test_candidates_of_a_run_are_observations() -> None:
    """What was tried and took a time counts; what has none does not."""
    case = CASES["values"]()
    params = case.plan("boosting").params
    guess = guess_of("boosting", params, case.task, case.profile)
    tried = [{"recipe": "boosting", "params": params, "fit_seconds": 5 * guess}, {"recipe": "linear", "fit_seconds": 0}]
    assert costs_of(case.task, case.profile, tried).of("boosting", guess).seconds > 1.5 * guess


def test_a_first_look_is_carried_to_all_rows_once() -> None:
    """What a candidate says of all rows is taken as such, whatever the look's own rows were; looks grow as formulas do."""
    case = CASES["values"]()
    plan = case.plan("boosting").but(rows=60)
    guess = guess_of("boosting", plan.params, case.task, case.profile)
    tried = [{"recipe": "boosting", "params": plan.params, "fit_seconds": guess, "rows": plan.rows}] * 9
    assert costs_of(case.task, case.profile, tried).of("boosting", guess).seconds == pytest.approx(guess)
    look = guess_of("boosting", plan.params, case.task, case.profile, rows=60)
    assert look * grown(plan, case.task, case.profile, case.profile.rows) == pytest.approx(guess)
    assert grown(plan.but(recipe="my own"), case.task, case.profile, 240) == 4
    assert grown(plan.but(rows=0), case.task, case.profile, 240) == 1


def test_all_folds_or_none() -> None:
    """Folds that cannot all end beside what was promised to others are not begun, unless nothing is usable yet."""
    assert folds_in_time(2.0, 4, left=20.0, slots=2, promised=0.0, needed=False) == 4
    assert folds_in_time(2.0, 4, left=20.0, slots=2, promised=36.0, needed=False) == 0
    assert folds_in_time(2.0, 4, left=3.0, slots=2, promised=0.0, needed=False) == 0
    assert folds_in_time(2.0, 4, left=3.0, slots=2, promised=0.0, needed=True) == 2
    assert folds_in_time(2.0, 0, left=3.0, slots=2, promised=0.0, needed=False) == 0
    assert wall_seconds(2.0, 5, 2) == 6.0
    assert can_be_refitted(1.0, 10.0)
    assert not can_be_refitted(4.0, 10.0)


def test_promises_are_kept_apart_by_who_made_them() -> None:
    """What a candidate has used or given up is no longer ahead of the others."""
    promises = Promises()
    promises.promise("a", 10.0)
    promises.promise("b", 4.0)
    promises.used("a", 3.0)
    assert promises.ahead("b") == 7.0
    promises.used("a", 30.0)
    promises.end("b")
    assert promises.ahead("c") == 0.0
