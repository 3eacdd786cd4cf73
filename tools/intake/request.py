"""Checking what is asked: everything that can be refused is refused here, all of it at once, before any work."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from state.errors import InputError, Problem
from state.settings import Role, Settings
from tools.intake import structure
from tools.intake.options import absent_column, option, settings_problems
from tools.intake.table import Table, open_raw, open_table
from tools.intake.target import guess_target
from tools.intake.target_checks import metric_name_problems, target_problems
from tools.intake.testfile import open_test
from tools.several import Several, asked_targets, several_in
from tools.severalchecks import name_problems, several_problems

__all__ = ["Request", "check_request", "guess_target", "settings_problems"]

_LEAST_MEMORY_MB = 256


@dataclass
class Request:
    """What is asked, checked: settings, the table, the conformed test frame (or None), the target.

    test: the rows of the test file, columns as in the table; what is to be said about it stands in table.notes.
    target_reason: a sentence when the target was guessed, "" when it was named.
    """

    settings: Settings
    table: Table
    test: pd.DataFrame | None
    target: str
    target_reason: str
    several: Several | None = None
    """The targets where more than one is asked for; `target` is their common name then, and no column."""


def check_request(settings: Settings, table: Table | None = None) -> Request:
    """Open the data (unless a table is given) and the test data, and check every setting against them.

    Raises InputError with all problems found. Writes nothing.
    """
    problems = _setting_problems(settings)
    if table is None:
        table = _opened(settings, problems)
    if table is None:
        raise InputError([*problems, *metric_name_problems(settings.metric), *_test_file_problems(settings)])
    target, reason = _target(settings, table, problems)
    targets = asked_targets(target, list(map(str, table.frame.columns)))
    several = several_in(settings, table.frame, targets)
    for name in targets or [""]:
        problems += [one for one in _column_problems(settings, table, name) if one not in problems]
    if several is not None:
        problems += several_problems(settings, table, several)
    else:
        problems += target_problems(settings, table, target) if target else metric_name_problems(settings.metric)
    tags = several is not None and bool(several.separator)
    test = _test_frame(settings, table, targets[0] if targets else "", problems, tags=tags)
    if problems:
        raise InputError(problems)
    return Request(settings, table, test, target if several is None else several.target, reason, several)


# ---- settings -------------------------------------------------------------------------------------------------------


def _setting_problems(settings: Settings) -> list[Problem]:
    """Settings that pydantic lets through and that still make no sense."""
    problems = []
    if settings.name and (not re.fullmatch(r"\w[\w .-]{0,63}", settings.name) or ".." in settings.name):
        cure = "use letters, digits, '-', '_', '.' and blanks, at most 64 of them"
        problems.append(Problem(f"{settings.name!r} cannot name a run", where=option("name"), cure=cure))
    for name in ("time_limit", "run_timeout", "llm_timeout", "temperature"):
        value = getattr(settings, name)
        if value is not None and not math.isfinite(value):
            problems.append(Problem(f"{value!r} is no limit", where=option(name), cure="give seconds, or 90s, 5m, 2h"))
    if 0 < settings.memory_mb < _LEAST_MEMORY_MB:
        cure = f"give at least {_LEAST_MEMORY_MB}, or 0 for a share of what is free"
        problems.append(
            Problem(f"{settings.memory_mb} MB is too little for any program", where=option("memory_mb"), cure=cure)
        )
    roles = get_args(Role)
    for role in settings.experts:
        if role not in roles:
            cure = f"the roles are {', '.join(roles)}"
            problems.append(Problem(f"there is no role {role!r}", where=option("experts"), cure=cure))
    for name in dict.fromkeys([settings.expert, *settings.experts.values()]):
        if name != "builtin" and not re.fullmatch(r"[\w-]+:\S+", name):
            cure = "give builtin, or provider:model such as openai:gpt-5-mini"
            problems.append(Problem(f"{name!r} is no expert", where=option("expert"), cure=cure))
    return problems


def _opened(settings: Settings, problems: list[Problem]) -> Table | None:
    if not settings.data:
        problems.append(Problem("no data was given", where="data", cure="name a CSV, Parquet or Excel file"))
        return None
    try:
        return open_table(settings.data)
    except InputError as error:
        problems += error.problems
        return None


# ---- target ---------------------------------------------------------------------------------------------------------


def _target(settings: Settings, table: Table, problems: list[Problem]) -> tuple[str, str]:
    """The target and why; ("", "") after adding a problem when there is none."""
    names = [str(name) for name in table.frame.columns]
    if settings.target in names:
        return settings.target, ""
    wanted = asked_targets(settings.target, names)
    if len(wanted) > 1:
        wrong = name_problems(wanted, names, table.where)
        problems += wrong
        return ("", "") if wrong else (settings.target, "")
    if settings.target:
        problems.append(absent_column(settings.target, names, table.where, "target"))
        return "", ""
    try:
        return guess_target(table, settings.intent)
    except InputError as error:
        problems += error.problems
        return "", ""


# ---- other columns --------------------------------------------------------------------------------------------------


def _column_problems(settings: Settings, table: Table, target: str) -> list[Problem]:
    names = [str(name) for name in table.frame.columns]
    problems = []
    if len(names) < 2:
        cure = "check the delimiter, or add columns to predict from"
        problems.append(Problem("there is only one column, nothing to predict it from", where=table.where, cure=cure))
    for setting, wanted in (("group_columns", settings.group_columns), ("time_column", [settings.time_column])):
        for name in filter(None, wanted):
            if name not in names:
                problems.append(absent_column(name, names, table.where, setting))
            elif name == target:
                cure = "choose another column, or another --target"
                problems.append(Problem(f"{name!r} is the target itself", where=option(setting), cure=cure))
            elif table.frame[name].isna().all():
                problems.append(
                    Problem(
                        f"column {name!r} is empty", where=f"{table.where}, {option(setting)}", cure="choose another"
                    )
                )
    time = settings.time_column
    if time in names and table.spec["columns"][time]["type"] == "text" and not table.frame[time].isna().all():
        example = table.frame[time].dropna().iloc[0]
        what = f"column {time!r} cannot be read as dates or numbers, e.g. {example!r}"
        problems.append(
            Problem(what, where=f"{table.where}, {option('time_column')}", cure="write dates as yyyy-mm-dd")
        )
    groups = [name for name in settings.group_columns if name in names]
    if groups and len(groups) == len(settings.group_columns) and not settings.time_column:
        problems += _group_problems(table, groups)
    return problems


def _group_problems(table: Table, groups: list[str]) -> list[Problem]:
    count = len(table.frame[groups].drop_duplicates())
    if count >= 3:
        return []
    what = f"{structure.listed(groups)} holds {count} groups; folds and test set need at least 3"
    return [Problem(what, where=f"{table.where}, {option('group_columns')}", cure="choose a column with more groups")]


# ---- test file ------------------------------------------------------------------------------------------------------


def _test_file_problems(settings: Settings) -> list[Problem]:
    """What is wrong with the test file by itself, when there is no table to hold it against."""
    if not settings.test_data:
        return []
    try:
        open_raw(settings.test_data, min_rows=1)
    except InputError as error:
        return error.problems
    return []


def _test_frame(
    settings: Settings, table: Table, target: str, problems: list[Problem], *, tags: bool = False
) -> pd.DataFrame | None:
    if not settings.test_data:
        return None
    if not target:
        problems += _test_file_problems(settings)
        return None
    try:
        test, notes = open_test(settings.test_data, table, target, tags=tags)
    except InputError as error:
        problems += error.problems
        return None
    table.notes += notes
    return test
