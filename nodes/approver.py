"""The approver: asks a person about the plans and about the release, and does what the answer says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.answers import PlanAnswer, ReleaseAnswer, apply_answer
from state.candidate import Candidate, Plan
from state.errors import Problem
from state.modeling import ModelingState
from tools.crash import crash_point
from tools.decisions import decide, decided
from tools.planchecks import unwritable
from tools.workbench import Workbench

Ask = Callable[[dict[str, Any], type], Any]
"""Puts a question to a person and returns the answer: LangGraph's `interrupt`, given by the wiring."""


def approve_plan(state: ModelingState, desk: Workbench, ask: Ask) -> dict[str, Any]:
    """Wait for the word on the plans when the settings say so; then open one branch per approved plan.

    Everything before the answer is free of effects, since it runs again when the answer comes. An answer is kept: a run
    gone through again asks nobody twice.
    """
    plans = [Plan.model_validate(plan) for plan in state["plans"]]
    if "plan" in desk.settings.review:
        subject = {"iteration": state["iteration"], "plans": state["plans"], "rejected": _rejections(desk)}
        given = decided(desk, "plan answer", subject, for_good=True)
        if given is None:
            answer, plans = _approved(state, desk, plans, ask)
        else:
            answer = PlanAnswer.model_validate(given)
            plans = plans if answer.action == "reject" else apply_answer(plans, answer)
        decide(desk, "plan answer", subject, answer.plain, for_good=True)
        desk.say("answer", "approver", gate="plan", answer=answer.plain())
        crash_point("after-answer")
        if answer.action == "reject":
            return {"feedback": [answer.reason], "branches": []}
    return {
        "plans": [plan.plain() for plan in plans],
        "branches": [_open_branch(state, desk, plan) for plan in plans],
    }


def approve_release(state: ModelingState, desk: Workbench, ask: Ask) -> dict[str, Any]:
    """Wait for the word on the release when the settings say so."""
    if "release" not in desk.settings.review:
        return {"release_answer": ReleaseAnswer().plain()}
    subject = {"best": state["best"], "opening": (state["verdict"].get("opening") or {}).get("number")}
    given = decided(desk, "release answer", subject, for_good=True)
    answer = ReleaseAnswer.model_validate(ask(_release_question(state), ReleaseAnswer) if given is None else given)
    decide(desk, "release answer", subject, answer.plain, for_good=True)
    desk.say("answer", "approver", gate="release", answer=answer.plain())
    crash_point("after-answer")
    return {"release_answer": answer.plain()}


def _rejections(desk: Workbench) -> int:
    """How often plans of this run were rejected before: the same plans may be put to a person again."""
    answers = (event["data"] for event in desk.log.events() if event["kind"] == "answer")
    return sum(1 for one in answers if one["gate"] == "plan" and one["answer"]["action"] == "reject")


def _approved(state: ModelingState, desk: Workbench, plans: list[Plan], ask: Ask) -> tuple[PlanAnswer, list[Plan]]:
    """Ask until the answer can be carried out; what was wrong with the last one stands in the next question."""
    question = _plan_question(state, plans)
    while True:
        answer = PlanAnswer.model_validate(ask(question, PlanAnswer))
        if answer.action == "reject":
            return answer, plans
        try:
            chosen = apply_answer(plans, answer)
        except ValueError as problem:
            question = {**question, "problem": str(problem)}
            continue
        wrong = _wrong(state, desk, [plan for plan in chosen if plan not in plans])
        if not wrong:
            return answer, chosen
        question = {**question, "problem": "; ".join(f"{one.where}: {one.what} ({one.cure})" for one in wrong)}


def _wrong(state: ModelingState, desk: Workbench, changed: list[Plan]) -> list[Problem]:
    """What stands against plans that a person has changed or added."""
    if not changed:
        return []
    task, _, profile = desk.framed(state["brief"])
    return unwritable(changed, task, profile)


def _plan_question(state: ModelingState, plans: list[Plan]) -> dict[str, Any]:
    table = [
        {
            "id": plan.id,
            "title": plan.title,
            "why": plan.rationale,
            "recipe": plan.recipe,
            "params": plan.params,
            "estimate_seconds": round(plan.estimate_seconds, 1),
            "answers": plan.cites,
        }
        for plan in plans
    ]
    return {
        "gate": "plan",
        "question": f"Shall these {len(plans)} plans of iteration {state['iteration']} run?",
        "task": state["task"],
        "plans": table,
        "estimate_seconds": round(sum(plan.estimate_seconds for plan in plans), 1),
        "answers": "approve, keep, drop, edit or add plans; or reject with a reason, which goes back to the researcher",
    }


def _release_question(state: ModelingState) -> dict[str, Any]:
    verdict = state["verdict"]
    return {
        "gate": "release",
        "question": "Shall this model be released?",
        "task": state["task"],
        "best": state["best"],
        "test": verdict.get("test"),
        "reason": verdict.get("reason"),
        "checks": verdict.get("checks"),
        "concerns": [one["text"] for one in verdict.get("findings", []) if one.get("route") == "ask"],
        "answers": "approve, or reject: then there is a report and no release",
    }


def _open_branch(state: ModelingState, desk: Workbench, plan: Plan) -> dict[str, Any]:
    desk.record(Candidate(id=plan.id, iteration=state["iteration"], plan=plan, status="planned"), "approver")
    return {
        "run_id": state["run_id"],
        "brief": state["brief"],
        "candidate_id": plan.id,
        "iteration": state["iteration"],
        "plan": desk.artifacts.put_json(plan.plain()),
    }
