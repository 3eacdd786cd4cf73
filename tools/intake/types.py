"""What each column holds: numbers, datetimes or text, and which cells mean "missing"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from tools.intake import dates
from tools.portable import reading

ColumnType = Literal["number", "datetime", "text"]

STANDARD_MISSING = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-NaN", "-nan", "NULL", "null", "NaT",
    "#DIV/0!", "#VALUE!", "#REF!", "#NUM!",
)  # fmt: skip
"""Read as missing in every column. None, none, unknown and - are not here: they are often real categories."""

_SPECIAL = frozenset(
    (
        "na", "n/a", "n.a.", "n.a", "nan", "none", "null", "nil", "missing", "unknown", "unk", "undefined", "undef",
        "not_available", "not_applicable", "unavailable", "no_data", "nodata", "tbd", "tba", "void", "blank", "empty",
        "-", "--", "---", ".", "..", "*", "**", "x", "??", "???", "#",
    )
)  # fmt: skip
"""Read as missing where the rest of a column is numbers or dates (compared in lower case, blanks as underscores)."""

_ENOUGH = 0.98
"""Share of the non-missing cells that must be readable for a column to count as numbers or dates."""
_CODE = re.compile(r"[+-]?0\d+")
_WHOLE = re.compile(r"[+-]?\d+")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_TOO_LONG = "Whole numbers too long to be exact were kept as text"
_EXACT = 2**53
_PRECISION: tuple[tuple[str, str | None], ...] = (
    (".", None), (".", ","), (",", None), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip


@dataclass
class Column:
    """The finding for one column. `share` is the share of non-missing cells that could be read as its type."""

    type: ColumnType
    format: str | None = None
    decimal: str | None = None
    """None when the column shows no sign, as whole numbers do."""
    thousands: str | None = None
    missing: list[str] | None = None
    """Markers of this column alone; None: those of the file."""
    share: float = 1.0
    ambiguous: bool = False
    """True when a comma or point in it may mean thousands or decimals; the other columns of the file decide."""
    remarks: list[tuple[str, str]] = field(default_factory=list)
    """(what was done, detail of this column): columns with the same remark make one sentence."""
    infinite: list[tuple[int, str]] = field(default_factory=list)
    """The first cells too large for a number: (row, text)."""

    def spec(self, decimal: str, thousands: str | None) -> dict[str, Any]:
        """The entry in a read spec whose file-wide decimal and thousands signs are given."""
        entry: dict[str, Any] = {"type": self.type, "format": self.format}
        if self.decimal and (self.decimal != decimal or self.thousands not in (None, thousands)):
            entry |= {"decimal": self.decimal, "thousands": self.thousands}
        if self.missing is not None:
            entry["missing"] = self.missing
        return entry


def infer_columns(frame: pd.DataFrame, semicolons: bool = False) -> dict[str, Column]:
    """The type of every column of a raw frame (text cells or typed columns).

    `semicolons` says that the file separates cells by ";", which makes "1,234" a decimal rather than thousands.
    Raises ValueError naming a column that holds lists, mappings or bytes.
    """
    found = {str(name): infer_column(values) for name, values in frame.items()}
    comma_file = _votes(found, ",") > _votes(found, ".") or (
        semicolons and _votes(found, ",") == _votes(found, ".") == 0
    )
    for name, column in found.items():
        if column.ambiguous:
            _settle(column, frame[name], comma_file)
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
    typed = _typed(values)
    if typed is not None:
        return typed
    codes, texts = reading.distinct(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    present = [(text.strip(), int(count)) for text, count in zip(texts, counts, strict=True)]
    live = [(text, count) for text, count in present if text not in STANDARD_MISSING]
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _text(live, present)
    if not live:
        return Column("number")
    found = _as_number(str(values.name), live) or _as_datetime(str(values.name), live, values) or _text(live, present)
    if found.type == "text" and pd.api.types.infer_dtype(values, skipna=True).startswith("mixed"):
        found.remarks.append(("Cells of several types were kept as text", ""))
    _remark_missing(found, live, present)
    if found.type == "number":
        _find_infinite(found, values, codes, texts)
    return found


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
        return _typed_number(values)
    return None


def _typed_number(values: reading.Series) -> Column:
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return Column("number", remarks=[("Durations were turned into seconds", "")])
    if pd.api.types.is_integer_dtype(values.dtype) and len(values.dropna()):
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > _EXACT:
            return Column("text", remarks=[(_TOO_LONG, "")])
        form = dates.packed_format(str(values.name), low, high)
        if form and dates.share(map(str, values.dropna().unique()), form) == 1:
            return Column("datetime", form, remarks=[(f"Whole numbers were read as dates ({form})", "")])
    found = Column("number")
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    rows = np.flatnonzero(np.isinf(numbers))
    if len(rows):
        found.infinite = [(int(row), str(numbers[row])) for row in rows[:3]]
        found.remarks.append(("Infinite numbers were read as missing", f"{len(rows)}"))
    return found


# ---- numbers --------------------------------------------------------------------------------------------------------


def _as_number(name: str, live: list[tuple[str, int]]) -> Column | None:
    texts = [text for text, _ in live]
    weights = np.array([count for _, count in live], dtype=float)
    if not _promising(texts, _looks_numeric):
        return None
    found, numbers = _parsed(texts, weights)
    readable = ~np.isnan(numbers)
    good = [text for text, fine in zip(texts, readable, strict=True) if fine]
    whole = all(_WHOLE.fullmatch(text) for text in good)
    if not _acceptable(texts, weights, readable) or (whole and any(_CODE.fullmatch(text) for text in good)):
        return None  # codes such as 007 and 02134 stay text
    finite = numbers[np.isfinite(numbers)]
    if whole and len(finite):
        if np.abs(finite).max() > _EXACT:
            return Column("text", remarks=[(_TOO_LONG, "")])
        form = dates.packed_format(name, int(finite.min()), int(finite.max()))
        if form and dates.share(good, form) == 1:
            return Column("datetime", form, remarks=[(f"Whole numbers were read as dates ({form})", "")])
        found.decimal = None  # whole numbers say nothing about signs
    found.share = float(weights[readable].sum() / weights.sum())
    _remark_signs(found, good)
    return found


def _parsed(texts: list[str], weights: Any) -> tuple[Column, Any]:
    """The column with its decimal and thousands signs, and the numbers (n,) read with them."""
    found = Column("number", decimal=".")
    if _all_plain(texts):
        numbers = reading.parse_numbers(texts)
        if not np.isnan(numbers).any():
            pointed = [text for text in texts if "." in text]
            found.ambiguous = bool(pointed) and all(_GROUPED.fullmatch(text) for text in pointed)
            return found, numbers
    found.decimal, found.thousands, found.ambiguous = _signs(texts, weights)
    return found, reading.parse_numbers(texts, found.decimal, found.thousands)


def _all_plain(texts: list[str]) -> bool:
    """True when every text may be a number with a decimal point: only then is the quick way worth trying."""
    allowed = frozenset("0123456789+-.eE")
    return all(allowed.issuperset(text) for text in texts)


def _looks_numeric(text: str) -> bool:
    return any(reading.parse_number(text, *signs) == reading.parse_number(text, *signs) for signs in _PRECISION)


def _promising(texts: list[str], test: Callable[[str], bool]) -> bool:
    """A quick look at up to 200 values spread over the column: special words apart, do most pass?"""
    sample = [text for text in texts[:: max(1, len(texts) // 200)] if _word(text) not in _SPECIAL]
    return bool(sample) and sum(map(test, sample)) >= 0.5 * len(sample)


def _word(text: str) -> str:
    return text.lower().replace(" ", "_")


def _signs(texts: list[str], weights: Any) -> tuple[str, str | None, bool]:
    """Decimal and thousands signs under which most cells are numbers; True when commas or points stay ambiguous."""
    pick = slice(None, 20_000)
    shares = {
        signs: float(weights[pick][~np.isnan(reading.parse_numbers(texts[pick], *signs))].sum()) for signs in _PRECISION
    }
    best = max(_PRECISION, key=lambda signs: shares[signs])
    twin = {(".", ","): (",", None), (",", None): (".", ","), (".", None): (",", "."), (",", "."): (".", None)}.get(
        best
    )
    top = weights[pick].sum()
    ambiguous = twin is not None and shares[best] == shares[twin] and shares[best] > 0
    return best[0], best[1], bool(ambiguous and top and any("," in text or "." in text for text in texts[pick]))


def _settle(column: Column, values: reading.Series, comma_file: bool) -> None:
    """Decide an ambiguous column ("1,234") by what the rest of the file does."""
    commas = any("," in text for text in reading.distinct(values)[1])
    if commas:
        column.decimal, column.thousands = (",", None) if comma_file else (".", ",")
    else:
        column.decimal, column.thousands = (",", ".") if comma_file else (".", None)
    column.ambiguous = False
    column.remarks = [remark for remark in column.remarks if "sign" not in remark[0]]
    if commas or comma_file:
        meant = "decimals" if (column.decimal == ",") == commas else "thousands"
        column.remarks.append((f"'{',' if commas else '.'}' was taken as the {meant} sign, as the file suggests", ""))


def _acceptable(texts: list[str], weights: Any, readable: Any) -> bool:
    """Whether the unreadable cells are few, are words for "missing", or are one same word among many numbers."""
    good = weights[readable].sum()
    bad = [(text, weight) for text, weight, fine in zip(texts, weights, readable, strict=True) if not fine]
    strange = [(text, weight) for text, weight in bad if _word(text) not in _SPECIAL]
    if not bad:
        return True
    variety = int(readable.sum())
    if not strange:
        return variety >= 2
    if good >= _ENOUGH * (good + sum(weight for _, weight in strange)):
        return variety >= 2
    single = len(strange) == 1 and not any(map(str.isdigit, strange[0][0]))
    return single and variety >= 20 and good >= 0.5 * weights.sum()


def _remark_signs(found: Column, texts: list[str]) -> None:
    """Say which signs were taken off or interpreted."""
    joined = "".join(texts[:20_000])
    if re.search(r"[$€£¥₹]|[A-Z]{3}", joined):
        found.remarks.append(("Currency signs were taken off", ""))
    if "%" in joined:
        found.remarks.append(("Per cent signs were taken off (12% is read as 12)", ""))
    if found.decimal == ",":
        found.remarks.append(("',' was read as the decimal sign", ""))
    if found.thousands and found.thousands in joined:
        found.remarks.append((f"{found.thousands!r} was read as the thousands sign", ""))


def _find_infinite(found: Column, values: reading.Series, codes: Any, texts: list[str]) -> None:
    numbers = np.append(reading.parse_numbers(texts, found.decimal or ".", found.thousands), np.nan)[codes]
    rows = np.flatnonzero(np.isinf(numbers))
    if len(rows):
        found.infinite = [(int(row), texts[codes[row]]) for row in rows[:3]]
        found.remarks.append(("Infinite numbers were read as missing", f"{len(rows)}, e.g. {texts[codes[rows[0]]]!r}"))


# ---- dates and text -------------------------------------------------------------------------------------------------


def _as_datetime(name: str, live: list[tuple[str, int]], values: reading.Series) -> Column | None:
    texts = [text for text, _ in live]
    if not _promising(texts, dates.looks_like_date):
        return None
    special = [_word(text) in _SPECIAL for text in texts]
    weights = np.array([0 if skip else count for (_, count), skip in zip(live, special, strict=True)], dtype=float)
    guess = dates.guess_format(texts, weights, _ENOUGH, in_order=lambda: [text.strip() for text in _in_order(values)])
    if guess is None:
        return None
    remarks = [(guess.remark, "")] if guess.remark else []
    return Column("datetime", guess.format, share=guess.share, remarks=remarks)


def _in_order(values: reading.Series, most: int = 5000) -> list[str]:
    return [text for text in values.head(most).tolist() if isinstance(text, str)]


def _text(live: list[tuple[str, int]], present: list[tuple[str, int]]) -> Column:
    """A text column. "NA" among two-letter codes (North America, Namibia) is a code, not missing."""
    found = Column("text")
    codes = {text for text, _ in live}
    if (
        len(codes) >= 3
        and any(text == "NA" for text, _ in present)
        and all(re.fullmatch(r"[A-Z]{2}", t) for t in codes)
    ):
        found.missing = [marker for marker in STANDARD_MISSING if marker != "NA"]
        found.remarks.append(("'NA' was kept as a value: the others are two-letter codes as well", ""))
    return found


def _remark_missing(found: Column, live: list[tuple[str, int]], present: list[tuple[str, int]]) -> None:
    """Say which cells, beside empty ones, are read as missing."""
    markers = found.missing if found.missing is not None else STANDARD_MISSING
    for text, count in present:
        if text in markers and text not in ("", "NA", "NaN", "nan"):
            found.remarks.append((f"{text!r} was read as missing", str(count)))
    if found.type == "text":
        return
    if found.type == "number":
        bad = np.isnan(reading.parse_numbers([text for text, _ in live], found.decimal or ".", found.thousands))
    else:
        bad = np.isnat(reading.parse_datetimes([text for text, _ in live], found.format))
    lost = [item for item, wrong in zip(live, bad, strict=True) if wrong]
    if lost:
        noun = "numbers" if found.type == "number" else "dates"
        examples = ", ".join(repr(text[:30]) for text, _ in lost[:3])
        found.remarks.append(
            (f"Cells that are no {noun} were read as missing", f"{sum(count for _, count in lost)}, e.g. {examples}")
        )
