"""What keeps a table from being worked with, and what is said about its shape."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from state.errors import Problem
from tools.portable import reading

_MOST_COLUMNS = 20_000
_COUNTED_BYTES = 40_000_000
_CONTAINERS = (list, tuple, dict, set, frozenset, bytes, bytearray, np.ndarray, pd.Series, pd.DataFrame)
_CURES = {
    "lacks a name": "R writes row names so: add a name for them at the start of the header, or write without them",
    "fields where the header": "quote cells that hold the delimiter or remove what is too much; rows are never shifted",
    "never closed": "close or remove the quote",
    "offset": "save the whole file as UTF-8",
    "nested": "write one plain value per cell",
    "pip install": "run that line, then try again",
    "image file": "bring the files, beside the table or by their absolute paths, or drop the rows",
    "cannot be read": "copy or download it again; it may be incomplete",
    "empty": "check the export that wrote it",
}


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names in quotes, the first few of many."""
    shown = [repr(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def problems_of(error: ValueError, where: str) -> list[Problem]:
    """A reading error as problems, one for each broken line."""
    faults: list[str] = getattr(error, "faults", None) or [str(error)]
    problems = []
    for fault in faults:
        cure = next((cure for word, cure in _CURES.items() if word in fault), "check how the file was written")
        problems.append(Problem(fault, where=where, cure=cure))
    return problems


def name_problems(names: Sequence[Hashable], where: str) -> list[Problem]:
    """Column names that appear more than once, with their positions counted from 1; too many columns."""
    places: dict[str, list[str]] = {}
    for place, name in enumerate(names, 1):
        places.setdefault(str(name), []).append(str(place))
    problems = [
        Problem(
            f"column name {name!r} appears {len(positions)} times, as columns {', '.join(positions)}",
            where=where,
            cure="rename or remove all but one",
        )
        for name, positions in places.items()
        if len(positions) > 1
    ]
    if len(names) > _MOST_COLUMNS:
        what = f"{len(names)} columns; at most {_MOST_COLUMNS} can be worked with"
        problems.append(Problem(what, where=where, cure="select or combine columns first"))
    return problems


def cell_problems(frame: pd.DataFrame, where: str) -> list[Problem]:
    """Columns of a frame whose cells are containers or bytes."""
    problems = []
    for name, values in frame.items():
        if not pd.api.types.is_object_dtype(values.dtype):
            continue
        kinds = sorted({type(cell).__name__ for cell in values if isinstance(cell, _CONTAINERS)})
        if kinds:
            what = f"column {name!r} holds cells of type {', '.join(kinds)}"
            problems.append(Problem(what, where=where, cure="flatten them to one number, date or text per cell"))
    return problems


def size_problems(rows: int, where: str, least: int) -> list[Problem]:
    """Too few rows of data."""
    if rows == 0:
        return [Problem("there is a header but no row of data", where=where, cure="check the export that wrote it")]
    if rows < least:
        plural = "row" if rows == 1 else "rows"
        return [Problem(f"{rows} {plural} of data; at least {least} are needed", where=where, cure="bring more rows")]
    return []


def swallowed_lines(data: bytes, spec: Mapping[str, Any], cells: pd.DataFrame, where: str) -> list[Problem]:
    """Cells that hold whole rows, because a quote was closed much too late.

    data: the UTF-8 text the cells were read from. Cells of many lines are fine unless their lines look like rows.
    """
    if data.count(b"\n") <= len(cells) + 5:
        return []
    separators = cells.shape[1] - 1
    for line, record in reading.records(data, spec):
        for cell in record:
            inner = cell.splitlines()[1:-1]
            rows = sum(text.count(spec["delimiter"]) == separators for text in inner) if separators else 0
            if rows >= 5 and rows > 0.8 * len(inner):
                what = (
                    f"line {line}: a quote is opened and closed only after {len(inner) + 1} lines, which look like rows"
                )
                return [Problem(what, where=where, cure="close or remove the quote in that line")]
    return []


def short_rows(data: bytes, spec: Mapping[str, Any], cells: pd.DataFrame) -> str:
    """A sentence on rows with too few fields, "" when there are none (or the file is too large to count them)."""
    if cells.shape[1] < 2 or len(data) > _COUNTED_BYTES or not (cells.iloc[:, -1] == "").any():
        return ""
    lines = [line for line, record in reading.records(data, spec) if len(record) < cells.shape[1]]
    if not lines:
        return ""
    shown = ", ".join(map(str, lines[:3])) + (", …" if len(lines) > 3 else "")
    return f"{len(lines)} rows have too few fields (line {shown}); what lacks at their end was read as missing."
