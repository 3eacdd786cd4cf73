"""Scoring: predictions are checked, scored by scikit-learn, and given an interval and a comparison by bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from state.candidate import Score
from state.task import Label, Metric
from tools import resampling
from tools.metrics import ENTRIES
from tools.naive import constant_predictions, lift, seasonal_naive
from tools.resampling import Array, Codes, Statistic

__all__ = [
    "check_predictions",
    "class_codes",
    "compare",
    "constant_predictions",
    "error_of",
    "interval",
    "lift",
    "make_score",
    "positive_index",
    "score",
    "seasonal_naive",
]

SUM_TOLERANCE = 1e-6
"""How far the probabilities of one row may be from a sum of 1."""
_MOST_ROWS = 10_000
"""Rows a bootstrap looks at; beyond, a subset is resampled and its spread scaled to the full size."""
_CELLS = 2_500_000
"""Size of the weight matrix, from which the number of resamples follows for larger data."""


def class_codes(labels: ArrayLike | pd.Series, classes: Sequence[Label]) -> Codes:
    """Labels as positions in `classes`. Raises ValueError naming labels that are none of the classes."""
    values = np.asarray(labels, dtype=object)
    place = {label: code for code, label in enumerate(classes)}
    codes = np.fromiter((place.get(value, -1) for value in values), dtype=np.int64, count=len(values))
    if (codes < 0).any():
        unknown = sorted({repr(value) for value in values[codes < 0]})[:3]
        raise ValueError(f"labels {', '.join(unknown)} are none of the task's classes {list(classes)[:10]!r}")
    return codes


def positive_index(classes: Sequence[Label], positive: Label | None) -> int:
    """Column of the positive class; the last class when none is named."""
    return list(classes).index(positive) if positive is not None else len(classes) - 1


def score(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    predictions: Array,
    classes: Sequence[Label] = (),
    positive: Label | None = None,
) -> float:
    """The metric's value for predictions (rows,) of a regression or (rows, classes) probabilities.

    Label metrics take the class of the highest probability. NaN when the metric is undefined for these rows, such as
    an area under the curve where only one class occurs.
    """
    if metric.needs == "values":
        return _value_score(metric.name, np.asarray(y_true, dtype=np.float64), np.asarray(predictions).reshape(-1))
    codes = class_codes(y_true, classes)
    column = positive_index(classes, positive)
    if metric.needs == "probabilities":
        return _probability_score(metric.name, codes, np.asarray(predictions, dtype=np.float64), column)
    return _label_score(metric.name, codes, np.argmax(predictions, axis=1), column)


def _value_score(name: str, y: Array, p: Array) -> float:
    from sklearn import metrics as sk

    if name == "rmsle":
        # A prediction at or below −1 has no logarithm; it is taken as 0, the least a non-negative target can be.
        return float(sk.root_mean_squared_log_error(y, np.maximum(p, 0.0))) if (y > -1).all() else float("nan")
    if name == "smape":
        return float(resampling.smape_losses(y, p).mean())
    if name == "wape":
        total = float(np.abs(y).sum())
        return float(np.abs(p - y).sum()) / total if total else float("nan")
    if name in {"r2", "explained_variance"} and (len(y) < 2 or np.ptp(y) == 0):
        return float("nan")
    functions = {
        "rmse": sk.root_mean_squared_error,
        "mse": sk.mean_squared_error,
        "mae": sk.mean_absolute_error,
        "median_ae": sk.median_absolute_error,
        "mape": sk.mean_absolute_percentage_error,
        "pinball": sk.mean_pinball_loss,
        "max_error": sk.max_error,
        "r2": sk.r2_score,
        "explained_variance": sk.explained_variance_score,
    }
    return float(functions[name](y, p))


def _probability_score(name: str, codes: Codes, p: Array, positive: int) -> float:
    from sklearn import metrics as sk

    classes = np.arange(p.shape[1])
    if name == "log_loss":
        return float(sk.log_loss(codes, p / p.sum(axis=1, keepdims=True), labels=classes))
    if name == "brier":
        return float(((p - np.eye(len(classes))[codes]) ** 2).sum(axis=1).mean() / (2 if len(classes) == 2 else 1))
    truth = (codes == positive).astype(np.int64)
    if name == "roc_auc":
        return float(sk.roc_auc_score(truth, p[:, positive])) if 0 < truth.sum() < len(truth) else float("nan")
    if name == "average_precision":
        return float(sk.average_precision_score(truth, p[:, positive])) if truth.any() else float("nan")
    # A class that no row has cannot be ranked against the rest; the mean is over those that can.
    occurring = [code for code in classes if 0 < (codes == code).sum() < len(codes)]
    areas = [float(sk.roc_auc_score(codes == code, p[:, code])) for code in occurring]
    return float(np.mean(areas)) if areas else float("nan")


def _label_score(name: str, codes: Codes, chosen: Codes, positive: int) -> float:
    from sklearn import metrics as sk

    averages = {"macro_f1": "macro", "weighted_f1": "weighted", "macro_precision": "macro", "macro_recall": "macro"}
    if name in averages or name in {"f1", "precision", "recall"}:
        choices: dict[str, Any] = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}
        function = choices[name.split("_")[-1]]
        if name in averages:
            return float(function(codes, chosen, average=averages[name], zero_division=0))
        return float(function(codes == positive, chosen == positive, zero_division=0))
    if name == "quadratic_kappa":
        return float(sk.cohen_kappa_score(codes, chosen, weights="quadratic"))
    if name == "balanced_accuracy":
        # The mean recall over the classes that occur; scikit-learn's function warns about the others.
        present = np.unique(codes)
        return float(np.mean([np.mean(chosen[codes == code] == code) for code in present]))
    functions = {"accuracy": sk.accuracy_score, "mcc": sk.matthews_corrcoef, "cohen_kappa": sk.cohen_kappa_score}
    return float(functions[name](codes, chosen))


def check_predictions(predictions: Any, rows: int, classes: Sequence[Label]) -> list[str]:
    """What is wrong with returned predictions, as sentences; empty when they can be scored.

    Wanted: a numeric array of shape (rows,) for a regression (no classes), or (rows, classes) of probabilities.
    """
    try:
        values = np.asarray(predictions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        return [f"predictions are not numbers: {error}"]
    wanted = (rows, len(classes)) if len(classes) else (rows,)
    if values.shape != wanted:
        meaning = "one value per row" if not len(classes) else "one row of class probabilities per row"
        return [f"predictions have shape {values.shape}, expected {wanted}: {meaning}"]
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        return [f"{int(bad.sum())} predictions are missing or infinite, the first in row {first}"]
    if not len(classes):
        return []
    problems = []
    outside = (values < -SUM_TOLERANCE) | (values > 1 + SUM_TOLERANCE)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        problems.append(
            f"{int(outside.sum())} probabilities lie outside 0 to 1, the first in row {row}: {values[row, column]:.6g}"
        )
    sums = values.sum(axis=1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        problems.append(
            f"the probabilities of {int(off.sum())} rows do not sum to 1, those of row {row} to {sums[row]:.6g}"
        )
    return problems


def interval(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    predictions: Array,
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    repeats: int = 400,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """A 95 % bootstrap interval of the score, which always holds the score itself.

    Whole groups are drawn when `groups` (one entity per row) are given. Above 10,000 rows a subset is resampled and
    the spread scaled by the square root of the ratio. NaN on both sides when the score is undefined.
    """
    value = score(metric, y_true, predictions, classes, positive)
    if not np.isfinite(value):
        return float("nan"), float("nan")
    sample = _Sample(metric, y_true, classes, positive, groups, seed, repeats)
    drawn = sample.spread(predictions)
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 20:
        return value, value
    low, high = value + np.quantile(drawn, [0.025, 0.975])
    entry = ENTRIES[metric.name]
    floor, ceiling = sorted((entry.worst, entry.best))
    return float(np.clip(min(low, value), floor, value)), float(np.clip(max(high, value), value, ceiling))


def compare(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    one: Array,
    other: Array,
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    repeats: int = 400,
    groups: ArrayLike | None = None,
) -> dict[str, float]:
    """A paired comparison of two predictions of the same rows by bootstrap.

    Returns {gain, low, high, better_share}: by how much `one` is better than `other` (positive when better), its 95 %
    interval, and the share of resamples in which `one` is better (ties count half).
    """
    values = [score(metric, y_true, predictions, classes, positive) for predictions in (one, other)]
    gain = metric.gain(*values)
    sample = _Sample(metric, y_true, classes, positive, groups, seed, repeats)
    sign = 1.0 if metric.direction == "higher" else -1.0
    gains = gain + sign * (sample.spread(one) - sample.spread(other))
    gains = gains[np.isfinite(gains)]
    if not np.isfinite(gain) or len(gains) < 20:
        return {"gain": gain if np.isfinite(gain) else 0.0, "low": gain, "high": gain, "better_share": 0.5}
    low, high = np.quantile(gains, [0.025, 0.975])
    share = float((gains > 0).mean() + (gains == 0).mean() / 2)
    return {"gain": gain, "low": float(min(low, gain)), "high": float(max(high, gain)), "better_share": share}


class _Sample:
    """The rows a bootstrap looks at, and their weights in each resample: the same for every prediction it is given."""

    def __init__(
        self,
        metric: Metric,
        y_true: ArrayLike | pd.Series,
        classes: Sequence[Label],
        positive: Label | None,
        groups: ArrayLike | None,
        seed: int,
        repeats: int,
    ) -> None:
        self.metric, self.classes, self.positive = metric, list(classes), positive_index(classes, positive)
        self.labels: Array | Codes = (
            class_codes(y_true, classes) if len(classes) else np.asarray(y_true, dtype=np.float64)
        )
        codes = self.labels.astype(np.int64) if len(classes) else None
        members = pd.factorize(np.asarray(groups, dtype=object))[0].astype(np.int64) if groups is not None else None
        self.rows = _subset(codes, members, len(self.labels), seed)
        self.scale = float(np.sqrt(len(self.rows) / max(1, len(self.labels))))
        load = len(self.rows) * (len(classes) if metric.name == "roc_auc_ovr" else 1)
        repeats = int(np.clip(_CELLS // max(1, load), 100, repeats))
        self.labels = self.labels[self.rows]
        self.weights = resampling.draw_weights(
            None if codes is None else codes[self.rows],
            None if members is None else members[self.rows],
            repeats,
            len(self.rows),
            seed,
        )

    def spread(self, predictions: Array) -> Array:
        """Deviations of the resampled values from the value of the rows looked at, scaled to the full size."""
        statistic = self._statistic(np.asarray(predictions, dtype=np.float64)[self.rows])
        centre = statistic(np.ones((1, len(self.rows))))[0]
        return np.asarray((statistic(self.weights) - centre) * self.scale)

    def _statistic(self, predictions: Array) -> Statistic:
        name = self.metric.name
        if self.metric.needs == "values":
            values = predictions.reshape(-1)
            y = self.labels.astype(np.float64)
            return resampling.value_statistic(name, y, np.maximum(values, 0.0) if name == "rmsle" else values)
        codes = self.labels.astype(np.int64)
        if self.metric.needs == "probabilities":
            return resampling.probability_statistic(name, codes, predictions, self.positive)
        chosen = np.argmax(predictions, axis=1)
        return resampling.label_statistic(name, codes, chosen, len(self.classes), self.positive)


def _subset(codes: Codes | None, groups: Codes | None, rows: int, seed: int) -> Codes:
    """Positions of at most about 10,000 rows: whole groups, or a sample in which every class keeps its share."""
    if rows <= _MOST_ROWS:
        return np.arange(rows)
    rng = np.random.default_rng([seed, rows])
    if groups is not None:
        sizes = np.bincount(groups)
        order = rng.permutation(len(sizes))
        kept = order[: max(5, int(np.searchsorted(np.cumsum(sizes[order]), _MOST_ROWS)))]
        return np.flatnonzero(np.isin(groups, kept))
    if codes is None:
        return np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
    parts = []
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        parts.append(rng.choice(members, max(1, round(len(members) * _MOST_ROWS / rows)), replace=False))
    return np.sort(np.concatenate(parts))


def error_of(metric: Metric, value: float) -> float:
    """The score as an error, 0 for a perfect one: 1 − value where higher is better, the value itself otherwise."""
    return 1.0 - value if metric.direction == "higher" else value


def make_score(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    predictions: Array,
    folds: Sequence[ArrayLike],
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Score:
    """The Score record of pooled predictions; `folds` are the positions of each fold's rows in them.

    Folds in which the metric is undefined are left out of `Score.folds`. Raises ValueError when it is undefined for
    the pooled rows.
    """
    value = score(metric, y_true, predictions, classes, positive)
    if not np.isfinite(value):
        raise ValueError(f"{metric.name} is undefined for these {len(predictions)} rows")
    truth = np.asarray(y_true, dtype=object if len(classes) else np.float64)
    each = [score(metric, truth[np.asarray(rows)], predictions[np.asarray(rows)], classes, positive) for rows in folds]
    low, high = interval(metric, y_true, predictions, classes, positive, seed, groups=groups)
    return Score(
        value=value, folds=[item for item in each if np.isfinite(item)], low=low, high=high, rows=len(predictions)
    )
