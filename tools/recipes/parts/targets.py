"""The target: class codes, probabilities in the order the task names, and transforms of a skewed target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def class_codes(y: pd.Series, task: Mapping[str, Any]) -> np.ndarray:
    """Labels as positions in task["classes"]."""
    position = {label: code for code, label in enumerate(task["classes"])}
    return np.array([position[label] for label in y], dtype=np.int64)


def all_classes(probabilities: np.ndarray, known: list[int], count: int) -> np.ndarray:
    """Spread the columns of the known classes over all `count` classes; an unknown class has probability 0."""
    spread = np.zeros((len(probabilities), count))
    spread[:, known] = probabilities
    return spread


def log_target(y: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """The logarithm of a target without negative values, and what `from_log` needs to undo it."""
    shift = 0.0 if y.min() > 0 else 1.0
    values = np.log(y + shift)
    return values, {"shift": shift, "low": float(values.min()), "high": float(values.max())}


def from_log(values: np.ndarray, undo: Mapping[str, float]) -> np.ndarray:
    """Back from `log_target`, at most a little beyond the values seen, so that no row explodes."""
    bounded = np.clip(values, undo["low"] - 1.0, undo["high"] + 1.0)
    return np.asarray(np.exp(bounded) - undo["shift"])


def balanced_weights(codes: np.ndarray) -> np.ndarray:
    """Row weights that bring rare classes half way to an equal say, on a logarithmic scale."""
    counts = np.bincount(codes).astype(float)
    weights = np.sqrt(len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1.0)))
    return np.asarray(weights[codes])
