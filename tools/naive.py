"""The lowest rungs of the ladder: constant predictions, the last season repeated, and the lift over them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from state.task import Metric, Task
from tools.timeline import infer_step


def constant_predictions(task: Task, y_train: ArrayLike | pd.Series, n: int) -> NDArray[np.float64]:
    """The best guess that ignores every feature, for `n` rows.

    Classification: the class shares of the training rows, (n, classes). Regression: the constant that is best for the
    metric (mean, median, mean of logarithms …), (n,). Several targets: the best constant of each, (n, targets).
    """
    if task.targets:
        from tools.severalmetrics import best_constants

        return np.tile(best_constants(task.metric.name, np.asarray(y_train, dtype=np.float64)), (n, 1))
    if task.is_classification:
        values = pd.Series(np.asarray(y_train, dtype=object)).value_counts()
        shares = np.array([float(values.get(label, 0)) for label in task.classes])
        if task.metric.name == "rank_mae":
            # The middle class has the least mean distance, as the median of values has.
            middle = int(np.searchsorted(np.cumsum(shares), shares.sum() / 2))
            shares = np.eye(len(shares))[middle]
        return np.tile(shares / shares.sum(), (n, 1))
    return np.full(n, best_constant(task.metric, np.asarray(y_train, dtype=np.float64)))


def best_constant(metric: Metric, y: NDArray[np.float64]) -> float:
    """The constant with the least loss on `y` under a regression metric."""
    if metric.name in {"mae", "median_ae", "pinball", "wape", "smape"}:
        return float(np.median(y))
    if metric.name == "mape":
        order = np.argsort(y)
        weights = np.cumsum(1.0 / np.maximum(np.abs(y[order]), np.finfo(np.float64).eps))
        return float(y[order][np.searchsorted(weights, weights[-1] / 2)])
    if metric.name == "rmsle":
        return float(np.expm1(np.log1p(np.maximum(y, 0.0)).mean()))
    if metric.name == "max_error":
        return float((y.min() + y.max()) / 2)
    return float(y.mean())


def seasonal_naive(
    times_train: ArrayLike | pd.Series,
    y_train: ArrayLike | pd.Series,
    groups_train: ArrayLike | None,
    times_valid: ArrayLike | pd.Series,
    groups_valid: ArrayLike | None,
) -> NDArray[np.float64] | None:
    """Each value one or more whole seasons before, of the same series; (rows,) or None when there is no time step.

    The season follows from the step (`Step.season`). A season is skipped while it would reach past the last training
    time of the series. Where that time was not observed, the value before it counts; a series never seen in training
    gets the median of all. Training rows without a time are left out; validation rows must have one.
    """
    known = np.asarray(pd.notna(np.asarray(times_train)))
    times = np.asarray(times_train)[known]
    step = infer_step(times)
    if step is None:
        return None
    train = pd.DataFrame({"at": step.positions(times), "y": np.asarray(y_train, dtype=np.float64)[known]})
    valid_at = step.positions(times_valid)
    codes, valid_series = _series_codes(groups_train, groups_valid, len(known), len(valid_at))
    train["series"] = codes[known]
    season = step.season(int(train["at"].max() - train["at"].min()) + 1)
    means = train.groupby(["series", "at"], sort=True)["y"].mean()
    result = np.full(len(valid_at), float(train["y"].median()))
    for code, values in means.groupby(level="series"):
        rows = np.flatnonzero(valid_series == code)
        known_at = values.index.get_level_values("at").to_numpy()
        seasons = np.maximum(1, np.ceil((valid_at[rows] - known_at[-1]) / season)).astype(np.int64)
        wanted = valid_at[rows] - seasons * season
        place = np.searchsorted(known_at, wanted, side="right") - 1
        result[rows] = values.to_numpy()[np.maximum(place, 0)]
    return result


def _series_codes(
    train: ArrayLike | None, valid: ArrayLike | None, rows_train: int, rows_valid: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the series of both parts; −1 in the second for series the first does not hold.

    Several key columns may be given as a frame or a 2-d array.
    """
    if train is None or valid is None:
        return np.zeros(rows_train, dtype=np.int64), np.zeros(rows_valid, dtype=np.int64)
    first, second = _keys(train), _keys(valid)
    codes, names = pd.factorize(first)
    return codes.astype(np.int64), pd.Index(names).get_indexer(pd.Index(second)).astype(np.int64)


def _keys(groups: ArrayLike) -> NDArray[np.object_]:
    values = np.asarray(groups, dtype=object)
    if values.ndim == 1:
        return values.astype(str).astype(object)
    return np.array(["\x1f".join(map(str, row)) for row in values], dtype=object)


def lift(metric: Metric, value: float, baseline: float) -> float:
    """The share of the baseline's error that is gone: 1 when perfect, 0 for the baseline's score, negative below."""
    error, base = (1.0 - value, 1.0 - baseline) if metric.direction == "higher" else (value, baseline)
    return 1.0 - error / base if base > 0 else 0.0
