"""What the data is: the record the analyst writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from state.records import Record
from state.task import FeatureKind, TaskKind

Suspicion = Literal[
    "identifier",
    "constant",
    "all missing",
    "duplicate column",
    "copy of the target",
    "encodes the target",
    "nearly predicts the target alone",
]


class ColumnProfile(Record):
    """One column as read."""

    name: str
    kind: FeatureKind
    missing: int
    """Count of missing values."""
    distinct: int
    examples: list[str] = Field(default_factory=list)
    """Up to five values, cut to 60 characters."""
    stats: dict[str, Any] = Field(default_factory=dict)
    """numeric: mean, std, min, q25, median, q75, max, skew, zeros, outliers, integer · category: top (value → count) ·
    text: mean_words, mean_chars, max_chars · datetime: first, last, step · sequence: alphabet, mean_length · image: side, grey (share of
    pictures without colour)."""
    histogram: list[list[float]] = Field(default_factory=list)
    """numeric and datetime only: [left edge, count] of up to 20 equal bins, for the report."""
    suspicion: Suspicion | None = None
    evidence: str = ""
    """For a suspicion: the numbers behind it, in one sentence."""


class TargetProfile(Record):
    """The column to predict."""

    name: str
    missing: int
    distinct: int
    counts: dict[str, int] = Field(default_factory=dict)
    """Classification: label → rows, most frequent first (at most 50)."""
    stats: dict[str, Any] = Field(default_factory=dict)
    """Regression: as for a numeric column, with skew and share of zeros."""
    looks_like: TaskKind
    evidence: str = ""


class Profile(Record):
    """The table as a whole."""

    rows: int
    columns: list[ColumnProfile]
    """All columns except the target."""
    target: TargetProfile
    duplicate_rows: int = 0
    group_candidates: list[str] = Field(default_factory=list)
    """Columns whose values repeat in blocks like entities (patients, schools), best first."""
    time_candidates: list[str] = Field(default_factory=list)
    """Datetime columns that order the rows, best first."""
    correlated: list[tuple[str, str, float]] = Field(default_factory=list)
    """Pairs of numeric columns with |r| > 0.95 (at most 20)."""
    notes: list[str] = Field(default_factory=list)
    """Sentences a person wants to read: what was parsed, dropped, suspicious."""
    traits: list[str] = Field(default_factory=list)
    """Short tags that plans and lessons are chosen by: small, wide, large, text, sequence, image, dates, categories,
    high-cardinality, missing, imbalanced, skewed-target, forecast, groups, many-classes, numeric-only."""

    def column(self, name: str) -> ColumnProfile | None:
        return next((column for column in self.columns if column.name == name), None)
