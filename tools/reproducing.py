"""Reproducibility: the same program on the same rows with the same seed must give the same predictions again."""

from __future__ import annotations

from state.candidate import Candidate, Check
from state.task import Prepared, Task
from tools.leaks.jobs import first_fold, largest_gap, predictions_of, run_fold
from tools.workbench import Workbench

NAME = "reproducible"
TOLERANCE = 1e-6


async def check_reproducible(
    desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate, *, anyway: bool = False
) -> Check:
    """Run the first fold of a candidate again and compare with what it predicted before.

    The repetition replays the effective parameters of that fold, so a stop on time does not count as a difference.
    Skipped, and said so, when its training does not fit the time that is left beside the release, unless `anyway`.
    """
    if not anyway and 3 * candidate.fit_seconds + desk.budget.closing > desk.budget.left():
        return Check(name=NAME, status="skipped", detail="no time left to train one fold again", extent="skipped")
    fold = first_fold(desk, prepared, candidate)
    receipt = await run_fold(
        desk,
        task,
        candidate,
        features=prepared.features,
        train=prepared.train_files[0],
        valid=prepared.valid_files[0],
        effective=fold.effective,
        label="again",
        repeat=1,
    )
    again = predictions_of(desk, task, receipt, len(fold.valid))
    if isinstance(again, str):
        return Check(name=NAME, status="found", detail=f"in the second run {again}")
    gap = largest_gap(again, fold.recorded)
    detail = f"fold 1 of {candidate.id} trained again: largest difference {gap:.2g}"
    return Check(name=NAME, status="passed" if gap <= TOLERANCE else "found", detail=detail)
