"""The search's operations with a language model: plans held to them, programs written from their parents, promotions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.candidate import Candidate, Finding, Plan, Score
from state.errors import ExpertError
from state.questions import Parent, PlanQuestion, ProgramQuestion
from state.search import Operation
from tests.support.llm_server import LlmServer
from tests.support.questions import PLAN, PROFILE, TASK, plan_question, program_question
from tests.support.scripted_team import data_block, scripted_team
from tools.artifacts import open_artifacts
from tools.catalogue import Catalogue
from tools.experts.builtin import BuiltinExpert
from tools.experts.llm import LlmExpert
from tools.experts.prompting import Prompts
from tools.experts.recorded import RecordedExpert
from tools.experts.replies import read_reply
from tools.journal import Journal
from tools.recipes.freely import freely
from tools.runlog import RunLog
from tools.search.asking import brief_of
from tools.search.lineage import going_on, grounded, parents_of

TRIED = [{"id": name, "recipe": "", "status": "done", "score": 0.8} for name in ("i0-a", "i0-b", "i0-c")]
OPERATIONS = [
    Operation(operator="improve", parents=["i0-a"], cites=["f1"], reason="it is the best"),
    Operation(operator="crossover", parents=["i0-a", "i0-b"]),
    Operation(operator="repair", parents=["i0-c"]),
    Operation(operator="draft", recipe="forest"),
]
SCORE = Score(value=0.81, folds=[0.8, 0.82], low=0.78, high=0.84, rows=192)


def asked(**changes: Any) -> PlanQuestion:
    facts: dict[str, Any] = {"tried": TRIED, "operations": OPERATIONS, "count": len(OPERATIONS), **changes}
    return plan_question(**facts)


def said(question: PlanQuestion, count: int) -> dict[str, Any]:
    """What the scripted model replies: drafts without parents, whatever it was asked for."""
    prompt = Prompts().render(question)
    request = {
        "messages": [{"content": prompt.system}, {"content": prompt.user}],
        "tools": [{"function": {"name": "PlanAnswer"}}],
    }
    reply = scripted_team()(request)
    assert isinstance(reply, dict)
    answer: dict[str, Any] = reply["answer"]
    return {**answer, "plans": (answer["plans"] * 2)[:count]}


def candidate(plan: Plan, program: str | None, **more: Any) -> Candidate:
    facts: dict[str, Any] = {"status": "done", "score": SCORE, "oof": "sha256:1", "expert": "openai:scripted", **more}
    return Candidate(id=plan.id, iteration=0, plan=plan, program=program, **facts)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    yield Journal(catalogue, "run-1")
    catalogue.close()


# ---- planning -----------------------------------------------------------------------------------------------------------


def test_plans_are_held_to_the_operations() -> None:
    """Operator, parents and cited findings are those asked for, whatever the model says; a plan too many is left out."""
    question = asked()
    plans = read_reply(json.dumps(said(question, 5)), question).model_dump()["plans"]
    assert [plan["operator"] for plan in plans] == ["improve", "crossover", "repair", "draft"]
    assert [plan["parent"] for plan in plans] == ["i0-a", "i0-a", "i0-c", None]
    assert [plan["other"] for plan in plans] == [None, "i0-b", None, None]
    assert plans[0]["cites"] == ["f1"]


def test_a_model_may_cite_more_and_is_not_asked_for_what_it_cannot_see() -> None:
    """Its own citations stay behind those of the operation; a finding that is no longer open is not forced on it."""
    findings = [Finding(id=name, source="predictions", topic="residuals", text="…") for name in ("f1", "f2")]
    operation = OPERATIONS[0].but(cites=["f2", "f0"])
    question = asked(findings=findings, operations=[operation], count=1)
    answer = said(question, 1)
    answer["plans"][0]["cites"] = ["f1"]
    assert read_reply(json.dumps(answer), question).model_dump()["plans"][0]["cites"] == ["f2", "f1"]


def test_too_few_plans_are_sent_back_a_few_times() -> None:
    """The correction says how many are missing; a model that never gives them has no answer in the end."""
    question = asked()
    short, whole = ({"answer": said(question, count)} for count in (2, 4))
    with LlmServer([short, whole]) as server:
        plans = LlmExpert("openai:scripted", base_url=server.url).ask(question).plans
        assert len(plans) == 4
        assert "`plans` has 2 of 4" in server.requests[1]["messages"][-1]["content"]
    with LlmServer([short]) as server, pytest.raises(ExpertError, match="2 of 4"):
        LlmExpert("openai:scripted", base_url=server.url).ask(question)


def test_first_drafts_may_be_fewer() -> None:
    """Without operations nobody is owed a plan for each."""
    question = plan_question()
    assert len(read_reply(json.dumps(said(question, 1)), question).model_dump()["plans"]) == 1


def test_what_the_operations_build_on_is_shown_however_much_was_tried() -> None:
    """Of a hundred candidates the named ones and the newest are told, and how many are not."""
    tried = [{"id": f"i0-{number}", "score": 0.5} for number in range(100)]
    question = asked(tried=tried, operations=[Operation(operator="improve", parents=["i0-3"])], count=1)
    shown = json.loads(data_block({"messages": ["", {"content": Prompts().render(question).user}]}, "tried"))
    assert shown[0] == "… 40 earlier ones"
    assert [one["id"] for one in shown[1:3]] == ["i0-3", "i0-41"]
    assert shown[-1]["id"] == "i0-99"


# ---- writing ------------------------------------------------------------------------------------------------------------


def parent(name: str = "i0-a", **more: Any) -> Parent:
    facts: dict[str, Any] = {"title": "A forest", "status": "done", "score": SCORE, "code": f"# {name}\nTREES = 7\n"}
    return Parent(id=name, **{**facts, **more})


def shown(plan: Plan, *parents: Parent) -> str:
    return Prompts().render(program_question(plan=plan, parents=list(parents))).user


def test_an_improvement_is_written_from_its_parents_text() -> None:
    """The program, its scores and what the cited findings say are in the prompt; a draft speaks of none of it."""
    plan = PLAN.but(operator="improve", parent="i0-a", cites=["f1"])
    finding = Finding(id="f1", source="predictions", topic="segment", text="Port C is predicted badly")
    text = shown(grounded(plan, [finding]), parent())
    assert "# i0-a\nTREES = 7\n" in text
    assert '"folds": [0.8, 0.82]' in text
    assert "f1 (segment): Port C is predicted badly" in text
    assert "begin with its text" in text
    assert "parent_program" not in shown(PLAN)


def test_a_crossover_sees_both_programs_in_their_order() -> None:
    """The first gives columns and target, the second the model family."""
    text = shown(PLAN.but(operator="crossover", parent="i0-a", other="i0-b"), parent(), parent("i0-b"))
    assert 0 < text.index("# i0-a") < text.index("# i0-b")
    assert "combines these two programs" in text


def test_a_repair_sees_why_its_parent_failed_and_no_value_of_a_row() -> None:
    """The reason is told, with what may be somebody's address or number masked."""
    failed = parent(status="failed", score=None, problem="ValueError: mary@example.org is no number")
    text = shown(PLAN.but(operator="repair", parent="i0-a"), failed)
    assert "ValueError: [e-mail] is no number" in text
    assert "which failed" in text


