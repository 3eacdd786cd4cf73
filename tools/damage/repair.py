"""A new catalogue in the place of a lost or damaged one: from what can still be read, and from the runs' folders.

What comes back, and how it is known to be right:

- *Rows of the old file*, as far as its pages can be read. A result of the journal is taken only when it fits its digest,
  settings only when they are settings; the rest is left and counted.
- *Runs* whose row is gone, from the manifest in their folder, with the outcome their own log tells.
- *Openings of sealed test sets* whose row is gone, from the receipts in the runs' outcomes, so that a second opening of the
  same rows is still counted as such.

Results of the journal and lessons that cannot be read are gone: the trainings they belong to are made again when a step
needs them, which the returned account says.

The new file is made whole under another name before the old one is set aside, so a kill at any moment leaves the old one, or
none and the new one ready to be renamed, which the next repair does. Nobody drives a run meanwhile: their locks are held.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from state.errors import StoreError
from state.records import Record
from state.settings import Settings
from tools.catalogue import Catalogue, RunRow
from tools.damage.aside import set_aside
from tools.damage.opening import page_problems
from tools.database import create, sync_folder
from tools.drivers import drive_run
from tools.home import runs_folder
from tools.journal import STATES, is_whole
from tools.places import catalogue_place, file_of, run_place
from tools.runlog import RunLog
from tools.runmanifest import RunManifest, finished_effects, manifests

TABLES = ("runs", "journal", "openings", "lessons")
_NEW = "catalogue.db.repaired"
_HEADER = 100
"""Bytes of a SQLite file before its first page begins."""
_FARTHEST = 2**24
"""Rows that are skipped at most in search of the next readable one."""


class Repaired(Record):
    """What a repair found and made."""

    aside: str
    """Where the old file lies now; "" when there was none."""
    problems: list[str] = Field(default_factory=list)
    read: dict[str, int] = Field(default_factory=dict)
    """Table → rows taken from the old file."""
    left: dict[str, int] = Field(default_factory=dict)
    """Table → rows of the old file that could be read and not be believed."""
    registered: list[str] = Field(default_factory=list)
    """Names of runs that were registered from their folders."""
    lost: int = 0
    """Finished effects that the runs' manifests count and the new journal lacks: made again when they are needed."""

    @property
    def was_whole(self) -> bool:
        return not self.problems


def repair_catalogue() -> Repaired:
    """Make a new catalogue when the old one is lost or damaged; a whole one only gets runs it does not know.

    Raises RunHeld when a run is driven, UsageError with a shared store, whose server keeps its own backups.
    """
    path = file_of(catalogue_place())
    with ExitStack() as held:
        for folder in sorted(runs_folder().iterdir()):
            if folder.is_dir():
                held.enter_context(drive_run(folder.name))
        problems = page_problems(path, "catalogue", thorough=True) if path.exists() else ["it is not there"]
        if not problems:
            return Repaired(aside="", registered=_register(Catalogue(path)))
        new = path.with_name(_NEW)
        # A new file without an old one was made by a repair that was killed before its last step.
        account = _make(new, path) if path.exists() or not new.exists() else Repaired(aside="")
        aside = set_aside(path)
        new.rename(path)
        sync_folder(path.parent)
        return account.but(aside=aside, problems=problems)


