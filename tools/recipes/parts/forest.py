"""Forests grown in batches, so that they obey a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
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
    model: Any, X: Any, target: np.ndarray, loss: Callable[[Any], float], most: int, seconds: float
) -> int:
    """Rounds of a boosting (made with warm_start) after which the loss stops falling, within `most` and `seconds`."""
    if len(np.unique(target)) == 1:
        return 1
    started, best, lowest, step = time.monotonic(), 0, np.inf, max(10, most // 15)
    for rounds in range(step, most + 1, step):
        if (value := loss(model.set_params(max_iter=rounds).fit(X, target))) < lowest:
            best, lowest = rounds, value
        if rounds - best > 2 * step or (time.monotonic() - started) * (rounds + step) / rounds > seconds:
            break
    return best
