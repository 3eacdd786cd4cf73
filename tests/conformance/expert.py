"""What every expert keeps to. A test class derives from `ExpertConformance` and provides the fixture `expert`.

class TestMine(ExpertConformance):
    @pytest.fixture
    def expert(self): return MyExpert()
"""

from __future__ import annotations

import ast
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from state.candidate import Plan
from state.questions import Answer, PlanQuestion, Plans, Program, Question
from tests.support.questions import every_question, plan_question, program_question
from tools.experts import Expert
from tools.program import check_program


class ExpertConformance:
    """Derive, and override `plan` where the expert only writes programs for plans of its own making."""

    @pytest.fixture
    def expert(self) -> Expert:
        raise NotImplementedError("provide the expert to be held against the protocol")

    @pytest.fixture
    def plan(self, expert: Expert) -> Plan:
        """A plan the expert can write a program for: by default the first one it proposes."""
        return expert.ask(plan_question()).plans[0]

    @pytest.fixture
    def questions(self, plan: Plan) -> list[Question[Any]]:
        """One question of each kind, those of the engineer with the expert's own plan."""
        return [
            question.model_copy(update={"plan": plan}) if "plan" in type(question).model_fields else question
            for question in every_question()
        ]

    def test_name_is_builtin_or_provider_and_model(self, expert: Expert) -> None:
        """Settings, records and reports show the name, so it has one of two shapes."""
        provider, separator, model = expert.name.partition(":")
        assert expert.name == "builtin" or (separator and provider.isidentifier() and model)

    def test_a_question_gets_the_record_its_class_names(self, expert: Expert, questions: list[Question[Any]]) -> None:
        """A node never has to look at what kind of expert it has."""
        for question in questions:
            answer = expert.ask(question)
            assert type(answer) is type(question).answer, type(question).__name__

    def test_answers_survive_being_stored(self, expert: Expert, questions: list[Question[Any]]) -> None:
        """Answers lie in checkpoints and logs as JSON and come back equal."""
        for question in questions:
            answer = expert.ask(question)
            again = type(answer).model_validate(json.loads(json.dumps(answer.plain())))
            assert again.plain() == answer.plain()

    def test_questions_are_left_as_they_were(self, expert: Expert, questions: list[Question[Any]]) -> None:
        """The same question may be asked of a second expert afterwards."""
        for question in questions:
            before = question.model_dump()
            expert.ask(question)
            assert question.model_dump() == before

    @pytest.mark.parametrize("count", [1, 3])
    def test_plans_are_distinct_and_fit_the_iteration(self, expert: Expert, count: int) -> None:
        """At most as many plans as wanted, each with its own id and title, for the iteration that was asked about."""
        answer = expert.ask(plan_question(count=count))
        assert isinstance(answer, Plans)
        assert 1 <= len(answer.plans) <= count
        assert answer.iteration_plan.iteration == 1
        assert len({plan.id for plan in answer.plans}) == len(answer.plans)
        assert all(plan.title.strip() and plan.rationale.strip() for plan in answer.plans)

    def test_plans_cite_and_continue_only_what_there_is(self, expert: Expert) -> None:
        """A citation names a finding of the question, a parent one of the earlier candidates."""
        question: PlanQuestion = plan_question()
        for plan in expert.ask(question).plans:
            assert set(plan.cites) <= {finding.id for finding in question.findings}
            assert plan.parent is None or plan.parent in {tried["id"] for tried in question.tried}

    def test_a_program_keeps_the_static_contract(self, expert: Expert, plan: Plan) -> None:
        """The program of the expert's own plan is not sent back by the check."""
        answer = expert.ask(program_question(plan=plan))
        assert check_program(answer.code) == []

    def test_every_program_is_complete_python(self, expert: Expert, questions: list[Question[Any]]) -> None:
        """Repaired programs and inference programs parse, and hold no fence or prose."""
        for question in questions:
            if issubclass(type(question).answer, Program):
                assert ast.parse(expert.ask(question).code).body, type(question).__name__

    def test_questions_may_be_asked_from_several_threads(self, expert: Expert, questions: list[Question[Any]]) -> None:
        """Candidate branches run side by side and share nothing but the expert's settings."""
        with ThreadPoolExecutor(4) as pool:
            answers: list[Answer] = list(pool.map(expert.ask, questions * 2))
        assert [type(answer) for answer in answers] == [type(question).answer for question in questions * 2]


__all__ = ["ExpertConformance"]