def test_a_long_program_is_shown_in_part() -> None:
    """Its start and its end, and how much was left out; it cannot leave its block either."""
    code = "# start\n" + "x = 1\n" * 20_000 + "# end\n"
    text = shown(PLAN.but(operator="improve", parent="i0-a"), parent(code=code))
    assert "# start" in text
    assert "# end" in text
    assert "characters left out" in text
    assert len(text) < 40_000


def test_a_question_with_parents_is_paid_once(log: RunLog, journal: Journal) -> None:
    """Asked again, also as it was stored, it is answered from the journal; with another text of the parent it is not."""
    plan = PLAN.but(operator="improve", parent="i0-a")
    question = program_question(plan=plan, parents=[parent()])
    stored = ProgramQuestion.model_validate(json.loads(question.model_dump_json()))
    with LlmServer(scripted_team()) as server:
        expert = RecordedExpert(LlmExpert("openai:scripted", base_url=server.url), log, journal)
        assert expert.ask(question) == expert.ask(stored)
        assert server.calls == 1
        expert.ask(program_question(plan=plan, parents=[parent(code="TREES = 8\n")]))
        assert server.calls == 2
    assert [row["cached"] for row in log.exchanges()] == [False, True, False]


def test_a_question_stored_without_parents_is_still_one() -> None:
    """Plans and questions of before have none of the new fields."""
    plain = program_question().model_dump()
    del plain["parents"], plain["plan"]["grounds"]
    assert ProgramQuestion.model_validate(plain) == program_question()


