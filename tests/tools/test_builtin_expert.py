"""The builtin expert: plans that fit the data, cite findings, heed lessons and people; programs; repairs; opinions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from state.candidate import Attempt, Finding, Plan
from state.errors import ExpertError
from state.questions import (
    InferenceQuestion,
    PlanQuestion,
    Plans,
    ProgramQuestion,
    RepairQuestion,
    ReviewQuestion,
)
from tests.support.recipe_cases import CASES, Case
from tools.experts.builtin import BuiltinExpert
from tools.program import check_program
from tools.recipes.catalogue import RECIPES, find_recipe

EXPERT = BuiltinExpert()


def _ask(case: Case, **more: Any) -> Plans:
    options: dict[str, Any] = {"iteration": 0, "count": 4, "seconds_left": 60.0, "jobs": 2, **more}
    return EXPERT.ask(PlanQuestion(task=case.task, profile=case.profile, **options))


def _tried(plans: list[Plan], case: Case) -> list[dict[str, Any]]:
    """The plans as finished candidates, each a little worse than the one before."""
    step = -0.01 if case.task.metric.direction == "higher" else 0.01
    return [
        {
            "id": p.id,
            "title": p.title,
            "recipe": p.recipe,
            "params": p.params,
            "status": "done",
            "score": 0.8 + step * place,
        }
        for place, p in enumerate(plans)
    ]


@pytest.mark.parametrize("name", list(CASES))
def test_first_plans_cover_families_and_the_specialist(name: str) -> None:
    """Whatever the data, the first plans hold a linear and a boosting model and the specialist, each estimated."""
    case = CASES[name]()
    plans = _ask(case).plans
    used = [RECIPES[plan.recipe] for plan in plans]
    assert len({plan.id for plan in plans}) == len(plans) == min(4, len(plans))
    assert {"linear", "boosting"} <= {recipe.family for recipe in used}
    if any(recipe.specialist and recipe.fits(case.task, case.profile) for recipe in RECIPES.values()):
        assert any(recipe.specialist for recipe in used)
    assert all(plan.estimate_seconds > 0 and plan.rationale and plan.architecture for plan in plans)
    assert not any(plan.cites or plan.parent for plan in plans)


def test_different_data_gets_different_plans() -> None:
    """Two tables with different profiles are planned differently, and the reasons name what they hold."""
    texts, wide = _ask(CASES["binary"]()).plans, _ask(CASES["wide"]()).plans
    assert [plan.recipe for plan in texts] != [plan.recipe for plan in wide]
    assert any("free text" in plan.rationale for plan in texts)
    assert any("many columns for the rows" in plan.rationale for plan in wide)


def test_the_same_question_gets_the_same_answer() -> None:
    """The expert is deterministic."""
    assert _ask(CASES["values"]()) == _ask(CASES["values"]())


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_as_many_plans_as_asked_where_there_are_recipes(count: int) -> None:
    """The count is kept; with more wanted than recipes exist there are fewer, never copies."""
    case = CASES["values"]()
    plans = _ask(case, count=count).plans
    assert len(plans) == min(count, 5)
    assert len({(plan.recipe, str(plan.params)) for plan in plans}) == len(plans)


def test_lessons_move_recipes() -> None:
    """A recipe that paid on like data comes first, one that lost comes last; a single run says less than many."""
    case = CASES["values"]()
    good = {"recipe": "forest", "gain": 0.8, "uses": 5, "text": ""}
    bad = {"recipe": "boosting", "gain": -0.8, "uses": 5, "text": ""}
    before = [plan.recipe for plan in _ask(case).plans]
    after = [plan.recipe for plan in _ask(case, lessons=[good, bad]).plans]
    assert before[0] == "boosting"
    assert after[0] == "forest"
    assert after.index("boosting") > before.index("boosting") if "boosting" in after else True


def test_what_a_person_says_is_respected() -> None:
    """Recipes a person names come, those refused stay away, and a later word outweighs an earlier one."""
    case = CASES["binary"]()
    recipes = [plan.recipe for plan in _ask(case, feedback=["no forests please, try an SVM"]).plans]
    assert "forest" not in recipes
    assert recipes[0] == "kernel"
    recipes = [plan.recipe for plan in _ask(case, feedback=["drop boosting"]).plans]
    assert not {"boosting", "histogram"} & set(recipes)
    recipes = [plan.recipe for plan in _ask(case, feedback=["no kernels", "a gaussian kernel after all"]).plans]
    assert recipes[0] == "kernel"


def test_later_plans_answer_findings() -> None:
    """Every plan of a later iteration cites a finding, builds on the best, repeats nothing, and says why."""
    case = CASES["values"]()
    drafts = _ask(case).plans
    findings = [
        Finding(id="f1", source="predictions", topic="skewed-target", text="a long right tail"),
        Finding(id="f2", source="predictions", topic="segment", text="worse where colour is red"),
    ]
    answer = _ask(case, iteration=1, tried=_tried(drafts, case), findings=findings, count=6)
    known = {plan.id for plan in drafts}
    assert answer.iteration_plan.mode == "refine"
    assert all(plan.cites and set(plan.cites) <= {"f1", "f2"} for plan in answer.plans)
    assert all(plan.parent in known for plan in answer.plans if plan.operator == "improve")
    assert any(plan.params.get("log") and "f1" in plan.cites for plan in answer.plans)
    assert not {str((p.recipe, p.params)) for p in answer.plans} & {str((p.recipe, p.params)) for p in drafts}
    assert "a long right tail" in answer.iteration_plan.rationale or "red" in answer.iteration_plan.rationale


def test_without_findings_later_plans_refine_and_explore() -> None:
    """With nothing found, plans refine the best or try unused recipes, and cite nothing."""
    case = CASES["values"]()
    drafts = _ask(case, count=2).plans
    plans = _ask(case, iteration=1, tried=_tried(drafts, case)).plans
    assert plans
    assert not any(plan.cites for plan in plans)
    assert {plan.operator for plan in plans} == {"improve", "draft"}


def test_a_failure_is_answered_with_a_careful_version() -> None:
    """A recipe that failed comes back kept simple, citing its failure."""
    case = CASES["values"]()
    drafts = _ask(case).plans
    failure = Finding(
        id="x1",
        source="failure",
        topic="failure",
        text="it ran out of memory",
        candidate="c",
        data={"recipe": "linear"},
    )
    plans = _ask(case, iteration=1, tried=_tried(drafts, case), findings=[failure], count=8).plans
    careful = next(plan for plan in plans if plan.operator == "repair")
    assert (careful.recipe, careful.cites, careful.params["drop_texts"]) == ("linear", ["x1"], True)


def test_iterations_end_when_everything_was_tried() -> None:
    """Iteration after iteration new plans come, each once, all of them writable, until there is nothing new."""
    case = CASES["binary"]()
    tried = _tried(_ask(case).plans, case)
    finding = Finding(id="f", source="predictions", topic="imbalance", text="a rare class")
    for iteration in range(1, 5):
        plans = _ask(case, iteration=iteration, tried=tried, findings=[finding], count=8).plans
        for plan in plans:
            code = EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=plan)).code
            assert check_program(code) == []
        tried += _tried(plans, case)
    marks = [str((one["recipe"], one["params"])) for one in tried]
    assert len(marks) > 15
    assert len(marks) - len(set(marks)) <= 4


def test_little_time_left_means_cheap_plans() -> None:
    """Plans that cannot end in the time left are not proposed, except a single one."""
    case = CASES["binary"]()
    tried = [{**one, "fit_seconds": 100.0} for one in _tried(_ask(case).plans, case)]
    plans = _ask(case, iteration=1, tried=tried, seconds_left=5.0, count=8).plans
    measured = {one["recipe"] for one in tried}
    assert sum(plan.recipe in measured for plan in plans) <= 1


def test_edited_parameters_are_followed_or_refused() -> None:
    """What a person edits is what is written; nonsense is refused by name, code in a parameter never gets through."""
    case = CASES["values"]()
    plan = next(plan for plan in _ask(case).plans if plan.recipe == "boosting")
    edited = plan.but(params={**plan.params, "rounds": 77})
    assert "MOST_ROUNDS = 77" in EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=edited)).code
    for params, said in (
        ({"round": 5}, "unknown parameter 'round'"),
        ({"rounds": "many"}, "rounds must be one of"),
        ({"log": 3}, "log cannot be 3"),
        ({"lgb": {"objective": "l2', __import__('os')"}}, "lgb.objective must be plain"),
    ):
        with pytest.raises(ExpertError, match=said.split("'")[0]):
            EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=plan.but(params=params)))
    with pytest.raises(ExpertError, match="there is no recipe 'magic'"):
        EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=plan.but(recipe="magic")))


def test_titles_cannot_break_the_program() -> None:
    """Quotes, backslashes and line breaks in a plan's words end up harmless in the docstring."""
    case = CASES["values"]()
    plan = _ask(case).plans[0].but(title='A """ nasty \\ title\nimport os', rationale='"')
    code = EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=plan)).code
    assert check_program(code) == []
    assert "\nimport os" not in code


