"""Every run of the catalogue as a thread of the LangGraph server, with its standing, from wherever it is driven.

The server knows only threads it was told of, forgets them with its process, and changes what it says about one only when
it ran something there itself. So while it runs, the catalogue is looked at again and again: a run begun in a terminal
appears as a thread, an answer given there shows here, a run that was removed disappears.
"""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import Any
from uuid import UUID

import httpx

from graphs.studioanswers import state_of
from state.errors import ModelwrightError
from tools.runs import standing
from tools.store import RunRow, open_catalogue

GRAPH = "modelwright"
LOOK_SECONDS = 2.0
MOST_RUNS = 200
"""Newest runs that are shown; an older one is attached by hand, `threads.create(thread_id=…, graph_id="modelwright")`."""

_log = logging.getLogger("modelwright.studio")


class Threads:
    """Keeps the server's threads in line with the catalogue, through the server's own client."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.shown: dict[str, dict[str, Any]] = {}
        """Run → what its thread says about it."""

    async def keep(self) -> None:
        """Look, and look again, until cancelled."""
        while True:
            try:
                await self.look()
            except (ModelwrightError, httpx.HTTPError) as error:
                _log.warning("the runs cannot be looked at: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Bring the threads in line with the catalogue once."""
        told = await asyncio.to_thread(_told)
        for run_id, facts in told.items():
            if self.shown.get(run_id) != facts and await self._show(run_id, facts):
                self.shown[run_id] = facts
        if left := set(self.shown) - set(told):
            # Not those that only have become too old to be looked at: with a thread the server deletes its checkpoints.
            for run_id in left - await asyncio.to_thread(_known):
                del self.shown[run_id]
                if await self.client.threads.search(ids=[run_id], limit=1):
                    await self.client.threads.delete(run_id)

    async def _show(self, run_id: str, facts: dict[str, Any]) -> bool:
        """Make the run's thread say how it stands. False when the run has not come far enough to be shown."""
        metadata = {"graph_id": GRAPH, **facts}
        try:
            state = await state_of(run_id)
        except ModelwrightError as error:
            _log.warning("run %s cannot be read: %s", run_id, error.message)
            await self._put(run_id, {**metadata, "problem": error.message})
            return True
        if state.created_at is None:  # no checkpoint: not yet one, or it was driven with a checkpointer of its own
            return str(facts["status"]) != "running"
        await self._put(run_id, {**metadata, "problem": ""})
        await _stand(run_id, state)
        return True

    async def _put(self, run_id: str, metadata: dict[str, Any]) -> None:
        await self.client.threads.create(thread_id=run_id, if_exists="do_nothing", metadata=metadata)
        await self.client.threads.update(run_id, metadata=metadata)


async def _stand(run_id: str, state: Any) -> None:
    """Tell the server where the thread stands, as it does itself after `update_state`: status, values, open questions."""
    # By name, since they come without types; pyproject.toml holds the release to those whose `set_status` is this one.
    database, operations = import_module("langgraph_runtime.database"), import_module("langgraph_runtime.ops")
    tasks = [{"id": task.id, "interrupts": list(task.interrupts)} for task in state.tasks]
    place = {"next": list(state.next), "values": state.values, "tasks": tasks}
    async with database.connect() as connection:
        await operations.Threads.set_status(connection, UUID(run_id), place, None)


def _told() -> dict[str, dict[str, Any]]:
    """Run → what its thread says about it, of the newest runs, oldest first."""
    catalogue = open_catalogue()
    try:
        rows = catalogue.runs(limit=MOST_RUNS)
    finally:
        catalogue.close()
    return {row.id: _facts(row) for row in reversed(rows) if _is_uuid(row.id)}


def _known() -> set[str]:
    """The ids of all runs of the catalogue."""
    catalogue = open_catalogue()
    try:
        return {row.id for row in catalogue.runs()}
    finally:
        catalogue.close()


def _facts(row: RunRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "status": standing(row),
        "data": row.data,
        "intent": row.intent,
        "created": row.created,
        "updated": row.updated,
        "parent": row.parent or "",
        **{
            name: row.summary[name]
            for name in ("metric", "score", "best", "folder")
            if row.summary.get(name) is not None
        },
    }


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
