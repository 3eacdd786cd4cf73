"""The checkpoint rows of a thread as they lie in a run's database: read at one moment, renamed, edited, written elsewhere.

For work on whole histories, which LangGraph's interface does not know: forks, copies, looking at a finished run. A row is
decoded by the strict serializer, and encoded again only where something in it changes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import NotFound
from tools.checkpoints import StrictSerializer
from tools.database import BUSY_SECONDS, check_format, named_errors

if TYPE_CHECKING:
    import sqlite_utils

Row = dict[str, Any]
Place = tuple[str, str]
"""Checkpoint namespace (empty for the main graph) and checkpoint id."""

_BLOBS = {"checkpoints": "checkpoint", "writes": "value"}
_BATCH = 400


@dataclass(frozen=True)
class ThreadRows:
    """Checkpoints and writes of one thread, all of one moment, also while somebody drives it."""

    serializer: StrictSerializer
    definitions: list[str]
    """Statements that make the tables."""
    checkpoints: dict[Place, Row]
    writes: list[Row]

    def values(self, place: Place) -> dict[str, Any]:
        """The channels of the state at a checkpoint. Raises StoreError when the row is damaged."""
        row = self.checkpoints[place]
        values: dict[str, Any] = self.serializer.loads_typed((row["type"], row["checkpoint"]))["channel_values"]
        return values

    def newest(self) -> dict[str, Any]:
        """The newest state of the main graph; empty when there is none."""
        ids = [place for place in self.checkpoints if not place[0]]
        return self.values(max(ids)) if ids else {}

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
        checkpoint = self.serializer.loads_typed((row["type"], row["checkpoint"]))
        checkpoint["channel_values"] = {**checkpoint["channel_values"], **values}
        kind, blob = self.serializer.dumps_typed(checkpoint)
        return {**row, "type": kind, "checkpoint": blob}


def read_thread(path: Path, thread: str) -> ThreadRows:
    """All checkpoint rows of a thread, which are none when it was driven without our checkpointer.

    Raises NotFound when the database is not there, StoreError or VersionMismatch when it is not one of ours.
    """
    if not path.is_file():
        raise NotFound(
            f"the run's database {str(path)!r} is not there",
            hint="restore it from a backup, or build the run again: finished trainings are answered from the journal",
        )
    check_format(path, "run")
    with named_errors(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")  # one moment for all that is read
        sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name IN ('checkpoints', 'writes')"
        definitions = [str(row["sql"]) for row in connection.execute(sql)]
        found: dict[str, list[Row]] = {table: [] for table in _BLOBS}
        if len(definitions) == len(_BLOBS):
            for table in _BLOBS:
                rows = connection.execute(f"SELECT * FROM {table} WHERE thread_id = ?", [thread])  # noqa: S608 - our tables
                found[table] = [dict(row) for row in rows]
    checkpoints = {(row["checkpoint_ns"], row["checkpoint_id"]): row for row in found["checkpoints"]}
    return ThreadRows(StrictSerializer(path), definitions, checkpoints, found["writes"])


def write_rows(db: sqlite_utils.Database, table: str, rows: Iterable[Row]) -> None:
    """Insert rows as they are, keys included. To be called inside a transaction."""
    rows = list(rows)
    if not rows:
        return
    names = ", ".join(rows[0])
    marks = ", ".join(f":{name}" for name in rows[0])
    for start in range(0, len(rows), _BATCH):
        db.conn.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows[start : start + _BATCH])  # noqa: S608 - our tables


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
