"""Scoring: predictions are checked, scored, and given intervals. The door to measuring and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from state.candidate import Score
from state.task import Label, Metric, Task
from tools.intervals import compare, expected, interval
from tools.measuring import class_codes, error_of, positive_index, score
from tools.naive import constant_predictions, lift, seasonal_naive
from tools.resampling import Array

__all__ = [
    "check_predictions",
    "class_codes",
    "compare",
    "constant_predictions",
    "error_of",
    "expected",
    "interval",
    "lift",
    "make_score",
    "positive_index",
    "score",
    "seasonal_naive",
    "several_of",
]

SUM_TOLERANCE = 1e-6
"""How far the probabilities of one row may be from a sum of 1."""
_FOLD_REPEATS = (100, 200)
"""Resamples of one fold, the fewer the more rows it has: an interval that is wide anyway needs no more."""
_FOLD_CELLS = 400_000


def several_of(task: Task) -> tuple[int, bool]:
    """For `check_predictions`: how many targets a task has beside each other (0 for one), and whether they are chances."""
    return len(task.targets), task.is_chances


def check_predictions(
    predictions: Any, rows: int, classes: Sequence[Label], *, several: tuple[int, bool] = (0, False)
) -> list[str]:
    """What is wrong with returned predictions, as sentences; empty when they can be scored.

    Wanted: a numeric array of shape (rows,) for a regression (no classes), (rows, classes) of probabilities, or
    (rows, targets) of values or chances for several targets (see `several_of`).
    """
    try:
        values = np.asarray(predictions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        return [f"predictions are not numbers: {error}"]
    targets, chances = several
    width = len(classes) or targets
    wanted = (rows, width) if width else (rows,)
    if values.shape != wanted:
        meaning = "one value per row" if not width else "one row of class probabilities per row"
        meaning = "one column per target" if targets else meaning
        return [f"predictions have shape {values.shape}, expected {wanted}: {meaning}"]
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        return [f"{int(bad.sum())} predictions are missing or infinite, the first in row {first}"]
    if not len(classes) and not (targets and chances):
        return []
    problems = []
    outside = (values < -SUM_TOLERANCE) | (values > 1 + SUM_TOLERANCE)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        problems.append(
            f"{int(outside.sum())} probabilities lie outside 0 to 1, the first in row {row}: {values[row, column]:.6g}"
        )
    if targets:
        return problems
    sums = values.sum(axis=1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        problems.append(
            f"the probabilities of {int(off.sum())} rows do not sum to 1, those of row {row} to {sums[row]:.6g}"
        )
    return problems


def make_score(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    predictions: Array,
    folds: Sequence[ArrayLike],
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    groups: ArrayLike | None = None,
    numbers: Sequence[int] | None = None,
) -> Score:
    """The Score record of pooled predictions; `folds` are the positions of each fold's rows in them.

    Every fold gets an interval too. Folds in which the metric is undefined are left out of `Score.folds`. groups: what
    a bootstrap draws together (tools/units.py). numbers: the folds' numbers, when they do not count from 0. Raises
    ValueError when the metric is undefined for the pooled rows.
    """
    value = score(metric, y_true, predictions, classes, positive)
    if not np.isfinite(value):
        raise ValueError(f"{metric.name} is undefined for these {len(predictions)} rows")
    truth = np.asarray(y_true, dtype=object if len(classes) else np.float64)
    units = None if groups is None else np.asarray(groups)

    def measured(rows: Any) -> tuple[float, tuple[float, float]]:
        part = truth[rows], predictions[rows], classes, positive
        own = None if units is None else units[rows]
        found = score(metric, *part)
        repeats = int(np.clip(_FOLD_CELLS // max(1, len(rows)), *_FOLD_REPEATS))
        return found, interval(metric, *part, seed=seed, repeats=repeats, groups=own)

    low, high = interval(metric, truth, predictions, classes, positive, seed, groups=units)
    places = range(len(folds)) if numbers is None else numbers
    each = [(place, *measured(np.asarray(rows))) for place, rows in zip(places, folds, strict=True)]
    each = [one for one in each if np.isfinite(one[1])]
    return Score(
        value=value,
        folds=[found for _, found, _ in each],
        fold_numbers=[place for place, _, _ in each],
        fold_intervals=[ends for _, _, ends in each],
        low=low,
        high=high,
        rows=len(predictions),
    )
