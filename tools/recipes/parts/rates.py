"""Counts and rates: the exposure of rows, and the deviance by which settings are chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tools.recipes.parts.columns import numbers


def exposure_of(X: pd.DataFrame, column: str) -> np.ndarray:
    """For how much each row was watched; one that is missing or not positive counts as one unit."""
    values = numbers(X, [column]).to_numpy()[:, 0]
    return np.where(values > 0, values, 1.0)


def mean_deviance(truth: np.ndarray, predicted: np.ndarray, power: float) -> float:
    """Mean Tweedie deviance without the terms of the truth alone; power 1 is Poisson's, 2 that of the gamma law."""
    p = np.maximum(predicted, 1e-9)
    if power == 1.0:
        return float((p - truth * np.log(p)).mean())
    if power == 2.0:
        return float((np.log(p) + truth / p).mean())
    return float((p ** (2 - power) / (2 - power) - truth * p ** (1 - power) / (1 - power)).mean())
