"""Trying an inference program on real rows, in a process of its own, before it is believed."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Check, Combination
from state.jobs import Job
from state.task import Task
from tools.artifacts import ArtifactStore
from tools.blocking import together
from tools.portable.combining import decide, weighed
from tools.release.inference import output_columns
from tools.workbench import Workbench

TOLERANCE = 1e-9
TRIAL_ENDED = "inference on real rows"
"""Name of the check that stands when the trial did not come to an end."""
_TRIALS = ("whole", "reordered", "single", "odd")
_SIDE_BY_SIDE = (("speed", "row by row"), ("whole file", "columns reordered", "odd rows"))
"""What trial.py runs in one process and in another, each about half of the time; with one slot it is one process."""


async def try_inference(
    desk: Workbench,
    task: Task,
    files: dict[str, str],
    rows: pd.DataFrame,
    expected: np.ndarray,
    combination: Combination | None = None,
) -> tuple[list[Check], list[str], dict[str, float]]:
    """Run a release's runtime files on real rows and hold the answers against those of the training process.

    files: path in the release → reference. rows: real rows as read. expected: the same fitted models' predictions of
    these rows, made by the process that trained them. Returns checks, the problems in words when any failed, and the
    milliseconds that predictions took: {"1 row", "1000 rows", "first call"}, empty when not measured.
    """
    shared = {
        **{f"release/{name}": reference for name, reference in files.items()},
        "trial.py": desk.artifacts.put_text(resources.files("tools.release").joinpath("trial.py").read_text()),
        "rows.parquet": desk.artifacts.put(_parquet(rows)),
    }
    parts = _SIDE_BY_SIDE if desk.slots > 1 else (sum(_SIDE_BY_SIDE, ()),)
    receipts = await together(*(desk.start(partial(_trial_job, desk, shared, part)) for part in parts))
    if failed := next((one for one in receipts if not one.ok), None):
        return [Check(name=TRIAL_ENDED, status="found", detail=failed.error)], [failed.error], {}
    outputs = {name: reference for one in receipts for name, reference in one.outputs.items()}
    problems = [
        problem for one in receipts for problem in desk.artifacts.get_json(one.outputs["trial.json"])["problems"]
    ]
    told = desk.artifacts.get_json(outputs["speed.json"]) if "speed.json" in outputs else {}
    tables = {name: _table(task, desk.artifacts, outputs.get(f"{name}.csv")) for name in _TRIALS}
    checks = [
        _equal("same predictions as in training", task, tables["whole"], expected),
        _equal("columns reordered", task, tables["reordered"], expected),
        _equal("row by row", task, tables["single"], expected[: len(tables["single"])], some=True),
        _valid("missing values and unseen categories", task, tables["odd"]),
    ]
    if task.is_classification:
        checks.append(_same_answers(task, tables["whole"], expected, combination or Combination()))
    problems += [f"{check.name}: {check.detail}" for check in checks if check.status == "found"]
    return checks, problems, {str(name): float(value) for name, value in told.items()}


def _trial_job(desk: Workbench, files: dict[str, str], trials: tuple[str, ...]) -> Job:
    return Job(
        kind="script",
        files=files,
        params={"argv": ["trial.py", "--release", "in/release", "--rows", "in/rows.parquet", "--only", *trials]},
        limits=desk.limits(max(20.0, desk.budget.left())),
        label="inference trial",
    )


def _parquet(rows: pd.DataFrame) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _table(task: Task, artifacts: ArtifactStore, reference: str | None) -> pd.DataFrame:
    if reference is None:
        return pd.DataFrame()
    with artifacts.get(reference) as stream:
        # A label such as 007 stays the text it was written as.
        texts = {"prediction": str} if task.is_classification else None
        return pd.read_csv(stream, keep_default_na=False, na_values=[""], dtype=texts)


def outputs_of(task: Task, table: pd.DataFrame) -> np.ndarray:
    """The numbers of an output table: class probabilities in task order, or the predicted values."""
    if task.targets:
        return table[[column["name"] for column in output_columns(task) if "target" in column]].to_numpy(dtype=float)
    if not task.is_classification:
        return table["prediction"].to_numpy(dtype=float)
    return table[[f"proba_{label}" for label in task.classes]].to_numpy(dtype=float)


def _equal(name: str, task: Task, table: pd.DataFrame, expected: np.ndarray, *, some: bool = False) -> Check:
    if table.empty or (not some and len(table) != len(expected)):
        return Check(name=name, status="found", detail=f"{len(table)} lines came for {len(expected)} rows")
    try:
        got = outputs_of(task, table)
    except KeyError as error:
        return Check(name=name, status="found", detail=f"an output column is missing: {error}")
    scale = np.maximum(1.0, np.abs(expected))
    gap = float(np.max(np.abs(got - expected) / scale)) if np.isfinite(got).all() else float("inf")
    status: Any = "passed" if gap <= TOLERANCE else "found"
    return Check(name=name, status=status, detail=f"largest difference {gap:.2g} over {len(table)} rows")


def _same_answers(task: Task, table: pd.DataFrame, expected: np.ndarray, combination: Combination) -> Check:
    """Whether the answered labels are those of the rule; rows where two classes are equal to the last digits may differ."""
    name = "same labels as the framework decides"
    if len(table) != len(expected) or "prediction" not in table:
        return Check(name=name, status="found", detail=f"{len(table)} lines came for {len(expected)} rows")
    labels = [str(task.classes[place]) for place in decide(expected, combination.rule())]
    products = np.sort(weighed(expected, combination.decision), axis=1)
    clear = products[:, -1] - products[:, -2] > TOLERANCE
    wrong = int((clear & (table["prediction"].astype(str).to_numpy() != np.array(labels, dtype=object))).sum())
    return Check(name=name, status="found" if wrong else "passed", detail=f"{wrong} of {len(table)} rows differ")


def _valid(name: str, task: Task, table: pd.DataFrame) -> Check:
    if table.empty:
        return Check(name=name, status="found", detail="no predictions came back")
    got = outputs_of(task, table)
    good = np.isfinite(got).all()
    if good and task.kind == "multilabel":
        good = bool((got >= -TOLERANCE).all() and (got <= 1 + TOLERANCE).all())
    if good and task.is_classification:
        good = bool((got >= -TOLERANCE).all() and np.allclose(got.sum(axis=1), 1.0, atol=1e-6))
    detail = f"{len(table)} odd rows" + ("" if good else ": a prediction is missing, infinite or no probability")
    return Check(name=name, status="passed" if good else "found", detail=detail)
