"""Small tasks for the tests of scores: a metric, its classes, a split; no columns unless they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from state.task import Feature, Label, SplitKind, SplitPlan, Task
from tools.metrics import METRICS


def task_of(
    metric: str, classes: int = 2, *, split: SplitKind = "random", features: list[Feature] | None = None, **more: Any
) -> Task:
    """A task of this metric; `classes` 0 is a regression. The last of two classes is the positive one."""
    labels: list[Label] = list(range(classes))
    return Task(
        kind="regression" if not classes else "binary" if classes == 2 else "multiclass",
        target="y",
        intent="",
        metric=METRICS[metric],
        classes=labels,
        positive=1 if classes == 2 else None,
        features=features or [],
        split=SplitPlan(kind=split, folds=5, test_share=0.2, reason=""),
        **more,
    )


def two_columns(chance: np.ndarray) -> np.ndarray:
    """The chances of the second of two classes as a prediction of both."""
    return np.column_stack([1 - chance, chance])


def ranked(rows: int, rng: np.random.Generator, apart: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a third of them 1, and predictions whose true area under the curve is Φ(apart / √2)."""
    y = (rng.random(rows) < 0.33).astype(int)
    return y, two_columns(1 / (1 + np.exp(-(apart * y + rng.normal(size=rows)))))
