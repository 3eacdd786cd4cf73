"""The checkpointer of ours: LangGraph's SQLite saver with the guarantees it does not give by itself.

- Strict serializer: nothing but plain data and LangGraph's own types is revived from a row. A crafted row runs no code.
- Order survives a wrong clock: LangGraph takes the checkpoint with the greatest id for the newest, and ids are
  wall-clock times. Whenever a checkpoint is read, the id clock of this process is put past it, so what is written next
  is newer, also after the clock was set back or on another machine.
- No write leaves the file locked across steps of the event loop, so the run's log may be written from anywhere.
- The file is one of ours: private, durable, patient with other writers, and of a format we know (tools/database.py).
- Whatever cannot be read or written is named: which file, which thread.
- Threads can be copied and pruned, which LangGraph's own saver for SQLite refuses; nothing else is lost by it.

`graph_version` fingerprints a compiled graph. A run stores it and a resume compares it, because LangGraph itself
silently finishes a run whose pending node was renamed.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Protocol

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.base import id as checkpoint_ids
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from state.errors import StoreError, UsageError
from state.records import content_key
from tools.crash import crash_point
from tools.database import BUSY_SECONDS, check_format, create, named_errors

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
_DELETE = ("DELETE FROM checkpoints WHERE thread_id = :thread", "DELETE FROM writes WHERE thread_id = :thread")
_DELETE_RUN = (
    """
    DELETE FROM writes WHERE EXISTS (
        SELECT 1 FROM checkpoints AS made WHERE made.thread_id = writes.thread_id
        AND made.checkpoint_ns = writes.checkpoint_ns AND made.checkpoint_id = writes.checkpoint_id
        AND json_extract(CAST(made.metadata AS TEXT), '$.run_id') = :run
    )""",
    "DELETE FROM checkpoints WHERE json_extract(CAST(metadata AS TEXT), '$.run_id') = :run",
)
_COPY = (
    """
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    SELECT :target, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    FROM checkpoints WHERE thread_id = :source""",
    """
    INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value)
    SELECT :target, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value
    FROM writes WHERE thread_id = :source""",
)


class StrictSerializer(JsonPlusSerializer):
    """Revives plain data and LangGraph's own types, nothing else; names the file of what cannot be decoded."""

    def __init__(self, path: Path) -> None:
        super().__init__(allowed_msgpack_modules=None)
        self.path = path

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        try:
            return super().loads_typed(data)
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"a checkpoint in {str(self.path)!r} is damaged: {error}",
                hint="restore the file from a backup, or start the run again: finished work is reused",
            ) from error


