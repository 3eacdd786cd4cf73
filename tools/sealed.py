"""The sealed test set: opened once, by the framework, with a receipt. After it no route leads back to training."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from state.candidate import Score
from state.jobs import Job
from state.records import content_key
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.scoring import check_predictions, interval, score
from tools.workbench import Workbench


async def open_sealed_test(
    desk: Workbench, task: Task, prepared: Prepared, members: list[ReleaseMember], candidate: str
) -> tuple[Score | None, dict[str, Any], np.ndarray]:
    """Record the opening, let the fitted members predict the sealed rows, and score them here.

    Returns score (None when a prediction was invalid), the opening's receipt, and the predictions. Writes one row in
    the catalogue's openings; opening again for the same run and code is the same opening.
    """
    opening = desk.catalogue.open_test(
        prepared.sealed_key,
        run_id=desk.run_id,
        candidate=candidate,
        code_hash=content_key([member.program for member in members]),
        data_hash=prepared.source,
    )
    predictions = await predict_members(desk, task, members, prepared.sealed_features)
    labels = desk.artifacts.get_frame(prepared.sealed_labels)["label"].to_numpy()
    if check_predictions(predictions, len(labels), task.classes):
        return None, opening, predictions
    low, high = interval(task.metric, labels, predictions, task.classes, task.positive, seed=desk.settings.seed)
    value = score(task.metric, labels, predictions, task.classes, task.positive)
    return Score(value=value, folds=[], low=low, high=high, rows=len(labels)), opening, predictions


async def predict_members(desk: Workbench, task: Task, members: list[ReleaseMember], features: str) -> np.ndarray:
    """The weighted mean of the fitted members' predictions, each made in a process of its own."""
    receipts = await asyncio.gather(
        *(
            desk.start(lambda member=member: _predict_job(desk, task, member, features))  # type: ignore[misc]  # bound early
            for member in members
        )
    )
    total = sum(member.weight for member in members)
    parts = [
        member.weight / total * desk.artifacts.get_array(receipt.outputs["predictions.npy"])
        for member, receipt in zip(members, receipts, strict=True)
        if receipt.ok
    ]
    return np.asarray(sum(parts)) if len(parts) == len(members) else np.full((0,), np.nan)


def _predict_job(desk: Workbench, task: Task, member: ReleaseMember, features: str) -> Job:
    files = {"program.py": member.program, "features.arrow": features}
    files.update({f"model/{name}": reference for name, reference in member.model.items()})
    return Job(
        kind="predict",
        files=files,
        params={"task": task.for_program(member.effective or None), "own_saving": member.own_saving},
        limits=desk.limits(max(10.0, desk.budget.left())),
        label=f"{member.candidate} sealed test",
    )
