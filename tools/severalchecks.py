"""Whether several targets can be learnt together, and how they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from state.errors import InputError, Problem
from state.settings import Settings
from tools.intake.options import absent_column, option
from tools.intake.table import MIN_ROWS, Table
from tools.metrics import metric_for
from tools.several import MOST_LABELS, Several, values_of

_SHOWN = 8


def told(several: Several) -> str:
    """How the kind was recognised, in a sentence."""
    shown = ", ".join(several.names[:_SHOWN]) + (
        f" and {len(several.names) - _SHOWN} more" if len(several.names) > _SHOWN else ""
    )
    if several.separator:
        return f"Task multilabel: {several.target!r} holds tags separated by {several.separator!r}: {shown}."
    if several.kind == "multilabel":
        return f"Task multilabel: {len(several.names)} targets of yes or no: {shown}."
    return f"Task multiregression: {len(several.names)} numeric targets: {shown}."


def name_problems(wanted: Sequence[str], names: Sequence[str], where: str) -> list[Problem]:
    """Targets that are named twice or are not there, all of them."""
    problems = [
        Problem(f"the target {name!r} is named {count} times", where=option("target"), cure="name each target once")
        for name, count in Counter(wanted).items()
        if count > 1
    ]
    absent = [name for name in dict.fromkeys(wanted) if name not in names]
    return problems + [absent_column(name, list(names), where, "target") for name in absent]


def several_problems(settings: Settings, table: Table, several: Several) -> list[Problem]:
    """Targets that cannot be learnt, targets of mixed kinds, and a kind or metric that does not fit them."""
    frame, where = table.frame, f"{table.where}, {option('target')}"
    problems = [] if several.separator else _column_problems(frame, several, where)
    if settings.kind is not None and settings.kind != several.kind:
        what = f"{len(several.names)} targets do not make a {settings.kind} task"
        problems.append(Problem(what, where=option("kind"), cure=f"use --kind {several.kind}, or leave it out"))
    if settings.positive:
        what = "a positive class makes sense for one target of two classes"
        problems.append(Problem(what, where=option("positive"), cure="leave --positive out"))
    if settings.metric:
        try:
            metric_for(settings.metric, several.kind)
        except InputError as error:
            problems += error.problems
    return problems or _value_problems(values_of(frame, several), several, where)


def _column_problems(frame: pd.DataFrame, several: Several, where: str) -> list[Problem]:
    problems = []
    texts = [name for name in several.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    for position, name in enumerate(several.columns):
        values = frame[name].dropna()
        yes_or_no = bool(several.spellings and several.spellings[position])
        if values.empty:
            problems.append(Problem(f"every value of {name!r} is missing", where=where, cure="name other targets"))
        elif several.kind == "multilabel" and not yes_or_no:
            what = f"{name!r} is no target of yes or no: it holds {_examples(values)}"
            problems.append(
                Problem(what, where=where, cure="multilabel targets hold 0 and 1, or two texts such as yes and no")
            )
        elif several.kind == "multiregression" and name in texts:
            mixed = "targets of mixed kinds: " if len(texts) < len(several.columns) else ""
            what = f"{mixed}{name!r} holds texts such as {_examples(values)}, no numbers"
            cure = "predict numbers together, and classes in a build of their own; or give columns of yes or no only"
            problems.append(Problem(what, where=where, cure=cure))
    return problems


def _examples(values: pd.Series) -> str:
    return ", ".join(repr(value) for value in values.unique()[:3])


def _value_problems(values: np.ndarray, several: Several, where: str) -> list[Problem]:
    known = values[~np.isnan(values).any(axis=1)]
    if len(known) < MIN_ROWS:
        what = f"only {len(known)} of {len(values)} rows have all targets; at least {MIN_ROWS} are needed"
        return [Problem(what, where=where, cure="bring more labelled rows, or name fewer targets")]
    if not np.isfinite(known).all():
        return [Problem("a target holds infinite values", where=where, cure="remove these rows or correct them")]
    if len(several.names) > MOST_LABELS or len(several.names) < 2:
        what = f"{several.target!r} holds {len(several.names)} different labels"
        return [Problem(what, where=where, cure=f"2 to {MOST_LABELS} can be learnt; leave rare ones out")]
    problems = []
    for name, column in zip(several.names, known.T, strict=True):
        if np.ptp(column) == 0:
            what = f"target {name!r} is always {column[0]:g}: nothing can be learnt"
            problems.append(Problem(what, where=where, cure="leave it out, or bring rows with other values"))
        elif several.kind == "multilabel" and min(column.sum(), len(column) - column.sum()) < 3:
            what = f"label {name!r} has {int(min(column.sum(), len(column) - column.sum()))} rows on one side; 3 are needed"
            problems.append(Problem(what, where=where, cure="leave it out, or bring more such rows"))
    return problems
