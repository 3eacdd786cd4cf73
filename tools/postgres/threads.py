"""Threads in a schema: the tables, and reading, writing and pruning them whole.

LangGraph's layout for PostgreSQL is kept: what a checkpoint holds beside its values as JSON, with the small plain values in
it, and every other value once for each version of its channel in `checkpoint_blobs`. Two things are different. A value that
PostgreSQL's JSON cannot hold or would change (NaN, infinities, NUL characters, lone surrogates), and any long text, goes to
the blobs as well. And the tables have our columns, as in a file (tools/threadsql.py).

The checksum of a checkpoint's row covers its JSON in canonical form, since PostgreSQL keeps no spelling of it, and all blobs
it refers to: a byte that flips in a blob hurts every checkpoint that shares it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langgraph.checkpoint.postgres.base import MIGRATIONS
from psycopg.types.json import Jsonb

from state.errors import NotFound
from tools.checkpointbase import StrictSerializer
from tools.checksums import Damage, Place, Row, chained, damage_of_thread
from tools.database import Writer
from tools.places import Schema
from tools.postgres.database import PostgresDatabase, PostgresWriter
from tools.threadsql import COLUMNS

_OURS = (
    "ALTER TABLE checkpoints ADD COLUMN IF NOT EXISTS graph TEXT, ADD COLUMN IF NOT EXISTS parent_digest TEXT, "
    "ADD COLUMN IF NOT EXISTS digest TEXT",
    "ALTER TABLE checkpoint_writes ADD COLUMN IF NOT EXISTS digest TEXT",
    "CREATE TABLE IF NOT EXISTS graphs (version TEXT PRIMARY KEY, shape TEXT NOT NULL, packages TEXT NOT NULL)",
)
_OUTLIVED = """
    checkpoints.thread_id = :thread AND checkpoints.checkpoint_id COLLATE "C" < (
        SELECT max(newest.checkpoint_id COLLATE "C") FROM checkpoints AS newest
        WHERE newest.thread_id = :thread AND newest.checkpoint_ns IN (checkpoints.checkpoint_ns, '')
    )"""
_ORPHANED = """thread_id = :thread AND NOT EXISTS (
    SELECT 1 FROM checkpoints AS kept WHERE kept.thread_id = orphans.thread_id
    AND kept.checkpoint_ns = orphans.checkpoint_ns"""
PRUNE = (
    f"DELETE FROM checkpoints WHERE {_OUTLIVED}",  # noqa: S608 - fixed words only
    f"DELETE FROM checkpoint_writes AS orphans WHERE {_ORPHANED} AND kept.checkpoint_id = orphans.checkpoint_id)",  # noqa: S608 - fixed words only
    f"DELETE FROM checkpoint_blobs AS orphans WHERE {_ORPHANED} "  # noqa: S608 - fixed words only
    "AND kept.checkpoint -> 'channel_versions' ->> orphans.channel = orphans.version)",
)
"""As in tools/threadsql.py, for a schema."""
DOOMED = f"""
    SELECT count(*) AS count, coalesce(sum(pg_column_size(checkpoint) + pg_column_size(metadata) + (
        SELECT coalesce(sum(length(blob)), 0) FROM checkpoint_writes AS writes
        WHERE writes.thread_id = checkpoints.thread_id AND writes.checkpoint_ns = checkpoints.checkpoint_ns
        AND writes.checkpoint_id = checkpoints.checkpoint_id
    )), 0)::bigint AS size FROM checkpoints WHERE {_OUTLIVED}"""  # noqa: S608 - fixed words only
"""How many checkpoints pruning would delete, and the bytes of their content without what they share."""
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")

_CHECKPOINTS = f"SELECT {', '.join(COLUMNS)} FROM checkpoints WHERE thread_id = ?"  # noqa: S608 - fixed words only
_BLOBS = "SELECT checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs WHERE thread_id = ?"
_WRITES = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob AS value, digest "
    "FROM checkpoint_writes WHERE thread_id = ?"
)
_PUT_GRAPH = "INSERT INTO graphs (version, shape, packages) VALUES (:version, :shape, :packages) ON CONFLICT DO NOTHING"

_SHORT = 200
"""Characters of a text that may stand in each checkpoint's JSON anew."""

Blob = tuple[str, bytes | None]
"""Type and content."""


def make_tables(db: Writer) -> None:
    """Make LangGraph's tables and ours, unless they are there. Inside a transaction.

    The library makes its indexes beside other work, which no transaction can; in a schema of one run there is none.
    """
    assert isinstance(db, PostgresWriter)
    if db.connection.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'graphs'"
    ).fetchone():
        return  # statements that make tables lock them, also when they find nothing to do
    for number, sql in enumerate(MIGRATIONS):
        db.execute(sql.replace("CONCURRENTLY ", ""))
        db.execute("INSERT INTO checkpoint_migrations (v) VALUES (?) ON CONFLICT DO NOTHING", [number])
    for sql in _OURS:
        db.execute(sql)


