"""Early stops: whether a candidate's first fold already shows that it will neither win nor help an ensemble."""

from __future__ import annotations

import math

import numpy as np

from state.task import Task
from tools.naive import constant_predictions
from tools.scoring import compare, score

LEAST_SHARE = 0.02
"""Share of resamples of the fold's rows in which a candidate must be the better one, to have a chance of winning."""
LEAST_BLEND = 0.25
"""The same for its mean with the best so far."""
BLENDS = (0.2, 0.5)
"""Weights at which it is tried beside the best."""
MARGIN = 0.03
"""A loss of less than this part of what the best gains over a constant may be the fold's: other folds may turn it."""
MARGIN_IN_TIME = 0.1
"""The same where folds are stretches of time, which differ more."""
LEAST_ROWS = 40
"""Fewer validation rows show too little."""
_REPEATS = 150


def cannot_win(
    task: Task,
    truth: np.ndarray,
    mine: np.ndarray,
    best: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> str:
    """Why a candidate is dropped after one fold; empty while it may become the best or improve its blend with the best.

    truth: labels of the fold's validation rows, (n,). mine, best: predictions of the same rows. groups: what a
    bootstrap draws together. It is dropped only when all of this holds: there are rows enough; it loses by more than
    a margin; it wins next to no resample (paired bootstrap); no mean of the two is likely to be better than the best.
    """
    if len(truth) < LEAST_ROWS:
        return ""
    metric = task.metric

    def against(predictions: np.ndarray) -> dict[str, float]:
        return compare(
            metric, truth, predictions, best, task.classes, task.positive, seed=seed, repeats=_REPEATS, groups=groups
        )

    alone = against(mine)
    values = [score(metric, truth, one, task.classes, task.positive) for one in (mine, best)]
    constant = score(metric, truth, constant_predictions(task, truth, len(truth)), task.classes, task.positive)
    if not all(map(math.isfinite, (*values, constant))) or alone["better_share"] > LEAST_SHARE:
        return ""
    margin = MARGIN_IN_TIME if task.split.kind == "time" else MARGIN
    if -alone["gain"] <= margin * abs(metric.gain(values[1], constant)):
        return ""
    if any(against(weight * mine + (1 - weight) * best)["better_share"] > LEAST_BLEND for weight in BLENDS):
        return ""
    return f"cannot win: {metric.name} {values[0]:.4g} against {values[1]:.4g} on the first fold, and blended with it no gain"
