"""Whole threads in a file: the tables, and what prunes, copies or deletes threads in one transaction of SQLite.

LangGraph's tables `checkpoints` and `writes` have a few columns of ours, which its own saver leaves empty and never reads:
`digest` and `parent_digest` (tools/checksums.py), `graph` (tools/checkpointbase.py). `graphs` holds the lines of the graphs
that drove the run, once for each fingerprint.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from state.errors import StoreError, UsageError
from tools.checksums import Row, chained, damage_of_thread, sealed

if TYPE_CHECKING:
    from tools.database import Writer

COLUMNS = (
    "thread_id",
    "checkpoint_ns",
    "checkpoint_id",
    "parent_checkpoint_id",
    "type",
    "checkpoint",
    "metadata",
    "graph",
    "parent_digest",
    "digest",
)
WRITE_COLUMNS = (
    "thread_id",
    "checkpoint_ns",
    "checkpoint_id",
    "task_id",
    "task_path",
    "idx",
    "channel",
    "type",
    "value",
    "digest",
)
_TABLES = (
    """CREATE TABLE IF NOT EXISTS checkpoints (
        thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
        parent_checkpoint_id TEXT, type TEXT, checkpoint BLOB, metadata BLOB,
        graph TEXT, parent_digest TEXT, digest TEXT,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
    )""",
    """CREATE TABLE IF NOT EXISTS writes (
        thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
        task_id TEXT NOT NULL, task_path TEXT NOT NULL DEFAULT '', idx INTEGER NOT NULL, channel TEXT NOT NULL,
        type TEXT, value BLOB, digest TEXT,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    )""",
    "CREATE TABLE IF NOT EXISTS graphs (version TEXT PRIMARY KEY, shape TEXT NOT NULL, packages TEXT NOT NULL)",
)
_ADDED = {"checkpoints": ("graph", "parent_digest", "digest"), "writes": ("digest",)}

_ORPHANED_WRITES = """
    DELETE FROM writes WHERE NOT EXISTS (
        SELECT 1 FROM checkpoints AS kept WHERE kept.thread_id = writes.thread_id
        AND kept.checkpoint_ns = writes.checkpoint_ns AND kept.checkpoint_id = writes.checkpoint_id
    )"""
_OUTLIVED = """
    checkpoints.thread_id = :thread AND checkpoints.checkpoint_id < (
        SELECT max(newest.checkpoint_id) FROM checkpoints AS newest
        WHERE newest.thread_id = :thread AND newest.checkpoint_ns IN (checkpoints.checkpoint_ns, '')
    )"""
"""Older than the newest of its own namespace, or than the newest of the main graph: then its branch has ended."""
PRUNE = (f"DELETE FROM checkpoints WHERE {_OUTLIVED}", f"{_ORPHANED_WRITES} AND thread_id = :thread")  # noqa: S608 - fixed
"""Statements that delete what a thread does not need to go on."""
DOOMED = f"""
    SELECT count(*), coalesce(sum(length(checkpoint) + length(metadata) + (
        SELECT coalesce(sum(length(value)), 0) FROM writes WHERE writes.thread_id = checkpoints.thread_id
        AND writes.checkpoint_ns = checkpoints.checkpoint_ns AND writes.checkpoint_id = checkpoints.checkpoint_id
    )), 0) FROM checkpoints WHERE {_OUTLIVED}"""  # noqa: S608 - fixed words only
"""How many checkpoints these would delete, and the bytes of their content."""

TABLES_THERE = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('checkpoints', 'writes', 'graphs')
    UNION SELECT 'digest' FROM pragma_table_info('checkpoints') WHERE name = 'digest'"""
"""Which of the tables are there, and whether they have our columns."""

_MADE_BY = "json_extract(CAST(metadata AS TEXT), '$.run_id') = ?"


def tables_missing(place: str, there: set[str]) -> bool:
    """Whether tables are still to be made, or to be given our columns. Raises StoreError when one was removed."""
    if not there:
        return True
    wanted = {"checkpoints", "writes", "graphs"} if "digest" in there else {"checkpoints", "writes"}
    if lacking := sorted(wanted - there):
        raise StoreError(
            f"the database {place!r} is damaged: it lacks {', '.join(lacking)}",
            hint="restore it from a backup, or start the run again: finished trainings are answered from the journal",
        )
    return "digest" not in there