def test_columns_with_strange_names_are_written_correctly() -> None:
    """Quotes, backslashes and unicode in column names survive into a program that runs."""
    from tests.support.recipe_cases import framed

    base = CASES["values"]()
    names = {"size": 'si"ze', "colour": "co'lo\\ur", "note": "nöte\t✓", "bought": "class"}
    case = framed("strange", base.X.rename(columns=names).assign(price=base.y.to_numpy()), "price", metric="mae")
    for recipe in ("boosting", "linear", "forest", "histogram"):
        program = case.program(recipe)
        assert np.isfinite(program["predict"](case.fit(program, slice(0, 120)), case.X)).all()


def test_repairs_get_simpler_with_each_attempt() -> None:
    """A failed builtin program is replaced by simpler ones, never by itself, and they run."""
    case = CASES["binary"]()
    plan = next(plan for plan in _ask(case).plans if plan.recipe == "boosting")
    code = EXPERT.ask(ProgramQuestion(task=case.task, profile=case.profile, plan=plan)).code
    seen, attempts = [code], []
    for number in (1, 2, 3):
        attempts.append(Attempt(number=number, outcome="error", program=f"sha256:{number}", error="MemoryError"))
        question = RepairQuestion(
            task=case.task, profile=case.profile, plan=plan, code=seen[-1], problems=["MemoryError"], attempts=attempts
        )
        answer = EXPERT.ask(question)
        assert check_program(answer.code) == []
        assert answer.code not in seen
        assert "MemoryError" in answer.notes
        seen.append(answer.code)
    program: dict[str, Any] = {}
    exec(compile(seen[-1], "repaired", "exec"), program)
    assert np.isfinite(program["predict"](case.fit(program), case.X)).all()


