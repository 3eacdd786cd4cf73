"""The main graph under any checkpointer: a run of another graph's is refused before anything runs.

Our checkpointers compare the graphs themselves (tools/checkpointbase.py). Somebody may compile the graph with another one,
LangGraph's for memory or PostgreSQL say, which knows nothing of it. Then the state alone tells which graph made it, and it is
looked at when the graph is invoked: once a step has begun it is too late, since a pending step that is gone begins nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph.state import CompiledStateGraph

from graphs.picture import DrawnGraph
from state.errors import VersionMismatch
from tools.checkpointbase import VERSION_CHANNEL, Bindable


class GuardedGraph(DrawnGraph):
    """The main graph, compiled with whatever checkpointer. All ways to invoke it go through these two."""

    async def astream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> AsyncIterator[Any]:  # noqa: A002 - LangGraph's own name; its options are handed on
        saver, place = self._foreign(config)
        if saver is not None:
            _check(await saver.aget_tuple(place))
        made: Any = super().astream(input, config, **options)  # an async generator, declared as an iterator
        async with aclosing(made) as parts:
            async for part in parts:
                yield part

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Iterator[Any]:  # noqa: A002 - as above
        saver, place = self._foreign(config)
        if saver is not None:
            _check(saver.get_tuple(place))
        made: Any = super().stream(input, config, **options)
        with closing(made) as parts:
            yield from parts

    def _foreign(self, config: RunnableConfig | None) -> tuple[BaseCheckpointSaver[Any] | None, RunnableConfig]:
        """A checkpointer that is not ours, and where it is asked for the thread's checkpoint."""
        told = (config or {}).get("configurable") or {}
        place: dict[str, Any] = {
            name: told[name] for name in ("thread_id", "checkpoint_ns", "checkpoint_id") if name in told
        }
        saver, asked = self.checkpointer, RunnableConfig(configurable=place)
        if isinstance(saver, BaseCheckpointSaver) and not isinstance(saver, Bindable) and "thread_id" in place:
            return saver, asked
        return None, asked


def guarded(graph: CompiledStateGraph[Any, Any, Any, Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The same graph, guarded and drawing itself. `StateGraph.compile` offers no way to name the class it makes."""
    graph.__class__ = GuardedGraph
    return graph


def _check(found: CheckpointTuple | None) -> None:
    from graphs.modeling import graph_fingerprint

    known = None if found is None else found.checkpoint["channel_values"].get(VERSION_CHANNEL)
    if known is not None and known != graph_fingerprint():
        raise VersionMismatch(
            f"this run was made by graph {known}, and the graph here is {graph_fingerprint()}",
            hint="go on with the version of modelwright it was started with, or start a new run: finished trainings are "
            "answered from the journal; with a checkpointer of ours the difference would be shown here",
        )
