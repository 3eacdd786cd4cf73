"""Fits after the search: every member of the chosen model, on all rows it may see, replaying its effective parameters."""

from __future__ import annotations

from typing import Any

from state.candidate import Candidate
from state.errors import BuildFailed
from state.jobs import Job, Receipt
from state.release import ReleaseMember
from state.task import Task
from tools.blocking import together
from tools.partfit import Part
from tools.portable.saving import FORMAT
from tools.workbench import Workbench

GRACE = 5.0
"""Seconds a final fit may run past the limit: better a model a moment late than none."""


def chosen_members(candidates: dict[str, Candidate], best: str) -> list[tuple[Candidate, float]]:
    """The candidates a release holds, with their weights: the members of an ensemble, or the one candidate."""
    chosen = candidates[best]
    if not chosen.members:
        return [(chosen, 1.0)]
    return [(candidates[member.candidate], member.weight) for member in chosen.members]


async def fit_members(
    desk: Workbench,
    task: Task,
    members: list[tuple[Candidate, float]],
    *,
    features: str,
    train: str,
    probe: str | None,
    role: str,
    part: Part | None = None,
) -> tuple[list[ReleaseMember], list[Receipt]]:
    """Fit and save every member side by side. `probe` (rows to predict in the same process) may be None; `part`: `train`
    holds what it says.

    Raises BuildFailed naming the member whose fit failed.
    """
    receipts = await together(
        *(
            desk.start(lambda one=one: _fit_job(desk, task, one, features, train, probe, part))  # type: ignore[misc]  # bound early
            for one, _ in members
        )
    )
    for (one, _), receipt in zip(members, receipts, strict=True):
        desk.say("job", role, candidate=one.id, state=receipt.status, seconds=receipt.seconds, reused=receipt.reused)
        if not receipt.ok:
            raise BuildFailed(
                f"the final fit of {one.id!r} failed: {receipt.error or receipt.status}",
                hint="`modelwright resume` tries it again; with more time if it was the limit",
            )
    fitted = [_member(one, weight, receipt, part) for (one, weight), receipt in zip(members, receipts, strict=True)]
    return fitted, list(receipts)


def _fit_job(
    desk: Workbench, task: Task, one: Candidate, features: str, train: str, probe: str | None, part: Part | None
) -> Job:
    files = {"program.py": str(one.program), "features.arrow": features, "train.arrow": train}
    if probe is not None:
        files["probe.arrow"] = probe
    # What was right for a few rows is too little for many: such a fit goes by the clock, as a fold's.
    effective: dict[str, Any] | None = None if part else one.effective or None
    seconds = max(2.0, desk.budget.left()) + GRACE
    return Job(
        kind="fit",
        files=files,
        # The format of stored models is part of the key: a model stored in an earlier one is not to be found again.
        params={"task": task.for_program(effective), "seed": desk.settings.seed, "model_format": FORMAT},
        # Effective parameters are replayed without a clock; a program that has none gets the time that is left.
        time_limit=None if effective else part.seconds if part else max(1.0, desk.budget.left()),
        limits=desk.limits(max(2.0, min(seconds, desk.budget.left() - desk.budget.closing)) if part else seconds),
        label=f"{one.id} final fit",
    )


def _member(one: Candidate, weight: float, receipt: Receipt, part: Part | None) -> ReleaseMember:
    model = {name.removeprefix("model/"): ref for name, ref in receipt.outputs.items() if name.startswith("model/")}
    return ReleaseMember(
        candidate=one.id,
        weight=weight,
        program=str(one.program),
        effective=receipt.result.get("effective") or {} if part else one.effective,
        model=model,
        own_saving=bool(receipt.result.get("own_saving")),
        unsafe=bool(receipt.result.get("unsafe")),
        seconds=receipt.seconds,
        rows=part.rows if part else 0,
    )
