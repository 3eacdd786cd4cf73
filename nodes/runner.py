"""The runner: executes a candidate's program, scores its predictions, and sends failures back for repair."""

from __future__ import annotations

from typing import Any

import numpy as np

from state.candidate import Attempt, Candidate, Outcome, Plan
from state.modeling import BranchState
from state.task import Prepared, Task
from tools.decisions import time_left
from tools.training import FoldRun, merge_effective, pool, reserve_final_fits, run_folds, score_of, store_oof
from tools.workbench import Workbench


async def runner(state: BranchState, desk: Workbench) -> dict[str, Any]:
    """Run the program over its folds in processes of their own and score what they return.

    The one boundary of a branch: whatever a program does becomes a record, and the run goes on. Finished folds are
    answered from the journal, so running this step again trains nothing twice.
    """
    if state.get("finished"):
        return {}
    plan = Plan.model_validate(desk.artifacts.get_json(state["plan"]))
    task, prepared, _ = desk.framed(state["brief"])
    program = str(state["program"])
    run = await run_folds(desk, task, prepared, program, label=state["candidate_id"], share=_share(desk, state))
    attempts = [*state.get("attempts", []), _attempt(state, program, run).plain()]
    candidate = Candidate(
        id=state["candidate_id"],
        iteration=state["iteration"],
        plan=plan,
        status="failed",
        program=program,
        attempts=[Attempt.model_validate(attempt) for attempt in attempts],
        seconds=sum(attempt["seconds"] for attempt in attempts),
        expert=state.get("expert", "builtin"),
    )
    if run.problem and not run.predictions and len(attempts) < desk.settings.attempts and _has_time(desk, state):
        desk.say("note", "runner", f"{candidate.id}: {_reason_of(run)} → repair")
        return {"problems": [run.problem], "attempts": attempts}
    if run.predictions and not run.problem:
        try:
            candidate = _scored(desk, task, prepared, candidate, run)
        except ValueError as undefined:
            candidate = candidate.but(reason=str(undefined))
    elif run.out_of_time:
        candidate = candidate.but(status="dropped", reason="the time for the search was used up")
    else:
        candidate = candidate.but(reason=_reason_of(run))
    version = desk.record(candidate, "runner")
    reserve_final_fits(desk, desk.log.candidates())
    return {"problems": [], "attempts": attempts, "finished": True, "candidates_version": version}


def _share(desk: Workbench, state: BranchState) -> float:
    """Wall seconds of search this program may use: an even share among the branches of its iteration.

    The first iteration leaves a good part of the time to what follows from its findings.
    """
    later = 0.6 if state["iteration"] == 0 and desk.settings.iterations > 1 else 0.9
    siblings = [one for one in desk.log.candidates().values() if one.iteration == state["iteration"]]
    return max(1.0, later * desk.budget.search_left() * desk.slots / max(1, len(siblings)))


def _has_time(desk: Workbench, state: BranchState) -> bool:
    """Whether the search went on when this attempt had failed."""
    subject = {"candidate": state["candidate_id"], "program": state["program"], "after": len(state.get("attempts", []))}
    return time_left(desk, "repair", subject).search > 0


def _reason_of(run: FoldRun) -> str:
    """One line: the end of a traceback, or the beginning of why a job was ended."""
    lines = run.problem.strip().splitlines() or ["no predictions came back"]
    return lines[-1] if run.outcome == "error" else lines[0]


def _attempt(state: BranchState, program: str, run: FoldRun) -> Attempt:
    outcome: Outcome = "done" if not run.problem else run.outcome  # type: ignore[assignment]  # FoldRun keeps it a str
    return Attempt(
        number=len(state.get("attempts", [])) + 1,
        outcome=outcome,
        program=program,
        receipts=[receipt.key for receipt in run.receipts],
        seconds=sum(receipt.seconds for receipt in run.receipts),
        error=run.problem[-4000:],
    )


def _scored(desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate, run: FoldRun) -> Candidate:
    folds = sorted(run.predictions)
    part = pool(desk, prepared, run.predictions)
    good = [receipt for receipt in run.receipts if receipt.ok]
    total = len(prepared.train_files)
    return candidate.but(
        status="done",
        score=score_of(desk, task, prepared, part, folds).plain(),
        oof=store_oof(desk, part),
        effective=merge_effective([receipt.result.get("effective") or {} for receipt in good]),
        fit_seconds=float(np.mean([receipt.seconds for receipt in good])),
        predict_ms=float(np.median([receipt.result.get("predict_ms") or 0.0 for receipt in good])),
        model_bytes=max(int(receipt.result.get("model_bytes") or 0) for receipt in good),
        reason="" if len(folds) == total else f"{len(folds)} of {total} folds: the time for the search was used up",
    )
