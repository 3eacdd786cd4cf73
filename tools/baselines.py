"""The baseline ladder: constant, seasonal naive, linear, boosted; every step scored by the framework on the same folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate
from state.task import Prepared, Task
from tools.naive import constant_predictions, seasonal_naive
from tools.receipts import Number, baseline_id, number_id, record_numbers
from tools.scoring import interval, score
from tools.selection import OutOfFold
from tools.splits import group_codes
from tools.training import fold_rows, units_at
from tools.units import at, drawn
from tools.workbench import Workbench


def constant_oof(desk: Workbench, task: Task, prepared: Prepared) -> OutOfFold:
    """Out-of-fold predictions of the best constant: class shares, or the mean or median of the training rows."""
    labels = desk.labels(prepared)
    rows, values = [], []
    for fold, reference in enumerate(prepared.train_files):
        valid = fold_rows(desk, prepared, fold)
        train = desk.artifacts.get_frame(reference)["row"].to_numpy().astype(int)
        rows.append(valid)
        values.append(constant_predictions(task, labels[train], len(valid)))
    return _pooled(rows, values)


def seasonal_oof(desk: Workbench, task: Task, prepared: Prepared) -> OutOfFold | None:
    """Out-of-fold predictions of the seasonal naive forecast; None where rows have no order in time."""
    if task.is_classification or task.targets or not task.forecast or not task.time_column:
        return None
    labels, features = desk.labels(prepared), desk.features(prepared)
    if task.time_column not in features:
        return None
    times = features[task.time_column]
    keys = [name for name in task.group_columns if name in features]
    groups = pd.Series(group_codes(features, keys)) if keys else None
    rows, values = [], []
    for fold, reference in enumerate(prepared.train_files):
        valid = fold_rows(desk, prepared, fold)
        train = desk.artifacts.get_frame(reference)["row"].to_numpy().astype(int)
        predicted = seasonal_naive(
            times.iloc[train],
            labels[train],
            None if groups is None else groups.iloc[train],
            times.iloc[valid],
            None if groups is None else groups.iloc[valid],
        )
        if predicted is None:
            return None
        rows.append(valid)
        values.append(predicted)
    return _pooled(rows, values)


def baseline_ladder(
    desk: Workbench, task: Task, prepared: Prepared, candidates: dict[str, Candidate]
) -> list[dict[str, Any]]:
    """Steps as {name, value, low, high, rows, note}; linear and boosted are plain candidates of the first iteration.

    low and high are the 95 % interval. `record_ladder` puts them on record.
    """
    labels, units = desk.labels(prepared), units_at(desk, task, prepared)

    def step(name: str, part: OutOfFold, note: str) -> dict[str, Any]:
        judged = task.metric, labels[part.rows], part.values, task.classes, task.positive
        low, high = interval(*judged, seed=desk.settings.seed, groups=at(units, part.rows))
        return {"name": name, "value": score(*judged), "low": low, "high": high, "rows": len(part.rows), "note": note}

    constant = constant_oof(desk, task, prepared)
    ladder: list[dict[str, Any]] = [step("constant", constant, "the best constant prediction")]
    seasonal = seasonal_oof(desk, task, prepared)
    if seasonal is not None:
        ladder.append(step("seasonal naive", seasonal, "the value one season earlier"))
    for name in ("linear", "boosting"):
        first = next((one for one in candidates.values() if one.plan.recipe == name and one.usable), None)
        # A score on fewer rows does not compare with the others.
        if first is not None and first.score is not None and first.score.rows == constant.rows.size:
            known = {key: getattr(first.score, key) for key in ("value", "low", "high", "rows")}
            ladder.append({"name": name, **known, "note": first.plan.title, "candidate": first.id})
    return ladder


def record_ladder(desk: Workbench, task: Task, prepared: Prepared, ladder: list[dict[str, Any]]) -> None:
    """Write the steps' receipts into the run's log."""
    record_numbers(desk, "reviewer", [_receipt(desk, task, prepared, one) for one in ladder])


def _receipt(desk: Workbench, task: Task, prepared: Prepared, step: dict[str, Any]) -> Number:
    candidate = step.get("candidate")
    return Number(
        id=baseline_id(step["name"]),
        title=f"{step['name']} baseline: {step['note']}",
        **{name: step[name] for name in ("value", "low", "high", "rows")},
        metric=task.metric.name,
        rows_are="rows, out of fold",
        method=f"scored on the same folds as the candidates; 95 % interval by bootstrap of {drawn(task)}",
        candidate=candidate,
        inputs={"labels": prepared.labels, "folds": prepared.folds},
        made_of=[number_id("oof", candidate)] if candidate else [],
        seed=desk.settings.seed,
    )


def _pooled(rows: list[np.ndarray], values: list[np.ndarray]) -> OutOfFold:
    all_rows, all_values = np.concatenate(rows), np.concatenate(values)
    order = np.argsort(all_rows, kind="stable")
    return OutOfFold(all_rows[order], all_values[order])
