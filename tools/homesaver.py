"""One checkpointer for all runs of a home, for the LangGraph server: each thread's rows lie in its own run's database.

So a run begun in Studio is answered from the command line, and the other way round, and the server's death loses no
checkpoint. Threads of a server are UUIDs, and so are runs: a thread's id is the id of the run it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from tools.checkpoints import RunSaver, StrictSerializer, open_saver
from tools.forking import copy_run
from tools.home import home
from tools.places import file_of, run_place
from tools.store import open_catalogue


class HomeSaver(BaseCheckpointSaver[str]):
    """Opens a run's database for each call and closes it again, so that no number of threads keeps files open."""

    def __init__(self) -> None:
        super().__init__(serde=StrictSerializer(home()))

    def with_allowlist(self, extra_allowlist: Iterable[Any]) -> HomeSaver:
        """Itself: see RunSaver."""
        return self

    def get_next_version(self, current: str | None, channel: None) -> str:
        """As SQLite's saver counts, so that both may go on with the same run."""
        return RunSaver.get_next_version(self, current, channel)  # type: ignore[arg-type]  # it uses nothing of its self

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        async with _existing(config) as saver:
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
        async with _existing(config) as saver:
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
        async with open_saver(await _path(config)) as saver:
            return await saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with open_saver(await _path(config)) as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints. The run's log, report and release stay."""
        async with _existing({"configurable": {"thread_id": thread_id}}) as saver:
            if saver is not None:
                await saver.adelete_thread(thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints that no resume needs, each thread's in its own database. See `RunSaver.aprune`."""
        for thread_id in thread_ids:
            async with _existing({"configurable": {"thread_id": thread_id}}) as saver:
                if saver is not None:
                    await saver.aprune([thread_id], strategy=strategy)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with the run it holds: the copy is a run of its own, with log and catalogue row.

        A thread that holds no run of ours is not there to be copied. Raises UsageError when the target is taken.
        """
        await asyncio.to_thread(_copy, str(source_thread_id), str(target_thread_id))


def _copy(source: str, target: str) -> None:
    catalogue = open_catalogue()
    try:
        copy_run(catalogue, catalogue.run(source), target)
    finally:
        catalogue.close()


@asynccontextmanager
async def _existing(config: RunnableConfig) -> AsyncIterator[RunSaver | None]:
    """The saver of a thread that has a database; looking at another one creates nothing."""
    path = await _path(config)
    if not path.exists():
        yield None
        return
    async with open_saver(path) as saver:
        yield saver


async def _path(config: RunnableConfig) -> Path:
    thread = str(config.get("configurable", {})["thread_id"])
    return await asyncio.to_thread(lambda: file_of(run_place(thread)))
