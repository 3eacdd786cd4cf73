"""One checkpointer for all runs of a home, for the LangGraph server: each thread's rows lie in its own run's database.

So a run begun in Studio is answered from the command line, and the other way round, and the server's death loses no
checkpoint. Threads of a server are UUIDs, and so are runs: a thread's id is the id of the run it holds.

Each write holds the thread's run: with the steps that drive it in this process, or by itself where none does
(tools/drivers.py). So a write that was begun has the run to the end, and one beside another process's driver is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from state.errors import NotFound
from tools.blocking import in_thread
from tools.checkpointbase import Bindable, GraphGuard
from tools.checkpointrows import copy_thread, has_database, threads_made_by
from tools.checkpoints import RunSaver, StrictSerializer, open_existing_saver, open_saver
from tools.drivers import write_beside
from tools.forking import copy_run
from tools.home import home
from tools.places import Place, run_place
from tools.rewinding import take_back
from tools.store import open_catalogue

if TYPE_CHECKING:
    from tools.postgres.saver import PostgresRunSaver

S = TypeVar("S", bound=GraphGuard)


class HomeSaver(Bindable, BaseCheckpointSaver[str]):
    """Opens a run's database for each call and closes it again, so that no number of threads keeps files open.

    It is bound to a graph as a run's own saver is (tools/checkpointbase.py).
    """

    def __init__(self) -> None:
        super().__init__(serde=StrictSerializer(home()))

    def with_allowlist(self, extra_allowlist: Iterable[Any]) -> HomeSaver:
        """Itself: see RunSaver."""
        return self

    def get_next_version(self, current: str | None, channel: None) -> str:
        """As SQLite's saver counts, so that both may go on with the same run."""
        return RunSaver.get_next_version(self, current, channel)  # type: ignore[arg-type]  # it uses nothing of its self

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        async with self._existing(config) as saver:
            return None if saver is None else await saver.aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's own name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints of one thread, newest first; nothing without a thread, since runs are apart."""
        if config is None:
            return
        async with self._existing(config) as saver:
            if saver is not None:
                async for one in saver.alist(config, filter=filter, before=before, limit=limit):
                    yield one

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        async with _written(_thread(config)), self._opened(await _place(config)) as saver:
            if metadata.get("source") in {"update", "fork"}:
                await _follow(saver, config, checkpoint)
            return await saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with _written(_thread(config)), self._opened(await _place(config)) as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints. The run's log, report and release stay."""
        async with self._changed(thread_id) as saver:
            if saver is not None:
                await saver.adelete_thread(thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints that no resume needs, each thread's in its own database. See `RunSaver.aprune`."""
        for thread_id in thread_ids:
            async with self._changed(thread_id) as saver:
                if saver is not None:
                    await saver.aprune([thread_id], strategy=strategy)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with the run it holds: the copy is a run of its own, with log and catalogue row.

        Of a thread that holds no run of ours the checkpoints are copied. Raises NotFound when there is nothing to be
        copied, UsageError when the target is taken.
        """
        source, target = str(source_thread_id), str(target_thread_id)
        async with _written(target):
            await in_thread(_copy, source, target)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these invocations of the graph made, in whichever run's database they lie."""
        wanted = [str(run) for run in run_ids]
        for _, thread in await asyncio.to_thread(threads_made_by, wanted):
            async with self._changed(thread) as saver:
                if saver is not None:
                    await saver.adelete_for_runs(wanted)

    @asynccontextmanager
    async def _opened(self, place: Place) -> AsyncIterator[RunSaver | PostgresRunSaver]:
        async with open_saver(place) as saver:
            yield self._bound(saver)

    @asynccontextmanager
    async def _existing(self, config: RunnableConfig) -> AsyncIterator[RunSaver | PostgresRunSaver | None]:
        """The saver of a thread that has a database; looking at another one creates nothing."""
        async with open_existing_saver(await _place(config)) as saver:
            yield None if saver is None else self._bound(saver)

    @asynccontextmanager
    async def _changed(self, thread: str) -> AsyncIterator[RunSaver | PostgresRunSaver | None]:
        """As `_existing`, and the run is held; a thread that is not there is not held either, which would leave a trace."""
        if not await in_thread(has_database, await in_thread(run_place, str(thread))):
            yield None
            return
        async with _written(str(thread)), self._existing({"configurable": {"thread_id": thread}}) as saver:
            yield saver

    def _bound(self, saver: S) -> S:
        saver.bind(self.graph, self.migrations)
        saver.alone = _written
        return saver


def _copy(source: str, target: str) -> None:
    catalogue = open_catalogue()
    try:
        run = catalogue.run(source)
    except NotFound:
        if not has_database(run_place(source)):
            raise
        copy_thread(run_place(source), source, run_place(target), target)
    else:
        copy_run(catalogue, run, target)
    finally:
        catalogue.close()


@asynccontextmanager
async def _written(thread: str) -> AsyncIterator[None]:
    """Around a write to a thread, which holds its run. Raises RunHeld, before anything is written, while another process
    drives it.

    However the caller is cancelled, what was taken is freed.
    """
    held = ExitStack()
    try:
        await in_thread(held.enter_context, write_beside(thread))
        yield
    finally:
        await in_thread(held.close)


async def _follow(saver: RunSaver | PostgresRunSaver, config: RunnableConfig, checkpoint: Checkpoint) -> None:
    """Take the run's log back as well when a thread goes on from a checkpoint that is not its newest."""
    place = config["configurable"]
    if place.get("checkpoint_ns") or not place.get("checkpoint_id"):
        return
    newest = await saver.aget_tuple({"configurable": {"thread_id": place["thread_id"], "checkpoint_ns": ""}})
    if newest is not None and newest.checkpoint["id"] > place["checkpoint_id"]:
        version = checkpoint["channel_values"].get("candidates_version") or 0
        await in_thread(take_back, _thread(config), version)


async def _place(config: RunnableConfig) -> Place:
    return await asyncio.to_thread(run_place, _thread(config))


def _thread(config: RunnableConfig) -> str:
    return str(config.get("configurable", {})["thread_id"])
