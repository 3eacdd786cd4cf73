"""From role to graph node: opens the workbench, tells what happens, and lets only plain data into the state.

Each guarantee that must hold whoever invokes the graph (command line, notebook, LangGraph server) is made here.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from state.records import to_plain
from state.settings import Settings
from tools.artifacts import open_artifacts
from tools.runs import register_run
from tools.workbench import Workbench, open_workbench

Role = Callable[..., dict[str, Any] | Awaitable[dict[str, Any]]]
Node = Callable[..., Awaitable[dict[str, Any]]]


def step(role: Role) -> Node:
    """A graph node of a role. Synchronous roles run in a thread, so that they never block the server's loop."""
    asks = "ask" in inspect.signature(role).parameters
    name = role.__name__

    async def node(state: dict[str, Any], config: RunnableConfig, runtime: Runtime[Settings]) -> dict[str, Any]:
        first = await asyncio.to_thread(_first_facts, state, config, runtime)
        state = {**state, **first}
        desk = await asyncio.to_thread(_desk, state)
        desk.say("phase", name, candidate=state.get("candidate_id"))
        extra = {"ask": _ask} if asks else {}
        if inspect.iscoroutinefunction(role):
            update = await role(state, desk, **extra)
        else:
            update = await asyncio.to_thread(role, state, desk, **extra)
        desk.budget.save()
        return {**first, **to_plain(update)}

    node.__name__ = name
    return node


def _ask(question: dict[str, Any], answer: type) -> Any:
    return interrupt(question, response_schema=answer)


def _first_facts(state: dict[str, Any], config: RunnableConfig, runtime: Runtime[Settings]) -> dict[str, Any]:
    """At the first step of a run: its id and its settings, which from then on come from the state alone."""
    if "run_id" in state:
        return {}
    from graphs.modeling import graph_drawing, graph_fingerprint

    settings = runtime.context or Settings()
    if isinstance(settings, dict):
        settings = Settings.model_validate(settings)
    given = {name: state[name] for name in ("data", "intent", "target") if state.get(name)}
    settings = settings.model_copy(update=given)
    run_id = str((config.get("configurable") or {}).get("thread_id") or uuid.uuid4())
    return {
        "run_id": run_id,
        "settings": settings.model_dump(mode="json"),
        "graph_version": graph_fingerprint(),
        "drawing": open_artifacts().put_text(graph_drawing()),
    }


def _desk(state: dict[str, Any]) -> Workbench:
    """The run's open workbench; opened from the settings the state names when this process has none yet."""
    settings = state.get("settings") or open_artifacts().get_json(state["brief"])["settings"]
    desk = open_workbench(state["run_id"], Settings.model_validate(settings))
    register_run(desk.catalogue, state["run_id"], desk.settings)
    return desk
