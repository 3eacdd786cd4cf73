"""Columns of numbers written as text: signs, codes that only look like numbers, and what cannot be read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from tools.intake import dates
from tools.intake.column import ENOUGH, STANDARD_MISSING, Cells, Column, is_special
from tools.portable import reading

pc: Any = pyarrow.compute  # its functions are made when it is imported, which type checkers cannot see
_CODE = re.compile(r"[+-]?0\d+")
_WHOLE = re.compile(r"[+-]?\d+")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_EXACT = 2**53
_TOO_LONG = "Whole numbers too long to be exact were kept as text"
_SIGNS: tuple[tuple[str, str | None], ...] = (
    (".", None), (".", ","), (",", None), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip
"""(decimal, thousands), the commonest first."""
_TRIED = 20_000
_SIGN_REMARKS = {
    "decimal": "',' was read as the decimal sign",
    **{sign: f"{sign!r} was read as the thousands sign" for sign in (",", ".", " ", "'")},
}
_TWINS = {(".", ","): (",", None), (",", None): (".", ","), (".", None): (",", "."), (",", "."): (".", None)}
"""The other meaning a comma or point may have."""


def plain_number(values: reading.Series) -> Column | None:
    """The finding for a text column of plain decimal numbers, quickly; None when a closer look is needed."""
    numbers = reading.plain_numbers(values, STANDARD_MISSING) if len(values) >= reading.LARGE else None
    if numbers is None or np.isnan(numbers).all() or np.isinf(numbers).any():
        return None
    cells = pa.array(values, from_pandas=True)
    # What the first rows show need not be looked for in all.
    fraction = _fractions(cells[:_TRIED], numbers[:_TRIED]) or _fractions(cells, numbers)
    if fraction is None and (
        dates.says_date(str(values.name))
        or np.nanmax(np.abs(numbers)) > _EXACT
        or pc.any(pc.match_substring_regex(cells, "^[+-]?0[0-9]")).as_py()
    ):
        return None
    if fraction is False:
        return None  # 1.234, 5.678: points may be thousands signs
    found = Column("number", decimal="." if fraction else None, numbers=numbers)
    if np.count_nonzero(np.isnan(numbers)) > (cells.null_count + pc.sum(pc.equal(cells, "")).as_py()):
        markers = pc.value_counts(pc.filter(cells, pc.is_in(cells, value_set=pa.array(STANDARD_MISSING, cells.type))))
        found.note_markers({item["values"]: item["counts"] for item in markers.to_pylist()})
    return found


def _fractions(cells: Any, numbers: reading.Array) -> bool | None:
    """Whether plain numbers have decimals or exponents; None: no sign of any; False: points that may mean thousands."""
    read = pc.filter(cells, pa.array(~np.isnan(numbers)))
    pointed = pc.filter(read, pc.match_substring(read, "."))
    if len(pointed):
        return not pc.all(pc.match_substring_regex(pointed, f"^{_GROUPED.pattern}$")).as_py()
    exponents = any(pc.any(pc.match_substring(read, sign)).as_py() for sign in "eE")
    return True if exponents else None


def typed_number(values: reading.Series) -> Column:
    """The finding for a column that comes as numbers or durations."""
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return Column("number", remarks=[("Durations were turned into seconds", "")])
    if pd.api.types.is_integer_dtype(values.dtype) and values.notna().any():
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > _EXACT:
            return Column("text", remarks=[(_TOO_LONG, "")])
        packed = _packed_dates(str(values.name), low, high, [str(value) for value in values.dropna().unique()])
        if packed is not None:
            return packed
    found = Column("number")
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    note_infinite(found, numbers, lambda row: str(numbers[row]))
    return found


def as_number(cells: Cells) -> Column | None:
    """The finding when nearly all cells are numbers in some notation; None when they are not, or are codes (007)."""
    sample = cells.sample()
    if not sample or sum(map(_looks_numeric, sample)) < 0.5 * len(sample):
        return None
    found = Column("number")
    found.decimal, found.thousands, found.ambiguous = _signs(cells)
    numbers = reading.parse_numbers(cells.texts, found.decimal, found.thousands)
    readable = ~np.isnan(numbers)
    good = [text for text, fine in zip(cells.texts, readable, strict=True) if fine]
    whole = all(map(_WHOLE.fullmatch, good))
    if not _acceptable(cells, readable) or (whole and any(map(_CODE.fullmatch, good))):
        return None
    finite = numbers[np.isfinite(numbers)]
    if whole and len(finite):
        if np.abs(finite).max() > _EXACT:
            return Column("text", remarks=[(_TOO_LONG, "")])
        packed = _packed_dates(cells.name, int(finite.min()), int(finite.max()), good)
        if packed is not None:
            return packed
        found.decimal = None
    found.share = float(cells.counts[readable].sum() / cells.counts.sum())
    _note_signs(found, good)
    return found


def _packed_dates(name: str, low: int, high: int, texts: list[str]) -> Column | None:
    """Dates written as whole numbers (20240131), when name, range and every value say so."""
    form = dates.packed_format(name, low, high)
    if form is None or dates.share(texts, form) < 1:
        return None
    return Column("datetime", form, remarks=[(f"Whole numbers were read as dates ({form})", "")])


def _looks_numeric(text: str) -> bool:
    return any(not math.isnan(reading.parse_number(text, *signs)) for signs in _SIGNS)


def _signs(cells: Cells) -> tuple[str, str | None, bool]:
    """Decimal and thousands signs under which most cells are numbers; True when commas or points stay ambiguous."""
    texts, counts = cells.texts[:_TRIED], cells.counts[:_TRIED]
    if all(map(_WHOLE.fullmatch, texts)):
        return ".", None, False
    shares = {signs: int(counts[~np.isnan(reading.parse_numbers(texts, *signs))].sum()) for signs in _SIGNS}
    best = max(_SIGNS, key=lambda signs: shares[signs])
    twin = _TWINS.get(best)
    ambiguous = twin is not None and shares[best] == shares[twin] and any("," in text or "." in text for text in texts)
    return best[0], best[1], ambiguous


def settle(column: Column, values: reading.Series, comma_file: bool) -> None:
    """Decide an ambiguous column ("1,234") by whether the rest of the file writes decimals with a comma."""
    commas = any("," in text for text in reading.distinct(values)[1])
    if commas:
        column.decimal, column.thousands = (",", None) if comma_file else (".", ",")
    else:
        column.decimal, column.thousands = (",", ".") if comma_file else (".", None)
    column.ambiguous = False
    column.remarks = [remark for remark in column.remarks if remark[0] not in _SIGN_REMARKS.values()]
    if commas or comma_file:
        meant = "decimals" if (column.decimal == ",") == commas else "thousands"
        column.remarks.append((f"{',' if commas else '.'!r} was taken as the {meant} sign, as the file suggests", ""))


def _acceptable(cells: Cells, readable: Any) -> bool:
    """Whether the unreadable cells are few, are words for "missing", or are one same word among many numbers."""
    good, variety = int(cells.counts[readable].sum()), int(readable.sum())
    bad = np.flatnonzero(~readable)
    strange = [place for place in bad if not is_special(cells.texts[place])]
    lost = int(cells.counts[strange].sum()) if strange else 0
    if not len(bad):
        return True
    if good >= ENOUGH * (good + lost):
        return variety >= 2
    one_word = len(strange) == 1 and not any(map(str.isdigit, cells.texts[strange[0]]))
    return one_word and variety >= 20 and good >= 0.5 * cells.counts.sum()


def _note_signs(found: Column, texts: list[str]) -> None:
    """Say which signs were taken off or interpreted."""
    joined = "".join(texts[:_TRIED])
    if re.search(r"[$€£¥₹]|[A-Z]{3}", joined):
        found.remarks.append(("Currency signs were taken off", ""))
    if "%" in joined:
        found.remarks.append(("Per cent signs were taken off (12% is read as 12)", ""))
    if found.decimal == ",":
        found.remarks.append((_SIGN_REMARKS["decimal"], ""))
    if found.thousands and found.thousands in joined:
        found.remarks.append((_SIGN_REMARKS[found.thousands], ""))


def note_infinite(found: Column, numbers: Any, text: Callable[[int], str]) -> None:
    """Keep the first infinite cells of a column, and say how many there are. numbers: float (n,); text: row → cell."""
    rows = np.flatnonzero(np.isinf(numbers))
    if len(rows):
        found.infinite = [(int(row), text(int(row))) for row in rows[:3]]
        found.remarks.append(("Infinite numbers were read as missing", f"{len(rows)}, e.g. {found.infinite[0][1]!r}"))
