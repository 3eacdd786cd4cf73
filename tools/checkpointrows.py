"""The checkpoint rows of a thread, read at one moment from a file or a schema, and written whole.

For work on whole histories, which LangGraph's interface does not know: forks, copies, migrations, looking at a finished
run. There is one form of rows for both kinds of place, that of the file: what PostgreSQL keeps in parts is put together
here, and taken apart again. A row is decoded by the strict serializer, and encoded again only where something in it
changes. Rows are verified when they are read and get new checksums when they are written (tools/checksums.py), so no
damage is copied as if it were whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import NotFound, UsageError
from tools.checkpointbase import Recorded, StrictSerializer
from tools.checksums import Damage, Place, Row, chained, damage_of_thread, sealed, unchecked
from tools.database import BUSY_SECONDS, check_format, named_errors, open_database
from tools.home import runs_folder
from tools.places import CATALOGUE_SCHEMA, Schema, store_url
from tools.places import Place as Where
from tools.threadsql import COLUMNS, WRITE_COLUMNS, make_tables

if TYPE_CHECKING:
    from tools.database import AnyDatabase, Writer

__all__ = ["Place", "Row", "ThreadRows", "check_thread", "copy_thread", "has_database", "read_thread", "salvage_thread"]
__all__ += ["refuse_taken", "remove_thread", "taken", "threads_made_by", "write_thread"]

_BLOBS = {"checkpoints": "checkpoint", "writes": "value"}


@dataclass(frozen=True)
class ThreadRows:
    """Checkpoints and writes of one thread, all of one moment, also while somebody drives it."""

    serializer: StrictSerializer
    checkpoints: dict[Place, Row]
    writes: list[Row]
    graphs: list[Row] = field(default_factory=list)
    """The graphs that drove the thread: {version, shape, packages}, the last two as JSON."""

    def values(self, place: Place) -> dict[str, Any]:
        """The channels of the state at a checkpoint. Raises StoreError when the row cannot be decoded."""
        values: dict[str, Any] = self.content(place)["channel_values"]
        return values

    def content(self, place: Place) -> dict[str, Any]:
        """All a checkpoint holds, as LangGraph knows it."""
        row = self.checkpoints[place]
        content: dict[str, Any] = self.serializer.loads_typed((row["type"], row["checkpoint"]))
        return content

    def newest(self) -> dict[str, Any]:
        """The newest state of the main graph; empty when there is none."""
        place = self.newest_place()
        return {} if place is None else self.values(place)

    def newest_place(self) -> Place | None:
        """The newest checkpoint of the main graph; None when there is none."""
        return max((place for place in self.checkpoints if not place[0]), default=None)

    def unchecked(self) -> int:
        """How many checkpoints have no checksum: those of an earlier version."""
        return unchecked(self.checkpoints.values())

    def recorded(self, version: str) -> Recorded | None:
        """What is known of a graph that drove the thread."""
        for row in self.graphs:
            if row["version"] == version:
                return Recorded(json.loads(row["shape"]), json.loads(row["packages"]))
        return None

    def ancestors(self, place: Place) -> set[Place]:
        """A checkpoint and those it came from, in its own namespace."""
        found: set[Place] = set()
        following: Place | None = place
        while following in self.checkpoints and following not in found:
            found.add(following)
            parent = self.checkpoints[following]["parent_checkpoint_id"]
            following = (following[0], parent) if parent else None
        return found

    def root_of(self, place: Place) -> Place | None:
        """The checkpoint of the main graph that a branch's checkpoint belongs to; of one of the main graph, itself."""
        if not place[0]:
            return place
        row = self.checkpoints.get(place)
        root = None if row is None else json.loads(row["metadata"] or b"{}").get("parents", {}).get("")
        return None if root is None else ("", root)

    def renamed(self, table: str, row: Row, names: Mapping[str, str]) -> Row:
        """The row with every text that is a key of `names` replaced, wherever it stands alone in the row's content."""
        blob = _BLOBS[table]
        content = row[blob] or b""
        row = {**row}
        if any(old.encode() in content for old in names):
            value = _renamed(self.serializer.loads_typed((row["type"], content)), names)
            row["type"], row[blob] = self.serializer.dumps_typed(value)
        if row.get("metadata"):
            row["metadata"] = json.dumps(_renamed(json.loads(row["metadata"]), names), ensure_ascii=False).encode()
        return row

    def edited(self, row: Row, values: Mapping[str, Any]) -> Row:
        """A checkpoint's row with other values in some channels of its state. What runs next stays as it is."""
        if not values:
            return row
        return self.rewritten(
            row, lambda content: {**content, "channel_values": {**content["channel_values"], **values}}
        )

    def rewritten(self, row: Row, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Row:
        """A checkpoint's row with other content."""
        kind, blob = self.serializer.dumps_typed(change(self.serializer.loads_typed((row["type"], row["checkpoint"]))))
        return {**row, "type": kind, "checkpoint": blob}

    def without_runs(self, invocations: Collection[str]) -> ThreadRows:
        """The rows without the checkpoints these invocations of the graph made (`run_id` in their metadata)."""
        kept = {
            place: row
            for place, row in self.checkpoints.items()
            if json.loads(row["metadata"] or b"{}").get("run_id") not in invocations
        }
        writes = [row for row in self.writes if (row["checkpoint_ns"], row["checkpoint_id"]) in kept]
        return replace(self, checkpoints=kept, writes=writes)

    def moved_to(self, thread: str) -> ThreadRows:
        """The same rows under another thread's id."""
        checkpoints = {place: {**row, "thread_id": thread} for place, row in self.checkpoints.items()}
        return replace(self, checkpoints=checkpoints, writes=[{**row, "thread_id": thread} for row in self.writes])


def has_database(place: Where) -> bool:
    """Whether anything is stored at a place."""
    database = open_database(place, "run")
    try:
        return database.exists()
    finally:
        database.close()


def read_thread(place: Where, thread: str) -> ThreadRows:
    """All checkpoint rows of a thread, verified; none when it was driven without our checkpointer.

    Raises NotFound when the database is not there, CheckpointDamaged for the first row that does not fit its checksum,
    StoreError or VersionMismatch when the database is not one of ours.
    """
    rows, found = _read(place, thread)
    damage = found or damage_of_thread(str(place), rows.checkpoints, rows.writes)
    if damage:
        raise damage[0].error()
    return rows


def check_thread(place: Where, thread: str) -> list[Damage]:
    """Everything that is wrong with a thread's rows, oldest first; of a file, also what SQLite finds wrong with it.

    Reads all rows, and writes nothing. Raises as `read_thread` does when the database cannot be read at all.
    """
    rows, found = _read(place, thread, deep=True)
    return [*found, *damage_of_thread(str(place), rows.checkpoints, rows.writes)]


def salvage_thread(place: Where, thread: str) -> tuple[ThreadRows, list[Damage]]:
    """The rows of a thread that are whole, and what is wrong with the others."""
    rows, found = _read(place, thread)
    damage = [*found, *damage_of_thread(str(place), rows.checkpoints, rows.writes)]
    hurt = {(one.namespace, one.checkpoint) for one in damage if one.part in ("checkpoint", "metadata", "chain")}
    writes = [row for row in rows.writes if not damage_of_thread("", {}, [row])]
    kept = {place: row for place, row in rows.checkpoints.items() if place not in hurt}
    return replace(rows, checkpoints=kept, writes=writes), damage


def write_thread(db: Writer, place: Where, rows: ThreadRows) -> None:
    """Write a thread's rows with new checksums. The thread must hold none; inside a transaction of the place's database.

    Rows that had no checksum get one: what is written is what was read.
    """
    checkpoints, writes = chained(list(rows.checkpoints.values())), sealed(rows.writes)
    if isinstance(place, Schema):
        from tools.postgres.threads import write_rows_of_thread

        write_rows_of_thread(db, rows.serializer, checkpoints, writes, rows.graphs)
        return
    make_tables(db)
    db.insert_many("checkpoints", (_only(COLUMNS, row) for row in checkpoints))
    db.insert_many("writes", (_only(WRITE_COLUMNS, row) for row in writes))
    for row in rows.graphs:
        db.execute("INSERT OR IGNORE INTO graphs (version, shape, packages) VALUES (:version, :shape, :packages)", row)


def remove_thread(db: Writer, place: Where, thread: str) -> None:
    """Delete a thread's rows. Inside a transaction of the place's database."""
    parts = ("checkpoints", "checkpoint_blobs", "checkpoint_writes") if isinstance(place, Schema) else tuple(_BLOBS)
    for table in parts:
        db.execute(f"DELETE FROM {table} WHERE thread_id = ?", [thread])  # noqa: S608 - our tables


def copy_thread(source: Where, thread: str, place: Where, target: str) -> None:
    """Copy a thread's rows to another database, which must hold none of the target's. All or none."""
    if has_database(place):
        raise taken(target)
    rows = read_thread(source, thread)
    database = open_database(place, "run")
    try:
        with database.write() as db:
            refuse_taken(database, target)
            write_thread(db, place, rows.moved_to(target))
    finally:
        database.close()


def refuse_taken(database: AnyDatabase, thread: str) -> None:
    """Raise UsageError when a thread has checkpoints. Inside a transaction, where nobody can write them after this look."""
    sql = "SELECT 1 AS found FROM checkpoints WHERE thread_id = ? LIMIT 1"
    if database.has_table("checkpoints") and database.read(sql, [thread]):
        raise taken(thread)


def taken(thread: str) -> UsageError:
    """The error for a copy to a thread that is there already."""
    return UsageError(f"thread {thread!r} holds a run already", hint="copy to an id that is not in use")


def threads_made_by(invocations: Collection[str]) -> list[tuple[Where, str]]:
    """Where checkpoints lie that these invocations of the graph made (`run_id` in their metadata), with their threads."""
    found: list[tuple[Where, str]] = []
    marks = ", ".join("?" * len(invocations))
    for place in _run_places() if invocations else ():
        shared = isinstance(place, Schema)
        made = "metadata ->> 'run_id'" if shared else "json_extract(CAST(metadata AS TEXT), '$.run_id')"
        sql = f"SELECT DISTINCT thread_id FROM checkpoints WHERE {made} IN ({marks})"  # noqa: S608 - fixed words only
        database = open_database(place, "run")
        try:
            if database.has_table("checkpoints"):
                found += [(place, row["thread_id"]) for row in database.read(sql, list(invocations))]
        finally:
            database.close()
    return found


def _run_places() -> list[Where]:
    url = store_url()
    if url is None:
        return [*sorted(runs_folder().glob("*/run.db"))]
    from tools.postgres.session import shared_session

    sql = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, ?) ORDER BY nspname"
    found = shared_session(Schema(url, CATALOGUE_SCHEMA)).run(sql, [f"{CATALOGUE_SCHEMA}_run_"])
    return [Schema(url, row["nspname"]) for row in found]


