"""What intake finds out about one column, and the cells that mean "missing"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

ColumnType = Literal["number", "datetime", "text", "image"]

STANDARD_MISSING = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-NaN", "-nan", "NULL", "null", "NaT",
    "#DIV/0!", "#VALUE!", "#REF!", "#NUM!",
)  # fmt: skip
"""Read as missing in every column. None, none, unknown and - are not here: they are often real categories."""

SPECIAL_MISSING = frozenset(
    (
        "na", "n/a", "n.a.", "n.a", "nan", "none", "null", "nil", "missing", "unknown", "unk", "undefined", "undef",
        "not_available", "not_applicable", "unavailable", "no_data", "nodata", "tbd", "tba", "void", "blank", "empty",
        "-", "--", "---", ".", "..", "*", "**", "x", "??", "???", "#",
    )
)  # fmt: skip
"""Read as missing where the rest of a column is numbers or dates (compared in lower case, blanks as underscores)."""

ENOUGH = 0.98
"""Share of the non-missing cells that must be readable for a column to count as numbers or dates."""


def is_special(text: str) -> bool:
    """True for a word that stands for "missing" among numbers or dates."""
    return text.lower().replace(" ", "_") in SPECIAL_MISSING


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
    unit: str | None = None
    """Of numbers with a unit: the one they are told in; durations are in seconds (tools/portable/quantities.py)."""
    side: int | None = None
    """Of images: pixels a side of the pictures they become."""
    infinite: list[tuple[int, str]] = field(default_factory=list)
    """The first cells too large for a number: (row, text)."""
    numbers: Any = field(default=None, repr=False, compare=False)
    """Of a text column that was read on the way: its float64 (n,), NaN where missing; else None."""

    def spec(self, decimal: str, thousands: str | None) -> dict[str, Any]:
        """The entry in a read spec whose file-wide decimal and thousands signs are given."""
        entry: dict[str, Any] = {"type": self.type, "format": self.format}
        if self.decimal and (self.decimal != decimal or self.thousands not in (None, thousands)):
            entry |= {"decimal": self.decimal, "thousands": self.thousands}
        if self.missing is not None:
            entry["missing"] = self.missing
        if self.unit is not None:
            entry["unit"] = self.unit
        if self.side is not None:
            entry["side"] = self.side
        return entry

    def note_markers(self, counts: dict[str, int]) -> None:
        """Say which markers, the plainest apart, were read as missing."""
        own = self.missing if self.missing is not None else STANDARD_MISSING
        for text, count in counts.items():
            if text in own and text not in ("", "NA", "NaN", "nan"):
                self.remarks.append((f"{text!r} was read as missing", str(count)))


@dataclass(frozen=True)
class Cells:
    """The distinct cells of a column that are not missing, stripped, with how often each occurs."""

    name: str
    texts: list[str]
    counts: Any
    """Integer array (distinct,)."""
    markers: dict[str, int]
    """Cells that are missing in every column → how often."""

    def sample(self, most: int = 200) -> list[str]:
        """Some cells spread over the column, words for "missing" left out."""
        return [text for text in self.texts[:: max(1, len(self.texts) // most)] if not is_special(text)]
