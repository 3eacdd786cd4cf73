"""The first row of a table: names, or already data."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tools.intake.column import STANDARD_MISSING
from tools.intake.types import infer_column
from tools.portable import reading

_LOOKED_AT = 2000
_FEW = 20
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")


def first_row_is_data(first: Sequence[str], rest: pd.DataFrame) -> bool:
    """True when the first row's cells are of their columns' kinds: numbers over numbers, known words over words.

    first: cells of the first row; rest: the rows below it, as text. Names such as 1, 2, 3 or 1990, 1991, … stay names.
    """
    head = rest.head(_LOOKED_AT)
    columns = [head[name] for name in head.columns]
    if not any(_is_value(cell) and cell.strip() for cell in first):
        # No cell that could stand over numbers: one column of numbers settles it, without a look at the others.
        return all(infer_column(column).type == "text" for column in columns) and _repeats(first, columns)
    is_text = [infer_column(column).type == "text" for column in columns]
    over_numbers = [cell for cell, text in zip(first, is_text, strict=True) if not text]
    if not over_numbers:
        return _repeats(first, columns)
    if not all(map(_is_value, over_numbers)) or not any(map(str.strip, over_numbers)) or _is_series(over_numbers):
        return False
    words = [place for place, text in enumerate(is_text) if text and columns[place].nunique() <= _FEW]
    if words:  # a name such as 2020 over numbers is told from data by its neighbours
        return _repeats([first[place] for place in words], [columns[place] for place in words])
    return all(not text for text in is_text) or len(over_numbers) > 1


def _repeats(first: Sequence[str], columns: Sequence[reading.Series]) -> bool:
    """True when every column of few values holds its first-row cell again further down."""
    found = [cell in set(column) for cell, column in zip(first, columns, strict=True) if column.nunique() <= _FEW]
    return bool(found) and all(found)


def _is_value(cell: str) -> bool:
    readable = not np.isnan(reading.parse_number(cell, ".", ",")) or not np.isnan(reading.parse_number(cell, ",", "."))
    return readable or cell.strip() in STANDARD_MISSING or _DATE.fullmatch(cell.strip()) is not None


def _is_series(cells: Sequence[str]) -> bool:
    """True for evenly spaced whole numbers, as wide tables use for names."""
    numbers = [reading.parse_number(cell) for cell in cells]
    steps = set(np.diff(numbers).tolist())
    return len(numbers) > 2 and len(steps) == 1 and steps != {0.0} and all(number.is_integer() for number in numbers)
