"""Inner validation: splits of the training rows that respect groups, time and class shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold


def inner_folds(
    X: pd.DataFrame, target: np.ndarray, task: Mapping[str, Any], count: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions of training and validation rows, `count` times: later times, whole groups, or equal class shares."""
    groups = [name for name in task["group_columns"] if name in X.columns]
    if task["forecast"] and task["time_column"] in X.columns:
        order = np.argsort(X[task["time_column"]].to_numpy(), kind="stable")
        cuts = [int(len(order) * (0.8 - 0.1 * step)) for step in range(min(count, 3))]
        return [(order[:cut], order[cut : cut + len(order) // 5]) for cut in cuts]
    if groups:
        keys = X[groups].astype(str).agg("\x1f".join, axis=1).to_numpy()
        if len(set(keys)) >= count:
            return list(GroupKFold(count, shuffle=True, random_state=seed).split(X, groups=keys))
    if task["kind"] != "regression" and np.bincount(target)[np.unique(target)].min() >= count:
        return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(X, target))
    return list(KFold(count, shuffle=True, random_state=seed).split(X))


def some_rows(X: pd.DataFrame, y: pd.Series, most: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """At most so many rows, drawn without replacement, in their order."""
    if len(X) <= most:
        return X, y
    rows = np.sort(np.random.default_rng(seed).choice(len(X), most, replace=False))
    return X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)


def mean_loss(truth: np.ndarray, predicted: np.ndarray, task: Mapping[str, Any]) -> float:
    """The loss settings are chosen by: log loss for classes, absolute or squared error for values."""
    if task["kind"] != "regression":
        return float(-np.log(np.clip(predicted[np.arange(len(truth)), truth], 1e-9, 1.0)).mean())
    error = np.abs(truth - predicted)
    absolute = task["metric"] in ("mae", "median_ae", "mape", "smape", "wape")
    return float(error.mean() if absolute else (error**2).mean())
