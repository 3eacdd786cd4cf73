"""The manifest of a run, `run.json` in its folder: what its database is known to have held.

A database that was deleted, emptied, cut or put back from an older copy looks like a run that has not begun, and LangGraph
begins such a run anew without a word. So the driver notes, before each step and when it leaves, what it sees in the
database: the newest checkpoint, how many rows the log has, a digest over them, and how many effects the journal calls done.

- *Nothing is claimed that is not durable.* Each number is read from the database itself, whose rows survive a power cut
  once they can be read (tools/database.py). A kill between a row and the note leaves a manifest that claims less, never
  more. What it may miss is the step at work, which runs again after any kill.
- *Housekeeping breaks no claim.* Pruning keeps the newest checkpoint and every row of the log.
- *It is whole or not there*: temporary name, fsync, rename, fsync of the folder, mode 0600; and it carries a digest of
  itself, so that a changed one is told from a database that fell behind.

It holds what the catalogue knows of the run too, so that a lost catalogue can be made again from the runs' folders. With a
store that machines share, the folder lies on the disk of one of them, so the catalogue keeps the manifest as well, as a row
of the journal, and that one is believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from state.errors import StoreError, VersionMismatch
from state.records import Record, canonical_json, content_key
from tools.catalogue import Catalogue, RunRow, now
from tools.database import sync_folder
from tools.disk import writing
from tools.home import private_folder
from tools.places import Schema

if TYPE_CHECKING:
    from tools.runlog import RunLog

MANIFEST = "run.json"
FORMAT = 1
_SHARED = "manifest"
"""Key and kind of its row in the journal."""
TABLES = {
    "events": "seq, time, kind, role, text, data",
    "candidates": "version, id, record, created",
    "exchanges": "number, time, role, expert, question, answer, tokens_in, tokens_out, cost, seconds, cached, error",
}
"""Tables of the log that are only ever added to, and the columns their digest covers; the first orders the rows."""


class Mark(Record):
    """How far a table of the log had come."""

    number: int = 0
    """Number of its newest row."""
    rows: int = 0
    digest: str = ""
    """SHA-256 chained over all its rows in order."""


class RunManifest(Record):
    """What a run is, and what its database is known to have held."""

    format: int = FORMAT
    id: str
    name: str
    created: str
    data: str = ""
    intent: str = ""
    parent: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    settings_key: str = ""
    """Content key of the settings."""
    graph: str = ""
    """Version of the graph that made the newest checkpoint, as its state says."""
    newest: str = ""
    """Id of the newest checkpoint of the main graph; empty as long as there is none."""
    checkpoints: int = 0
    log: dict[str, Mark] = Field(default_factory=dict)
    """Table → how far it had come."""
    finished: int = 0
    """Effects of this run that the journal calls done."""
    active_seconds: float = 0.0
    written: str = ""
    """ISO time, UTC."""

    def row(self) -> RunRow:
        """The run as a row of the catalogue, as far as the manifest knows it."""
        told = {name: getattr(self, name) for name in ("id", "name", "created", "data", "intent", "parent", "settings")}
        return RunRow(**told, active_seconds=self.active_seconds, updated=self.written, status="paused")


class Seen(Record):
    """What a run's database holds now, in the manifest's terms."""

    newest: str = ""
    checkpoints: int = 0
    log: dict[str, Mark] = Field(default_factory=dict)


def read_manifest(folder: Path) -> RunManifest | None:
    """The manifest in a run's folder; None when there is none.

    Raises StoreError for a damaged one, VersionMismatch for one of a newer format.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        facts = content["run"]
        found = int(facts["format"])
        whole = content["digest"] == content_key(facts)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be read: {error.strerror}", hint="make it readable") from error
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if found > FORMAT:
        raise VersionMismatch(
            f"{str(path)!r} has format {found}; this version of modelwright knows formats up to {FORMAT}",
            hint="upgrade modelwright: the run was driven by a newer one",
        )
    try:
        if whole:
            return RunManifest.model_validate(facts)
    except ValidationError as error:
        raise _damaged(path) from error
    raise _damaged(path)


def _damaged(path: Path) -> StoreError:
    return StoreError(
        f"the manifest {str(path)!r} is damaged: its content is not what was written",
        hint="`modelwright doctor RUN` tells whether the run's database is whole; then remove the manifest, and the next "
        "resume writes a new one",
    )


def write_manifest(folder: Path, manifest: RunManifest) -> None:
    """Write the manifest into the run's folder, whole or not at all. Raises StoreError naming path and cause."""
    facts = manifest.plain()
    content = canonical_json({"digest": content_key(facts), "run": facts}).encode("utf-8", "surrogatepass")
    path = private_folder(folder) / MANIFEST
    temporary = folder / f".{MANIFEST}.{token_hex(4)}"
    with writing(path):
        try:
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(folder)


