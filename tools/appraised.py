"""The receipts of what an appraisal measures: calibration, curves, classes, segments, lift, importance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from state.candidate import Candidate, Score
from state.task import Task
from tools.calibration import Calibration
from tools.intervals import interval
from tools.measuring import class_codes, score
from tools.metrics import METRICS
from tools.naive import lift
from tools.receipts import Number, baseline_id, number_id
from tools.report.curves import confusion, per_class
from tools.segments import Segment
from tools.units import drawn


@dataclass(frozen=True)
class Rows:
    """Predictions of one set of rows, with what is known about them. places: positions in the open or sealed rows."""

    short: str
    words: str
    places: np.ndarray
    labels: np.ndarray
    values: np.ndarray
    units: np.ndarray | None
    inputs: dict[str, str]
    decided: np.ndarray | None = None
    """Probabilities times the class weights that decide, where it is not the most probable class."""
    jobs: list[str] = field(default_factory=list)
    """Executions that made the predictions; those of the candidate's folds when empty."""

    @property
    def judged(self) -> np.ndarray:
        """What the task's metric is of."""
        return self.values if self.decided is None else self.decided


def calibration_numbers(one: Rows, found: Calibration) -> list[Number]:
    shared: dict[str, Any] = {"rows_are": one.words, "inputs": one.inputs, "jobs": one.jobs}
    error = Number(
        id=number_id("calibration", one.short, "error"),
        title=f"calibration error of the {found.of}",
        value=found.error,
        low=found.low,
        high=found.high,
        rows=found.rows,
        method="mean distance between predicted chance and observed share over bins of equal rows; bootstrap interval",
        facts={"usual": found.usual, "usual_high": found.usual_high, "well": found.well},
        **shared,
    )
    brier = Number(
        id=number_id("calibration", one.short, "brier"),
        title=f"Brier score of the {found.of}",
        value=found.brier,
        low=found.brier_low,
        high=found.brier_high,
        rows=found.rows,
        method="mean squared distance of chance and outcome, bootstrap interval; its parts by bins (Murphy 1973) beside it",
        facts={name: getattr(found, name) for name in ("reliability", "resolution", "uncertainty")},
        **shared,
    )
    bins = [
        Number(
            id=number_id("calibration", one.short, f"bin{place}"),
            title=f"share that came true where the mean {found.of} was {part.chance:.3f}",
            value=part.seen,
            low=part.low,
            high=part.high,
            rows=part.rows,
            method="observed share with Wilson's interval",
            facts={"chance": part.chance},
            **shared,
        )
        for place, part in enumerate(found.bins, start=1)
    ]
    return [error, brier, *bins]


def curve_numbers(task: Task, one: Rows, seed: int) -> list[Number]:
    """The areas under the curves that the report of a yes-or-no task draws, whatever its metric is."""
    numbers = []
    for metric in (METRICS["roc_auc"], METRICS["average_precision"]) if task.kind == "binary" else ():
        judged = metric, one.labels, one.values, task.classes, task.positive
        value = score(*judged)
        if not np.isfinite(value):
            continue
        low, high = interval(*judged, seed=seed, groups=one.units)
        numbers.append(
            Number(
                id=number_id("curve", one.short, metric.name),
                title=f"{metric.title} on {one.words}",
                value=value,
                low=low,
                high=high,
                metric=metric.name,
                rows=len(one.labels),
                rows_are=one.words,
                method=f"95 % interval by bootstrap of {drawn(task)}",
                inputs=one.inputs,
                jobs=one.jobs,
            )
        )
    return numbers


def class_numbers(task: Task, one: Rows) -> list[Number]:
    """Precision, recall and F1 of each class, where there are more than two."""
    if task.kind != "multiclass":
        return []
    matrix = confusion(class_codes(one.labels, task.classes), one.judged.argmax(axis=1), len(task.classes))
    numbers = []
    for row in per_class(matrix, task.classes):
        for name in ("precision", "recall", "f1"):
            if row[name] is None:
                continue
            low, high = row[f"{name}_interval"]
            numbers.append(
                Number(
                    id=number_id("class", row["label"], name),
                    title=f"{'F1' if name == 'f1' else name} of class {row['label']}",
                    value=row[name],
                    low=low,
                    high=high,
                    metric=name,
                    rows=row["rows"],
                    rows_are=f"of the {one.words} are of this class",
                    method="bootstrap of the counts of hits and errors"
                    if name == "f1"
                    else "Wilson's interval of a share",
                    inputs=one.inputs,
                    jobs=one.jobs,
                )
            )
    return numbers


def segment_number(task: Task, one: Rows, part: Segment) -> Number:
    return Number(
        id=number_id("segment", part.name),
        title=f"score where {part.column} is {part.value}",
        value=part.score,
        low=part.low,
        high=part.high,
        metric=task.metric.name,
        rows=part.rows,
        rows_are=one.words,
        method=f"the metric over the rows of this part; 95 % interval by bootstrap of {drawn(task)}",
        inputs=one.inputs,
        jobs=one.jobs,
        facts={"worse_than_the_whole": part.worse, "chance_by_luck": part.chance},
    )


def lift_number(task: Task, chosen: Candidate, ladder: list[dict[str, Any]], test: Score | None) -> list[Number]:
    """The share of the constant guess's error that the model removes."""
    constant = next((step for step in ladder if step["name"] == "constant"), None)
    own = test or chosen.score
    removed = lift(task.metric, own.value, constant["value"]) if constant and own else None
    if constant is None or removed is None or not np.isfinite(removed):
        return []
    source = number_id("test", task.metric.name) if test else number_id("oof", chosen.id)
    return [
        Number(
            id="lift",
            title="share of the constant guess's error that the model removes",
            value=removed,
            metric=task.metric.name,
            method="1 − error of the model / error of the constant guess; the error is 1 − score where higher is better",
            made_of=[source, baseline_id("constant")],
        )
    ]


def importance_number(task: Task, column: str, drop: float, spread: float) -> Number:
    return Number(
        id=number_id("importance", column),
        title=f"how much the score worsens when {column} is shuffled",
        value=drop,
        metric=task.metric.name,
        rows_are="validation rows of fold 1",
        method="one fold trained again and predicted with the column shuffled (Breiman 2001)",
        facts={"spread": spread} if spread else {},
    )
