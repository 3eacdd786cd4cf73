"""Jobs in which the fitted members of a model predict, and their predictions as one."""

from __future__ import annotations

import numpy as np

from state.candidate import Combination
from state.jobs import Job, Receipt
from state.release import ReleaseMember
from state.task import Task
from tools.blocking import together
from tools.portable.combining import combine
from tools.scoring import check_predictions, several_of
from tools.workbench import Workbench


async def predict_members(
    desk: Workbench, task: Task, members: list[ReleaseMember], features: str, *, label: str
) -> list[Receipt]:
    """Let fitted members predict the rows of a features file: one process per candidate, its fold models one by one.

    Returns one receipt per candidate, in order of appearance; `predictions_by_member` takes them apart.
    """
    groups = list(_by_candidate(members).values())
    receipts = await together(
        *(
            desk.start(lambda group=group: _predict_job(desk, task, group, features, label))  # type: ignore[misc]  # bound early
            for group in groups
        )
    )
    return list(receipts)


def predictions_by_member(
    desk: Workbench, task: Task, rows: int, members: list[ReleaseMember], receipts: list[Receipt]
) -> list[np.ndarray]:
    """What each member predicts, in the members' order; empty when any prediction is missing or invalid by itself."""
    found: dict[int, np.ndarray] = {}
    for group, receipt in zip(_by_candidate(members).values(), receipts, strict=True):
        if not receipt.ok:
            return []
        values = desk.artifacts.get_array(receipt.outputs["predictions.npy"])
        found |= {id(member): part for member, part in zip(group, _apart(task, values, len(group)), strict=False)}
    parts = [found[id(member)] for member in members if id(member) in found]
    # Each is looked at: a single row would be spread over all of them, and faults of two members may cancel out.
    if len(parts) < len(members) or any(
        check_predictions(part, rows, task.classes, several=several_of(task)) for part in parts
    ):
        return []
    return parts


def combined(
    desk: Workbench,
    task: Task,
    rows: int,
    members: list[ReleaseMember],
    receipts: list[Receipt],
    combination: Combination,
) -> np.ndarray:
    """The members' predictions as one; empty when one is missing or invalid by itself."""
    parts = predictions_by_member(desk, task, rows, members, receipts)
    if not parts:
        return np.full((0,), np.nan)
    names, weights = [member.candidate for member in members], [member.weight for member in members]
    return combine(parts, names, weights, combination.rule())


def _by_candidate(members: list[ReleaseMember]) -> dict[str, list[ReleaseMember]]:
    groups: dict[str, list[ReleaseMember]] = {}
    for member in members:
        groups.setdefault(member.candidate, []).append(member)
    return groups


def _apart(task: Task, values: np.ndarray, count: int) -> list[np.ndarray]:
    """The predictions of `count` models, which lie beside each other."""
    if count == 1:
        return [values]
    if values.ndim != 2 or values.shape[1] % count:
        return []
    parts = np.split(values, count, axis=1)
    return [part[:, 0] if part.shape[1] == 1 and not task.classes else part for part in parts]


def _predict_job(desk: Workbench, task: Task, group: list[ReleaseMember], features: str, label: str) -> Job:
    first, several = group[0], len(group) > 1
    folders = [f"fold-{member.fold}" if several else "" for member in group]
    files = {"program.py": first.program, "features.arrow": features}
    for member, folder in zip(group, folders, strict=True):
        place = f"model/{folder}" if folder else "model"
        files |= {f"{place}/{name}": reference for name, reference in member.model.items()}
    return Job(
        kind="predict",
        files=files,
        params={
            "task": task.for_program(first.effective or None),
            "own_saving": first.own_saving,
            **({"models": folders} if several else {}),
        },
        limits=desk.limits(max(10.0, desk.budget.left())),
        label=f"{first.candidate} {label}",
    )
