"""The test file a person brings: read like the training file, and checked against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from state.errors import InputError, Problem
from tools.intake import structure
from tools.intake.options import absent_column
from tools.intake.table import RawTable, Table, open_raw
from tools.portable import reading

_UNREADABLE = 0.5
_LISTED = 10


def open_test(path: str, table: Table, target: str, *, tags: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a labelled test file in the types of the training table, its columns in the training order.

    Returns the frame and notes. Raises InputError listing every problem: the file's own, columns that are missing,
    columns that hold something else than in the training file, labels that are missing or unknown. tags: the target's
    texts are tags, whose combinations may be new.
    """
    opened = open_raw(path, min_rows=1, header=table.spec.get("header", True))
    problems = _column_problems(opened, path, table, target)
    if opened.sha == table.source_sha:
        cure = "give other rows, or leave --test-data out: then a share of the rows is sealed"
        problems.append(Problem("the test file is the training file", where=path, cure=cure))
    if problems:
        raise InputError(problems)
    spec = _merged(opened.spec, table.spec)
    try:
        frame = reading.conform(opened.raw, {**spec, "folder": str(Path(path).expanduser().resolve().parent)})
    except ValueError as error:
        raise InputError(structure.problems_of(error, path)) from error
    problems = _content_problems(opened.raw, frame, path, table, target, tags=tags)
    if problems:
        raise InputError(problems)
    names = list(table.frame.columns)
    extra = [name for name in frame.columns if name not in set(names)]
    notes = [f"The test file: {note}" for note in opened.notes]
    if extra:
        notes.append(f"The test file: columns the training file lacks are not used: {structure.listed(extra)}.")
    return frame[names], notes


def _merged(own: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """The test file's own dialect with the training file's meaning of cells."""
    meaning = {key: training[key] for key in ("decimal", "thousands", "missing", "columns")}
    return {**own, **meaning}


def _column_problems(opened: RawTable, path: str, table: Table, target: str) -> list[Problem]:
    names = [str(name) for name in opened.raw.columns]
    absent = [str(name) for name in table.frame.columns if str(name) not in names]
    problems = []
    if target in absent:
        absent.remove(target)
        cure = "a test file needs labels; for rows without, build first and use `modelwright predict`"
        problems.append(Problem(f"the target {target!r} is not in the test file", where=path, cure=cure))
    if len(absent) > _LISTED:
        what = f"{len(absent)} columns of the training file are missing: {structure.listed(absent)}"
        problems.append(Problem(what, where=path, cure=f"it has {structure.listed(names)}"))
    else:
        problems += [absent_column(name, names, path, "test_data") for name in absent]
    return problems


def _content_problems(
    raw: pd.DataFrame, frame: pd.DataFrame, path: str, table: Table, target: str, *, tags: bool
) -> list[Problem]:
    problems = []
    for name, column in table.spec["columns"].items():
        if column["type"] in ("text", "image"):
            continue
        given = pd.Series(reading.to_text(raw[name], table.spec["missing"]), dtype=object).notna().to_numpy()
        lost = given & frame[name].isna().to_numpy()
        if given.any() and lost.sum() > _UNREADABLE * given.sum():
            example = raw[name].iloc[int(lost.argmax())]
            noun = "numbers" if column["type"] == "number" else "dates"
            what = (
                f"column {name!r} holds {noun} in the training file; here {lost.mean():.0%} are none, e.g. {example!r}"
            )
            problems.append(Problem(what, where=path, cure="write the column as in the training file"))
    labels = frame[target].dropna()
    if labels.empty:
        problems.append(Problem(f"every value of the target {target!r} is missing", where=path, cure="add the labels"))
    elif table.spec["columns"][target]["type"] == "text" and not tags:
        known = set(table.frame[target].dropna())
        unknown = sorted(set(labels) - known)
        if unknown:
            what = f"the target {target!r} has classes the training file lacks: {structure.listed(unknown)}"
            cure = f"the classes are {structure.listed(sorted(known))}; correct the spelling or remove these rows"
            problems.append(Problem(what, where=path, cure=cure))
    return problems
