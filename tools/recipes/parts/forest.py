"""Forests grown in batches, so that they obey a time limit."""

from __future__ import annotations

import time
from typing import Any

import numpy as np


def grow(forest: Any, matrix: np.ndarray, target: np.ndarray, trees: int, seconds: float) -> int:
    """Fit a forest made with warm_start up to `trees` trees, or until `seconds` are over; how many it has then."""
    started, grown, batch = time.monotonic(), 0, 10
    while grown < trees:
        grown = min(trees, grown + batch)
        forest.set_params(n_estimators=grown).fit(matrix, target)
        if (time.monotonic() - started) * (grown + batch) / grown > seconds:
            break
    return grown


def rounds_that_help(
    model: Any, X: Any, target: np.ndarray, train: np.ndarray, valid: np.ndarray, most: int, seconds: float
) -> int:
    """Rounds after which a histogram boosting gets no better on the validation rows, within `most` and `seconds`."""
    valid = valid[np.isin(target[valid], target[train])] if np.issubdtype(target.dtype, np.integer) else valid
    if len(np.unique(target[train])) == 1 or len(valid) == 0:
        return 1
    marks = [time.monotonic()]
    for rounds in (2, 10):  # two sizes, since every fit also pays for the binning
        model.set_params(max_iter=rounds).fit(X.iloc[train], target[train])
        marks.append(time.monotonic())
    each = max((marks[2] - marks[1] - (marks[1] - marks[0])) / 8, 1e-4)
    affordable = int((seconds - (marks[2] - marks[0])) / each)
    model.set_params(max_iter=max(20, min(most, affordable)), early_stopping=True, n_iter_no_change=20)
    model.fit(X.iloc[train], target[train], X_val=X.iloc[valid], y_val=target[valid])
    losses = -np.asarray(model.validation_score_[1:])
    return int(np.argmin(losses)) + 1
