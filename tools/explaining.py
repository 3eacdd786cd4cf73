"""Which columns the model leans on: permutation importance, scored by the framework."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from state.candidate import Candidate
from state.jobs import Job
from state.task import Prepared, Task
from tools.decisions import time_left
from tools.scoring import score
from tools.training import fold_rows
from tools.workbench import Workbench

MOST_COLUMNS = 40

Importance = list[tuple[str, float, float]]
"""Column, drop of the metric when its values are shuffled (positive: the column helps), standard deviation."""


async def explain(desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate) -> Importance:
    """Train one fold again and predict its validation rows with each column shuffled in turn.

    Breiman, Random Forests, Machine Learning 45, 2001. The job returns predictions only; the drop is computed here,
    where the labels are. Empty when the time left does not allow it; the report then says so.
    """
    columns = [feature.name for feature in task.features][:MOST_COLUMNS]
    left = time_left(desk, "importance", {"candidate": candidate.id}).left
    if 4 * candidate.fit_seconds + desk.budget.closing > left or len(task.features) > 10 * MOST_COLUMNS:
        return []
    effective = candidate.effective or None
    job = Job(
        kind="explain",
        files={
            "program.py": str(candidate.program),
            "features.arrow": prepared.features,
            "train.arrow": prepared.train_files[0],
            "valid.arrow": prepared.valid_files[0],
        },
        params={"task": task.for_program(effective), "seed": desk.settings.seed, "columns": columns},
        time_limit=None if effective else max(1.0, 2 * candidate.fit_seconds),
        fold=0,
        limits=desk.limits(max(2.0, 0.5 * desk.budget.left())),
        label=f"{candidate.id} importance",
    )
    receipt = await desk.start(lambda: job)
    if not receipt.ok:
        return []
    return _drops(desk, task, prepared, columns, receipt.outputs)


def _drops(desk: Workbench, task: Task, prepared: Prepared, columns: list[str], outputs: dict[str, str]) -> Importance:
    truth = desk.labels(prepared)[fold_rows(desk, prepared, 0)]
    plain = desk.artifacts.get_array(outputs["predictions.npy"])
    with desk.artifacts.get(outputs["permuted.npz"]) as stream:
        permuted = np.load(BytesIO(stream.read()), allow_pickle=False)

    def drop(rows: np.ndarray, values: np.ndarray) -> float:
        def value(predictions: np.ndarray) -> float:
            return score(task.metric, truth[rows], predictions[rows], task.classes, task.positive)

        return task.metric.gain(value(plain), value(values))

    everything = np.arange(len(truth))
    found: Importance = []
    for index, name in enumerate(columns):
        values = permuted[f"p{index}"]
        found.append((name, drop(everything, values), 0.0))
    return sorted(found, key=lambda item: -item[1])
