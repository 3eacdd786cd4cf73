"""Deviances of non-negative targets: Poisson, gamma, and Tweedie between the two, with the share of them explained.

Jørgensen, The Theory of Dispersion Models, 1997; as scikit-learn defines them (`mean_tweedie_deviance`,
`d2_tweedie_score`). They are defined for positive predictions only, so a prediction below FLOOR counts as FLOOR.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR = 1e-9
"""Predictions below it are scored as it: a deviance has no value at or below zero."""
POWERS: dict[str, float] = {
    "poisson_deviance": 1.0,
    "d2_poisson": 1.0,
    "tweedie_deviance": 1.5,
    "d2_tweedie": 1.5,
    "gamma_deviance": 2.0,
    "d2_gamma": 2.0,
}
"""Metric → power p of the variance: the variance of the target grows as its mean to the p."""


def positive(predictions: Array) -> Array:
    """Predictions as they are scored: at least FLOOR."""
    return np.maximum(predictions, FLOOR)


def deviance_score(name: str, y: Array, predictions: Array) -> float:
    """The metric's value as scikit-learn computes it; NaN where it is undefined (negative or, for gamma, zero targets)."""
    from sklearn import metrics as sk

    power = POWERS[name]
    if y.min() < 0 or (power == 2.0 and y.min() <= 0):
        return float("nan")
    if not name.startswith("d2_"):
        return float(sk.mean_tweedie_deviance(y, positive(predictions), power=power))  # pyright: ignore[reportArgumentType]  # its stub forgets fractions
    if len(y) < 2 or np.ptp(y) == 0:
        return float("nan")
    return float(sk.d2_tweedie_score(y, positive(predictions), power=power))  # pyright: ignore[reportArgumentType]  # as above


def unit_deviances(y: Array, predictions: Array, power: float) -> Array:
    """The deviance of each row; NaN where the target lies outside the law's range."""
    p = positive(predictions)
    with np.errstate(divide="ignore", invalid="ignore"):
        if power == 1.0:
            return np.asarray(2.0 * (_times_log(y) - y * np.log(p) - y + p))
        if power == 2.0:
            return np.asarray(2.0 * (np.log(p) - np.log(y) + y / p - 1.0))
        terms = _terms(y, power) - y * p ** (1 - power) / (1 - power) + p ** (2 - power) / (2 - power)
        return np.asarray(2.0 * terms)


def deviance_statistic(name: str, y: Array, predictions: Array) -> Callable[[Array], Array]:
    """The metric as a function of row weights (resamples, rows): one value per resample."""
    power = POWERS[name]
    losses = unit_deviances(y, predictions, power)

    def mean(weights: Array) -> Array:
        return np.asarray((weights @ losses) / weights.sum(axis=1))

    if not name.startswith("d2_"):
        return mean

    def explained(weights: Array) -> Array:
        nothing = null_deviance(weights, y, power)
        return np.asarray(np.where(nothing > 0, 1.0 - mean(weights) / np.where(nothing > 0, nothing, 1.0), np.nan))

    return explained


def null_deviance(weights: Array, y: Array, power: float) -> Array:
    """Mean deviance of the weighted mean as the prediction of every row, per resample."""
    total = weights.sum(axis=1)
    centre = positive(np.asarray(weights @ y / total))
    with np.errstate(divide="ignore", invalid="ignore"):
        if power == 1.0:
            return np.asarray(2.0 * (weights @ _times_log(y) / total - centre * np.log(centre)))
        if power == 2.0:
            return np.asarray(2.0 * (np.log(centre) - weights @ np.log(y) / total))
        own = weights @ _terms(y, power) / total
        return np.asarray(2.0 * (own + centre ** (2 - power) * (1 / (2 - power) - 1 / (1 - power))))


def _times_log(y: Array) -> Array:
    """y·log y, 0 at 0."""
    return np.asarray(np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0)), 0.0))


def _terms(y: Array, power: float) -> Array:
    """The part of a Tweedie deviance that hangs on the target alone."""
    return np.asarray(np.maximum(y, 0.0) ** (2 - power) / ((1 - power) * (2 - power)))