class RunSaver(AsyncSqliteSaver):
    """Checkpoints of one run's database. Made by `open_saver`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        serializer = StrictSerializer(path)
        super().__init__(connection, serde=serializer)
        self.jsonplus_serde = serializer
        self.path = path

    def with_allowlist(self, extra_allowlist: Iterable[Any]) -> RunSaver:
        """Itself: LangGraph offers the types of the state schema for revival, and our states need none."""
        return self

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with named_errors(self.path):
            found = await super().aget_tuple(config)
        if found is not None:
            seed_id_clock(found.checkpoint["id"])
        return found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with named_errors(self.path):
            saved = await super().aput(config, checkpoint, metadata, new_versions)
        crash_point("after-checkpoint")
        return saved

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote, all or nothing, in one statement.

        LangGraph's own way takes two steps of the event loop, insert and commit. The file stays locked in between, and
        whoever writes an event from the loop's thread at that moment waits for a commit that cannot come.
        """
        if not writes:
            return
        await self.setup()
        place = config.get("configurable", {})
        keys = (str(place["thread_id"]), str(place["checkpoint_ns"]), str(place["checkpoint_id"]), task_id, task_path)
        rows = [
            (*keys, WRITES_IDX_MAP.get(channel, index), channel, *self.serde.dumps_typed(value))
            for index, (channel, value) in enumerate(writes)
        ]
        verb = "REPLACE" if all(channel in WRITES_IDX_MAP for channel, _ in writes) else "IGNORE"
        columns = "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"
        marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(rows))
        statement = f"INSERT OR {verb} INTO writes ({columns}) VALUES {marks}"  # noqa: S608 - fixed words only
        with named_errors(self.path):
            async with self.lock, self.conn.execute(statement, [cell for row in rows for cell in row]):
                pass

    # ---- whole threads -----------------------------------------------------------------------------------------

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints that no resume needs, and their writes, all or none.

        strategy: `keep_latest` keeps the newest checkpoint of every namespace with its writes, and nothing of branches
        that the newest checkpoint of the main graph has left behind; `delete` keeps nothing. Threads that are not there
        are no error. Raises UsageError for another strategy. The file keeps its size until it is vacuumed.
        """
        if strategy not in {"keep_latest", "delete"}:
            raise UsageError(f"there is no strategy {strategy!r} of pruning", hint="keep_latest or delete")
        statements = PRUNE if strategy == "keep_latest" else _DELETE
        await self._write_all([(sql, {"thread": str(thread)}) for thread in thread_ids for sql in statements])

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all rows of a thread to another one of the same database, which must hold none. All or none."""
        await self._write_all(
            [(sql, {"source": str(source_thread_id), "target": str(target_thread_id)}) for sql in _COPY],
            unless=str(target_thread_id),
        )

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these invocations of the graph made (`run_id` in their metadata), and their writes."""
        await self._write_all([(sql, {"run": str(run_id)}) for run_id in run_ids for sql in _DELETE_RUN])

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """`aprune` from another thread than that of the event loop."""
        self._from_outside(self.aprune(thread_ids, strategy=strategy))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`acopy_thread` from another thread than that of the event loop."""
        self._from_outside(self.acopy_thread(source_thread_id, target_thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`adelete_for_runs` from another thread than that of the event loop."""
        self._from_outside(self.adelete_for_runs(run_ids))

    def _from_outside(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            inside = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            inside = False
        if inside:
            work.close()
            raise asyncio.InvalidStateError("on the event loop's own thread, await the method whose name begins with a")
        asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def _write_all(self, statements: Sequence[tuple[str, dict[str, str]]], unless: str = "") -> None:
        """Carry out statements all or none, off the loop. `unless`: a thread that must hold nothing yet."""
        await self.setup()
        async with self.lock:
            await asyncio.to_thread(_in_one_transaction, self.path, statements, unless)


def _in_one_transaction(path: Path, statements: Sequence[tuple[str, dict[str, str]]], unless: str) -> None:
    # A connection of its own: the saver's would keep the file locked over several turns of the loop, see aput_writes.
    with named_errors(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        if unless and connection.execute("SELECT 1 FROM checkpoints WHERE thread_id = ?", [unless]).fetchone():
            raise UsageError(f"thread {unless!r} holds checkpoints already", hint="copy to an id that is not in use")
        for sql, values in statements:
            connection.execute(sql, values)
        connection.execute("COMMIT")  # without it, closing undoes everything


@asynccontextmanager
async def open_saver(path: Path) -> AsyncIterator[RunSaver]:
    """The checkpointer on a run's database, which is created (0600, in a 0700 folder) when it is not there.

    Serves the command line, Python and the LangGraph server alike. Raises StoreError for a damaged file,
    VersionMismatch for one of a newer format.
    """
    await asyncio.to_thread(create, path, "run")
    await asyncio.to_thread(check_format, path, "run")
    # Autocommit: a statement and its commit are one step in the connection's thread, see RunSaver.aput_writes.
    async with aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous=FULL")
        saver = RunSaver(connection, path)
        await saver.setup()
        async with connection.execute("SELECT max(checkpoint_id) FROM checkpoints") as cursor:
            newest = await cursor.fetchone()
        if newest is not None and newest[0]:
            seed_id_clock(newest[0])
        yield saver


def seed_id_clock(checkpoint_id: str) -> None:
    """Make every id this process gives from now on greater than a stored one. The clock is never put back.

    Does nothing for an id that is no UUID of version 6; LangGraph writes no others.
    """
    try:
        identity = uuid.UUID(checkpoint_id)
    except ValueError:
        return
    if identity.version != 6:
        return
    stored = ((identity.int >> 80) << 12) | ((identity.int >> 64) & 0xFFF)
    # A private attribute of the pinned langgraph-checkpoint; tests/tools/test_checkpoints.py holds that it still works.
    current: int | None = checkpoint_ids._last_v6_timestamp
    if current is None or current < stored:
        setattr(checkpoint_ids, "_last_v6_timestamp", stored)  # noqa: B010 - its declared type is None


# ---- the shape of a graph -------------------------------------------------------------------------------------


class Compiled(Protocol):
    """What is needed of a compiled graph to know its shape."""

    @property
    def channels(self) -> Mapping[str, Any]: ...

    def get_graph(self, *, xray: bool) -> Any: ...

    def get_subgraphs(self, *, recurse: bool) -> Iterable[tuple[str, Any]]: ...


def graph_version(graph: Any) -> str:
    """A fingerprint that changes when a node, an edge or a state channel does, subgraphs included."""
    return f"1-{content_key(graph_shape(graph))[:24]}"


def graph_shape(graph: Compiled) -> dict[str, list[str]]:
    """Nodes, edges and state channels as sorted, readable lines; two shapes compare line by line."""
    drawn = graph.get_graph(xray=True)
    channels = _channels("", graph.channels)
    for name, inner in graph.get_subgraphs(recurse=True):
        channels += _channels(f"{name}:", inner.channels)
    return {
        "nodes": sorted(drawn.nodes),
        "edges": sorted(f"{edge.source} {'⇢' if edge.conditional else '→'} {edge.target}" for edge in drawn.edges),
        "channels": sorted(channels),
    }


def _channels(prefix: str, channels: Mapping[str, Any]) -> list[str]:
    """Channels of the state, each with its type and reducer; LangGraph's own bookkeeping is left out."""
    lines = []
    for name, channel in channels.items():
        if name.startswith(("__", "branch:")):
            continue
        reducer = getattr(getattr(channel, "operator", None), "__qualname__", "")
        lines.append(f"{prefix}{name}: {type(channel).__name__} {_spelled(channel.ValueType)} {reducer}".rstrip())
    return lines


def _spelled(kind: Any) -> str:
    """A type as text, without addresses or anything else that differs between processes."""
    if isinstance(kind, type) and not hasattr(kind, "__args__"):
        return kind.__name__
    if hasattr(kind, "__metadata__"):
        return _spelled(kind.__origin__)
    return str(kind)
