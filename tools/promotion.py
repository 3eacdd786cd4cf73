"""When a candidate may be called a new best: a paired test against the best so far, on stored predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from state.task import Task
from tools.intervals import compare
from tools.selection import OutOfFold, at_rows, common_rows
from tools.units import at

LEVEL = 0.05
"""Chance of calling a candidate a new best that is no better."""


def challenge(
    task: Task,
    labels: np.ndarray,
    challenger: OutOfFold,
    champion: OutOfFold,
    *,
    units: np.ndarray | None = None,
    rivals: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """The paired comparison of a challenger with the best so far, on the rows both predicted.

    units: what a bootstrap draws together, per position of `labels` (`tools.training.units_at`). rivals: among how many
    the challenger was the best; the best of many needs a smaller chance (Bonferroni). Returns what `compare` does, with
    `sure`: whether the gain is beyond luck. A challenger that is not sure may still be taken for its score; it is not
    called better.
    """
    rows = common_rows([challenger, champion])
    if not rows.size:
        return {"gain": 0.0, "low": 0.0, "high": 0.0, "better_share": 0.5, "chance": 1.0, "sure": False}
    found = compare(
        task.metric,
        labels[rows],
        at_rows(challenger, rows),
        at_rows(champion, rows),
        task.classes,
        task.positive,
        seed=seed,
        groups=at(units, rows),
    )
    return {**found, "sure": found["chance"] <= LEVEL / max(1, rivals)}
