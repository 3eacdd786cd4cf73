"""The profile of a table: every column, the target, entities and time, and what a person should know beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.errors import InputError, Problem
from state.profile import ColumnProfile, Profile, TargetProfile
from state.task import TaskKind
from tools.columnwise import by_column
from tools.intent import unseen_entities, wants_forecast
from tools.profiling import structure
from tools.profiling.columns import SAMPLE, Column, describe, encode, examples_of
from tools.profiling.suspicion import Suspect, plain_suspicions, target_suspicion
from tools.profiling.target import profile_target

USELESS = {"identifier", "constant", "all missing", "duplicate column", "copy of the target", "encodes the target"}
"""Suspicions whose columns no program gets to see."""


def profile_table(
    frame: pd.DataFrame,
    target: str,
    intent: str = "",
    kind: TaskKind | None = None,
    time_column: str = "",
    group_columns: Sequence[str] = (),
) -> Profile:
    """Profile a table of canonical columns. Deterministic; trains nothing; writes nothing.

    Costly statistics look at 20,000 evenly spaced rows, which a note says. Raises InputError without the target.
    """
    if target not in frame.columns:
        raise InputError(
            Problem(f"there is no column {target!r}", where="target", cure="name one of the table's columns")
        )
    rows = len(frame)
    looked_at = np.unique(np.linspace(0, rows - 1, min(rows, SAMPLE)).astype(np.int64))
    named = [(str(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns) if name != target]
    columns = by_column(lambda pair: encode(*pair), named, cells=frame.size)
    wanted = encode(target, frame[target])
    target_profile = profile_target(wanted, intent, kind)
    suspects = _suspects(columns, wanted, target_profile.looks_like, looked_at, rows)
    profiles = by_column(
        lambda column: _column_profile(column, looked_at, suspects.get(column.name)), columns, cells=frame.size
    )
    usable = [column for column in columns if suspects.get(column.name, ("", ""))[0] not in USELESS - {"identifier"}]
    entities = structure.entities([column for column in usable if column.name not in suspects], rows)
    times = structure.time_columns(usable, rows)
    times = [time_column, *(name for name in times if name != time_column)] if time_column else times
    groups = [*group_columns, *(entity.name for entity in entities if entity.name not in group_columns)]
    duplicates = structure.duplicate_count(structure.row_hashes([*columns, wanted]))
    profile = Profile(
        rows=rows,
        columns=profiles,
        target=target_profile,
        duplicate_rows=duplicates,
        group_candidates=groups,
        time_candidates=times,
        correlated=structure.correlated_pairs(usable, looked_at),
    )
    notes = _notes(profile, {entity.name: entity.evidence for entity in entities}, len(looked_at))
    notes += [
        f"{column.name!r} counts up from row to row and starts again {again} times, like a running number; it is kept, "
        "since it may be a time within a series."
        for column in usable
        if column.name not in suspects and (again := structure.running_blocks(column))
    ]
    forecast = bool(times) and (bool(time_column) or wants_forecast(intent) == "plainly")
    grouped = bool(group_columns) or any(entity.person for entity in entities) or bool(unseen_entities(intent))
    return profile.but(notes=notes, traits=_traits(profile, forecast, grouped and bool(groups)))


def _suspects(
    columns: list[Column], target: Column, kind: TaskKind, rows: NDArray[np.int64], count: int
) -> dict[str, Suspect]:
    found = plain_suspicions(columns, count)
    for column in columns:
        if column.name in found and found[column.name][0] != "duplicate column":
            continue
        suspect = target_suspicion(column, target, kind, rows)
        if suspect is not None:
            found[column.name] = suspect
    return found


def _column_profile(column: Column, rows: NDArray[np.int64], suspect: Suspect | None) -> ColumnProfile:
    stats, histogram = describe(column, rows)
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        missing=column.missing,
        distinct=column.distinct,
        examples=examples_of(column),
        stats=stats,
        histogram=histogram,
        suspicion=suspect[0] if suspect else None,
        evidence=suspect[1] if suspect else "",
    )


def _notes(profile: Profile, entities: dict[str, str], looked_at: int) -> list[str]:
    notes = []
    target = profile.target
    notes.append(f"Target {target.name!r} looks {target.looks_like}: {target.evidence}.")
    if target.missing:
        notes.append(f"The target is missing in {target.missing} of {profile.rows} rows; they cannot be learnt from.")
    if looked_at < profile.rows:
        notes.append(f"Leak statistics and correlations looked at {looked_at:,} of {profile.rows:,} rows.")
    by_suspicion: dict[str, list[ColumnProfile]] = {}
    for column in profile.columns:
        if column.suspicion:
            by_suspicion.setdefault(column.suspicion, []).append(column)
    for suspicion, columns in by_suspicion.items():
        names = ", ".join(repr(column.name) for column in columns[:5])
        more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
        evidence = f": {columns[0].evidence}" if len(columns) == 1 else ""
        notes.append(f"{_SAID[suspicion].format(names=names + more)}{evidence}.")
    if profile.duplicate_rows:
        notes.append(f"{profile.duplicate_rows} rows repeat an earlier row exactly.")
    notes += [f"{name!r} looks like repeated entities: {evidence}." for name, evidence in entities.items()]
    gaps = [column for column in profile.columns if 0.5 < column.missing / max(1, profile.rows) < 1]
    if gaps:
        notes.append(f"More than half of the values are missing in {', '.join(repr(one.name) for one in gaps[:8])}.")
    return notes


_SAID = {
    "identifier": "Only names its row: {names}",
    "constant": "Always the same: {names}",
    "all missing": "Empty: {names}",
    "duplicate column": "Repeats another column: {names}",
    "copy of the target": "Copy of the target: {names}",
    "encodes the target": "Gives the target away: {names}",
    "nearly predicts the target alone": "Suspiciously strong alone, perhaps known only after the target: {names}",
}


def _traits(profile: Profile, forecast: bool, grouped: bool) -> list[str]:
    """Short tags by which plans and lessons are chosen, in a fixed order."""
    used = [column for column in profile.columns if column.suspicion not in USELESS]
    kinds = {column.kind for column in used}
    rows, target = profile.rows, profile.target
    counts = list(target.counts.values())
    tags = {
        "small": rows < 1_000,
        "large": rows > 50_000,
        "wide": len(used) > max(100, rows / 5),
        "text": "text" in kinds,
        "sequence": "sequence" in kinds,
        "image": "image" in kinds,
        "dates": "datetime" in kinds,
        "categories": "category" in kinds,
        "high-cardinality": any(column.kind == "category" and column.distinct > 30 for column in used),
        "missing": any(column.missing > 0.01 * rows for column in used),
        "imbalanced": len(counts) == 2 and min(counts) < 0.2 * sum(counts),
        "skewed-target": _is_skewed(target),
        "forecast": forecast,
        "groups": grouped,
        "many-classes": target.looks_like == "multiclass" and target.distinct > 10,
        "numeric-only": kinds == {"numeric"},
    }
    return [tag for tag, holds in tags.items() if holds]


def _is_skewed(target: TargetProfile) -> bool:
    return target.looks_like == "regression" and abs(float(target.stats.get("skew", 0.0))) > 1.0
