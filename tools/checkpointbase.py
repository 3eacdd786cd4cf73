"""What our checkpointers have in common, wherever their rows lie: strictness, the id clock, and the graph a run belongs to.

*Which graph.* A saver that is told its graph (`bind`, which `build_graph` does) writes the graph's fingerprint into every
checkpoint's row and its lines beside them. Whoever then drives a thread, be it the command line, Python or the LangGraph
server, reads the checkpoint through the saver, so nothing runs before the two graphs have been compared. Looking (state,
history) is never refused: a run of an earlier version can be read, compared and forked where its rows allow it.

A checkpoint on top of another graph's is refused too, so neither `update_state` nor a process that went on with an older
version can hide the difference.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import id as checkpoint_ids
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from state.errors import StoreError, VersionMismatch
from tools.blocking import in_thread
from tools.fingerprint import GraphIdentity, Shape, differences, newer_packages, older_packages
from tools.places import Place

if TYPE_CHECKING:
    from tools.skew import Migration

VERSION_CHANNEL = "graph_version"
"""Channel of the state in which a run of ours names its graph, for rows that were written before they did so themselves."""


_RUNTIME = "__pregel_runtime"
"""What LangGraph puts into the configuration of an invocation, and of nothing else; tests/tools/test_skew.py holds it to that."""


class StrictSerializer(JsonPlusSerializer):
    """Revives plain data and LangGraph's own types, nothing else; names the place of what cannot be decoded."""

    def __init__(self, place: Place) -> None:
        super().__init__(allowed_msgpack_modules=None)
        self.place = place

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        try:
            return super().loads_typed(data)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise StoreError(
                f"a checkpoint in {str(self.place)!r} is damaged: {error}",
                hint="restore it from a backup, or start the run again: finished work is reused",
            ) from error


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
    # A private attribute of the pinned langgraph-checkpoint; tests/tools/test_clock.py holds that it still works.
    current: int | None = checkpoint_ids._last_v6_timestamp
    if current is None or current < stored:
        setattr(checkpoint_ids, "_last_v6_timestamp", stored)  # noqa: B010 - its declared type is None


@dataclass(frozen=True)
class Recorded:
    """What is stored about a graph: its lines, and the releases that last drove it."""

    shape: Shape
    packages: dict[str, str]


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint of a thread's main graph."""

    count: int
    """How many checkpoints the main graph has; pruning makes them fewer."""
    id: str
    digest: str | None


class Bindable:
    """A saver that can be told which graph it serves."""

    graph: GraphIdentity | None = None
    migrations: Sequence[Migration] = ()

    def bind(self, graph: GraphIdentity | None, migrations: Sequence[Migration] = ()) -> Self:
        """Tell which graph this saver serves from now on, and which earlier graphs' runs can be brought up to it."""
        self.graph, self.migrations = graph, migrations
        return self


class GraphGuard(Bindable):
    """The part of a saver that knows its graph. Mixed into a saver, which reads and writes the rows."""

    place: Place
    loop: asyncio.AbstractEventLoop
    alone: Callable[[str], AbstractAsyncContextManager[None]] | None = None
    """Holds a thread's run while it is changed to be gone on with. None where whoever opened the saver drives the run."""

    async def acheck_graph(self, thread: str) -> None:
        """Do now what the first step would: bring the thread up to the bound graph.

        Raises VersionMismatch, with every difference, when the thread belongs to another graph and no migration leads
        from there to here.
        """
        version = await self._stored_version(thread)
        if version is not None:
            await self._agree(thread, version)

    async def _stored_version(self, thread: str) -> str | None:
        raise NotImplementedError

    async def _recorded(self, version: str) -> Recorded | None:
        raise NotImplementedError

    async def _record_packages(self, version: str) -> None:
        raise NotImplementedError

    async def _agree(self, thread: str, version: str | None) -> bool:
        """Compare a stored version with the bound graph. True when the thread's rows were migrated just now."""
        if self.graph is None or version is None:
            return False
        recorded = await self._recorded(version)
        if recorded is not None and (older := older_packages(recorded.packages, self.graph.packages)):
            raise mismatch(self.place, thread, version, recorded, self.graph, older)
        if version != self.graph.version:
            await self._migrate(thread, version, recorded)
            return True
        if recorded is not None and (newer := newer_packages(recorded.packages, self.graph.packages)):
            async with self._held(thread):
                await self._record_packages(version)
                await self._tell(f"going on with upgraded packages: {', '.join(newer)}")
        return False

    async def _migrate(self, thread: str, version: str, recorded: Recorded | None) -> None:
        from tools.skew import migrate_thread, way

        assert self.graph is not None
        steps = way(self.migrations, version, self.graph.version)
        if steps is None:
            raise mismatch(self.place, thread, version, recorded, self.graph)
        async with self._held(thread):
            await in_thread(migrate_thread, self.place, thread, steps, self.graph)

    def _held(self, thread: str) -> AbstractAsyncContextManager[None]:
        """Around changes that are made before the first step, which takes the run's lock, has begun."""
        return nullcontext() if self.alone is None else self.alone(thread)

    def _check_parent(self, thread: str, version: str | None) -> None:
        """Refuse to write a checkpoint upon one of another graph."""
        if self.graph is not None and version is not None and version != self.graph.version:
            raise mismatch(self.place, thread, version, None, self.graph)

    async def _tell(self, text: str) -> None:
        from tools.runlog import RunLog

        def note() -> None:
            log = RunLog(self.place)
            try:
                log.add_event("note", "", text)
            finally:
                log.close()

        await in_thread(note)

    # ---- the methods without an a, which LangGraph's async savers offer to other threads ------------------------

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        raise NotImplementedError

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        raise NotImplementedError

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        raise NotImplementedError

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


def driving(config: RunnableConfig) -> bool:
    """Whether a checkpoint is read to go on from it. Looking at a state or its history sets up no runtime."""
    return _RUNTIME in (config.get("configurable") or {})


def version_of(graph: str | None, values: Mapping[str, Any]) -> str | None:
    """The graph a checkpoint belongs to: as its row says, or as its state does in rows from before; None: unknown."""
    if graph is not None:
        return graph
    told = values.get(VERSION_CHANNEL)
    return told if isinstance(told, str) else None


def mismatch(
    place: Place,
    thread: str,
    version: str,
    recorded: Recorded | None,
    here: GraphIdentity,
    older: Iterable[str] = (),
) -> VersionMismatch:
    """The refusal, with what is different line by line where that is known."""
    lines = [*older, *(differences(recorded.shape, here.shape) if recorded is not None else ())]
    told = "".join(f"\n  - {line}" for line in lines)
    which = "here there are older packages" if version == here.version else f"the graph here is {here.version}"
    return VersionMismatch(
        f"run {thread!r} was made by graph {version}, and {which}{':' if told else ''}{told}",
        hint="go on with the version of modelwright it was last driven with, or start a new run: finished trainings are "
        f"answered from the journal (its checkpoints lie in {str(place)!r})",
    )