def _make(new: Path, old: Path) -> Repaired:
    """Write the new catalogue, whole and closed."""
    for leftover in new.parent.glob(f"{new.name}*"):
        leftover.unlink()
    catalogue = Catalogue(new)
    read, left = {}, {}
    try:
        with catalogue.database.write() as db, tempfile.TemporaryDirectory(dir=new.parent) as scratch:
            copy = _copied(old, Path(scratch))
            for table in TABLES:
                good, bad = _believed(table, list(_rows(copy, table)))
                db.insert_many(table, good)
                read[table], left[table] = len(good), bad
        registered = _register(catalogue)
        catalogue.database.read("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it into the one file that is renamed
        return Repaired(aside="", read=read, left=left, registered=registered, lost=_lost(catalogue))
    finally:
        catalogue.close()


# ---- the old file ----------------------------------------------------------------------------------------------


def _copied(old: Path, scratch: Path) -> Path:
    """A copy of the old file with its log of writes: looking must not change what may be wanted as it is.

    A header that was overwritten is replaced by that of a new file, since all catalogues of a format begin alike.
    """
    for side in ("", "-wal"):
        source = old.with_name(f"{old.name}{side}")
        if source.exists():
            shutil.copyfile(source, scratch / source.name)
    copy = scratch / old.name
    if copy.exists() and copy.stat().st_size > _HEADER and copy.read_bytes()[:16] != b"SQLite format 3\0":
        create(scratch / "fresh.db", "catalogue")
        header = bytearray((scratch / "fresh.db").read_bytes()[:_HEADER])
        page = int.from_bytes(header[16:18], "big")
        header[28:32] = (copy.stat().st_size // page).to_bytes(4, "big")
        header[32:40] = bytes(8)  # no list of free pages: it may be another one
        with copy.open("r+b") as file:
            file.write(header)
    return copy


def _rows(path: Path, table: str) -> Iterator[dict[str, Any]]:
    """All rows of a table that can be read, skipping over damaged pages; none when nothing can be."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA writable_schema=ON")  # without it nothing is read of a file shorter than it says
        after, skip = 0, 1
        while skip < _FARTHEST:
            try:
                sql = f"SELECT * FROM {table} NOT INDEXED WHERE number > ? ORDER BY number"  # noqa: S608 - our own tables
                for row in connection.execute(sql, [after]):
                    yield dict(row)
                    after, skip = row["number"], 1
                return
            except sqlite3.DatabaseError:
                after, skip = after + skip, skip * 2


def _believed(table: str, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Rows that hold what such rows hold, without those that would stand twice; and how many are left out."""
    unique = {"runs": ("id",), "journal": ("key", "run_id"), "lessons": ("id",)}
    names = unique.get(table, ("sealed_key", "run_id", "candidate", "code_hash"))
    good: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if _is_believable(table, row):
            good.setdefault(tuple(row[name] for name in names), row)
    return list(good.values()), len(rows) - len(good)


def _is_believable(table: str, row: dict[str, Any]) -> bool:
    try:
        if table == "runs":
            RunRow(**_run_fields(row))
            Settings.model_validate_json(row["settings"])
        elif table == "journal":
            json.loads(row["intent"] or "null")
            return row["state"] in STATES and (row["state"] != "done" or is_whole(row["result"], row["digest"]))
        elif table == "lessons":
            json.loads(row["traits"])
    except (ValueError, TypeError, ValidationError):
        return False
    return True


def _run_fields(row: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if name != "number"}
    return {**fields, "settings": json.loads(row["settings"]), "summary": json.loads(row["summary"])}


# ---- the runs' folders -----------------------------------------------------------------------------------------


def _register(catalogue: Catalogue) -> list[str]:
    """Register the runs the catalogue does not know, and the openings their outcomes tell of."""
    known = {row.id for row in catalogue.runs()}
    registered = []
    for manifest in manifests(runs_folder()):
        row = manifest.row() if manifest.id not in known else catalogue.run(manifest.id)
        told = _outcome(manifest)
        if manifest.id not in known:
            catalogue.add_run(row.but(**told))
            registered.append(row.name)
        _reopen(catalogue, told.get("summary") or row.summary)
    return registered


def _outcome(manifest: RunManifest) -> dict[str, Any]:
    """Status and summary of a run as its own log tells them; nothing when it cannot be read."""
    log = RunLog(run_place(manifest.id))
    try:
        ended = [event["data"] for event in log.events() if event["kind"] == "finished"]
    except StoreError:
        return {}  # `doctor RUN` names what is wrong with it
    finally:
        log.close()
    return {name: ended[-1][name] for name in ("status", "summary")} if ended else {}


def _reopen(catalogue: Catalogue, summary: dict[str, Any]) -> None:
    opening = summary.get("opening") or {}
    facts = {name: opening.get(name) for name in ("sealed_key", "run_id", "candidate", "code_hash", "data_hash")}
    if all(facts.values()):
        with catalogue.database.write() as db:
            db.execute(
                "INSERT INTO openings (sealed_key, run_id, candidate, code_hash, data_hash, opened) VALUES "
                "(:sealed_key, :run_id, :candidate, :code_hash, :data_hash, :opened) ON CONFLICT DO NOTHING",
                {**facts, "opened": opening.get("when", "")},
            )


def _lost(catalogue: Catalogue) -> int:
    told = manifests(runs_folder())
    return sum(max(0, one.finished - finished_effects(catalogue, one.id)) for one in told)
