"""Metrics of several targets at once: the value, and the same for every resample.

Labels and predictions have the shape (rows, targets). Of numbers, the errors are divided by the standard deviation of their
target over the rows that are scored, so that each target counts the same whatever its unit; `uniform_…` leaves the units.
Of labels, chances are held against 0 and 1, and a chance of at least THRESHOLD is a yes.
"""

from __future__ import annotations

import numpy as np

from tools import resampling
from tools.resampling import Array, Statistic

THRESHOLD = 0.5
_BASES = {"scaled_rmse": "rmse", "scaled_mae": "mae", "mean_r2": "r2", "uniform_rmse": "rmse", "uniform_mae": "mae"}
"""Metric of several numbers → metric of one, whose mean over the targets it is."""
_RANKED = {"mean_roc_auc": resampling.auc_statistic, "mean_average_precision": resampling.precision_statistic}


def several_score(name: str, y: Array, p: Array) -> float:
    """The metric's value, by scikit-learn where it has the metric; NaN where no target has a value."""
    from sklearn import metrics as sk

    if name in _BASES:
        values = [_one_value(name, y[:, place], p[:, place]) for place in range(y.shape[1])]
        return float(np.mean(values))
    truth, said = y >= THRESHOLD, p >= THRESHOLD
    if name in _RANKED:
        one = sk.roc_auc_score if name == "mean_roc_auc" else sk.average_precision_score
        usable = [place for place in range(y.shape[1]) if 0 < truth[:, place].sum() < len(truth)]
        found = [float(one(truth[:, place], p[:, place])) for place in usable]
        return float(np.mean(found)) if found else float("nan")
    if name == "mean_log_loss":
        return float(_log_losses(y, p).mean())
    if name == "subset_accuracy":
        return float((truth == said).all(axis=1).mean())
    if name == "hamming_loss":
        return float((truth != said).mean())
    average = {"micro_f1": "micro", "label_f1": "macro"}[name]
    return float(sk.f1_score(truth, said, average=average, zero_division=0))  # pyright: ignore[reportArgumentType]  # its stub forgets numbers


def _one_value(name: str, y: Array, p: Array) -> float:
    spread = float(np.std(y))
    if name == "mean_r2" or name.startswith("scaled_"):
        if spread == 0:
            return float("nan")
        if name == "mean_r2":
            return float(1.0 - np.mean((y - p) ** 2) / spread**2)
    error = float(np.sqrt(np.mean((y - p) ** 2)) if _BASES[name] == "rmse" else np.abs(y - p).mean())
    return error / spread if name.startswith("scaled_") else error


def several_statistic(name: str, y: Array, p: Array) -> Statistic:
    """The metric as a function of row weights (resamples, rows)."""
    if name in _BASES or name in _RANKED:
        parts = [_one_statistic(name, y[:, place], p[:, place]) for place in range(y.shape[1])]
        if name in _RANKED:
            return lambda w: _mean_of_known(np.array([part(w) for part in parts]))
        return lambda w: np.asarray(np.mean([part(w) for part in parts], axis=0))
    truth, said = y >= THRESHOLD, p >= THRESHOLD
    if name in {"micro_f1", "label_f1"}:
        return _f1_statistic(name, truth.astype(np.float64), said.astype(np.float64))
    losses = {
        "mean_log_loss": lambda: _log_losses(y, p).mean(axis=1),
        "subset_accuracy": lambda: (truth == said).all(axis=1).astype(np.float64),
        "hamming_loss": lambda: (truth != said).mean(axis=1),
    }[name]()
    return lambda w: np.asarray((w @ losses) / w.sum(axis=1))


def _one_statistic(name: str, y: Array, p: Array) -> Statistic:
    if name in _RANKED:
        return _RANKED[name](y >= THRESHOLD, p)
    plain = resampling.value_statistic(_BASES[name], y, p)
    if not name.startswith("scaled_"):
        return plain
    centred = y - y.mean()

    def scaled(w: Array) -> Array:
        spread = np.sqrt(np.maximum(resampling.variance(w, centred), 0.0))
        return np.asarray(np.where(spread > 0, plain(w) / np.where(spread > 0, spread, 1.0), np.nan))

    return scaled


def _mean_of_known(values: Array) -> Array:
    """Mean over targets that have a value in a resample; NaN where none has."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _f1_statistic(name: str, truth: Array, said: Array) -> Statistic:
    def f1(w: Array) -> Array:
        hits, sides = w @ (truth * said), w @ truth + w @ said
        if name == "micro_f1":
            hits, sides = hits.sum(axis=1, keepdims=True), sides.sum(axis=1, keepdims=True)
        return np.asarray((2 * hits / np.where(sides > 0, sides, 1.0)).mean(axis=1))

    return f1


def _log_losses(y: Array, p: Array) -> Array:
    """Log loss of each row and label."""
    tiny = np.finfo(np.float64).eps
    p = np.clip(p, tiny, 1 - tiny)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def best_constants(name: str, y: Array) -> Array:
    """Per target the constant with the least loss: shares of yes (brought to yes or no for metrics of decisions), medians
    for absolute errors, means otherwise."""
    if name in {"scaled_mae", "uniform_mae"}:
        return np.asarray(np.median(y, axis=0))
    means = y.mean(axis=0)
    if name in {"micro_f1", "label_f1"}:
        return np.ones_like(means)  # calling every label scores better than calling none
    return np.asarray(means)
