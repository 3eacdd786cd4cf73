"""After an iteration: go on or stop, why, with which operations; and what the builtin expert makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from state.candidate import Candidate, Finding, Plan, Score
from state.questions import PlanQuestion, ProgramQuestion
from state.search import Operation
from state.settings import Settings
from tests.support.questions import plan_question
from tests.support.recipe_cases import CASES, Case
from tools.experts.builtin import BuiltinExpert
from tools.experts.prompting import Prompts
from tools.program import check_program
from tools.recipes.crossing import crossed
from tools.recipes.fulfilling import parts_left, room
from tools.search.ablation import ablation_findings
from tools.search.asking import brief_of
from tools.search.helping import fruitless_after
from tools.search.steering import LEAST_CHANCE, OUT_OF_TIME, Step, chance_to_help, next_step
from tools.selection import OutOfFold

EXPERT = BuiltinExpert()


def ask(case: Case, **more: Any) -> list[Plan]:
    options: dict[str, Any] = {"iteration": 0, "count": 4, "seconds_left": 60.0, "jobs": 2, **more}
    return EXPERT.ask(PlanQuestion(task=case.task, profile=case.profile, **options)).plans


def finished(plan: Plan, value: float, iteration: int = 0, seconds: float = 0.5) -> Candidate:
    return Candidate(
        id=plan.id,
        iteration=iteration,
        plan=plan,
        status="done",
        program="sha256:0",
        score=Score(value=value, folds=[value], low=value, high=value, rows=200),
        oof="sha256:1",
        fit_seconds=seconds,
    )


def drafts_of(case: Case) -> list[Candidate]:
    """The first drafts as finished candidates, each a little worse than the one before."""
    step = -0.01 if case.task.metric.direction == "higher" else 0.01
    return [finished(plan, 0.8 + step * place) for place, plan in enumerate(ask(case))]


def step_of(case: Case, candidates: list[Candidate], **more: Any) -> Step:
    facts: dict[str, Any] = {
        "iteration": 1,
        "improved": True,
        "fruitless": 0,
        "left": 100.0,
        "slots": 2,
        "folds": 5,
        "train_rows": 200,
        **more,
    }
    settings = facts.pop("settings", Settings())
    return next_step(case.task, case.profile, settings, candidates, facts.pop("findings", []), **facts)


def test_the_search_goes_on_while_ideas_and_time_are_left() -> None:
    """Reasons of going on: the first iteration, findings, an improvement, or simply ideas and time."""
    case = CASES["values"]()
    known = drafts_of(case)
    finding = Finding(id="f1", source="predictions", topic="residuals", text="…")
    assert step_of(case, known, iteration=0).reason == "first iteration: more to try"
    assert step_of(case, known, iteration=0, findings=[finding]).reason == "findings to answer"
    assert step_of(case, known).reason == "improved, time left"
    on = step_of(case, known, improved=False, fruitless=4)
    assert (on.action, on.reason) == ("iterate", "ideas left, time left")
    assert len(on.operations) == Settings().candidates
    assert all(set(operation.parents) <= {one.id for one in known} for operation in on.operations)


def test_quick_candidates_make_larger_rounds() -> None:
    """As many operations as fill some seconds, never more than fit what is left, and the given number where one is given."""
    case = CASES["values"]()
    quick, slow = ([one.but(fit_seconds=seconds) for one in drafts_of(case)] for seconds in (0.1, 3.0))
    assert len(step_of(case, quick, left=60.0, flexible=True).operations) > 4
    assert len(step_of(case, slow, left=60.0, flexible=True).operations) == 4
    assert len(step_of(case, quick, left=60.0).operations) == 4
    few = step_of(case, quick, left=2.1, flexible=True).operations
    assert 4 <= len(few) <= 8


def test_the_search_stops_with_its_reason() -> None:
    """Iterations, time, and hope are each told when they are used up."""
    case = CASES["values"]()
    known = drafts_of(case)
    assert step_of(case, known, settings=Settings(iterations=2)).reason == "iterations used up"
    late = step_of(case, known, left=1.0)
    assert (late.action, late.reason) == ("stop", "time used up")
    slow = [one.but(fit_seconds=40.0) for one in known]
    assert step_of(case, slow, left=30.0).reason == "time used up"
    hopeless = next(count for count in range(100) if chance_to_help(count) < LEAST_CHANCE)
    stop = step_of(case, known, improved=False, fruitless=hopeless)
    assert (stop.action, stop.reason) == ("stop", "no improvement")
    assert str(hopeless) in stop.detail


def test_promotions_that_came_too_late_are_told_as_such() -> None:
    """After first looks whose promotions were dropped for lack of time, time is what was used up, not the ideas."""
    case = CASES["dna"]()
    looks = [finished(plan.but(rows=50), 0.8 - 0.01 * place) for place, plan in enumerate(ask(case, count=50))]
    more = looks[0].plan.but(id="i1-more", rows=0, parent=looks[0].id, operator="improve")
    dropped = finished(more, 0.0, 1).but(status="dropped", score=None, oof=None, reason=OUT_OF_TIME)
    late = step_of(case, [*looks, dropped], left=9.0)
    assert (late.action, late.reason) == ("stop", "time used up")
    failed = dropped.but(status="failed", reason="it ran out of memory")
    assert step_of(case, [*looks, failed], left=9.0).reason != "time used up"


@pytest.mark.parametrize("name", ["wide", "dna"])
def test_a_table_where_everything_was_tried_ends_early_and_says_so(name: str) -> None:
    """Iteration after iteration each idea is tried once, until nothing is left to try."""
    case = CASES[name]()
    known = drafts_of(case)
    settings = Settings(candidates=25, iterations=100)
    for iteration in range(1, 30):
        step = step_of(case, known, iteration=iteration, left=1e6, settings=settings)
        if step.action == "stop":
            break
        tried = [brief_of(one) for one in known]
        plans = ask(case, iteration=iteration, tried=tried, operations=step.operations, count=len(step.operations))
        before = len(known)
        named = [plan.but(id=f"{plan.id}-{before}-{place}") for place, plan in enumerate(plans)]
        known += [finished(plan, 0.7 - 0.001 * before, iteration) for plan in named]
    assert step.reason == "nothing left to try"
    marks = [str((one.plan.recipe, one.plan.params)) for one in known]
    assert len(marks) > 30
    assert len(marks) == len(set(marks))


def test_the_same_facts_give_the_same_plans() -> None:
    """A step gone through again asks for the same operations and gets the same plans, whatever ended first."""
    case = CASES["values"]()
    known = drafts_of(case)
    for policy in ("auto", "greedy", "best-first", "mcts", "evolutionary", "portfolio"):
        settings = Settings(policy=policy)
        one, again = (step_of(case, order, iteration=2, settings=settings) for order in (known, known[::-1]))
        assert one == again
        tried = [brief_of(candidate) for candidate in known]
        asked = [ask(case, iteration=2, tried=tried, operations=step.operations) for step in (one, again)]
        assert asked[0] == asked[1]
        assert asked[0]


def test_each_operation_becomes_its_plan() -> None:
    """Drafts follow their recipe, improvements their parent, crossovers keep both parents, repairs are careful."""
    case = CASES["values"]()
    known = drafts_of(case)
    failed = known[2].but(status="failed", score=None, reason="it ran out of memory")
    tried = [brief_of(one) for one in [*known[:2], failed, *known[3:]]]
    question = PlanQuestion(
        task=case.task, profile=case.profile, iteration=1, count=4, seconds_left=60.0, jobs=2, tried=tried
    )
    fresh, pair = room(question).drafts[0][0], room(question).pairs[0]
    operations = [
        Operation(operator="draft", recipe=fresh, reason="diversity"),
        Operation(operator="improve", parents=[known[1].id], reason="it is the best of its kind"),
        Operation(operator="crossover", parents=list(pair), reason="they differ"),
        Operation(operator="repair", parents=[failed.id], reason="it failed"),
    ]
    plans = ask(case, iteration=1, tried=tried, operations=operations)
    assert [plan.operator for plan in plans] == ["draft", "improve", "crossover", "repair"]
    assert plans[0].recipe == fresh
    assert (plans[1].parent, plans[1].recipe) == (known[1].id, known[1].plan.recipe)
    assert (plans[2].parent, plans[2].other) == pair
    assert plans[2].recipe == next(one.plan.recipe for one in known if one.id == pair[1])
    assert plans[3].parent == failed.id
    assert "memory" in plans[3].rationale
    for plan, operation in zip(plans, operations, strict=True):
        assert plan.rationale.startswith(operation.reason)
        code = EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=plan)).code
        assert check_program(code) == []


def test_where_the_named_changes_are_used_up_settings_are_drawn() -> None:
    """An improvement of a candidate whose changes were all tried gets a new place in its recipe's space, again and again."""
    case = CASES["values"]()
    known = drafts_of(case)
    parent = next(one for one in known if one.plan.recipe == "boosting")
    for number in range(40):
        tried = [brief_of(one) for one in known]
        operation = Operation(operator="improve", parents=[parent.id], reason="it is the best")
        assert (
            room(
                PlanQuestion(
                    task=case.task, profile=case.profile, iteration=1, count=1, seconds_left=60.0, jobs=2, tried=tried
                )
            ).ideas[parent.id]
            > 0
        )
        plan = ask(case, iteration=number + 1, tried=tried, operations=[operation])[0]
        known.append(finished(plan, 0.9, iteration=number + 1))
        if "other settings" in plan.title:
            break
    assert plan.parent == parent.id
    assert plan.params["lgb"] != parent.plan.params["lgb"]


