"""Reproducibility: the same program on the same rows with the same seed must give the same predictions again."""

from __future__ import annotations

import numpy as np

from state.candidate import Candidate, Check
from state.jobs import Job
from state.task import Prepared, Task
from tools.budget import LEAST_RESERVED
from tools.training import fold_rows, load_oof
from tools.workbench import Workbench

NAME = "reproducible"
TOLERANCE = 1e-6


async def check_reproducible(desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate) -> Check:
    """Run the first fold of a candidate again and compare with what it predicted before.

    The repetition replays the effective parameters of that fold, so a stop on time does not count as a difference.
    Skipped, and said so, when its training does not fit the time that is left beside the release.
    """
    if 3 * candidate.fit_seconds + LEAST_RESERVED > desk.budget.left():
        return Check(name=NAME, status="skipped", detail="no time left to train one fold again")
    first = desk.journal.result(candidate.attempts[-1].receipts[0]) or {}
    effective = first.get("result", {}).get("effective") or None
    job = Job(
        kind="fold",
        files={
            "program.py": str(candidate.program),
            "features.arrow": prepared.features,
            "train.arrow": prepared.train_files[0],
            "valid.arrow": prepared.valid_files[0],
        },
        params={"task": task.for_program(effective), "seed": desk.settings.seed},
        time_limit=None if effective else max(1.0, 2 * candidate.fit_seconds),
        fold=0,
        repeat=1,
        limits=desk.limits(max(2.0, desk.budget.left())),
        label=f"{candidate.id} again",
    )
    receipt = await desk.start(lambda: job)
    if not receipt.ok:
        return Check(name=NAME, status="found", detail=f"the second run ended: {receipt.error or receipt.status}")
    again = desk.artifacts.get_array(receipt.outputs["predictions.npy"])
    rows = fold_rows(desk, prepared, 0)
    part = load_oof(desk, str(candidate.oof))
    before = part.values[np.searchsorted(part.rows, rows)]
    gap = float(np.max(np.abs(again - before) / np.maximum(1.0, np.abs(before))))
    detail = f"fold 1 of {candidate.id} trained again: largest difference {gap:.2g}"
    return Check(name=NAME, status="passed" if gap <= TOLERANCE else "found", detail=detail)
