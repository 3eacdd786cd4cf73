"""Gradient boosting with LightGBM: rounds chosen by inner validation, members averaged."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np


def stop_at(deadline: float) -> Callable[[Any], None]:
    """A callback that ends training when the clock passes `deadline`."""

    def check(env: Any) -> None:
        if time.monotonic() > deadline:
            raise lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list)

    return check


def tune_rounds(
    params: dict[str, Any],
    data: lgb.Dataset,
    folds: list[tuple[np.ndarray, np.ndarray]],
    most: int,
    members: int,
    seconds: float,
) -> int:
    """Number of rounds with the lowest mean loss over the folds, at most `most`.

    Ends early enough for `members` fits on all rows to fit into the rest of `seconds`. The final fit sees more rows
    than a fold's, so it gets a few rounds more.
    """
    share = sum(len(train) for train, _ in folds) / sum(len(folds[0][part]) for part in (0, 1))
    deadline = time.monotonic() + seconds * share / (share + 1.05 * members)
    callbacks = [lgb.early_stopping(max(20, most // 20), verbose=False), stop_at(deadline)]
    losses: Any = lgb.cv(params, data, num_boost_round=most, folds=folds, callbacks=callbacks)
    curve = next(values for name, values in losses.items() if name.endswith("-mean"))
    return max(1, round((int(np.argmin(curve)) + 1) * 1.05))


def boost(params: dict[str, Any], data: lgb.Dataset, rounds: int, members: int, seed: int) -> list[lgb.Booster]:
    """`members` boosters that differ in their seed only; their mean varies less than one alone."""
    return [lgb.train({**params, "seed": seed + member}, data, num_boost_round=rounds) for member in range(members)]
