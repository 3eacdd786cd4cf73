"""The engineer: writes a candidate's program, repairs it, and checks its static contract."""

from __future__ import annotations

from typing import Any

from state.candidate import Attempt, Candidate, Plan
from state.errors import ExpertError
from state.modeling import BranchState
from state.questions import ProgramQuestion, RepairQuestion
from tools.experts import Expert
from tools.experts.fallback import ask_and_name
from tools.program import check_program
from tools.search.lineage import going_on, parents_of
from tools.workbench import Workbench


def engineer(state: BranchState, desk: Workbench) -> dict[str, Any]:
    """Write the program of the plan; with problems from check or runner, write it again.

    A first look that goes on to more rows keeps its program: nobody is asked, and nothing is paid.
    """
    plan = Plan.model_validate(desk.artifacts.get_json(state["plan"]))
    task, _, profile = desk.framed(state["brief"])
    problems, candidates = state.get("problems", []), desk.log.candidates() if plan.parent else {}
    look = None if problems else going_on(plan, candidates)
    if look is not None:
        desk.record(_running(state, plan, look.expert), "engineer")
        return {"program": look.program, "expert": look.expert, "problems": []}
    expert = _writer(desk, plan)
    desk.record(_running(state, plan, expert.name), "engineer")
    try:
        if problems and state.get("program"):
            question = RepairQuestion(
                task=task,
                profile=profile,
                plan=plan,
                code=desk.artifacts.get_text(str(state["program"])),
                problems=problems,
                attempts=[Attempt.model_validate(attempt) for attempt in state.get("attempts", [])],
            )
            answer, author = ask_and_name(expert, question)
        else:
            parents = parents_of(plan, candidates, desk.artifacts)
            first = ProgramQuestion(task=task, profile=profile, plan=plan, parents=parents)
            answer, author = ask_and_name(expert, first)
    except ExpertError as error:
        return _given_up(state, desk, plan, expert, str(error))
    return {"program": desk.artifacts.put_text(answer.code), "expert": author, "problems": []}


def check(state: BranchState, desk: Workbench) -> dict[str, Any]:
    """Hold the program against its static contract. A refusal counts as an attempt."""
    reference = state.get("program")
    if state.get("finished") or reference is None:
        return {}
    problems = check_program(desk.artifacts.get_text(reference))
    if not problems:
        return {"problems": []}
    plan = Plan.model_validate(desk.artifacts.get_json(state["plan"]))
    earlier = state.get("attempts", [])
    attempt = Attempt(number=len(earlier) + 1, outcome="refused", program=reference, error="; ".join(problems))
    attempts = [*earlier, attempt.plain()]
    if len(attempts) < desk.settings.attempts:
        return {"problems": problems, "attempts": attempts}
    version = desk.record(
        Candidate(
            id=state["candidate_id"],
            iteration=state["iteration"],
            plan=plan,
            status="failed",
            program=reference,
            attempts=[Attempt.model_validate(one) for one in attempts],
            expert=state.get("expert", "builtin"),
            reason=f"the program was refused: {problems[0]}",
        ),
        "check",
    )
    return {"problems": problems, "attempts": attempts, "finished": True, "candidates_version": version}


def _writer(desk: Workbench, plan: Plan) -> Expert:
    """Builtin recipes are written by the builtin expert; everything else by the engineer's expert."""
    return desk.builtin if plan.recipe and desk.settings.builtin_candidates else desk.expert("engineer")


def _running(state: BranchState, plan: Plan, expert: str) -> Candidate:
    return Candidate(
        id=state["candidate_id"],
        iteration=state["iteration"],
        plan=plan,
        status="running",
        attempts=[Attempt.model_validate(attempt) for attempt in state.get("attempts", [])],
        expert=expert,
    )


def _given_up(state: BranchState, desk: Workbench, plan: Plan, expert: Expert, reason: str) -> dict[str, Any]:
    candidate = _running(state, plan, expert.name).but(status="failed", reason=f"no program was written: {reason}")
    return {"finished": True, "expert": expert.name, "candidates_version": desk.record(candidate, "engineer")}
