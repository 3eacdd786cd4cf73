"""One checkpointer for all runs of a home, for the LangGraph server: each thread's rows lie in its own run's database.

So a run begun in Studio is answered from the command line, and the other way round, and the server's death loses no
checkpoint. Threads of a server are UUIDs, and so are runs: a thread's id is the id of the run it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from state.errors import NotFound
from tools.checkpointbase import Bindable
from tools.checkpointrows import copy_thread, has_database, threads_made_by
from tools.checkpoints import RunSaver, StrictSerializer, open_existing_saver, open_saver
from tools.drivers import check_driver, drive_run, driver_of
from tools.forking import copy_run
from tools.home import home
from tools.places import Place, run_place
from tools.rewinding import take_back
from tools.store import open_catalogue

if TYPE_CHECKING:
    from tools.postgres.saver import PostgresRunSaver


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
        source = metadata.get("source", "")
        async with _written(config, alone=source == "update"), self._opened(await _place(config)) as saver:
            if source in {"update", "fork"}:
                await _follow(saver, config, checkpoint)
            return await saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with _written(config), self._opened(await _place(config)) as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints. The run's log, report and release stay."""
        config: RunnableConfig = {"configurable": {"thread_id": thread_id}}
        async with _written(config), self._existing(config) as saver:
            if saver is not None:
                await saver.adelete_thread(thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints that no resume needs, each thread's in its own database. See `RunSaver.aprune`."""
        for thread_id in thread_ids:
            config: RunnableConfig = {"configurable": {"thread_id": thread_id}}
            async with _written(config), self._existing(config) as saver:
                if saver is not None:
                    await saver.aprune([thread_id], strategy=strategy)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with the run it holds: the copy is a run of its own, with log and catalogue row.

        Of a thread that holds no run of ours the checkpoints are copied. Raises NotFound when there is nothing to be
        copied, UsageError when the target is taken.
        """
        await asyncio.to_thread(_copy, str(source_thread_id), str(target_thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these invocations of the graph made, in whichever run's database they lie."""
        wanted = [str(run) for run in run_ids]
        for place, thread in await asyncio.to_thread(threads_made_by, wanted):
            config: RunnableConfig = {"configurable": {"thread_id": thread}}
            async with _written(config), self._opened(place) as saver:
                await saver.adelete_for_runs(wanted)

    @asynccontextmanager
    async def _opened(self, place: Place) -> AsyncIterator[RunSaver | PostgresRunSaver]:
        async with open_saver(place) as saver:
            yield saver.bind(self.graph, self.migrations)

    @asynccontextmanager
    async def _existing(self, config: RunnableConfig) -> AsyncIterator[RunSaver | PostgresRunSaver | None]:
        """The saver of a thread that has a database; looking at another one creates nothing."""
        async with open_existing_saver(await _place(config)) as saver:
            yield None if saver is None else saver.bind(self.graph, self.migrations)


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
async def _written(config: RunnableConfig, *, alone: bool = False) -> AsyncIterator[None]:
    """Around a write to a thread. Raises RunHeld, before anything is written, while another process drives its run.

    alone: hold the run for the write when nobody drives it. Not for what a run writes itself: its first step takes the
    run's lock while its input is still being stored.
    """
    thread = _thread(config)
    await asyncio.to_thread(check_driver, thread)
    held = ExitStack()
    if alone and await asyncio.to_thread(driver_of, thread) is None:
        await asyncio.to_thread(held.enter_context, drive_run(thread))
    try:
        yield
    finally:
        await asyncio.to_thread(held.close)


async def _follow(saver: RunSaver | PostgresRunSaver, config: RunnableConfig, checkpoint: Checkpoint) -> None:
    """Take the run's log back as well when a thread goes on from a checkpoint that is not its newest."""
    place = config["configurable"]
    if place.get("checkpoint_ns") or not place.get("checkpoint_id"):
        return
    newest = await saver.aget_tuple({"configurable": {"thread_id": place["thread_id"], "checkpoint_ns": ""}})
    if newest is not None and newest.checkpoint["id"] > place["checkpoint_id"]:
        version = checkpoint["channel_values"].get("candidates_version") or 0
        await asyncio.to_thread(take_back, _thread(config), version)


async def _place(config: RunnableConfig) -> Place:
    return await asyncio.to_thread(run_place, _thread(config))


def _thread(config: RunnableConfig) -> str:
    return str(config.get("configurable", {})["thread_id"])
