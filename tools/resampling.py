"""Bootstrap resamples as row weights, and the metrics computed for all resamples at once.

A resample is a row of a weight matrix: how often each data row was drawn. Every metric of the catalogue is a function
of those weights and of things prepared once (a sort order, per-row losses, class codes), so that hundreds of
resamples cost a few matrix operations. The point value of a score never comes from here, but from scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tools.deviances import POWERS, deviance_statistic

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Statistic = Callable[[Array], Array]
"""Weights of shape (resamples, rows) → one metric value per resample; NaN where the metric is undefined."""

LEAST_UNITS = 3
"""With fewer groups or blocks than this, drawing them whole says nothing; then rows are drawn."""
_RARE = 20
"""A class with fewer rows than this is resampled on its own, so that no resample lacks it."""


def draw_weights(
    codes: Codes | None, units: Codes | None, repeats: int, rows: int, seed: int, size: int | None = None
) -> Array:
    """Weights (repeats, rows). Units are drawn whole; else rows are drawn, within classes when one is rare.

    `codes` are class numbers or None for regression; `units` are numbers of what is drawn together (an entity, a block
    of time) or None. size: rows a resample stands for when it is not `rows`: so many rows, or units in that proportion.
    """
    rng = np.random.default_rng(seed)
    part = 1.0 if size is None else size / max(1, rows)
    if units is not None and len(np.unique(units)) >= LEAST_UNITS:
        _, index = np.unique(units, return_inverse=True)
        return _counts(rng, int(index.max()) + 1, repeats, part)[:, index]
    if codes is None or np.bincount(codes)[np.unique(codes)].min() >= _RARE:
        return _counts(rng, rows, repeats, part)
    weights = np.zeros((repeats, rows))
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        weights[:, members] = _counts(rng, len(members), repeats, part)
    return weights


def _counts(rng: np.random.Generator, members: int, repeats: int, part: float = 1.0) -> Array:
    """How often each of the members is drawn with replacement, drawing `part` as many as there are, one at least."""
    size = max(1, round(members * part))
    drawn = rng.integers(0, members, size=(repeats, size), dtype=np.int64)
    drawn += np.arange(repeats, dtype=np.int64)[:, None] * members
    return np.bincount(drawn.ravel(), minlength=repeats * members).reshape(repeats, members).astype(np.float64)


def statistic_of(
    name: str, needs: str, labels: Array | Codes, predictions: Array, classes: int, positive: int
) -> Statistic:
    """The statistic of any metric: labels are class numbers, values where the metric needs values, or (rows, targets)."""
    if labels.ndim == 2:
        from tools.severalmetrics import several_statistic

        return several_statistic(name, labels.astype(np.float64), predictions)
    if needs == "values":
        values = predictions.reshape(-1)
        return value_statistic(name, labels.astype(np.float64), np.maximum(values, 0.0) if name == "rmsle" else values)
    codes = labels.astype(np.int64)
    if needs == "probabilities":
        return probability_statistic(name, codes, predictions, positive)
    return label_statistic(name, codes, np.argmax(predictions, axis=1), classes, positive)


def value_statistic(name: str, y: Array, p: Array) -> Statistic:
    """The statistic of a regression metric for labels and predictions of shape (rows,)."""
    if name in POWERS:
        return deviance_statistic(name, y, p)
    error = p - y
    losses = _row_losses(name, y, p)
    if losses is not None:
        root = name in {"rmse", "rmsle"}
        return lambda w: np.sqrt(_mean(w, losses)) if root else _mean(w, losses)
    if name == "wape":
        return lambda w: _ratio(w @ np.abs(error), w @ np.abs(y))
    if name == "median_ae":
        return _median_statistic(np.abs(error))
    if name == "max_error":
        return lambda w: np.where(w > 0, np.abs(error), 0.0).max(axis=1)
    centred = y - y.mean()
    if name == "r2":
        return lambda w: 1.0 - _ratio(w @ error**2, w.sum(axis=1) * variance(w, centred))
    if name == "explained_variance":
        return lambda w: 1.0 - _ratio(variance(w, error), variance(w, centred))
    raise KeyError(name)


def _row_losses(name: str, y: Array, p: Array) -> Array | None:
    """The loss of each row, for metrics that are a mean of them (or its root)."""
    error = p - y
    if name in {"rmse", "mse"}:
        return np.asarray(error**2)
    if name == "mae":
        return np.abs(error)
    if name == "pinball":
        return np.asarray(np.abs(error) / 2)
    if name == "mape":
        return np.asarray(np.abs(error) / np.maximum(np.abs(y), np.finfo(np.float64).eps))
    if name == "smape":
        return smape_losses(y, p)
    if name == "rmsle":
        return np.asarray((np.log1p(p) - np.log1p(y)) ** 2)
    return None


def smape_losses(y: Array, p: Array) -> Array:
    """2·|p−y| / (|p|+|y|) per row, 0 where both are 0; between 0 and 2."""
    total = np.abs(y) + np.abs(p)
    return np.asarray(2.0 * np.abs(p - y) / np.where(total == 0, 1.0, total))


def probability_statistic(name: str, codes: Codes, p: Array, positive: int) -> Statistic:
    """The statistic of a metric of class probabilities `p` (rows, classes) for class numbers `codes`."""
    if name == "log_loss":
        losses = -np.log(np.clip(p[np.arange(len(codes)), codes], np.finfo(np.float64).eps, 1.0))
        return lambda w: _mean(w, losses)
    if name == "brier":
        truth = np.eye(p.shape[1])[codes]
        losses = ((p - truth) ** 2).sum(axis=1) / (2.0 if p.shape[1] == 2 else 1.0)
        return lambda w: _mean(w, losses)
    if name == "roc_auc":
        return auc_statistic(codes == positive, p[:, positive])
    if name == "average_precision":
        return precision_statistic(codes == positive, p[:, positive])
    if name == "roc_auc_ovr":
        parts = [auc_statistic(codes == code, p[:, code]) for code in np.unique(codes)]
        return lambda w: np.mean([part(w) for part in parts], axis=0)
    raise KeyError(name)


def auc_statistic(truth: NDArray[np.bool_], score: Array) -> Statistic:
    """Area under the ROC curve by weighted ranks; ties count half."""
    order, starts = _tie_groups(score)
    positive = truth[order].astype(np.float64)

    def auc(w: Array) -> Array:
        sorted_w = w[:, order]
        up = np.add.reduceat(sorted_w * positive, starts, axis=1)
        down = np.add.reduceat(sorted_w * (1 - positive), starts, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        return _ratio((up * below).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))

    return auc


def precision_statistic(truth: NDArray[np.bool_], score: Array) -> Statistic:
    """Average precision: the sum of recall steps times the precision at each threshold."""
    order, starts = _tie_groups(-score)
    positive = truth[order].astype(np.float64)

    def average_precision(w: Array) -> Array:
        sorted_w = w[:, order]
        up = np.add.reduceat(sorted_w * positive, starts, axis=1)
        seen = np.cumsum(np.add.reduceat(sorted_w, starts, axis=1), axis=1)
        precision = np.cumsum(up, axis=1) / np.maximum(seen, 1.0)
        return _ratio((up * precision).sum(axis=1), up.sum(axis=1))

    return average_precision


def _tie_groups(score: Array) -> tuple[Codes, Codes]:
    """An ascending order of the scores, and where each run of equal scores starts in it."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return order, starts


