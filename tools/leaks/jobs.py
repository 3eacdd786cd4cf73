"""Jobs that the review runs: always through the journal, so that a finished one is never run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate
from state.jobs import Job, Receipt
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.scoring import check_predictions, several_of
from tools.workbench import Workbench

START = 0.4
"""Seconds a job takes beside its fit, at most, once the warm parent is there."""


@dataclass(frozen=True)
class FirstFold:
    """The fold that the review looks at: the first one, whose predictions the candidate has made."""

    train: pd.DataFrame
    """Columns row, label, in the order in which the program got them."""
    valid: np.ndarray
    """Positions of the validation rows, in the order in which predictions come."""
    recorded: np.ndarray
    """The candidate's out-of-fold predictions of these rows."""
    effective: dict[str, Any] | None
    """Parameters this fold's fit used, so that a repetition needs no clock."""


def first_fold(desk: Workbench, prepared: Prepared, candidate: Candidate) -> FirstFold:
    """Read what is known of a candidate's first fold."""
    from tools.training import fold_rows, load_oof

    valid = fold_rows(desk, prepared, 0)
    part = load_oof(desk, str(candidate.oof))
    first = desk.journal.result(candidate.attempts[-1].receipts[0]) if candidate.attempts else None
    return FirstFold(
        desk.artifacts.get_frame(prepared.train_files[0]),
        valid,
        part.values[np.searchsorted(part.rows, valid)],
        ((first or {}).get("result") or {}).get("effective") or None,
    )


async def run_fold(
    desk: Workbench,
    task: Task,
    candidate: Candidate,
    *,
    features: str,
    train: str,
    valid: str,
    effective: dict[str, Any] | None,
    label: str,
    repeat: int = 0,
) -> Receipt:
    """Fit a candidate's program on training rows and predict validation rows, as in its first fold."""
    job = Job(
        kind="fold",
        files={
            "program.py": str(candidate.program),
            "features.arrow": features,
            "train.arrow": train,
            "valid.arrow": valid,
        },
        params={"task": task.for_program(effective), "seed": desk.settings.seed},
        time_limit=None if effective else max(1.0, 2 * candidate.fit_seconds),
        fold=0,
        repeat=repeat,
        limits=desk.limits(max(2.0, min(desk.budget.left(), 4 * candidate.fit_seconds + 10.0))),
        label=f"{candidate.id} {label}",
    )
    return await desk.start(lambda: job)


async def predict_rows(desk: Workbench, task: Task, member: ReleaseMember, rows: pd.DataFrame, label: str) -> Receipt:
    """Let a fitted member predict some rows, in a process that knows no others."""
    files = {"program.py": member.program, "features.arrow": desk.artifacts.put_frame(rows.reset_index(drop=True))}
    files.update({f"model/{name}": reference for name, reference in member.model.items()})
    job = Job(
        kind="predict",
        files=files,
        params={"task": task.for_program(member.effective or None), "own_saving": member.own_saving},
        limits=desk.limits(max(5.0, min(desk.budget.left(), 60.0))),
        label=f"{member.candidate} {label}",
    )
    return await desk.start(lambda: job)


def predictions_of(desk: Workbench, task: Task, receipt: Receipt, rows: int) -> np.ndarray | str:
    """The predictions of a job, or in a sentence why there are none that can be used."""
    if not receipt.ok:
        said = receipt.error.strip().splitlines()[-1] if receipt.error.strip() else receipt.status
        return f"the program ended: {said}"
    values = desk.artifacts.get_array(receipt.outputs["predictions.npy"])
    problems = check_predictions(values, rows, task.classes, several=several_of(task))
    return problems[0] if problems else values


def largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two predictions, relative where values are large."""
    return float(np.max(np.abs(one - other) / np.maximum(1.0, np.abs(other)))) if len(one) else 0.0
