"""The checkpointer on a schema of a shared database: LangGraph's saver for PostgreSQL with the guarantees of ours.

What tools/checkpoints.py says of files holds here, by other means:

- A write is one transaction that begins by holding on to the driver's lease (tools/postgres/fencing.py), so a process that
  lost the run writes no checkpoint. What a statement's commit was told to be is on the server's disk.
- No value stands in a row's JSON that PostgreSQL would refuse or change there (tools/postgres/threads.py): NaN, infinities
  and any text survive.
- Each checkpoint is verified with all blobs it refers to.
- A connection that the server dropped while nothing was written, during a long training for instance, is opened again.
- The newest checkpoint is the one of the greatest id, compared byte by byte whatever the database's collation.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from state.errors import UsageError
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
from tools.checkpointrows import read_thread, remove_thread, write_thread
from tools.checksums import (
    checkpoint_digest,
    damage_of_checkpoint,
    damage_of_link,
    damage_of_writes,
    write_digest,
)
from tools.crash import crash_point
from tools.database import FORMATS, Writer
from tools.places import Place, Schema
from tools.postgres.database import PostgresDatabase
from tools.postgres.fencing import afence
from tools.postgres.session import connect_options, named_errors, session_sql
from tools.postgres.threads import (
    canonical,
    covered,
    delete_thread,
    fits_json,
    make_tables,
    prune_thread,
    storable_metadata,
)
from tools.threadsql import WRITE_COLUMNS, strategy_checked

_SELECT = """
    SELECT thread_id, checkpoint, checkpoint_ns, checkpoint_id, parent_checkpoint_id, metadata,
    type, graph, parent_digest, digest,
    (
        SELECT parent.digest FROM checkpoints AS parent WHERE parent.thread_id = checkpoints.thread_id
        AND parent.checkpoint_ns = checkpoints.checkpoint_ns
        AND parent.checkpoint_id = checkpoints.parent_checkpoint_id
    ) AS found_digest,
    (
        SELECT array_agg(ARRAY[convert_to(one.channel, 'UTF8'), convert_to(one.type, 'UTF8'), one.blob])
        FROM jsonb_each_text(checkpoint -> 'channel_versions') AS known
        JOIN checkpoint_blobs AS one ON one.thread_id = checkpoints.thread_id
        AND one.checkpoint_ns = checkpoints.checkpoint_ns AND one.channel = known.key AND one.version = known.value
    ) AS channel_values,
    (
        SELECT array_agg(ARRAY[
            convert_to(one.task_id, 'UTF8'), convert_to(one.channel, 'UTF8'), convert_to(one.type, 'UTF8'), one.blob,
            convert_to(one.task_path, 'UTF8'), convert_to(one.idx::text, 'UTF8'), convert_to(one.digest, 'UTF8')
        ]) FROM checkpoint_writes AS one WHERE one.thread_id = checkpoints.thread_id
        AND one.checkpoint_ns = checkpoints.checkpoint_ns AND one.checkpoint_id = checkpoints.checkpoint_id
    ) AS pending_writes
    FROM checkpoints """
_IDLE_SECONDS = 1.0
"""After so long without use a connection is asked whether it is still there."""
_NEWEST = ' ORDER BY checkpoint_id COLLATE "C" DESC LIMIT 1'
_BEFORE_PUT = """
    SELECT parent.digest, parent.graph, known.version FROM (SELECT 1) AS always LEFT JOIN checkpoints AS parent
    ON parent.thread_id = %s AND parent.checkpoint_ns = %s AND parent.checkpoint_id = %s
    LEFT JOIN graphs AS known ON known.version = %s"""
_PUT = """
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata,
        graph, parent_digest, digest)
    VALUES (%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(parent_checkpoint_id)s, NULL, %(envelope)s, %(told)s,
        %(graph)s, %(parent_digest)s, %(digest)s)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
        parent_checkpoint_id = excluded.parent_checkpoint_id, checkpoint = excluded.checkpoint,
        metadata = excluded.metadata, graph = excluded.graph, parent_digest = excluded.parent_digest,
        digest = excluded.digest"""
_PUT_GRAPH = (
    "INSERT INTO graphs (version, shape, packages) VALUES (%s, %s, %s) "
    "ON CONFLICT (version) DO UPDATE SET packages = excluded.packages"
)
_PUT_WRITE = """
    INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob,
        digest)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO """
_REPLACE = """UPDATE SET channel = excluded.channel, type = excluded.type, blob = excluded.blob, digest = excluded.digest,
    task_path = excluded.task_path"""
_READY = """
    SELECT to_regclass('format') IS NOT NULL AS formatted, (
        SELECT count(*) FROM pg_attribute WHERE attname = 'digest'
        AND attrelid IN (to_regclass('checkpoints'), to_regclass('checkpoint_writes'))
    ) AS ours, to_regclass('graphs') IS NOT NULL AND to_regclass('checkpoint_blobs') IS NOT NULL AS whole"""


class PostgresRunSaver(GraphGuard, AsyncPostgresSaver):
    """Checkpoints of one run's schema. Made by `open_postgres_saver`."""

    SELECT_SQL = _SELECT

    def __init__(self, connection: psycopg.AsyncConnection[DictRow], place: Schema) -> None:
        super().__init__(connection, serde=StrictSerializer(place))
        self.place: Place = place
        self.schema = place
        self.connection = connection
        self._used = time.monotonic()

    def with_allowlist(self, extra_allowlist: Iterable[Any]) -> PostgresRunSaver:
        """Itself: see RunSaver."""
        return self

    # ---- reading -----------------------------------------------------------------------------------------------

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint of a configuration, or the newest one; verified. Raises as `RunSaver.aget_tuple` does."""
        place = config["configurable"]
        thread, namespace, wanted = str(place["thread_id"]), place.get("checkpoint_ns", ""), get_checkpoint_id(config)
        found = await self._found(thread, namespace, wanted)
        if found is None:
            return None
        version = version_of(found[0]["graph"], found[1].checkpoint["channel_values"])
        if driving(config) and await self._agree(thread, version):
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
        """Checkpoints, newest first; verified as they are read. The connection is free between two of them."""
        where, parameters = self._search_where(config, filter, before)
        keys = f'SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints {where} ORDER BY checkpoint_id COLLATE "C" DESC'  # noqa: S608 - LangGraph's own condition
        bound = "" if limit is None else f" LIMIT {int(limit)}"
        for row in await self._fetched(keys + bound, parameters):
            found = await self._found(row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"])
            if found is not None:  # else it was pruned meanwhile
                yield found[1]

    async def newest(self, thread: str) -> Newest | None:
        """The newest checkpoint of a thread's main graph, and how many there are; None when there is none."""
        sql = "SELECT checkpoint_id, digest, count(*) OVER () AS count FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = ''"
        for row in await self._fetched(sql + _NEWEST, [thread]):
            return Newest(row["count"], row["checkpoint_id"], row["digest"])
        return None

    async def _found(
        self, thread: str, namespace: str, identity: str | None
    ) -> tuple[dict[str, Any], CheckpointTuple] | None:
        where = "WHERE thread_id = %s AND checkpoint_ns = %s"
        sql = f"{where} AND checkpoint_id = %s" if identity else where + _NEWEST
        parameters = (thread, namespace, identity) if identity else (thread, namespace)
        for row in await self._fetched(self.SELECT_SQL + sql, parameters):
            self._verify(row)
            return row, await self._load_checkpoint_tuple({**row, "pending_writes": _six(row["pending_writes"])})
        return None

    def _verify(self, row: dict[str, Any]) -> None:
        blobs = [
            (name.decode("utf-8", "replace"), kind.decode(), blob) for name, kind, blob in row["channel_values"] or ()
        ]
        content = covered(row["checkpoint"], blobs)
        cells = {**row, "checkpoint": content, "metadata": canonical(row["metadata"])}
        where = str(self.schema)
        damage = damage_of_checkpoint(where, cells) or damage_of_writes(where, _written(row))
        if damage := damage or damage_of_link(where, cells, row["found_digest"]):
            raise damage.error()

    async def _fetched(self, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        with named_errors(self.schema):
            async with self.lock, (await self._connected()).cursor(binary=True, row_factory=dict_row) as cursor:
                await cursor.execute(sql.encode(), parameters)
                return await cursor.fetchall()

    async def _connected(self) -> psycopg.AsyncConnection[DictRow]:
        """The connection; a new one when the server dropped the old one since its last use. The lock is held."""
        idle, self._used = time.monotonic() - self._used, time.monotonic()
        if idle > _IDLE_SECONDS and not self.connection.closed:
            with suppress(psycopg.OperationalError):  # which closes it
                await self.connection.execute("SELECT 1")
        if self.connection.closed:
            self.conn = self.connection = await _connect(self.schema)
        return self.connection

    # ---- writing -----------------------------------------------------------------------------------------------

    async def setup(self) -> None:
        """Make schema and tables, all or none, unless they are there. Raises StoreError for a damaged schema."""
        (ready,) = await self._fetched(_READY, [])
        if ready["formatted"]:
            (told,) = await self._fetched("SELECT max(version) AS version FROM format", [])
            if ready["ours"] == 2 and ready["whole"] and told["version"] == FORMATS["run"]:
                return
        await in_thread(_in_one_transaction, self.schema, make_tables)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with its checksum, and the graph it belongs to. Raises as `RunSaver.aput` does.

        Raises RunHeld when another process has taken the run over.
        """
        crash_point("before-checkpoint")
        place = config["configurable"]
        thread, namespace, parent = str(place["thread_id"]), place["checkpoint_ns"], place.get("checkpoint_id")
        version = None if self.graph is None else self.graph.version
        values = checkpoint["channel_values"]
        versions = {channel: str(one) for channel, one in checkpoint["channel_versions"].items()}
        small = {channel: value for channel, value in values.items() if fits_json(value)}
        blobs = {
            channel: self.serde.dumps_typed(value)
            for channel, value in values.items()
            if channel in versions and channel not in small
        }
        envelope = {**checkpoint, "channel_values": small}
        told = storable_metadata(get_serializable_checkpoint_metadata(config, metadata))
        row = {
            "thread_id": thread,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint["id"],
            "parent_checkpoint_id": parent,
            "type": None,
            "checkpoint": covered(envelope, ((channel, *blob) for channel, blob in blobs.items())),
            "metadata": canonical(told),
            "graph": version,
        }
        changed = [
            (thread, namespace, channel, versions[channel], *blobs[channel])
            for channel in new_versions
            if channel in blobs
        ]
        async with self._transaction() as cursor:
            await cursor.execute(_BEFORE_PUT, (thread, namespace, parent, version))
            known = await cursor.fetchone()
            assert known is not None
            self._check_parent(thread, known["graph"])
            row["parent_digest"] = known["digest"]
            row["digest"] = checkpoint_digest(row)
            if version is not None and known["version"] is None:
                await cursor.execute(_PUT_GRAPH, self._graph_cells(version))
            if changed:
                await cursor.executemany(self.UPSERT_CHECKPOINT_BLOBS_SQL, changed)
            await cursor.execute(_PUT, {**row, "envelope": Jsonb(envelope), "told": Jsonb(told)})
        crash_point("after-checkpoint")
        keys = {"thread_id": place["thread_id"], "checkpoint_ns": namespace}
        return {"configurable": {**keys, "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote, all or nothing. Raises RunHeld when another process has taken the run over."""
        if not writes:
            return
        place = config["configurable"]
        keys = (str(place["thread_id"]), str(place["checkpoint_ns"]), str(place["checkpoint_id"]), task_id, task_path)
        rows = []
        for index, (channel, value) in enumerate(writes):
            cells = (*keys, WRITES_IDX_MAP.get(channel, index), channel, *self.serde.dumps_typed(value))
            rows.append((*cells, write_digest(dict(zip(WRITE_COLUMNS, cells, strict=False)))))
        verb = _REPLACE if all(channel in WRITES_IDX_MAP for channel, _ in writes) else "NOTHING"
        async with self._transaction() as cursor:
            await cursor.executemany((_PUT_WRITE + verb).encode(), rows)
        crash_point("after-writes")

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[psycopg.AsyncCursor[dict[str, Any]]]:
        """A transaction of the run's driver: durable when the block ends well, refused when the run was lost."""
        with named_errors(self.schema):
            async with (
                self.lock,
                (connection := await self._connected()).transaction(),
                connection.cursor(binary=True, row_factory=dict_row) as cursor,
            ):
                await afence(connection, self.schema)
                yield cursor

    # ---- the graph ---------------------------------------------------------------------------------------------

    async def _stored_version(self, thread: str) -> str | None:
        found = await self._found(thread, "", None)
        return None if found is None else version_of(found[0]["graph"], found[1].checkpoint["channel_values"])

    async def _recorded(self, version: str) -> Recorded | None:
        for row in await self._fetched("SELECT shape, packages FROM graphs WHERE version = %s", [version]):
            return Recorded(json.loads(row["shape"]), json.loads(row["packages"]))
        return None

    async def _record_packages(self, version: str) -> None:
        async with self._transaction() as cursor:
            await cursor.execute(_PUT_GRAPH, self._graph_cells(version))

    def _graph_cells(self, version: str) -> list[str]:
        assert self.graph is not None
        return [version, json.dumps(self.graph.shape, ensure_ascii=False), json.dumps(self.graph.packages)]

    # ---- whole threads -----------------------------------------------------------------------------------------

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes, all or none."""
        await self._work(lambda db: delete_thread(db, str(thread_id)))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints that no resume needs, all or none. See `RunSaver.aprune`."""
        remove = prune_thread if strategy_checked(strategy) == "keep_latest" else delete_thread

        def work(db: Writer) -> None:
            for thread in thread_ids:
                remove(db, str(thread))

        await self._work(work)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all rows of a thread to another one of the schema, which must hold none. See `RunSaver.acopy_thread`."""
        source, target = str(source_thread_id), str(target_thread_id)

        def work(db: Writer) -> None:
            if read_thread(self.schema, target).checkpoints:
                raise UsageError(
                    f"thread {target!r} holds checkpoints already", hint="copy to an id that is not in use"
                )
            write_thread(db, self.schema, read_thread(self.schema, source).moved_to(target))

        await self._work(work)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these invocations of the graph made (`run_id` in their metadata), and their writes."""
        runs = [str(run) for run in run_ids]
        sql = "SELECT DISTINCT thread_id FROM checkpoints WHERE metadata ->> 'run_id' = ANY(%s)"
        threads = [row["thread_id"] for row in await self._fetched(sql, [runs])]

        def work(db: Writer) -> None:
            for thread, rows in [(one, read_thread(self.schema, one).without_runs(runs)) for one in threads]:
                remove_thread(db, self.schema, thread)
                write_thread(db, self.schema, rows)

        if threads:
            await self._work(work)

    async def _work(self, work: Callable[[Writer], None]) -> None:
        """Carry out work on the schema, all or none, off the loop."""
        async with self.lock:
            await in_thread(_in_one_transaction, self.schema, work)


def _in_one_transaction(place: Schema, work: Callable[[Writer], None]) -> None:
    database = PostgresDatabase(place, "run")
    try:
        with database.write() as db:
            work(db)
    finally:
        database.close()


def _six(writes: list[list[bytes]] | None) -> list[list[bytes]] | None:
    """Pending writes as LangGraph's saver knows them: without their digests."""
    return None if writes is None else [one[:6] for one in writes]


def _written(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Pending writes of a checkpoint's row as rows of their own."""
    found = []
    for task, channel, kind, blob, path, index, digest in row["pending_writes"] or ():
        texts = {"task_id": task, "task_path": path, "idx": index, "channel": channel, "type": kind, "digest": digest}
        told = {name: None if text is None else text.decode("utf-8", "replace") for name, text in texts.items()}
        keys = {name: row[name] for name in ("thread_id", "checkpoint_ns", "checkpoint_id")}
        found.append({**keys, **told, "value": blob})
    return found


@asynccontextmanager
async def open_postgres_saver(place: Schema, *, create: bool = True) -> AsyncIterator[PostgresRunSaver | None]:
    """The checkpointer on a run's schema, which is created when it is not there; see `tools.checkpoints.open_saver`.

    create: when False, None is given for a schema that is not there, and nothing is created by looking.
    """
    with named_errors(place):
        saver = PostgresRunSaver(await _connect(place), place)
        try:
            if not create and not (await saver._fetched(_READY, []))[0]["formatted"]:
                yield None
                return
            await saver.setup()
            for row in await saver._fetched('SELECT max(checkpoint_id COLLATE "C") AS newest FROM checkpoints', []):
                if row["newest"]:
                    seed_id_clock(row["newest"])
            yield saver
        finally:
            await saver.connection.close()


async def _connect(place: Schema) -> psycopg.AsyncConnection[DictRow]:
    connection = await psycopg.AsyncConnection[DictRow].connect(place.url, row_factory=dict_row, **connect_options())
    await connection.execute(session_sql(place).encode())
    return connection