def test_an_operation_nobody_can_follow_is_replaced() -> None:
    """A parent without a recipe, or an unknown one, leaves the slot to the next best idea."""
    case = CASES["values"]()
    known = drafts_of(case)
    tried = [brief_of(one) for one in known]
    operations = [Operation(operator="improve", parents=["written-freely"], reason="?")] * 2
    plans = ask(case, iteration=1, tried=tried, operations=operations, count=2)
    assert len(plans) == 2
    assert len({str((plan.recipe, plan.params)) for plan in plans}) == 2


def test_crossover_takes_columns_from_one_and_the_model_from_the_other() -> None:
    """Target transform and column handling go over where both recipes have them; otherwise there is no crossover."""
    case = CASES["values"]()
    linear, boosting = case.plan("linear").params, case.plan("boosting").params
    mixed = crossed({**linear, "log": True}, boosting, case.task, case.profile)
    assert mixed is not None
    assert mixed["log"] is True
    assert mixed["lgb"] == boosting["lgb"]
    assert crossed({"family": "ridge"}, boosting, case.task, case.profile) is None


def test_ablations_come_where_time_is_plentiful_and_become_findings() -> None:
    """Only with a long limit, within the number of candidates; the outcome says what the part is worth."""
    case = CASES["values"]()
    known = drafts_of(case)
    assert not any(one.aim for one in step_of(case, known, settings=Settings(time_limit=60)).operations)
    settings = Settings(time_limit=600)
    step = step_of(case, known, settings=settings)
    wanted = [operation for operation in step.operations if operation.aim == "ablation"]
    best = min(known, key=lambda one: one.score.value if one.score else 0.0)
    assert parts_left(case.task, case.profile, known, best.id)
    assert wanted
    assert all(operation.parents == [best.id] for operation in wanted)
    assert len(step.operations) <= settings.candidates
    tried = [brief_of(one) for one in known]
    plan = ask(case, iteration=2, tried=tried, operations=wanted, count=len(wanted))[0]
    assert plan.without
    truth = np.random.default_rng(0).normal(size=300)
    parts = {best.id: truth + 0.1, plan.id: np.zeros(300)}
    found = ablation_findings(
        case.task,
        truth,
        {name: OutOfFold(np.arange(300), values) for name, values in parts.items()},
        [*known, finished(plan, 1.0, iteration=2)],
        2,
    )
    assert [one.topic for one in found] == ["ablation"]
    assert found[0].data["part"] == plan.without
    assert found[0].data["sure"]
    assert plan.without in found[0].text


