"""The builtin expert: answers every question from rules and recipes, offline and always the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from state.candidate import Plan
from state.errors import ExpertError, NotFound
from state.profile import Profile
from state.questions import (
    Answer,
    InferenceQuestion,
    PlanQuestion,
    Plans,
    Program,
    ProgramQuestion,
    Question,
    RepairQuestion,
    Review,
    ReviewQuestion,
)
from state.task import Task
from tools.experts.opinion import opinion
from tools.preferring import sized
from tools.recipes.catalogue import find_recipe, write_program
from tools.recipes.changes import conservative
from tools.recipes.planning import nearest_recipe, propose
from tools.recipes.several import one_profile, one_target

A = TypeVar("A", bound=Answer)


class BuiltinExpert:
    """Needs no key and no network; the floor every run has."""

    name = "builtin"

    def ask(self, question: Question[A]) -> A:
        """Answer a question. Raises ExpertError when a plan's recipe or parameters cannot be followed."""
        answers: dict[type[Any], Callable[[Any], Answer]] = {
            PlanQuestion: self._plan,
            ProgramQuestion: self._write,
            RepairQuestion: self._repair,
            InferenceQuestion: self._infer,
            ReviewQuestion: self._review,
        }
        if type(question) not in answers:
            raise ExpertError(f"the builtin expert has no answer to {type(question).__name__}")
        return cast(A, answers[type(question)](question))

    def _plan(self, question: PlanQuestion) -> Plans:
        plans = propose(question)
        return (
            plans
            if question.prefer == "balanced"
            else plans.but(plans=[sized(p, question.prefer) for p in plans.plans])
        )

    def _write(self, question: ProgramQuestion) -> Program:
        plan, notes = _followable(question.plan, question.task, question.profile)
        return Program(code=_program(plan, question.task, question.profile), notes=notes)

    def _repair(self, question: RepairQuestion) -> Program:
        """The first rung of the ladder that differs from the program that failed, one rung lower at each attempt."""
        task, profile = question.task, question.profile
        plan, notes = _followable(question.plan, task, profile)
        rungs = [plan] if notes else []
        rungs += [
            plan.but(
                params=conservative(plan.params or _defaults(plan, task, profile)), title=f"{plan.title}, kept simple"
            )
        ]
        for name in ("boosting", "linear"):
            simple = plan.but(recipe=name, params={})
            careful = conservative(_defaults(simple, task, profile))
            rungs.append(simple.but(params=careful, title=f"A simple {name} model in place of: {question.plan.title}"))
        codes = [_program(rung, task, profile) for rung in rungs]
        start = max(0, min(len(question.attempts) - 1, len(codes) - 1))
        order = [*codes[start:], *codes[:start]]
        code = next((code for code in order if code != question.code), order[0])
        problem = question.problems[0] if question.problems else "the program failed"
        return Program(code=code, notes=f"written again after: {problem}")

    def _infer(self, question: InferenceQuestion) -> Program:
        from tools.release.inference import inference_program

        return Program(code=inference_program(question.task, question.members, question.combination or None))

    def _review(self, question: ReviewQuestion) -> Review:
        return opinion(question.task, question.profile, question.facts)


def _followable(plan: Plan, task: Task, profile: Profile) -> tuple[Plan, str]:
    """The plan with a recipe: its own, or the one nearest to its words, and then a note that says so."""
    if plan.recipe:
        return plan, ""
    recipe = nearest_recipe(plan, task, profile)
    return plan.but(
        recipe=recipe.name, params={}
    ), f"the plan names no recipe; {recipe.name!r} comes nearest to its words"


def _defaults(plan: Plan, task: Task, profile: Profile) -> dict[str, Any]:
    return find_recipe(plan.recipe).variants(one_target(task), one_profile(task, profile))[0].params


def _program(plan: Plan, task: Task, profile: Profile) -> str:
    try:
        return write_program(plan, task, profile)
    except NotFound as error:
        raise ExpertError(error.message, hint=error.hint) from error
