"""The checkpointer of ours: LangGraph's SQLite saver with the guarantees it does not give by itself.

- Strict serializer: nothing but plain data and LangGraph's own types is revived from a row. A crafted row runs no code.
- Order survives a wrong clock: LangGraph takes the checkpoint with the greatest id for the newest, and ids are
  wall-clock times. Whenever a checkpoint is read, the id clock of this process is put past it, so what is written next
  is newer, also after the clock was set back or on another machine.
- Damage is found: every row carries a checksum that is chained to its parent's (tools/checksums.py), and what is read is
  verified before it is decoded.
- A thread is driven by the graph it was begun with, or one a migration leads to (tools/checkpointbase.py).
- No write leaves the file locked across steps of the event loop, so the run's log may be written from anywhere.
- The file is one of ours: private, durable, patient with other writers, and of a format we know (tools/database.py).
- Whatever cannot be read or written is named: which file, which thread.
- Threads can be copied and pruned, which LangGraph's own saver for SQLite refuses; nothing else is lost by it.

tools/postgres/saver.py is the same for a schema of a shared database.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.checkpoint.sqlite.utils import load_pending_writes, search_where

from tools.blocking import in_thread
from tools.checkpointbase import (
    GraphGuard,
    Newest,
    Recorded,
    StrictSerializer,
    driving,
    seed_id_clock,
    version_of,
)
from tools.checksums import (
    Row,
    checkpoint_digest,
    damage_of_checkpoint,
    damage_of_link,
    damage_of_writes,
    write_digest,
)
from tools.crash import crash_point
from tools.database import BUSY_SECONDS, check_format, create, named_errors
from tools.places import Place, Schema
from tools.threadsql import (
    COLUMNS,
    TABLES_THERE,
    WRITE_COLUMNS,
    copy_rows,
    delete_runs,
    delete_thread,
    make_tables,
    prune_thread,
    strategy_checked,
    tables_missing,
)

if TYPE_CHECKING:
    from tools.postgres.saver import PostgresRunSaver

__all__ = ["RunSaver", "StrictSerializer", "open_existing_saver", "open_saver", "seed_id_clock"]

_PARENT_DIGEST = """(
    SELECT parent.digest FROM checkpoints AS parent WHERE parent.thread_id = checkpoints.thread_id
    AND parent.checkpoint_ns = checkpoints.checkpoint_ns AND parent.checkpoint_id = checkpoints.parent_checkpoint_id
) AS found_digest"""
_READ = f"SELECT {', '.join(COLUMNS)}, {_PARENT_DIGEST} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"  # noqa: S608 - fixed words only
_ONE = f"{_READ} AND checkpoint_id = ?"
_NEWEST = f"{_READ} ORDER BY checkpoint_id DESC LIMIT 1"
_WRITES = (
    f"SELECT {', '.join(WRITE_COLUMNS)} FROM writes WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"  # noqa: S608 - fixed words only
)
_BEFORE_PUT = """
    SELECT parent.digest, parent.graph, known.version FROM (SELECT 1) LEFT JOIN checkpoints AS parent
    ON parent.thread_id = ? AND parent.checkpoint_ns = ? AND parent.checkpoint_id = ?
    LEFT JOIN graphs AS known ON known.version = ?"""
_PUT = f"INSERT OR REPLACE INTO checkpoints ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - fixed words only
_PUT_GRAPH = (
    "INSERT INTO graphs (version, shape, packages) VALUES (?, ?, ?) "
    "ON CONFLICT (version) DO UPDATE SET packages = excluded.packages"
)


class RunSaver(GraphGuard, AsyncSqliteSaver):
    """Checkpoints of one run's database. Made by `open_saver`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        serializer = StrictSerializer(path)
        super().__init__(connection, serde=serializer)
        self.jsonplus_serde = serializer
        self.place: Place = path
        self.path = path
        self._newest: dict[tuple[str, str], tuple[str, str, str | None]] = {}
        """Thread and namespace → id, checksum and graph of the checkpoint put there last: the parent of the next one."""

    def with_allowlist(self, extra_allowlist: Iterable[Any]) -> RunSaver:
        """Itself: LangGraph offers the types of the state schema for revival, and our states need none."""
        return self

    # ---- reading -----------------------------------------------------------------------------------------------

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint of a configuration, or the newest one; verified.

        Raises CheckpointDamaged for a row that does not fit its checksum, VersionMismatch when it is read to be gone on
        from with another graph and no migration leads there.
        """
        place = config["configurable"]
        thread, namespace, wanted = str(place["thread_id"]), place.get("checkpoint_ns", ""), get_checkpoint_id(config)
        found = await self._found(thread, namespace, wanted)
        if found is None:
            return None
        if self.graph is not None and driving(config):
            if found[0]["digest"] is None and not namespace:
                async with self._held(thread):
                    await self._tell(
                        "checkpoints of an earlier version have no checksum; those written from now on have one"
                    )
            if await self._agree(thread, version_of(found[0]["graph"], found[1].checkpoint["channel_values"])):
                found = await self._found(thread, namespace, wanted)
                assert found is not None
        seed_id_clock(found[1].checkpoint["id"])
        return found[1]._replace(config=config) if wanted else found[1]

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's own name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, newest first; verified as they are read. The file is not locked between two of them."""
        await self.setup()
        where, parameters = search_where(config, filter, before)
        sql = f"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints {where} ORDER BY checkpoint_id DESC"  # noqa: S608 - LangGraph's own condition
        for thread, namespace, identity in await self._fetched(
            f"{sql} LIMIT ?", (*parameters, -1 if limit is None else limit)
        ):
            found = await self._found(thread, namespace, identity)
            if found is not None:  # else it was pruned meanwhile
                yield found[1]

    async def newest(self, thread: str) -> Newest | None:
        """The newest checkpoint of a thread's main graph, and how many there are; None when there is none."""
        sql = "SELECT checkpoint_id, digest, count(*) OVER () FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' "
        await self.setup()
        for identity, digest, count in await self._fetched(f"{sql} ORDER BY checkpoint_id DESC LIMIT 1", [thread]):
            return Newest(count, identity, digest)
        return None

    async def _found(
        self, thread: str, namespace: str, identity: str | None
    ) -> tuple[dict[str, Any], CheckpointTuple] | None:
        """A checkpoint's row and what it says. `identity`: None for the newest of the namespace."""
        await self.setup()
        keys = (thread, namespace)
        rows = await self._fetched(*((_ONE, (*keys, identity)) if identity else (_NEWEST, keys)))
        for cells in rows:
            row: Row = dict(zip((*COLUMNS, "found_digest"), cells, strict=True))
            cells_of_writes = await self._fetched(_WRITES, (*keys, row["checkpoint_id"]))
            writes: list[Row] = [dict(zip(WRITE_COLUMNS, one, strict=True)) for one in cells_of_writes]
            return row, self._verified(row, writes)
        return None

    def _verified(self, row: dict[str, Any], writes: list[dict[str, Any]]) -> CheckpointTuple:
        where = str(self.path)
        damage = damage_of_checkpoint(where, row) or damage_of_writes(where, writes)
        if damage := damage or damage_of_link(where, row, row["found_digest"]):
            raise damage.error()
        keys = {"thread_id": row["thread_id"], "checkpoint_ns": row["checkpoint_ns"]}
        parent = row["parent_checkpoint_id"]
        pending = [tuple(one[name] for name in _PENDING) for one in writes]
        return CheckpointTuple(
            {"configurable": {**keys, "checkpoint_id": row["checkpoint_id"]}},
            self.serde.loads_typed((row["type"], row["checkpoint"])),
            json.loads(row["metadata"]) if row["metadata"] is not None else {},
            {"configurable": {**keys, "checkpoint_id": parent}} if parent else None,
            load_pending_writes(pending, self.serde),
        )

    async def _fetched(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        with named_errors(self.path):
            async with self.lock:
                return list(await self.conn.execute_fetchall(sql, parameters))

    # ---- writing -----------------------------------------------------------------------------------------------

    async def setup(self) -> None:
        """Make LangGraph's tables with our columns, and add these where they are missing.

        Raises StoreError when only some of the tables are there: nothing of ours removes one.
        """
        if self.is_setup:
            return
        with named_errors(self.path):
            async with self.lock:
                there = list(await self.conn.execute_fetchall(TABLES_THERE))
            if tables_missing(str(self.path), {row[0] for row in there}):
                await in_thread(_in_one_transaction, self.path, make_tables)
        await super().setup()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with its checksum, and the graph it belongs to. Raises VersionMismatch, see GraphGuard."""
        await self.setup()
        crash_point("before-checkpoint")
        place = config["configurable"]
        thread, namespace, parent = str(place["thread_id"]), place["checkpoint_ns"], place.get("checkpoint_id")
        version = None if self.graph is None else self.graph.version
        put_last, parent_digest, its_version = self._newest.get((thread, namespace), ("", None, None))
        if parent is None or (put_last, its_version) != (parent, version):
            known = await self._fetched(_BEFORE_PUT, (thread, namespace, parent, version))
            parent_digest, parent_graph, recorded = known[0]
            self._check_parent(thread, parent_graph)
            if version is not None and recorded is None:
                await self._record_packages(version)
        kind, blob = self.serde.dumps_typed(checkpoint)
        told = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False).encode("utf-8", "ignore")
        row = {
            "thread_id": thread,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint["id"],
            "parent_checkpoint_id": parent,
            "type": kind,
            "checkpoint": blob,
            "metadata": told,
            "graph": version,
            "parent_digest": parent_digest,
        }
        row["digest"] = checkpoint_digest(row)
        await self._execute(_PUT, [row[name] for name in COLUMNS])
        self._remember((thread, namespace), (checkpoint["id"], row["digest"], version))
        crash_point("after-checkpoint")
        keys = {"thread_id": place["thread_id"], "checkpoint_ns": namespace}
        return {"configurable": {**keys, "checkpoint_id": checkpoint["id"]}}

    def _remember(self, place: tuple[str, str], put: tuple[str, str, str | None]) -> None:
        self._newest.pop(place, None)
        self._newest[place] = put
        if len(self._newest) > _REMEMBERED:
            del self._newest[next(iter(self._newest))]

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
        keys = {
            "thread_id": str(place["thread_id"]),
            "checkpoint_ns": str(place["checkpoint_ns"]),
            "checkpoint_id": str(place["checkpoint_id"]),
            "task_id": task_id,
            "task_path": task_path,
        }
        cells: list[Any] = []
        for index, (channel, value) in enumerate(writes):
            kind, blob = self.serde.dumps_typed(value)
            row = {**keys, "idx": WRITES_IDX_MAP.get(channel, index), "channel": channel, "type": kind, "value": blob}
            row["digest"] = write_digest(row)
            cells += [row[name] for name in WRITE_COLUMNS]
        verb = "REPLACE" if all(channel in WRITES_IDX_MAP for channel, _ in writes) else "IGNORE"
        marks = ", ".join([f"({', '.join('?' * len(WRITE_COLUMNS))})"] * len(writes))
        await self._execute(f"INSERT OR {verb} INTO writes ({', '.join(WRITE_COLUMNS)}) VALUES {marks}", cells)  # noqa: S608 - fixed words only
        crash_point("after-writes")

    async def _execute(self, sql: str, parameters: Sequence[Any]) -> None:
        # In autocommit a statement and its commit are one step in the connection's thread.
        with named_errors(self.path):
            async with self.lock:  # fetching nothing takes one turn of that thread, a cursor that is closed takes two
                await self.conn.execute_fetchall(sql, parameters)

    # ---- the graph ---------------------------------------------------------------------------------------------

    async def _stored_version(self, thread: str) -> str | None:
        found = await self._found(thread, "", None)
        return None if found is None else version_of(found[0]["graph"], found[1].checkpoint["channel_values"])

    async def _recorded(self, version: str) -> Recorded | None:
        for shape, packages in await self._fetched("SELECT shape, packages FROM graphs WHERE version = ?", [version]):
            return Recorded(json.loads(shape), json.loads(packages))
        return None

    async def _record_packages(self, version: str) -> None:
        if self.graph is not None:
            cells = [version, json.dumps(self.graph.shape, ensure_ascii=False), json.dumps(self.graph.packages)]
            await self._execute(_PUT_GRAPH, cells)

    # ---- whole threads -----------------------------------------------------------------------------------------

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes, all or none."""
        await self._work(lambda db: delete_thread(db, str(thread_id)))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints that no resume needs, and their writes, all or none.

        strategy: `keep_latest` keeps the newest checkpoint of every namespace with its writes, and nothing of branches
        that the newest checkpoint of the main graph has left behind; `delete` keeps nothing. Threads that are not there
        are no error. Raises UsageError for another strategy. The file keeps its size until it is vacuumed.
        """
        remove = prune_thread if strategy_checked(strategy) == "keep_latest" else delete_thread

        def work(db: sqlite3.Connection) -> None:
            for thread in thread_ids:
                remove(db, str(thread))

        await self._work(work)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all rows of a thread to another one of the same database, which must hold none. All or none.

        Raises CheckpointDamaged rather than giving damaged rows new checksums.
        """
        await self._work(lambda db: copy_rows(db, str(self.path), str(source_thread_id), str(target_thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these invocations of the graph made (`run_id` in their metadata), and their writes."""
        await self._work(lambda db: delete_runs(db, str(self.path), [str(run) for run in run_ids]))

    async def _work(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Carry out work on the file, all or none, off the loop."""
        await self.setup()
        self._newest.clear()
        async with self.lock:
            await in_thread(_in_one_transaction, self.path, work)


_REMEMBERED = 500
"""Branches side by side whose newest checkpoint is remembered, at most."""
_PENDING = ("task_id", "channel", "type", "value", "task_path", "idx")


@asynccontextmanager
async def open_existing_saver(place: Place) -> AsyncIterator[RunSaver | PostgresRunSaver | None]:
    """As `open_saver`; None when nothing is stored there yet, and then nothing is created by looking."""
    if isinstance(place, Schema):
        from tools.postgres.saver import open_postgres_saver

        async with open_postgres_saver(place, create=False) as shared:
            yield shared
    elif place.exists():
        async with open_saver(place) as saver:
            yield saver
    else:
        yield None


def _in_one_transaction(path: Path, work: Callable[[sqlite3.Connection], None]) -> None:
    # A connection of its own: the saver's would keep the file locked over several turns of the loop, see aput_writes.
    with named_errors(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        work(connection)
        connection.execute("COMMIT")  # without it, closing undoes everything


@overload
def open_saver(place: Path) -> AbstractAsyncContextManager[RunSaver]: ...
@overload
def open_saver(place: Place) -> AbstractAsyncContextManager[RunSaver | PostgresRunSaver]: ...
def open_saver(place: Place) -> AbstractAsyncContextManager[RunSaver | PostgresRunSaver]:
    """The checkpointer on a run's database, which is created when it is not there (a file: 0600, in a 0700 folder).

    Serves the command line, Python and the LangGraph server alike. Raises StoreError for a damaged one, VersionMismatch
    for one of a newer format.
    """
    return _open_shared(place) if isinstance(place, Schema) else _open_file(place)


@asynccontextmanager
async def _open_shared(place: Schema) -> AsyncIterator[PostgresRunSaver]:
    from tools.postgres.saver import open_postgres_saver

    async with open_postgres_saver(place) as saver:
        assert saver is not None
        yield saver


@asynccontextmanager
async def _open_file(place: Path) -> AsyncIterator[RunSaver]:
    await in_thread(create, place, "run")
    await asyncio.to_thread(check_format, place, "run")
    async with aiosqlite.connect(place, timeout=BUSY_SECONDS, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous=FULL")
        saver = RunSaver(connection, place)
        with named_errors(place):
            await saver.setup()
        for (newest,) in await saver._fetched("SELECT max(checkpoint_id) FROM checkpoints", []):
            if newest:
                seed_id_clock(newest)
        yield saver
