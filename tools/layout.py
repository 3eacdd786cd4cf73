"""How rows hang together: by entity, by time, or not at all; what the split has to respect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from state.profile import ColumnProfile, Profile
from state.settings import Settings
from state.task import TaskKind
from tools.intent import mentions, name_words, unseen_entities, wants_forecast
from tools.profiling.columns import encode
from tools.profiling.profile import USELESS
from tools.profiling.structure import PERSON_WORDS, SeriesKeys, series_keys

_ID_ONLY = {"id", "ids", "code", "key", "no", "nr", "number"}


@dataclass(frozen=True)
class Layout:
    """How rows hang together: by entity, by time, or not at all."""

    reason: str
    groups: list[str] = field(default_factory=list)
    time: str | None = None
    series: bool = False
    """Whether rows form series: one row per time and key."""
    remarks: list[str] = field(default_factory=list)


def find_layout(settings: Settings, rows: pd.DataFrame, profile: Profile, kind: TaskKind) -> Layout:
    """What is given, else what intent and data agree on. `rows`: the labelled rows of the table."""
    if settings.time_column:
        keys = _keys(rows, profile, settings.time_column, settings.group_columns)
        reason = f"forward in time by {settings.time_column!r}, as given; the latest rows are the test set."
        groups = settings.group_columns or (keys.keys if keys is not None else [])
        return Layout(reason, list(groups), settings.time_column, keys is not None)
    forecast = _forecast_layout(settings, rows, profile, kind)
    if forecast is not None:
        return forecast
    if settings.group_columns:
        names = ", ".join(repr(name) for name in settings.group_columns)
        return Layout(f"rows of the same {names} stay together, as given.", list(settings.group_columns))
    grouped, remarks = _entity_layout(settings.intent, profile)
    if grouped is not None:
        return grouped
    if profile.time_candidates:
        remarks.append(
            f"{profile.time_candidates[0]!r} could order the rows in time, but the intent asks for no later times; "
            "name it as time column if the model is to look ahead."
        )
    if kind == "regression":
        return Layout("rows dealt at random, evenly over the range of the target.", remarks=remarks)
    return Layout("rows dealt at random, each class in equal shares.", remarks=remarks)


def _forecast_layout(settings: Settings, rows: pd.DataFrame, profile: Profile, kind: TaskKind) -> Layout | None:
    """A layout in time when words and data agree, or when the table is nothing but times, keys and the target."""
    wanted = wants_forecast(settings.intent)
    for name in profile.time_candidates:
        if rows[name].nunique() < 8:
            continue
        others = [one.name for one in profile.columns if one.suspicion not in USELESS and one.name != name]
        if wanted == "no" and len(others) > 3:  # no key can be made of so many columns
            continue
        keys = _keys(rows, profile, name, settings.group_columns)
        bare = keys is not None and set(others) <= set(keys.keys) and kind == "regression"
        if wanted == "plainly" or (keys is not None and wanted == "perhaps") or bare:
            words = "the intent asks for a forecast" if wanted != "no" else "the table is one value per time"
            tail = f"; one series per {' and '.join(map(repr, keys.keys))}" if keys and keys.keys else ""
            reason = f"forward in time by {name!r}, since {words}{tail}; the latest rows are the test set."
            return Layout(reason, keys.keys if keys else list(settings.group_columns), name, keys is not None)
    return None


def _keys(rows: pd.DataFrame, profile: Profile, time: str, given: Sequence[str]) -> SeriesKeys | None:
    useless = {one.name for one in profile.columns if one.suspicion in USELESS and one.suspicion != "identifier"}
    names = [
        str(name) for name in rows.columns if name == time or (name != profile.target.name and name not in useless)
    ]
    return series_keys([encode(name, rows[name]) for name in names], time, given)


def _entity_layout(intent: str, profile: Profile) -> tuple[Layout | None, list[str]]:
    """Groups of entities that the model has not seen: named by the intent, or persons with several rows each."""
    nouns = unseen_entities(intent)
    named = [one for one in profile.columns if _repeats(one, profile.rows) and mentions(one.name, nouns)]
    if nouns and not named:
        named = [
            one
            for name in profile.group_candidates
            if (one := profile.column(name)) is not None and set(name_words(name)) <= _ID_ONLY
        ]
    if named:
        column = max(named, key=lambda one: (name_words(one.name)[-1] in nouns, one.distinct))
        reason = f"rows of the same {column.name!r} stay together, since the intent speaks of ones not seen before."
        return Layout(reason, [column.name]), []
    for name in profile.group_candidates:
        candidate = profile.column(name)
        if candidate is not None and _names_persons(candidate, profile.rows):
            reason = (
                f"rows of the same {name!r} stay together: {candidate.distinct} of them have "
                f"{profile.rows / candidate.distinct:.1f} rows each, and a model must work for new ones."
            )
            return Layout(reason, [name]), []
    if nouns and re.search(r"\bunseen\b|\bseen\b|\bheld[- ]out\b", intent.lower()):
        return None, [f"The intent speaks of new {nouns[0]!r}, but no column says which rows belong to the same one."]
    return None, []


def _repeats(column: ColumnProfile, rows: int) -> bool:
    """Whether values recur like entities; measurements with fractions do not count."""
    whole = column.kind != "numeric" or bool(column.stats.get("integer"))
    return (
        whole and column.kind != "datetime" and column.distinct >= 3 and 1.5 * column.distinct <= rows - column.missing
    )


def _names_persons(column: ColumnProfile, rows: int) -> bool:
    words = name_words(column.name)
    ends_like_id = bool(words) and (words[-1] in _ID_ONLY or len(words) == 1)
    return bool(set(words) & PERSON_WORDS) and ends_like_id and column.distinct >= 10 and _repeats(column, rows)