def make_tables(db: sqlite3.Connection | Writer) -> None:
    """Make the tables, and add our columns to those LangGraph or an earlier version made. Inside a transaction."""
    for sql in _TABLES:
        db.execute(sql)
    for table, names in _ADDED.items():
        there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        for name in names:
            if name not in there:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {name} TEXT")


def strategy_checked(strategy: str) -> str:
    """The strategy of pruning. Raises UsageError for an unknown one."""
    if strategy not in {"keep_latest", "delete"}:
        raise UsageError(f"there is no strategy {strategy!r} of pruning", hint="keep_latest or delete")
    return strategy


def prune_thread(db: sqlite3.Connection, thread: str) -> None:
    """Delete what a thread does not need to go on. What stays still names its parent's digest, which is gone."""
    for sql in PRUNE:
        db.execute(sql, {"thread": thread})


def delete_thread(db: sqlite3.Connection, thread: str) -> None:
    """Delete a thread's checkpoints and writes."""
    for table in ("checkpoints", "writes"):
        db.execute(f"DELETE FROM {table} WHERE thread_id = ?", [thread])  # noqa: S608 - our tables


def copy_rows(db: sqlite3.Connection, place: str, source: str, target: str) -> None:
    """Copy a thread. Raises UsageError when the target holds checkpoints, CheckpointDamaged for a damaged source."""
    if db.execute("SELECT 1 FROM checkpoints WHERE thread_id = ?", [target]).fetchone():
        raise UsageError(f"thread {target!r} holds checkpoints already", hint="copy to an id that is not in use")
    checkpoints, writes = _whole(db, place, source)
    named = chained([{**row, "thread_id": target} for row in checkpoints])
    insert_rows(db, "checkpoints", COLUMNS, named)
    insert_rows(db, "writes", WRITE_COLUMNS, sealed({**row, "thread_id": target} for row in writes))


def delete_runs(db: sqlite3.Connection, place: str, runs: Sequence[str]) -> None:
    """Delete what invocations made. Checkpoints that followed from it begin chains of their own."""
    for run in runs:
        threads = {row[0] for row in db.execute(f"SELECT thread_id FROM checkpoints WHERE {_MADE_BY}", [run])}  # noqa: S608 - fixed words only
        for thread in threads:
            _whole(db, place, thread)
        db.execute(f"DELETE FROM checkpoints WHERE {_MADE_BY}", [run])  # noqa: S608 - fixed words only
        for thread in threads:
            db.execute(f"{_ORPHANED_WRITES} AND thread_id = ?", [thread])
            checkpoints, _ = _rows(db, thread)
            for row in chained([row for row in checkpoints if row["digest"] is not None]):
                keys = [row[name] for name in COLUMNS[:3]]
                sql = "UPDATE checkpoints SET digest = ?, parent_digest = ? WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
                db.execute(sql, [row["digest"], row["parent_digest"], *keys])


def insert_rows(db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    marks = ", ".join("?" * len(columns))
    cells = ([row[name] for name in columns] for row in rows)
    db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", cells)  # noqa: S608 - our tables


def _whole(db: sqlite3.Connection, place: str, thread: str) -> tuple[list[Row], list[Row]]:
    """A thread's rows, which are all as they were written. Raises CheckpointDamaged."""
    checkpoints, writes = _rows(db, thread)
    known = {(row["checkpoint_ns"], row["checkpoint_id"]): row for row in checkpoints}
    for damage in damage_of_thread(place, known, writes):
        raise damage.error()
    return checkpoints, writes


def _rows(db: sqlite3.Connection, thread: str) -> tuple[list[Row], list[Row]]:
    def read(table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        found = db.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE thread_id = ?", [thread])  # noqa: S608 - our tables
        return [dict(zip(columns, cells, strict=True)) for cells in found]

    return read("checkpoints", COLUMNS), read("writes", WRITE_COLUMNS)
