"""From role to graph node: opens the workbench, tells what happens, and lets only plain data into the state.

Each guarantee that must hold whoever invokes the graph (command line, notebook, LangGraph server) is made here: the
run's lock, its budget, the version of its graph, and that nothing blocks the caller's event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from graphs.desks import borrow, give_back, is_lent
from graphs.rebuilding import reframe
from graphs.roleloop import on_role_loop
from graphs.summary import ending, summarise
from state.errors import DiskFull, RunPaused, VersionMismatch
from state.records import to_plain
from state.settings import Settings
from tools.artifacts import open_artifacts
from tools.blocking import in_thread
from tools.damage.healing import Healer
from tools.disk import check_room, writing
from tools.home import home
from tools.store import open_run_log
from tools.workbench import Workbench, opened_workbench

Role = Callable[..., dict[str, Any] | Awaitable[dict[str, Any]]]
Node = Callable[..., Awaitable[dict[str, Any]]]


def step(role: Role, *, first: bool = False, last: bool = False) -> Node:
    """A graph node of a role. Roles work in threads of their own, so that they never block the caller's loop.

    first: a run begins with this step. last: it is over when this step is done.
    """
    asks = "ask" in inspect.signature(role).parameters
    name = role.__name__

    async def node(state: dict[str, Any], config: RunnableConfig, runtime: Runtime[Settings]) -> dict[str, Any]:
        async with _borrowed(partial(_opened, state, config, runtime, first), last) as (desk, facts, state):
            began, place = time.monotonic(), await in_thread(_begin, desk, name, state, runtime)
            extra = {"ask": partial(_ask, desk)} if asks else {}

            async def work() -> Any:
                if inspect.iscoroutinefunction(role):
                    return await on_role_loop(role(state, desk, **extra))
                return await in_thread(role, state, desk, **extra)

            with writing():
                healer = Healer(desk, state.get("brief") or "", lambda: reframe(desk), elsewhere=on_role_loop)
                update = await healer.through(work)
            plain: dict[str, Any] = to_plain(update)
            place["seconds"] = round(time.monotonic() - began, 3)
            await in_thread(_finish, desk, name, place, {**state, **plain}, last)
        return {**facts, **plain}

    node.__name__ = name
    return node


def _ask(desk: Workbench, question: dict[str, Any], answer: type) -> Any:
    """Ask a person, and put the answer on record, unless whoever handed it in has done so: the LangGraph server does not."""
    given = interrupt(question, response_schema=answer)
    last: dict[str, str] = {}
    for event in desk.log.events():
        if event["kind"] in {"ask", "given"} and event["data"].get("gate", question["gate"]) == question["gate"]:
            last = {"kind": event["kind"], "id": str(event["data"]["id"])}
    if last.get("kind") == "ask":
        desk.log.add_event("given", "", "", {"id": last["id"], "answer": to_plain(given)})
    return given


# ---- at the first step ----------------------------------------------------------------------------------------------


_NOTHING_YET: dict[str, Any] = {
    "iteration": -1,
    "feedback": [],
    "findings": [],
    "decision": {},
    "operations": [],
    "fruitless": 0,
    "best": "",
    "inference": {},
    "verdict": {},
    "ladder": [],
    "test_predictions": None,
    "revisions": 0,
    "release_answer": {},
    "release": {},
}
"""What the state of a run says before its steps have said anything, for threads that held a run before."""


def _facts(state: dict[str, Any], config: RunnableConfig, runtime: Runtime[Settings], first: bool) -> dict[str, Any]:
    """At the first step of a run its id and settings, which from then on come from the state alone; later nothing.

    New input on a thread that holds a run already starts another run: LangGraph has dropped the old one's next step.
    """
    from graphs.modeling import graph_fingerprint

    version, again = graph_fingerprint(), first and "brief" in state
    if "run_id" in state and not again:
        known = state.get("graph_version", version)
        if known != version:
            raise VersionMismatch(
                f"this run was made by graph {known}, and the graph here is {version}",
                hint="go on with the version of modelwright it was started with, or start a new run: "
                "finished trainings are answered from the journal",
            )
        return {}
    settings = runtime.context or Settings()
    if isinstance(settings, dict):
        settings = Settings.model_validate(settings)
    given = {name: state[name] for name in ("data", "intent", "target") if state.get(name)}
    thread = None if again else (config.get("configurable") or {}).get("thread_id")
    return {
        **(_NOTHING_YET if again else {}),
        "run_id": _run_id(thread),
        "settings": settings.model_copy(update=given).model_dump(mode="json"),
        "graph_version": version,
    }


def _run_id(thread: Any) -> str:
    """The thread's id when it is a UUID that no other run has taken; otherwise a new one.

    Checkpointers number threads as they like: `"1"` in a script today and in another tomorrow are different runs, and
    their candidates must not meet in one log.
    """
    name = str(thread or "")
    if opened_workbench(name) is not None:
        return name
    try:
        uuid.UUID(name)
    except ValueError:
        return str(uuid.uuid4())
    log = open_run_log(name)
    try:
        return str(uuid.uuid4()) if log.candidates() else name
    finally:
        log.close()


# ---- around every step ----------------------------------------------------------------------------------------------


class _Opened(NamedTuple):
    """What a step works with."""

    desk: Workbench
    facts: dict[str, Any]
    """What the step itself adds to the state."""
    state: dict[str, Any]


@asynccontextmanager
async def _borrowed(opened: Callable[[], _Opened], last: bool) -> AsyncIterator[_Opened]:
    """The run's workbench for one step and what the step adds to the state, given back however the step ends."""
    opening = asyncio.ensure_future(asyncio.to_thread(opened))
    how = "failed"
    try:
        yield await asyncio.shield(opening)
        how = "ended" if last else ""
    except GraphInterrupt as question:
        how = "waiting"
        await in_thread(_tell_waiting, opening.result(), question)
        raise
    except (GraphBubbleUp, RunPaused, DiskFull, asyncio.CancelledError):
        how = "paused"
        raise
    finally:
        closing = asyncio.ensure_future(_give_back(opening, how))
        await asyncio.shield(closing)


