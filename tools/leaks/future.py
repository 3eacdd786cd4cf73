"""Columns made from later values of the target: a lead, a centred mean, next month's total. Only where rows have an order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.candidate import Finding
from state.task import Task
from tools.leaks.encoding import numbers_of
from tools.leaks.sides import SHOWN, Result, Sides, found, passed, skipped
from tools.splits import group_codes

NAME = "columns that know the future"
_REACH = 15
"""Values before and after a row that a column may be made of."""
_EXACT = 0.999
"""Share of a column that its row's and later targets must explain …"""
_LEFT = 0.05
"""… while leaving no more than this of what earlier targets alone leave."""
_MOST_ROWS = 20_000

Matrix = NDArray[np.float64]


def check_future(sides: Sides, task: Task) -> Result:
    """Numeric columns that are a linear function of the target at their own and later times, and not of earlier ones.

    Rows follow each other by the time column within each series (the group columns). A lag or an average of the past
    is explained by earlier values alone and passes; what the calendar tells is explained by neither.
    """
    if "time" not in sides.known or task.is_classification:
        return skipped(NAME, "only the columns of a regression split by time have earlier and later targets")
    names = [one.name for one in task.features if one.kind == "numeric" and one.name != task.time_column]
    windows = _windows(sides, task)
    if not names or windows is None:
        return skipped(NAME, "no numeric column beside the time" if not names else "too few rows in a series")
    rows, past, later = windows
    findings = []
    for name in names:
        share = _explained_by_later(numbers_of(sides.features[name])[rows], past, later)
        if share is not None:
            findings.append(_finding(sides, name, share, rows))
    if not findings:
        return passed(NAME, f"none of {len(names)} columns is made of later targets")
    listed = ", ".join(repr(str(finding.data["column"])) for finding in findings[:SHOWN])
    return found(NAME, f"made of later targets: {listed}", findings)


def _finding(sides: Sides, name: str, share: float, rows: NDArray[np.int64]) -> Finding:
    times = sides.known["time"]
    return Finding(
        id=f"leak-future-{name}",
        source="review",
        topic="leak",
        severity="error",
        route="fix",
        text=f"column {name!r} is made of targets of its own and later times, which explain {share:.4%} of it; when a "
        "prediction is asked for, they are not known",
        evidence=[
            f"row {sides.open_rows[row]} of {times.iloc[row]}: {sides.features[name].iloc[row]!r}, target {sides.labels[row]!r}"
            for row in rows[:SHOWN]
        ],
        data={"column": name, "explained": round(share, 6)},
    )


def _windows(sides: Sides, task: Task) -> tuple[NDArray[np.int64], Matrix, Matrix] | None:
    """Rows with enough neighbours in their series, their earlier targets, and their own with the later ones."""
    times = numbers_of(sides.known["time"])
    keys = [name for name in task.group_columns if name in sides.features]
    series = group_codes(sides.features, keys) if keys else np.zeros(len(times), dtype=np.int64)
    labels: NDArray[Any] = sides.labels.astype(np.float64)
    _, sizes = np.unique(series, return_counts=True)
    reach = _REACH
    while reach and np.maximum(0, sizes - 2 * reach).sum() < 10 * (2 * reach + 1):
        reach -= 1  # ten rows for each coefficient
    if not reach:
        return None
    rows, past, later = [], [], []
    for _, members in pd.Series(np.arange(len(times))).groupby(series):
        order = members.to_numpy()
        order = order[np.argsort(times[order], kind="stable")]
        if len(order) <= 2 * reach:
            continue
        view = np.lib.stride_tricks.sliding_window_view(labels[order], 2 * reach + 1)
        rows.append(order[reach:-reach])
        past.append(view[:, :reach])
        later.append(view[:, reach:])
    every = slice(None, None, max(1, sum(map(len, rows)) // _MOST_ROWS))
    return np.concatenate(rows)[every], np.concatenate(past)[every], np.concatenate(later)[every]


def _explained_by_later(x: Matrix, past: Matrix, later: Matrix) -> float | None:
    """Share of a column that later targets explain, when they do so far better than earlier ones; else None."""
    known = np.isfinite(x)
    if known.mean() < 0.8 or np.ptp(x[known]) == 0:
        return None
    x, past, later = x[known], past[known], later[known]
    whole = _fit(x, np.column_stack([past, later]))
    earlier = _fit(x, past)
    if whole < _EXACT or earlier >= _EXACT or (1.0 - whole) > _LEFT * (1.0 - earlier):
        return None
    return whole


def _fit(x: Matrix, columns: Matrix) -> float:
    """R² of the least squares fit."""
    design = np.column_stack([np.ones(len(x)), columns])
    coefficients, *_ = np.linalg.lstsq(design, x, rcond=None)
    total = float(((x - x.mean()) ** 2).sum())
    return 1.0 - float(((x - design @ coefficients) ** 2).sum()) / total
