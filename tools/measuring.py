"""Point values: the metric's value of predictions, as scikit-learn computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from state.task import Label, Metric
from tools import resampling
from tools.deviances import POWERS, deviance_score
from tools.resampling import Array, Codes
from tools.severalmetrics import several_score


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

    Labels and predictions of several targets are (rows, targets). Label metrics take the class of the highest probability.
    NaN when the metric is undefined for these rows, such as an area under the curve where only one class occurs.
    """
    if np.ndim(y_true) == 2:
        return several_score(metric.name, np.asarray(y_true, dtype=np.float64), np.asarray(predictions))
    if metric.needs == "values":
        return _value_score(metric.name, np.asarray(y_true, dtype=np.float64), np.asarray(predictions).reshape(-1))
    codes = class_codes(y_true, classes)
    column = positive_index(classes, positive)
    if metric.needs == "probabilities":
        return _probability_score(metric.name, codes, np.asarray(predictions, dtype=np.float64), column)
    return _label_score(metric.name, codes, np.argmax(predictions, axis=1), column)


def _value_score(name: str, y: Array, p: Array) -> float:
    from sklearn import metrics as sk

    if name in POWERS:
        return deviance_score(name, y, p)
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
    if name in {"quadratic_kappa", "linear_kappa"}:
        return float(sk.cohen_kappa_score(codes, chosen, weights=name.removesuffix("_kappa")))
    if name == "rank_mae":
        return float(np.abs(codes - chosen).mean())
    if name == "balanced_accuracy":
        # The mean recall over the classes that occur; scikit-learn's function warns about the others.
        present = np.unique(codes)
        return float(np.mean([np.mean(chosen[codes == code] == code) for code in present]))
    functions = {"accuracy": sk.accuracy_score, "mcc": sk.matthews_corrcoef, "cohen_kappa": sk.cohen_kappa_score}
    return float(functions[name](codes, chosen))


def error_of(metric: Metric, value: float) -> float:
    """The score as an error, 0 for a perfect one: 1 − value where higher is better, the value itself otherwise."""
    return 1.0 - value if metric.direction == "higher" else value
