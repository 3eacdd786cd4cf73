"""What each column holds: numbers, datetimes or text, and which cells mean "missing"."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from tools.columnwise import by_column
from tools.intake import dates
from tools.intake.column import ENOUGH, STANDARD_MISSING, Cells, Column, is_special
from tools.intake.numbers import as_number, note_infinite, plain_number, settle, typed_number
from tools.intake.quantities import as_duration, as_unit
from tools.portable import reading


def infer_columns(frame: pd.DataFrame, semicolons: bool = False) -> dict[str, Column]:
    """The type of every column of a raw frame (text cells or typed columns).

    `semicolons` says that the file separates cells by ";", which makes "1,234" a decimal rather than thousands.
    Raises ValueError naming a column that holds lists, mappings or bytes.
    """
    names = [str(name) for name in frame.columns]
    columns = by_column(infer_column, (values for _, values in frame.items()), cells=frame.size)
    found = dict(zip(names, columns, strict=True))
    comma_file = _votes(found, ",") > _votes(found, ".") or (
        semicolons and _votes(found, ",") == _votes(found, ".") == 0
    )
    for name, column in found.items():
        if column.ambiguous:
            settle(column, frame[name], comma_file)
    return found


def _votes(found: dict[str, Column], decimal: str) -> int:
    return sum(column.decimal == decimal and not column.ambiguous for column in found.values())


def file_signs(found: dict[str, Column]) -> tuple[str, str | None]:
    """The decimal and thousands signs most columns of a file agree on."""
    decimal = "," if _votes(found, ",") > _votes(found, ".") else "."
    used = [column.thousands for column in found.values() if column.decimal == decimal and column.thousands]
    return decimal, max(set(used), key=used.count) if used else None


def infer_column(values: reading.Series) -> Column:
    """The type of one column, judged from all its distinct values."""
    quick = _typed(values) or plain_number(values)
    if quick is not None:
        return quick
    codes, texts = reading.distinct(values)
    cells = _cells(str(values.name), codes, texts)
    if isinstance(values.dtype, pd.CategoricalDtype):
        found = _text(cells)
    elif not cells.texts:
        return Column("number")
    else:
        found = as_number(cells) or as_duration(cells) or _as_datetime(cells, values) or as_unit(cells) or _text(cells)
    if found.type == "text" and pd.api.types.infer_dtype(values, skipna=True).startswith("mixed"):
        found.remarks.append(("Cells of several types were kept as text", ""))
    found.note_markers(cells.markers)
    _note_lost(found, cells)
    if found.type == "number":
        numbers = reading.parse_cells(texts, found.decimal or ".", found.thousands, found.unit)
        note_infinite(found, np.append(numbers, np.nan)[codes], lambda row: texts[codes[row]])
    return found


def _cells(name: str, codes: reading.Array, texts: list[str]) -> Cells:
    """The distinct cells, markers apart."""
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    stripped = [text.strip() for text in texts]
    standard = frozenset(STANDARD_MISSING)
    is_marker = np.fromiter((text in standard for text in stripped), dtype=bool, count=len(stripped))
    markers: dict[str, int] = {}
    for place in np.flatnonzero(is_marker):
        markers[stripped[place]] = markers.get(stripped[place], 0) + int(counts[place])
    live = np.flatnonzero(~is_marker)
    return Cells(name, [stripped[place] for place in live] if markers else stripped, counts[live], markers)


def _typed(values: reading.Series) -> Column | None:
    """The finding for a column that comes with a type; None when its cells have to be looked at."""
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return None
    if isinstance(kind, pd.DatetimeTZDtype):
        return Column("datetime", remarks=[("Times were converted to UTC", "")])
    if pd.api.types.is_datetime64_any_dtype(kind):
        return Column("datetime")
    if pd.api.types.is_bool_dtype(kind):
        return Column("text")
    if pd.api.types.is_complex_dtype(kind):
        raise ValueError(f"column {values.name!r} holds complex numbers; split it into two columns")
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        return typed_number(values)
    return None


def _as_datetime(cells: Cells, values: reading.Series) -> Column | None:
    """The finding when nearly all cells are dates of one format."""
    sample = cells.sample()
    if not sample or sum(map(dates.looks_like_date, sample)) < 0.5 * len(sample):
        return None
    special = np.fromiter(map(is_special, cells.texts), dtype=bool, count=len(cells.texts))
    weights = np.where(special, 0, cells.counts)
    guess = dates.guess_format(cells.texts, weights, ENOUGH, in_order=lambda: _in_order(values))
    if guess is None:
        return None
    share = guess.share if not special.any() else min(guess.share, 0.999)
    return Column("datetime", guess.format, share=share, remarks=[(guess.remark, "")] if guess.remark else [])


def _in_order(values: reading.Series, most: int = 5000) -> list[str]:
    return [text.strip() for text in values.head(most).tolist() if isinstance(text, str)]


def _text(cells: Cells) -> Column:
    """A text column. "NA" among two-letter codes (North America, Namibia) is a code, not missing."""
    found = Column("text")
    if "NA" in cells.markers and len(cells.texts) >= 3 and all(re.fullmatch("[A-Z]{2}", text) for text in cells.texts):
        found.missing = [marker for marker in STANDARD_MISSING if marker != "NA"]
        found.remarks.append(("'NA' was kept as a value: the others are two-letter codes as well", ""))
    return found


def _note_lost(found: Column, cells: Cells) -> None:
    """Say which cells are no numbers or dates and therefore read as missing."""
    if found.type == "text" or found.share == 1.0:
        return
    if found.type == "number":
        bad = np.isnan(reading.parse_cells(cells.texts, found.decimal or ".", found.thousands, found.unit))
    else:
        bad = np.isnat(reading.parse_datetimes(cells.texts, found.format))
    noun = "numbers" if found.type == "number" else "dates"
    examples = ", ".join(repr(cells.texts[place][:30]) for place in np.flatnonzero(bad)[:3])
    found.remarks.append(
        (f"Cells that are no {noun} were read as missing", f"{cells.counts[bad].sum()}, e.g. {examples}")
    )
