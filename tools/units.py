"""What a bootstrap draws together: rows of one group, rows of one stretch of time, or every row by itself.

Rows of one group, and neighbours in time, err alike. Drawing them one by one would count them as independent and make
every interval too narrow.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from state.task import Task
from tools.resampling import Codes

_LEAST_BLOCKS = 8


def units_of(task: Task, labels: pd.DataFrame) -> Codes | None:
    """Per row the number of its unit, or None where each row is one.

    labels: the label file of `Prepared` (`labels` or `sealed_labels`), which names the `group` or `time` of each row
    where the split respects them. A row without either is a unit of its own.
    """
    if task.split.kind == "group" and "group" in labels:
        return _numbered(labels["group"].where(labels["group"] != ""))
    if task.split.kind == "time" and "time" in labels:
        return time_blocks(labels["time"], (task.horizon or 0) // 4)
    return None


def time_blocks(times: ArrayLike | pd.Series, least: int = 0) -> Codes:
    """Block numbers of rows: neighbouring distinct times together, n^(1/3) of n or `least`, in at least eight blocks.

    The length is the usual rate of a block bootstrap of a mean (Hall, Horowitz and Jing, Biometrika 82, 1995); blocks
    do not overlap (Carlstein, Annals of Statistics 14, 1986). Errors of one long forecast hang together for longer, so
    blocks are a quarter of its horizon then. Rows of equal times share a block, whatever their series.
    """
    series = times if isinstance(times, pd.Series) else pd.Series(np.asarray(times))
    known = series.notna().to_numpy()
    blocks = np.full(len(series), -1, dtype=np.int64)
    if known.any():
        distinct, place = np.unique(series[known].to_numpy(), return_inverse=True)
        wanted = max(int(np.ceil(len(distinct) ** (1 / 3))), least)
        length = max(1, min(wanted, len(distinct) // _LEAST_BLOCKS))
        blocks[known] = place.reshape(-1) // length
    return _alone(blocks)


def _numbered(keys: pd.Series) -> Codes:
    return _alone(pd.factorize(keys)[0].astype(np.int64))


def _alone(numbers: Codes) -> Codes:
    """The numbers with every -1 replaced by one of its own."""
    missing = np.flatnonzero(numbers < 0)
    numbers[missing] = numbers.max(initial=-1) + 1 + np.arange(len(missing))
    return numbers


def at(units: Codes | None, rows: Codes) -> Codes | None:
    """The units of some rows."""
    return None if units is None else units[rows]


def drawn(task: Task) -> str:
    """What a bootstrap of this task draws, in words."""
    return {"group": "whole groups", "time": "blocks of time"}.get(task.split.kind, "rows")