# ---- reading ----------------------------------------------------------------------------------------------------


def _read(place: Where, thread: str, *, deep: bool = False) -> tuple[ThreadRows, list[Damage]]:
    """Rows as they lie there, and damage that is seen while reading them."""
    if isinstance(place, Schema):
        from tools.postgres.threads import read_rows_of_thread

        serializer = StrictSerializer(place)
        checkpoints, writes, graphs, damage = read_rows_of_thread(place, thread, serializer)
    else:
        serializer = StrictSerializer(place)
        checkpoints, writes, graphs, damage = _read_file(place, thread, deep=deep)
    placed = {(row["checkpoint_ns"], row["checkpoint_id"]): row for row in checkpoints}
    return ThreadRows(serializer, placed, writes, graphs), damage


def _read_file(path: Path, thread: str, *, deep: bool) -> tuple[list[Row], list[Row], list[Row], list[Damage]]:
    if not path.is_file():
        raise NotFound(
            f"the run's database {str(path)!r} is not there",
            hint="restore it from a backup, or build the run again: finished trainings are answered from the journal",
        )
    check_format(path, "run")
    damage: list[Damage] = []
    with named_errors(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.text_factory = lambda content: content.decode("utf-8", "replace")  # a hurt text is to be named
        connection.execute("BEGIN")  # one moment for all that is read
        if deep:
            for (line,) in connection.execute("PRAGMA integrity_check(20)"):
                if line != "ok":
                    damage.append(Damage(str(path), thread, "", "", "database", f"SQLite says: {line}"))
        checkpoints = _rows(connection, "checkpoints", COLUMNS, thread)
        writes = _rows(connection, "writes", WRITE_COLUMNS, thread)
        graphs = _rows(connection, "graphs", ("version", "shape", "packages"))
    if checkpoints is None or writes is None:
        return [], [], [], damage
    return checkpoints, writes, graphs or [], damage


def _rows(connection: sqlite3.Connection, table: str, columns: Iterable[str], thread: str = "") -> list[Row] | None:
    """Rows with these columns, None where the table lacks one; None when there is no such table."""
    there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not there:
        return None
    names = list(columns)
    wanted = ", ".join(name if name in there else f"NULL AS {name}" for name in names)
    condition, parameters = (" WHERE thread_id = ?", [thread]) if thread else ("", [])
    found = connection.execute(f"SELECT {wanted} FROM {table}{condition}", parameters)  # noqa: S608 - our tables
    return [dict(zip(names, cells, strict=True)) for cells in found]


def _only(columns: Iterable[str], row: Row) -> Row:
    return {name: row[name] for name in columns}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, tuple):
        return tuple(_renamed(item, names) for item in value)
    if type(value).__name__ == "Send":  # what opens a branch carries its input
        return type(value)(value.node, _renamed(value.arg, names))
    return value