def test_what_helps_is_a_new_best_or_a_better_blend() -> None:
    """A copy with noise helps nobody; an independent model does, and so does a new best."""
    case = CASES["values"]()
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    best, other = drafts_of(case)[:2]
    late = other.but(iteration=1)
    one = truth + rng.normal(0, 0.5, 500)

    def after(values: np.ndarray, leader: Candidate = best) -> int:
        parts = {best.id: OutOfFold(np.arange(500), one), late.id: OutOfFold(np.arange(500), values)}
        return fruitless_after(3, case.task, truth, parts, [best, late], leader, 1)

    assert after(one + rng.normal(0, 0.5, 500)) == 4
    assert after(truth + rng.normal(0, 0.5, 500)) == 0
    assert after(one, leader=late) == 0


@pytest.mark.parametrize("left", [100.0, 7.0])
def test_first_looks_are_followed_by_the_better_half(left: float) -> None:
    """Promotions come before anything else, one at least; the plan is the same program on more rows."""
    case = CASES["values"]()
    looked = [one.but(plan=one.plan.but(rows=50)) for one in drafts_of(case)]
    step = step_of(case, looked, iteration=0, left=left, train_rows=5_000)
    assert step.reason == "first looks taken: the best go on"
    assert 1 <= len(step.operations) <= 2
    tried = [brief_of(one) for one in looked]
    (plan, *_) = ask(case, iteration=1, tried=tried, operations=step.operations, count=len(step.operations))
    first = next(one for one in looked if one.id == plan.parent)
    assert (plan.recipe, plan.params) == (first.plan.recipe, first.plan.params)
    assert plan.rows == step.operations[0].rows == 150


def test_a_model_is_told_the_same_operations() -> None:
    """The prompt lists each operation as data; without any it does not speak of them."""
    operations = [Operation(operator="crossover", parents=["i0-forest", "i0-linear"], reason="they differ")]
    prompt = Prompts().render(plan_question(operations=operations)).user
    assert "asks for these operations" in prompt
    assert '"operator": "crossover", "parents": ["i0-forest", "i0-linear"]' in prompt
    assert "asks for these operations" not in Prompts().render(plan_question()).user
