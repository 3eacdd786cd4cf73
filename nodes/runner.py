"""The runner: executes a candidate's program, scores its predictions, and sends failures back for repair."""

from __future__ import annotations

from typing import Any

import numpy as np

from state.candidate import Attempt, Candidate, Outcome, Plan
from state.jobs import Receipt
from state.modeling import BranchState
from state.profile import Profile
from state.task import Prepared, Task
from tools.costs import grown
from tools.decisions import time_left
from tools.search.early import cannot_win
from tools.search.steering import OUT_OF_TIME
from tools.selection import at_rows, best_of
from tools.subsample import as_trained
from tools.training import (
    FoldRun,
    Glance,
    fold_rows,
    load_oof,
    merge_effective,
    pool,
    reserve_final_fits,
    run_folds,
    score_of,
    store_oof,
    units_at,
)
from tools.units import at
from tools.workbench import Workbench


async def runner(state: BranchState, desk: Workbench) -> dict[str, Any]:
    """Run the program over its folds in processes of their own and score what they return.

    The one boundary of a branch: whatever a program does becomes a record, and the run goes on. Finished folds are
    answered from the journal, so running this step again trains nothing twice.
    """
    if state.get("finished"):
        return {}
    plan = Plan.model_validate(desk.artifacts.get_json(state["plan"]))
    task, prepared, profile = desk.framed(state["brief"])
    program = str(state["program"])
    run = await run_folds(
        desk,
        task,
        as_trained(desk, prepared, plan.rows),
        program,
        label=state["candidate_id"],
        share=_share(desk, state),
        count=1 if plan.rows else plan.folds,
        expected=_expected(state, plan, task),
        glance=None if plan.operator == "repair" or plan.without else _glance(desk, state, task, prepared),
    )
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
    if run.stopped:
        candidate = candidate.but(status="dropped", reason=run.stopped, fit_seconds=run.receipts[0].seconds)
    elif run.predictions and not run.problem:
        try:
            candidate = _scored(desk, task, profile, prepared, candidate, run)
        except ValueError as undefined:
            candidate = candidate.but(reason=str(undefined))
    elif run.out_of_time:
        candidate = candidate.but(status="dropped", reason=OUT_OF_TIME)
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


def _expected(state: BranchState, plan: Plan, task: Task) -> float:
    """Predicted seconds of one fold; 0 where the prediction rests on nothing that was measured."""
    if state["iteration"] == 0 or not plan.recipe:
        return 0.0
    return plan.estimate_seconds / (1 if plan.rows else max(1, plan.folds or task.split.folds))


def _glance(desk: Workbench, state: BranchState, task: Task, prepared: Prepared) -> Glance | None:
    """Holds a first fold against the best of the earlier iterations; None while there is none.

    Never against candidates of its own iteration: which of them has ended by now is a matter of luck.
    """
    earlier = [one for one in desk.log.candidates().values() if one.iteration < state["iteration"] and one.program]
    best = best_of(task, [one for one in earlier if not one.plan.rows])
    if best is None or best.oof is None:
        return None
    reference = best.oof

    def glance(mine: np.ndarray) -> str:
        rows = fold_rows(desk, prepared, 0)
        part = load_oof(desk, reference)
        if not np.isin(rows, part.rows).all():
            return ""
        order = np.argsort(rows, kind="stable")
        return cannot_win(
            task,
            desk.labels(prepared)[rows[order]],
            mine[order],
            at_rows(part, rows[order]),
            groups=at(units_at(desk, task, prepared), rows[order]),
            seed=desk.settings.seed,
        )

    return glance


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


def _scored(
    desk: Workbench, task: Task, profile: Profile, prepared: Prepared, candidate: Candidate, run: FoldRun
) -> Candidate:
    folds = sorted(run.predictions)
    part = pool(desk, prepared, run.predictions)
    good = [receipt for receipt in run.receipts if receipt.ok]
    rows, total = candidate.plan.rows, candidate.plan.folds or len(prepared.train_files)
    reason = "" if len(folds) >= total else f"{len(folds)} of {total} folds: {OUT_OF_TIME}"
    if rows:
        reason = f"a first look: trained on {rows:,} rows of one fold"
    return candidate.but(
        status="done",
        score=score_of(desk, task, prepared, part, folds).plain(),
        oof=store_oof(desk, part),
        effective=merge_effective([receipt.result.get("effective") or {} for receipt in good]),
        fit_seconds=_full_seconds(desk, task, profile, prepared, candidate, good),
        predict_ms=float(np.median([receipt.result.get("predict_ms") or 0.0 for receipt in good])),
        model_bytes=max(int(receipt.result.get("model_bytes") or 0) for receipt in good),
        reason=reason,
    )


def _full_seconds(
    desk: Workbench, task: Task, profile: Profile, prepared: Prepared, candidate: Candidate, good: list[Receipt]
) -> float:
    """Seconds of a fold on all rows, as far as a first look tells; programs stop on time, so no more than half of what
    the search had left then."""
    mean = float(np.mean([receipt.seconds for receipt in good]))
    if not candidate.plan.rows:
        return mean
    everything = len(desk.artifacts.get_frame(prepared.train_files[0]))
    left = time_left(desk, "look", {"candidate": candidate.id, "program": candidate.program}).search
    # Starting and predicting take no longer after a fit on more rows.
    fit = float(np.mean([receipt.result.get("fit_seconds") or receipt.seconds for receipt in good]))
    more = fit * (grown(candidate.plan, task, profile, everything) - 1)
    return max(mean, min(mean + more, 0.5 * left))
