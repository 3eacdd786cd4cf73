"""What the LangGraph server may do with a run: hooks that its every way of starting work goes through.

LangGraph takes an answer to a question that is no longer open without a word, and one that names no question for whatever
is asked when it gets there: a plan approved twice in haste would approve the release unseen. Here an answer is bound to a
question when it arrives. One that names no open question, or cannot be carried out, is refused then and there, and
what was refused has changed nothing. When two arrive at once, the second finds its question gone when its turn
comes: the graph resumes strictly (graphs/modeling.py).
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any

from langgraph_sdk import Auth

from graphs.cli.asking import checked_answer
from graphs.desks import lending
from graphs.studioguard import PASSED
from state.errors import UsageError
from tools.drivers import check_driver
from tools.store import open_run_log

studio_auth = Auth()
_ID = re.compile(r"[0-9a-f]{32}")


@studio_auth.authenticate
async def authenticate(scope: dict[str, Any]) -> str:
    """Second lock behind the guard: nothing reaches a protected route that the guard has not let through."""
    if scope.get(PASSED) is not True:
        raise Auth.exceptions.HTTPException(status_code=401, detail="this did not come past modelwright's guard")
    return "modelwright"


@studio_auth.on
async def allow(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> bool:
    """Whoever has the token may do the rest."""
    return True


@studio_auth.on.threads.create_run
async def check_run(ctx: Auth.types.AuthContext, value: Any) -> bool:
    """Check what a run is to be started or gone on with, before it is queued. The run saves each step before the next.

    Raises UsageError for an answer nobody asked for and for a second run on a thread, InputError for an answer that cannot
    be carried out, RunHeld while another process drives the run.
    """
    if not lending():
        raise Auth.exceptions.HTTPException(status_code=503, detail="the server is stopping: it starts nothing new")
    work, thread = value["kwargs"], value.get("thread_id")
    work["durability"] = "sync"
    if value.get("multitask_strategy") == "rollback":
        raise UsageError("what a run has done is not rolled back", hint="take multitask_strategy enqueue or interrupt")
    if thread is None:
        return True
    await asyncio.to_thread(check_driver, str(thread))
    command = work.get("command") or {}
    configurable = (work.get("config") or {}).get("configurable") or {}
    if command.get("resume") is not None:
        command["resume"] = await bound_answers(str(thread), command["resume"], configurable.get("checkpoint_id"))
    elif work.get("input") is not None and "brief" in (await state_of(str(thread))).values:
        raise UsageError(
            f"thread {str(thread)!r} holds a run already",
            hint="start another one on a thread of its own; without input (null) this one goes on",
        )
    return True


async def bound_answers(thread: str, resume: Any, checkpoint: str | None = None) -> dict[str, Any]:
    """Answers by the id of their question, checked. A single answer without an id is for the only open question."""
    state = await state_of(thread, checkpoint)
    open_questions = {one.id: one.value for one in state.interrupts}
    if not (isinstance(resume, dict) and resume and all(_ID.fullmatch(str(key)) for key in resume)):
        if len(open_questions) != 1:
            raise UsageError(
                f"this run waits for {'several answers' if open_questions else 'no answer'}",
                hint=_listed(open_questions) or "`modelwright show` tells where it stands",
            )
        resume = {next(iter(open_questions)): resume}
    if unknown := sorted(set(resume) - set(open_questions)):
        raise await asyncio.to_thread(_not_open, thread, unknown[0], open_questions)
    return {key: checked_answer(open_questions[key], answer) for key, answer in resume.items()}


async def state_of(thread: str, checkpoint: str | None = None) -> Any:
    """Where a thread stands; nothing is created by looking."""
    place = {"thread_id": thread, **({"checkpoint_id": checkpoint} if checkpoint else {})}
    graph = await asyncio.to_thread(_graph)  # built at the first call, which reads files
    return await graph.aget_state({"configurable": place})


def _not_open(thread: str, question: str, open_questions: dict[str, Any]) -> UsageError:
    hint = _listed(open_questions) or "it waits for nothing now"
    log = open_run_log(thread)
    try:
        asked = any(event["kind"] == "ask" and event["data"].get("id") == question for event in log.events())
    finally:
        log.close()
    if asked:
        return UsageError(f"question {question!r} was answered already; this answer changes nothing", hint=hint)
    return UsageError(f"no open question has the id {question!r}", hint=hint)


def _listed(open_questions: dict[str, Any]) -> str:
    return ", ".join(f"{key} ({value.get('gate', 'question')})" for key, value in open_questions.items())


@lru_cache(maxsize=1)
def _graph() -> Any:
    from graphs.modeling import build_graph
    from tools.homesaver import HomeSaver

    return build_graph(HomeSaver())
