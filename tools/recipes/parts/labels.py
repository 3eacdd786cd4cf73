"""Several labels: where a chance becomes a yes when F1 counts."""

from __future__ import annotations

import numpy as np


def f1_cut(chances: np.ndarray, truth: np.ndarray) -> float:
    """The chance from which calling it a yes gives the best F1; both of shape (rows,)."""
    order = np.argsort(-chances, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + max(1.0, float(truth.sum())))
    place = int(np.argmax(f1))
    below = chances[order[min(place + 1, len(order) - 1)]]
    return float(np.clip((chances[order[place]] + below) / 2, 0.05, 0.95))


def bent(chances: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Chances (rows, labels) stretched so that each label's cut lies at one half; their order stays."""
    low, high = chances * 0.5 / cuts, 0.5 + 0.5 * (chances - cuts) / (1 - cuts)
    return np.asarray(np.where(chances < cuts, low, high))