def test_foreign_code_is_repaired_by_the_nearest_recipe() -> None:
    """A program of another writer is replaced by the recipe its plan speaks of."""
    case = CASES["values"]()
    plan = Plan(id="p", title="A random forest on everything", rationale="", architecture="RandomForestRegressor")
    question = RepairQuestion(
        task=case.task, profile=case.profile, plan=plan, code="def fit(): ...", problems=["SyntaxError"]
    )
    answer = EXPERT.ask(question)
    assert check_program(answer.code) == []
    assert "TREES" in answer.code


def test_the_inference_program_comes_from_the_release() -> None:
    """The inference question is answered with a program that compiles."""
    case = CASES["values"]()
    member = {"candidate": "i0-linear", "weight": 1.0, "program": "..."}
    answer = EXPERT.ask(InferenceQuestion(task=case.task, members=[member]))
    compile(answer.code, "inference", "exec")


def test_the_opinion_weighs_baselines_checks_and_size() -> None:
    """The review names the score, the baseline it beats, and each thing that speaks against the model."""
    case = CASES["binary"]()
    facts: dict[str, Any] = {
        "score": {"value": 0.81, "low": 0.7, "high": 0.9},
        "baselines": [{"name": "constant", "score": 0.5}, {"name": "linear", "score": 0.85}],
        "checks": [{"name": "leak", "status": "found", "detail": "a copy of the target"}],
        "findings": [],
        "candidate": "Gradient boosted trees",
        "members": 3,
    }
    review = EXPERT.ask(ReviewQuestion(task=case.task, profile=case.profile, facts=facts))
    assert "0.81" in review.summary
    assert "constant baseline" in review.summary
    assert any("linear baseline" in concern for concern in review.concerns)
    assert any("a copy of the target" in concern for concern in review.concerns)
    assert any("rows are few" in concern for concern in review.concerns)
    bare = EXPERT.ask(ReviewQuestion(task=case.task, profile=case.profile, facts={}))
    assert bare.summary


def test_every_recipe_estimates_its_cost_by_size() -> None:
    """More rows cost more; no estimate is zero or absurd."""
    for name, make in CASES.items():
        case = make()
        larger = case.profile.but(rows=case.profile.rows * 100)
        for recipe in RECIPES.values():
            if recipe.fits(case.task, case.profile):
                small, large = recipe.seconds(case.task, case.profile), recipe.seconds(case.task, larger)
                assert 0 < small < 5, (name, recipe.name)
                assert large > small, (name, recipe.name)
    assert find_recipe("linear").name == "linear"
