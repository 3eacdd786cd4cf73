"""What the rows of a run hold: checkpoints by their checksums, records by their form, journal results by their digests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from state.candidate import Candidate
from state.errors import StoreError
from tools.catalogue import Catalogue, RunRow
from tools.damage.kinds import Damage, rebuild
from tools.journal import STATES, is_whole
from tools.places import run_place
from tools.runlog import RunLog

MOST_NAMED = 20
"""Rows of one table that are named at most."""


def checkpoint_damage(run: RunRow) -> list[Damage]:
    """Checkpoints and writes that do not fit their checksums, or cannot be decoded."""
    from tools.checkpointrows import check_thread

    found = check_thread(run_place(run.id), run.id)
    return [
        Damage(
            kind="checkpoint" if one.checkpoint else "database",
            what=one.what,
            where=f"{one.place}, checkpoint {one.checkpoint}" + (f" of {one.namespace}" if one.namespace else ""),
            way_out=rebuild(run),
        )
        for one in found[:MOST_NAMED]
    ]


def log_damage(run: RunRow) -> list[Damage]:
    """Rows of the run's log that are not what such rows are."""
    place = run_place(run.id)
    log = RunLog(place)
    readers: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
        "events": ("seq", lambda row: json.loads(row["data"])),
        "candidates": ("version", lambda row: Candidate.model_validate_json(row["record"])),
        "exchanges": ("number", lambda row: (json.loads(row["question"]), json.loads(row["answer"] or "null"))),
    }
    found = []
    try:
        for table, (number, read) in readers.items():
            for row in log.database.read(f"SELECT * FROM {table} ORDER BY {number}"):  # noqa: S608 - our own tables
                if what := _problem(read, row):
                    where = f"{place}, table {table}, row {row[number]}"
                    found.append(Damage(kind="log", what=what, where=where, way_out=rebuild(run)))
    finally:
        log.close()
    return found[:MOST_NAMED]


def _problem(read: Callable[[dict[str, Any]], object], row: dict[str, Any]) -> str:
    try:
        read(row)
    except ValidationError as error:
        return f"its record is not valid: {error.errors()[0]['msg']}"
    except (ValueError, TypeError) as error:
        return f"cannot be read: {error}"
    return ""


def journal_damage(catalogue: Catalogue, run: RunRow) -> list[Damage]:
    """Rows of the journal that cannot be believed, and finished attempts the journal has no row of."""
    where = str(catalogue.database.place)
    way_out = "the effect is made again when it is needed; nothing has to be done"
    rows = catalogue.database.read("SELECT * FROM journal WHERE run_id = ? ORDER BY number", [run.id])
    found = [
        Damage(kind="journal", what=what, where=f"{where}, journal row {row['key'][:16]}", way_out=way_out, heals=True)
        for row in rows
        if (what := _row_problem(row))
    ]
    lost = sorted(_receipts(run) - {row["key"] for row in catalogue.database.read("SELECT key FROM journal")})
    found += [
        Damage(kind="journal", what="the row of a finished training is gone", where=f"{where}, journal row {key[:16]}",
               way_out=way_out, heals=True)
        for key in lost
    ]  # fmt: skip
    return found[:MOST_NAMED]


def _row_problem(row: dict[str, Any]) -> str:
    if row["state"] not in STATES:
        return f"has the unknown state {row['state']!r}"
    if row["state"] == "done" and not is_whole(row["result"], row["digest"]):
        return "its result does not fit its digest"
    if row["intent"] is not None and _problem(lambda one: json.loads(one["intent"]), row):
        return "its decision cannot be read"
    return ""


def _receipts(run: RunRow) -> set[str]:
    """Journal keys of the run's finished attempts, as its candidates name them."""
    log = RunLog(run_place(run.id))
    try:
        found = log.candidates().values()
        return {
            key for one in found for attempt in one.attempts if attempt.outcome == "done" for key in attempt.receipts
        }
    except (StoreError, ValidationError):
        return set()  # told by log_damage
    finally:
        log.close()