async def _give_back(opening: asyncio.Future[_Opened], how: str) -> None:
    await asyncio.wait([opening])
    if opening.exception() is None:
        await asyncio.to_thread(give_back, opening.result().desk.run_id, how)


def _opened(state: dict[str, Any], config: RunnableConfig, runtime: Runtime[Settings], first: bool) -> _Opened:
    """The workbench, and the facts of a first step; settings come from the state, or in a branch from the brief it names."""
    facts = _facts(state, config, runtime, first)
    state = {**state, **facts}
    settings = state.get("settings") or open_artifacts().get_json(state["brief"])["settings"]
    return _Opened(borrow(state["run_id"], Settings.model_validate(settings)), facts, state)


def _begin(desk: Workbench, name: str, state: dict[str, Any], runtime: Runtime[Settings]) -> dict[str, Any]:
    """Tell that a step begins, and note where the run stands with it: a fork goes back to exactly this.

    Raises DiskFull when the disk has no room for what the step may write.
    """
    check_room(home(), desk.step_bytes)
    place: dict[str, Any] = {"candidate": state.get("candidate_id")}
    if (at := runtime.execution_info) is not None:
        place["task"] = at.task_id
        stands = {"checkpoint": at.checkpoint_id, "namespace": at.checkpoint_ns.rpartition("|")[0], **desk.log.marks()}
        if at.thread_id != desk.run_id:
            stands["thread"] = at.thread_id
        desk.say("phase", name, **place, **stands, spent=round(desk.budget.spent(), 2))
    else:
        desk.say("phase", name, **place)
    keep_manifest(desk)
    return place


def keep_manifest(desk: Workbench) -> None:
    """Note what the run's database holds now, so that a later loss is seen. Writes `run.json`."""
    from graphs.modeling import graph_fingerprint

    desk.manifest.write(desk.settings.model_dump(mode="json"), graph_fingerprint())


def _finish(desk: Workbench, name: str, place: dict[str, Any], values: dict[str, Any], last: bool) -> None:
    """Tell that a step is done, save the seconds used. At the end of a run that no session drives, tell how it came out."""
    desk.say("step", name, **place)
    desk.budget.save()
    if last and is_lent(desk.run_id):
        status, summary = ending(values), summarise(desk, values)
        desk.catalogue.update_run(desk.run_id, status=status, summary=summary)
        desk.say("finished", "", status=status, summary=summary)


def _tell_waiting(opened: _Opened, question: GraphInterrupt) -> None:
    desk = opened.desk
    if is_lent(desk.run_id):
        desk.catalogue.update_run(desk.run_id, summary=summarise(desk, opened.state))
        for one in question.args[0]:
            desk.say("ask", "approver", one.value["question"], id=one.id, **one.value)