# ---- what checksums cover ---------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """One spelling for data that JSONB hands back as equal, though perhaps with `1` for `1.0`."""
    return json.dumps(_even(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def covered(envelope: Mapping[str, Any], blobs: Iterable[tuple[str, str, bytes | None]]) -> bytes:
    """What the checksum of a checkpoint covers as its content. blobs: (channel, type, content) of those it refers to."""
    parts = [canonical(envelope)]
    for channel, kind, blob in sorted(blobs, key=lambda one: one[0]):
        content = b"" if blob is None else bytes(blob)
        parts.append(b"%s %s %d " % (channel.encode("utf-8", "replace"), kind.encode(), len(content)) + content)
    return b"\n".join(parts)


def fits_json(value: Any) -> bool:
    """Whether a value of a channel comes back from PostgreSQL's JSON exactly as it is, and is small."""
    if isinstance(value, float):
        return value - value == 0 and "e" not in repr(value) and repr(value) != "-0.0"
    if isinstance(value, str):
        return len(value) <= _SHORT and "\x00" not in value and value.encode("utf-8", "ignore").decode() == value
    return value is None or isinstance(value, bool | int)


def storable_metadata(value: Any) -> Any:
    """Metadata that JSONB can hold: no NUL characters or lone surrogates in texts, no NaN, no infinities."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {storable_metadata(str(key)): storable_metadata(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_metadata(item) for item in value]
    return value


def _even(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _even(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_even(item) for item in value]
    return value


# ---- reading ----------------------------------------------------------------------------------------------------


def read_rows_of_thread(
    place: Schema, thread: str, serializer: StrictSerializer
) -> tuple[list[Row], list[Row], list[Row], list[Damage]]:
    """A thread's checkpoints, writes and graphs as rows of a file, and what is wrong with them.

    Checkpoints whose content does not fit its checksum are left out. Raises NotFound when the schema is not there.
    """
    database = PostgresDatabase(place, "run")
    try:
        if not database.exists():
            raise NotFound(
                f"the run's database {place} is not there",
                hint="restore it from a backup, or build the run again: finished trainings are answered from the journal",
            )
        if not database.has_table("checkpoints"):
            return [], [], [], []
        with database.session.transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"):  # one moment for all
            checkpoints = database.session.run(_CHECKPOINTS, [thread])
            blobs = database.session.run(_BLOBS, [thread])
            writes = database.session.run(_WRITES, [thread])
            graphs = database.session.run("SELECT version, shape, packages FROM graphs")
    finally:
        database.close()
    known = {(row["checkpoint_ns"], row["channel"], row["version"]): (row["type"], row["blob"]) for row in blobs}
    raw = {(row["checkpoint_ns"], row["checkpoint_id"]): _verifiable(row, known) for row in checkpoints}
    damage = damage_of_thread(str(place), raw, [])
    hurt = {(one.namespace, one.checkpoint) for one in damage if one.part == "checkpoint"}
    whole = [_as_in_file(row, known, serializer) for row in checkpoints if _key(row) not in hurt]
    told = {_key(row): row["digest"] for row in checkpoints}
    made = [row if told[_key(row)] is not None else {**row, "digest": None} for row in chained(whole)]
    return made, writes, graphs, damage


def _verifiable(row: Row, blobs: Mapping[tuple[str, str, str], Blob]) -> Row:
    content = covered(row["checkpoint"], _referred(row, blobs))
    return {**row, "checkpoint": content, "metadata": canonical(row["metadata"])}


def _referred(row: Row, blobs: Mapping[tuple[str, str, str], Blob]) -> list[tuple[str, str, bytes | None]]:
    versions = row["checkpoint"].get("channel_versions") or {}
    found = (
        (channel, blobs.get((row["checkpoint_ns"], channel, str(version)))) for channel, version in versions.items()
    )
    return [(channel, *blob) for channel, blob in found if blob is not None]


def _as_in_file(row: Row, blobs: Mapping[tuple[str, str, str], Blob], serializer: StrictSerializer) -> Row:
    values = dict(row["checkpoint"].get("channel_values") or {})
    for channel, kind, blob in _referred(row, blobs):
        if kind != "empty":
            values[channel] = serializer.loads_typed((kind, blob or b""))
    kind, content = serializer.dumps_typed({**row["checkpoint"], "channel_values": values})
    metadata = json.dumps(row["metadata"], ensure_ascii=False).encode("utf-8", "ignore")
    return {**row, "type": kind, "checkpoint": content, "metadata": metadata}


def _key(row: Row) -> Place:
    return row["checkpoint_ns"], row["checkpoint_id"]


# ---- writing ----------------------------------------------------------------------------------------------------


def write_rows_of_thread(
    db: Writer, serializer: StrictSerializer, checkpoints: Sequence[Row], writes: Sequence[Row], graphs: Sequence[Row]
) -> None:
    """Write rows of a file as this layout has them, with new checksums. Inside a transaction; the thread holds none yet."""
    make_tables(db)
    stored: dict[tuple[str, str, str], Blob] = {}
    raw = [_taken_apart(row, stored, serializer) for row in sorted(checkpoints, key=_key)]
    verifiable = [
        {
            **row,
            "checkpoint": covered(row["checkpoint"], _referred(row, stored)),
            "metadata": canonical(row["metadata"]),
        }
        for row in raw
    ]
    digests = {_key(row): (row["parent_digest"], row["digest"]) for row in chained(verifiable)}
    thread = {"thread_id": checkpoints[0]["thread_id"]} if checkpoints else {}
    db.insert_many(
        "checkpoint_blobs",
        (
            {**thread, "checkpoint_ns": name, "channel": channel, "version": version, "type": kind, "blob": blob}
            for (name, channel, version), (kind, blob) in stored.items()
        ),
    )
    for row in raw:
        row["parent_digest"], row["digest"] = digests[_key(row)]
        row["checkpoint"], row["metadata"] = Jsonb(row["checkpoint"]), Jsonb(row["metadata"])
    db.insert_many("checkpoints", raw)
    db.insert_many("checkpoint_writes", ({_column(name): cell for name, cell in row.items()} for row in writes))
    for row in graphs:
        db.execute(_PUT_GRAPH, row)


def _column(name: str) -> str:
    return "blob" if name == "value" else name


def _taken_apart(row: Row, stored: dict[tuple[str, str, str], Blob], serializer: StrictSerializer) -> Row:
    """A checkpoint's row without its values, which go to `stored`; each version of a channel has one value."""
    envelope = dict(serializer.loads_typed((row["type"], row["checkpoint"])))
    values = envelope.pop("channel_values")
    small = {channel: value for channel, value in values.items() if fits_json(value)}
    versions = {channel: str(version) for channel, version in (envelope.get("channel_versions") or {}).items()}
    seen = {node: dict(known) for node, known in (envelope.get("versions_seen") or {}).items()}
    for channel, value in values.items():
        if channel in small:
            continue
        blob: Blob = serializer.dumps_typed(value)
        version = versions.setdefault(channel, f"{0:032}.{0:016}")
        new = version
        while stored.setdefault((row["checkpoint_ns"], channel, new), blob) != blob:
            # An edited checkpoint shares the version with its ancestors, not the value. What counts is the number
            # before the point, and that nodes which have seen this version have seen it.
            new = f"{version.partition('.')[0]}.{random.random():016}"  # noqa: S311 - no secret, LangGraph's own way
        if new != version:
            versions[channel] = new
            for known in seen.values():
                if str(known.get(channel)) == version:
                    known[channel] = new
    made = {**envelope, "channel_versions": versions, "versions_seen": seen, "channel_values": small}
    metadata = storable_metadata(json.loads(row["metadata"] or b"{}"))
    return {**{name: row[name] for name in COLUMNS}, "type": None, "checkpoint": made, "metadata": metadata}


# ---- pruning ----------------------------------------------------------------------------------------------------


def prune_thread(db: Writer, thread: str) -> None:
    """Delete what a thread does not need to go on, blobs that nothing refers to any more included."""
    for sql in PRUNE:
        db.execute(sql, {"thread": thread})


def delete_thread(db: Writer, thread: str) -> None:
    """Delete a thread's checkpoints, blobs and writes."""
    for table in TABLES:
        db.execute(f"DELETE FROM {table} WHERE thread_id = ?", [thread])  # noqa: S608 - our tables