def test_parents_are_read_from_the_run(home: Path) -> None:
    """Both of a crossover, in their order; one that never had a program has nothing to show."""
    store = open_artifacts()
    known = {
        one.id: one
        for one in (
            candidate(PLAN.but(id="i0-a"), store.put_text("A = 1\n")),
            candidate(PLAN.but(id="i0-b"), store.put_text("B = 1\n"), status="failed", score=None, reason="no memory"),
            candidate(PLAN.but(id="i0-c"), None, status="failed", score=None, reason="no program was written"),
        )
    }
    both = parents_of(PLAN.but(operator="crossover", parent="i0-b", other="i0-a"), known, store)
    assert [(one.id, one.code, one.problem) for one in both] == [
        ("i0-b", "B = 1\n", "no memory"),
        ("i0-a", "A = 1\n", ""),
    ]
    assert parents_of(PLAN.but(operator="repair", parent="i0-c"), known, store) == []
    assert parents_of(PLAN, known, store) == []


# ---- first looks that go on ---------------------------------------------------------------------------------------------

FREE = PLAN.but(id="i0-free", rows=100, params={"trees": 120}, training="no early stopping")
RULED = PLAN.but(id="i0-forest", recipe="forest", rows=100)


def promoted(*looks: Candidate, rows: int = 0) -> list[Plan]:
    operations = [
        Operation(operator="improve", parents=[one.id], aim="promote", rows=rows, reason=f"{one.id} leads")
        for one in looks
    ]
    question = PlanQuestion(
        task=TASK,
        profile=PROFILE,
        iteration=1,
        count=len(looks),
        seconds_left=60.0,
        jobs=2,
        tried=[brief_of(one) for one in looks],
        operations=operations,
    )
    return BuiltinExpert().ask(question).plans


def test_a_look_of_a_model_goes_on_as_one_of_a_recipe_does() -> None:
    """No recipe is needed for the same program on more rows, and its cost is what it took."""
    looks = [candidate(plan, "sha256:2", fit_seconds=3.0) for plan in (FREE, RULED)]
    free, ruled = promoted(*looks, rows=150)
    assert (free.parent, free.operator, free.rows, free.recipe) == ("i0-free", "improve", 150, "")
    assert (free.params, free.architecture, free.training) == (FREE.params, FREE.architecture, FREE.training)
    assert free.estimate_seconds == 3.0 * TASK.split.folds
    assert (ruled.parent, ruled.recipe, ruled.id) == ("i0-forest", "forest", "i1-forest-more")
    assert free.rationale.startswith("i0-free leads.")


def test_what_follows_no_recipe_is_planned_for_a_free_writer() -> None:
    """Improvements, crossovers and repairs of a model's programs keep their parents, and name a finding to answer."""
    looks = [candidate(plan.but(rows=0), "sha256:2", fit_seconds=3.0) for plan in (FREE, RULED)]
    operations = [
        Operation(operator="improve", parents=["i0-free"], reason="i0-free is the best so far"),
        Operation(operator="improve", parents=["i0-forest"]),
        Operation(operator="crossover", parents=["i0-forest", "i0-free"], cites=["f1"]),
        Operation(operator="draft", recipe="linear"),
    ]
    plans = freely(plan_question(tried=[brief_of(one) for one in looks], operations=operations))
    assert [(one.operator, one.parent, one.other, one.cites) for one in plans] == [
        ("improve", "i0-free", None, ["f1"]),
        ("crossover", "i0-forest", "i0-free", ["f1"]),
    ]
    assert all(one.recipe == "" and one.title and one.rationale for one in plans)
    assert plans[0].rationale.startswith("i0-free is the best so far.")
    assert plans[1].training == FREE.training


def test_only_what_is_the_same_program_goes_on_without_a_question() -> None:
    """A plan that a person changed, fewer rows, another operator, or a parent that was no first look is written."""
    look = candidate(FREE, "sha256:2")
    (plan,) = promoted(look)
    known = {look.id: look}
    assert going_on(plan, known) == look
    assert going_on(plan.but(title="renamed"), known) == look
    for other in (
        plan.but(params={"trees": 60}),
        plan.but(architecture="a linear model"),
        plan.but(rows=50),
        plan.but(operator="repair"),
        plan.but(parent="i0-unknown"),
    ):
        assert going_on(other, known) is None
    assert going_on(plan, {look.id: look.but(plan=FREE.but(rows=0))}) is None
