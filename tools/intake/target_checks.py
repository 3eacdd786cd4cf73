"""Whether a target can be learnt, and whether task kind, metric and positive class fit it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from state.errors import InputError, Problem
from state.settings import Settings
from state.task import TaskKind
from tools.intake.options import option
from tools.intake.table import MIN_ROWS, Table
from tools.metrics import metric, metric_for
from tools.portable import reading

_MOST_CLASSES = 1000


def target_problems(settings: Settings, table: Table, target: str) -> list[Problem]:
    values = table.frame[target]
    where = f"{table.where}, target {target!r}"
    infinite = table.infinite.get(target)
    if infinite:
        shown = ", ".join(f"{table.place(row)}: {text}" for row, text in infinite)
        cure = "remove these rows or correct them; a target has to be finite"
        return [Problem(f"infinite values or numbers too large ({shown})", where=where, cure=cure)]
    present = values.dropna()
    if present.empty:
        return [Problem("every value is missing", where=where, cure="fill the column or choose another --target")]
    if len(present) < MIN_ROWS:
        what = f"only {len(present)} of {len(values)} rows have a value; at least {MIN_ROWS} are needed"
        return [Problem(what, where=where, cure="bring more labelled rows")]
    if present.nunique() == 1:
        what = f"there is only one value, {label(present.iloc[0])!r}: nothing can be learnt"
        return [Problem(what, where=where, cure="bring rows of the other class, or choose another --target")]
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        cure = "predict a duration instead: a number of days or seconds from a fixed date"
        return [Problem("it holds dates, which cannot be predicted as they are", where=where, cure=cure)]
    kinds = possible_kinds(present)
    return (
        _kind_problems(settings, table, present, kinds, where)
        + _metric_problems(settings, kinds)
        + _positive_problems(settings, present, kinds, where)
    )


def possible_kinds(present: reading.Series) -> tuple[TaskKind, ...]:
    """The task kinds a target without missing values allows, the likeliest first; () for text that never repeats."""
    distinct = int(present.nunique())
    numeric = pd.api.types.is_numeric_dtype(present.dtype)
    repeats = distinct <= min(_MOST_CLASSES, len(present) / 2)
    if not numeric:
        return () if not repeats else ("binary",) if distinct == 2 else ("multiclass",)
    if distinct == 2:
        return ("binary", "regression")
    numbers = present.to_numpy(dtype=float)
    whole = bool(np.equal(np.mod(numbers, 1), 0).all())
    if repeats and (whole or distinct <= 20):
        return ("multiclass", "regression") if whole and distinct <= 10 else ("regression", "multiclass")
    return ("regression",)


def _kind_problems(
    settings: Settings, table: Table, present: reading.Series, kinds: tuple[TaskKind, ...], where: str
) -> list[Problem]:
    distinct = int(present.nunique())
    if not kinds and settings.kind != "regression":
        what = f"it is text with {distinct} different values in {len(present)} rows, like a name or an identifier"
        return [Problem(what, where=where, cure="choose a column whose values repeat, or one of numbers: --target")]
    if settings.kind is None or settings.kind in kinds:
        return []
    if settings.kind == "regression":
        row = int(present.index[0])
        what = f"a regression needs numbers; it is text, e.g. {present.iloc[0]!r} ({table.place(row)})"
        return [Problem(what, where=where, cure="clean the column, or use --kind multiclass")]
    fitting = " or ".join(kinds)
    return [
        Problem(
            f"{distinct} different values do not make a {settings.kind} task",
            where=where,
            cure=f"use --kind {fitting}, or leave it out",
        )
    ]


def _metric_problems(settings: Settings, kinds: tuple[TaskKind, ...]) -> list[Problem]:
    """A metric that is unknown, or impossible for every kind the target allows."""
    if not settings.metric or not kinds:
        return metric_name_problems(settings.metric)
    wanted: tuple[TaskKind, ...] = (settings.kind,) if settings.kind in kinds and settings.kind else kinds
    found: list[Problem] = []
    for kind in wanted:
        try:
            metric_for(settings.metric, kind)
        except InputError as error:
            found = found or error.problems
        else:
            return []
    return found


def _positive_problems(
    settings: Settings, present: reading.Series, kinds: tuple[TaskKind, ...], where: str
) -> list[Problem]:
    if not settings.positive or not kinds:
        return []
    labels = [label(value) for value in sorted(present.unique())]
    if "binary" not in kinds:
        what = f"a positive class makes sense for two classes; there are {len(labels)}"
        return [Problem(what, where=f"{where}, {option('positive')}", cure="leave --positive out")]
    if settings.positive not in labels and settings.positive.removesuffix(".0") not in labels:
        what = f"there is no class {settings.positive!r}"
        return [
            Problem(
                what, where=f"{where}, {option('positive')}", cure=f"the classes are {' and '.join(map(repr, labels))}"
            )
        ]
    return []


def label(value: Any) -> str:
    """A class label as a person writes it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def metric_name_problems(name: str) -> list[Problem]:
    """An unknown metric, when there is no task to hold it against."""
    if not name:
        return []
    try:
        metric(name)
    except InputError as error:
        return error.problems
    return []
