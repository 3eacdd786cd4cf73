"""The researcher: plans the iteration and proposes solution plans."""

from __future__ import annotations

from typing import Any

from state.candidate import Finding, Plan
from state.modeling import ModelingState
from state.questions import PlanQuestion, Plans
from state.search import Operation
from state.task import TaskKind
from tools.decisions import decide
from tools.memory import recall
from tools.recipes.freely import freely
from tools.search.asking import brief_of
from tools.search.lineage import grounded
from tools.search.sizing import sized, sizing_of
from tools.workbench import Workbench

SHORT_SECONDS = 5.0
"""Seconds of search below which there is time for one round of programs and no more."""


def researcher(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Ask the expert (and the builtin one, when its candidates compete) for plans, from profile, findings and lessons."""
    task, prepared, profile = desk.framed(state["brief"])
    # A rejected set of plans is planned anew within the same iteration.
    iteration = state.get("iteration", -1) + (0 if state.get("feedback") else 1)
    candidates = list(desk.log.candidates(state.get("candidates_version", 0)).values())
    known = decide(
        desk,
        "planning",
        {"iteration": iteration, "tried": [one.id for one in candidates], "feedback": state.get("feedback", [])},
        lambda: _circumstances(desk, task.kind, profile.traits),
    )
    operations = [Operation.model_validate(one) for one in state.get("operations", [])]
    question = PlanQuestion(
        task=task,
        profile=profile,
        iteration=iteration,
        count=len(operations) or _drafts(desk, known["seconds_left"]),
        seconds_left=known["seconds_left"],
        jobs=known["jobs"],
        tried=[brief_of(one) for one in sorted(candidates, key=lambda one: (one.iteration, one.id))],
        findings=[Finding.model_validate(finding) for finding in state.get("findings", [])],
        feedback=state.get("feedback", []),
        lessons=known["lessons"],
        operations=operations,
        seed=desk.settings.seed,
        prefer=desk.settings.prefer,
    )
    answers = _ask(desk, question)
    named = _named(answers, iteration, {candidate.id for candidate in candidates})
    size = sizing_of(desk, task, prepared, candidates, named, question.seconds_left)
    grounds = [grounded(plan, question.findings) for plan in named]
    plans = _longest_first([sized(plan, size, task, prepared) for plan in grounds], first=not candidates)
    desk.say(
        "plans",
        "researcher",
        iteration=iteration,
        iteration_plan=answers[0].iteration_plan.plain(),
        plans=[plan.plain() for plan in plans],
        lessons=question.lessons,
    )
    return {
        "iteration": iteration,
        "iteration_plan": answers[0].iteration_plan.plain(),
        "plans": [plan.plain() for plan in plans],
        "feedback": [],
    }


def _circumstances(desk: Workbench, kind: TaskKind, traits: list[str]) -> dict[str, Any]:
    """What plans depend on beside data and settings: the time left, the slots, what other runs have learned by now."""
    return {
        "seconds_left": desk.budget.search_left(),
        "jobs": desk.slots,
        "lessons": [] if desk.settings.fresh else recall(desk.catalogue, kind, traits),
    }


def _ask(desk: Workbench, question: PlanQuestion) -> list[Plans]:
    """The answers of the configured expert and, beside an LLM, of the builtin one, so that every run has a floor.

    First looks that go on are planned by rule, each once and whoever wrote them: that is the same program, and no
    question to a model.
    """
    expert = desk.expert("researcher")
    looks = [one for one in question.operations if one.aim == "promote"]
    if looks:
        others = [one for one in question.operations if one.aim != "promote"]
        answer = (expert if expert.name == "builtin" else desk.builtin).ask(_only(question, looks))
        return [answer, *(_ask(desk, _only(question, others)) if others else [])]
    answers = [expert.ask(question)]
    if desk.settings.expert_for("researcher") != "builtin" and desk.settings.builtin_candidates:
        answers.append(desk.builtin.ask(question))
    elif desk.settings.expert_for("engineer") != "builtin" and expert.name == "builtin":
        free = freely(question)
        own = answers[0].plans[: question.count - len(free)]
        free += [plan.but(id=f"{plan.id}-written", recipe="") for plan in own]
        both = [*answers[0].plans, *free] if desk.settings.builtin_candidates else free
        answers = [answers[0].but(plans=[plan.plain() for plan in both])]
    return answers


def _only(question: PlanQuestion, operations: list[Operation]) -> PlanQuestion:
    return question.model_copy(update={"operations": operations, "count": len(operations)})


def _named(answers: list[Plans], iteration: int, taken: set[str]) -> list[Plan]:
    """All plans with ids that are unique in the run and tell the iteration."""
    plans: list[Plan] = []
    used = set(taken)
    for plan in (plan for answer in answers for plan in answer.plans):
        stem = plan.id if plan.id.startswith(f"i{iteration}-") else f"i{iteration}-{plan.id}"
        name, number = stem, 2
        while name in used:
            name, number = f"{stem}-{number}", number + 1
        used.add(name)
        plans.append(plan.but(id=name))
    return plans


def _longest_first(plans: list[Plan], *, first: bool) -> list[Plan]:
    """Later iterations begin with what takes longest, so that no slot waits long for the last one; drafts keep their rank."""
    return plans if first else sorted(plans, key=lambda plan: -plan.estimate_seconds)


def _drafts(desk: Workbench, seconds: float) -> int:
    """How many plans to ask for: no more than run at once where the search is over after that."""
    return min(desk.slots, desk.settings.candidates) if seconds < SHORT_SECONDS else desk.settings.candidates