def manifests(runs_folder: Path) -> list[RunManifest]:
    """The readable manifests of all run folders, oldest run first. Damaged ones are left out."""
    found = []
    for path in runs_folder.glob(f"*/{MANIFEST}"):
        with suppress(StoreError):
            one = read_manifest(path.parent)
            if one is not None and one.id == path.parent.name:
                found.append(one)
    return sorted(found, key=lambda one: one.created)


class ManifestKeeper:
    """Keeps a run's manifest up to date while this process drives the run. Thread-safe, since branches are parallel."""

    def __init__(self, folder: Path, catalogue: Catalogue, log: RunLog, run_id: str) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self.log = log
        self.run_id = run_id
        self._lock = threading.Lock()
        self._marks: dict[str, Mark] | None = None

    def write(self, settings: Mapping[str, Any], graph: str = "") -> RunManifest:
        """Note what the database holds now. Writes `run.json`; raises StoreError when it cannot be written."""
        with self._lock:
            seen = look(self.log, self.run_id, self._marks or {})
            row = self.catalogue.run(self.run_id)
            told = {name: getattr(row, name) for name in ("id", "name", "created", "data", "intent", "parent")}
            manifest = RunManifest(
                **told,
                settings=dict(settings),
                settings_key=content_key(settings),
                graph=graph,
                newest=seen.newest,
                checkpoints=seen.checkpoints,
                log=seen.log,
                finished=finished_effects(self.catalogue, self.run_id),
                active_seconds=row.active_seconds,
                written=now(),
            )
            write_manifest(self.folder, manifest)
            if isinstance(self.log.database.place, Schema):
                _share(self.catalogue, manifest)
            self._marks = seen.log
            return manifest


def shared_manifest(catalogue: Catalogue, run_id: str) -> RunManifest | None:
    """The manifest the catalogue keeps of a run in a store that machines share; None when it keeps none.

    Raises StoreError for a damaged one.
    """
    rows = catalogue.database.read("SELECT intent FROM journal WHERE key = ? AND run_id = ?", [_SHARED, run_id])
    if not rows:
        return None
    try:
        return RunManifest.model_validate_json(rows[0]["intent"])
    except ValidationError as error:
        raise StoreError(
            f"the manifest of run {run_id!r} in {catalogue.database.place} is damaged",
            hint="restore the database from a backup",
        ) from error


def _share(catalogue: Catalogue, manifest: RunManifest) -> None:
    with catalogue.database.write(manifest.id) as db:
        db.execute(
            "INSERT INTO journal (key, run_id, kind, state, attempt, intent, created) "
            "VALUES (?, ?, ?, 'intent', 0, ?, ?) ON CONFLICT (key, run_id) DO UPDATE SET intent = excluded.intent",
            [_SHARED, manifest.id, _SHARED, canonical_json(manifest), manifest.written],
        )


def finished_effects(catalogue: Catalogue, run_id: str) -> int:
    """How many effects of a run the journal calls done."""
    rows = catalogue.database.read("SELECT count(*) AS done FROM journal WHERE run_id = ? AND state = 'done'", [run_id])
    return int(rows[0]["done"]) if rows else 0


def look(log: RunLog, run_id: str, known: Mapping[str, Mark] | None = None) -> Seen:
    """What the run's database holds. known: marks of rows that were read already; only later ones are read."""
    newest, count = _checkpoints(log, run_id)
    known = known or {}
    return Seen(
        newest=newest, checkpoints=count, log={table: _mark(log, table, known.get(table, Mark())) for table in TABLES}
    )


def mark_at(log: RunLog, table: str, number: int) -> Mark:
    """The mark a table would have if its newest row were the one of this number."""
    return _mark(log, table, Mark(), up_to=number)


def has_checkpoint(log: RunLog, run_id: str, checkpoint: str) -> bool:
    """Whether the main graph's checkpoint of this id is stored."""
    if not log.database.has_table("checkpoints"):
        return False
    sql = "SELECT 1 AS found FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"
    return bool(log.database.read(sql, [run_id, checkpoint]))


def _checkpoints(log: RunLog, run_id: str) -> tuple[str, int]:
    if not log.database.has_table("checkpoints"):
        return "", 0
    sql = "SELECT max(checkpoint_id) AS newest FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
    newest = log.database.read(sql, [run_id])[0]["newest"]
    counted = log.database.read("SELECT count(*) AS count FROM checkpoints WHERE thread_id = ?", [run_id])
    return newest or "", int(counted[0]["count"])


def _mark(log: RunLog, table: str, mark: Mark, up_to: int | None = None) -> Mark:
    number = TABLES[table].partition(",")[0]
    bound, limits = ("", [mark.number]) if up_to is None else (f" AND {number} <= ?", [mark.number, up_to])
    sql = f"SELECT {TABLES[table]} FROM {table} WHERE {number} > ?{bound} ORDER BY {number}"  # noqa: S608 - our own names
    rows = log.database.read(sql, limits)
    if not rows:
        return mark
    digest = mark.digest
    for row in rows:
        digest = hashlib.sha256(f"{digest}{canonical_json(list(row.values()))}".encode()).hexdigest()
    return Mark(number=rows[-1][number], rows=mark.rows + len(rows), digest=digest)