def label_statistic(name: str, codes: Codes, chosen: Codes, classes: int, positive: int) -> Statistic:
    """The statistic of a metric of predicted classes `chosen` against class numbers `codes`, by confusion matrices."""
    cells = codes * classes + chosen
    used, index = np.unique(cells, return_inverse=True)
    onehot = np.eye(len(used))[index] if len(used) <= 64 else None

    def statistic(w: Array) -> Array:
        matrix = np.zeros((len(w), classes * classes))
        if onehot is not None:
            matrix[:, used] = w @ onehot
        else:
            for row, weights in zip(matrix, w, strict=True):
                row[:] = np.bincount(cells, weights=weights, minlength=classes * classes)
        return from_confusion(name, matrix.reshape(-1, classes, classes), positive)

    return statistic


def from_confusion(name: str, matrix: Array, positive: int) -> Array:
    """Label metrics of confusion matrices (resamples, true class, predicted class)."""
    total = matrix.sum(axis=(1, 2))
    hit = np.diagonal(matrix, axis1=1, axis2=2)
    actual, predicted = matrix.sum(axis=2), matrix.sum(axis=1)
    if name == "accuracy":
        return _ratio(hit.sum(axis=1), total)
    if name == "mcc":
        top = hit.sum(axis=1) * total - (actual * predicted).sum(axis=1)
        spread = (total**2 - (predicted**2).sum(axis=1)) * (total**2 - (actual**2).sum(axis=1))
        return np.asarray(np.where(spread > 0, top / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0))
    if name in _KAPPA_POWERS:
        return _kappa(matrix, actual, predicted, total, _KAPPA_POWERS[name])
    if name == "rank_mae":
        return _ratio((matrix * _steps(matrix.shape[1])).sum(axis=(1, 2)), total)
    present = (actual > 0) | (predicted > 0)
    recall, precision = _ratio(hit, actual, 0.0), _ratio(hit, predicted, 0.0)
    f1 = _ratio(2 * hit, actual + predicted, 0.0)
    single = {"f1": f1, "precision": precision, "recall": recall}
    if name in single:
        return np.asarray(single[name][:, positive])
    if name == "weighted_f1":
        return _ratio((f1 * actual).sum(axis=1), total)
    if name == "balanced_accuracy":
        return _ratio(recall.sum(axis=1), (actual > 0).sum(axis=1).astype(np.float64))
    means = {"macro_f1": f1, "macro_precision": precision, "macro_recall": recall}
    return _ratio((means[name] * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


_KAPPA_POWERS = {"cohen_kappa": 0, "linear_kappa": 1, "quadratic_kappa": 2}
"""Power of the distance between two classes that a mistake costs; 0: every mistake costs the same."""


def _steps(size: int) -> Array:
    """Distance in ranks of every class from every class."""
    return np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)


def _kappa(matrix: Array, actual: Array, predicted: Array, total: Array, power: int) -> Array:
    steps = _steps(matrix.shape[1])
    cost = steps**power if power else (steps != 0)
    observed = (matrix * cost).sum(axis=(1, 2))
    expected = np.einsum("bi,bj,ij->b", actual, predicted, cost.astype(np.float64)) / np.maximum(total, 1.0)
    return 1.0 - _ratio(observed, expected)


def _median_statistic(losses: Array) -> Statistic:
    order = np.argsort(losses, kind="stable")
    ordered = losses[order]

    def median(w: Array) -> Array:
        reached = np.cumsum(w[:, order], axis=1)
        total = reached[:, -1:]
        low = (reached <= (total - 1) // 2).sum(axis=1)
        high = (reached <= total // 2).sum(axis=1)
        return np.asarray((ordered[low] + ordered[high]) / 2)

    return median


def _mean(w: Array, losses: Array) -> Array:
    return np.asarray((w @ losses) / w.sum(axis=1))


def variance(w: Array, values: Array) -> Array:
    total = w.sum(axis=1)
    return np.asarray(w @ values**2 / total - (w @ values / total) ** 2)


def _ratio(top: Array, bottom: Array, empty: float = float("nan")) -> Array:
    """top / bottom, and `empty` where the bottom is zero."""
    zero = bottom == 0
    return np.asarray(np.where(zero, empty, top / np.where(zero, 1.0, bottom)))
