"""Structure between rows: duplicates, entities that repeat, time order and series, columns that say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tools.intent import name_words
from tools.profiling.columns import Column
from tools.profiling.suspicion import TIME_WORDS
from tools.timeline import infer_step

# fmt: off
PERSON_WORDS = {
    "patient", "subject", "participant", "respondent", "person", "individual", "customer", "client", "user", "member",
    "household", "family", "student", "pupil", "donor", "speaker",
}
ENTITY_WORDS = PERSON_WORDS | {
    "school", "hospital", "clinic", "store", "shop", "site", "station", "device", "machine", "sensor", "session",
    "account", "company", "farm", "plot", "animal", "mouse", "batch", "lot", "unit", "well", "borehole", "case",
    "encounter", "visit", "trip", "vessel", "vehicle", "driver", "team", "player",
}
# fmt: on
_KIND_WORDS = {"type", "kind", "class", "category", "segment", "status", "group"}
_ID_ENDINGS = {"id", "no", "nr", "number", "code", "key"}
_MOST_NUMERIC = 2_000
_MOST_KEYS = 8
_DENSE = 0.2


def row_hashes(columns: Sequence[Column]) -> NDArray[np.uint64]:
    """One number per row, equal for rows that are equal in all columns (missing equals missing)."""
    result = np.zeros(len(columns[0].codes) if columns else 0, dtype=np.uint64)
    for column in columns:
        # splitmix64 of the codes, so that sums of many columns do not collide
        mixed = (column.codes + 2).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        result = (result ^ mixed) * np.uint64(0xBF58476D1CE4E5B9)
        result ^= result >> np.uint64(31)
    return result


def duplicate_count(hashes: NDArray[np.uint64]) -> int:
    """Rows that repeat an earlier one."""
    return len(hashes) - len(np.unique(hashes))


def correlated_pairs(
    columns: Sequence[Column], rows: NDArray[np.int64], most: int = 20
) -> list[tuple[str, str, float]]:
    """Pairs of numeric columns with |r| > 0.95, strongest first. Missing values count as the mean."""
    numeric = [column for column in columns if column.numeric and column.distinct > 2][:_MOST_NUMERIC]
    if len(numeric) < 2:
        return []
    matrix = np.column_stack([column.numbers[rows] for column in numeric]).astype(np.float64)
    matrix[~np.isfinite(matrix)] = np.nan
    known = np.isfinite(matrix)
    means = np.where(known, matrix, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, matrix - means, 0.0)
    norms = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(norms > 0, norms, 1.0)
    table = np.triu(unit.T @ unit, k=1)
    first, second = np.nonzero(np.abs(table) > 0.95)
    order = np.argsort(-np.abs(table[first, second]), kind="stable")[:most]
    return [
        (numeric[first[i]].name, numeric[second[i]].name, round(float(table[first[i], second[i]]), 4)) for i in order
    ]


@dataclass(frozen=True)
class Entity:
    """A column whose values repeat like the names of entities."""

    name: str
    score: int
    """How much speaks for it: its name, the order of the file, other columns that are fixed per value."""
    person: bool
    """Whether the name is that of a person or customer, and ends like an identifier."""
    evidence: str


def entities(columns: Sequence[Column], rows: int) -> list[Entity]:
    """Columns that look like repeated entities, best first (at most 5)."""
    found = []
    for column in columns:
        entity = _entity(column, columns, rows)
        if entity is not None:
            found.append(entity)
    return sorted(found, key=lambda one: -one.score)[:5]


def _entity(column: Column, columns: Sequence[Column], rows: int) -> Entity | None:
    whole = column.kind == "category" or column.kind == "text" or column.integral
    per_value = int(column.known.sum()) / max(1, column.distinct)
    words = name_words(column.name)
    if not whole or column.distinct < 10 or per_value < 1.5 or column.missing > 0.5 * rows or set(words) & _KIND_WORDS:
        return None
    if np.bincount(column.codes[column.known]).max() > 0.5 * rows:  # one value for most rows, such as "none"
        return None
    coded = words[-1] in _ID_ENDINGS if words else False
    named = bool(set(words) & ENTITY_WORDS)
    runs = int((np.diff(column.codes) != 0).sum()) + 1
    blocks = runs <= 1.5 * column.distinct
    fixed = _fixed_columns(column, columns) if per_value >= 2 else []
    score = 2 * named + 2 * coded + blocks + min(2, len(fixed))
    if score < 2 or (not named and not coded and not (blocks and fixed)):
        return None
    parts = [f"{column.distinct} values with {per_value:.1f} rows each"]
    if fixed:
        parts.append(f"{', '.join(fixed[:3])} {'is' if len(fixed) == 1 else 'are'} the same within each")
    if blocks:
        parts.append("its rows lie together in the file")
    person = bool(set(words) & PERSON_WORDS) and (coded or len(words) == 1)
    return Entity(column.name, score, person, "; ".join(parts))


def _fixed_columns(column: Column, columns: Sequence[Column]) -> list[str]:
    """Columns that never vary within a value of `column`, although they vary between values."""
    _, first = np.unique(column.codes, return_index=True)
    first_of = np.zeros(column.distinct + 1, dtype=np.int64)
    first_of[column.codes[first] + 1] = first
    anchor = first_of[column.codes + 1]
    fixed = []
    for other in columns:
        if other.name == column.name or other.distinct < 2 or other.distinct > column.distinct:
            continue
        known = column.known
        if bool((other.codes[known] == other.codes[anchor[known]]).all()):
            fixed.append(other.name)
    return fixed


def time_columns(columns: Sequence[Column], rows: int) -> list[str]:
    """Columns that may order the rows in time, best first: datetimes, then whole numbers named like a time."""
    found: list[tuple[float, str]] = []
    for column in columns:
        words = set(name_words(column.name))
        if column.distinct < 4 or column.missing > 0.2 * rows:
            continue
        rising = (
            bool((np.diff(column.numbers[column.known]) >= 0).all()) if column.numeric or column.datetime else False
        )
        if column.datetime:
            points = 10 + 2 * rising + bool(words & TIME_WORDS) + column.distinct / rows
        elif column.integral and _numbers_of_time(column, words, rising):
            points = 2 * rising + column.distinct / rows
        else:
            continue
        found.append((points, column.name))
    return [name for _, name in sorted(found, key=lambda one: -one[0])]


def _numbers_of_time(column: Column, words: set[str], rising: bool) -> bool:
    low, high = float(np.nanmin(column.numbers)), float(np.nanmax(column.numbers))
    if "year" in words and low >= 1500 and high <= 2200:
        return True
    return bool(words & TIME_WORDS) and rising and column.distinct >= 20


def running_blocks(column: Column) -> int:
    """How often a running number starts again (patch 1 2 3 …, 1 2 3 …); 0 when the column is none."""
    if not column.integral or column.distinct < 20 or column.missing:
        return 0
    steps = np.diff(column.numbers)
    restarts = int((steps < 0).sum())
    rising = float(((steps >= 1) & (steps <= 20)).mean())
    return restarts if 0 < restarts <= 0.05 * len(steps) and rising > 0.9 and float((steps == 1).mean()) > 0.5 else 0


@dataclass(frozen=True)
class SeriesKeys:
    """How a table is made of series: one row per time and key."""

    time: str
    keys: list[str]
    """Columns that tell the series apart; empty for a single series."""


def series_keys(columns: Sequence[Column], time: str, given: Sequence[str] = ()) -> SeriesKeys | None:
    """The fewest columns that, with the time, name each row once; None when rows are events rather than series.

    Only categories, and whole numbers named like an entity, can tell series apart; a series has five rows or more on
    average, and a row for one in five steps of its span. 0.5 % of repeated rows are forgiven.
    """
    at = next(column for column in columns if column.name == time)
    if given:
        return SeriesKeys(time, list(given))
    known = at.known & np.isfinite(at.raw) if at.numeric else at.known
    rows = int(known.sum())
    step = infer_step(at.series[known])
    if step is None or rows < 8:
        return None
    places = step.positions(at.series[known])
    if _distinct([at], known) >= 0.995 * rows:
        return SeriesKeys(time, []) if _density(places, np.zeros(rows, dtype=np.uint64)) >= _DENSE else None
    usable = [
        column
        for column in columns
        if column.name != time
        and 2 <= column.distinct <= rows / 5
        and column.missing == 0
        and (column.kind == "category" or (column.integral and _named_like_entity(column)))
    ]
    usable.sort(key=lambda column: (column.kind != "category", column.distinct))
    usable = usable[:_MOST_KEYS]
    for size in (1, 2, 3):
        fits = []
        for subset in combinations(usable, size):
            names = row_hashes(subset)[known]
            series = len(np.unique(names))
            if series > rows / 5 or _distinct([at, *subset], known) < 0.995 * rows:
                continue
            if _density(places, names) >= _DENSE:
                fits.append((series, [column.name for column in subset]))
        if fits:
            return SeriesKeys(time, min(fits, key=lambda fit: fit[0])[1])
    return None


def _density(places: NDArray[np.int64], names: NDArray[np.uint64]) -> float:
    """Rows as a share of the steps that the series span: 1 for series without gaps, near 0 for scattered events."""
    _, series = np.unique(names, return_inverse=True)
    order = np.lexsort((places, series))
    starts = np.flatnonzero(np.diff(series[order], prepend=-1))
    ends = np.append(starts[1:], len(order)) - 1
    spans = places[order][ends] - places[order][starts] + 1
    return len(places) / float(spans.sum())


def _named_like_entity(column: Column) -> bool:
    words = name_words(column.name)
    return bool(words) and (words[-1] in _ID_ENDINGS or bool(set(words) & ENTITY_WORDS))


def _distinct(columns: list[Column], rows: NDArray[np.bool_]) -> int:
    return len(np.unique(row_hashes(columns)[rows]))
