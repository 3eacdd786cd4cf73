"""The event loop that async roles work on: one for all runs of this process, in a thread of its own.

Roles write databases and files as they go. On the loop of whoever invoked the graph (the LangGraph server, a web
application, a notebook) that would hold up everybody else there, and the server's development mode refuses it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TypeVar

from tools.blocking import end_tasks, errors_of, note_beside, seen_through

T = TypeVar("T")
Tasks = set[asyncio.Task[Any]]

_begun: ContextVar[Tasks] = ContextVar("tasks begun by a role")


async def on_role_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the roles' loop. When this is cancelled, the coroutine is, and has ended when this returns.

    However it ends, every task that was begun on the way has ended as well: the caller frees the run's lock next, and
    nothing may work for the run beside whoever holds it then.
    """
    loop = _role_loop()
    result: Future[T] = Future()
    tasks: list[asyncio.Task[T]] = []

    def begin() -> None:
        tasks.append(loop.create_task(_to_the_last(work)))
        tasks[0].add_done_callback(lambda task: _hand_over(task, result))

    loop.call_soon_threadsafe(begin)
    waiting = asyncio.wrap_future(result)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        loop.call_soon_threadsafe(lambda: tasks[0].cancel())
        await seen_through(waiting)
        raise


async def _to_the_last(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives, once all tasks that were begun on the way have ended; those it left behind are cancelled."""
    begun: Tasks = set()
    _begun.set(begun)
    try:
        result = await work
    except BaseException as error:
        note_beside(error, errors_of(await end_tasks(begun)))
        raise
    await end_tasks(begun)
    return result


def _task(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
    """A task that its role's end waits for, whoever begins it."""
    task = asyncio.Task(work, loop=loop, **more)
    begun = _begun.get(None)
    if begun is not None:
        begun.add(task)
        task.add_done_callback(begun.discard)
    return task


def _hand_over(task: asyncio.Task[T], result: Future[T]) -> None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if result.cancelled():
        return
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())


@lru_cache(maxsize=1)
def _role_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(_task)

    def serve() -> None:
        asyncio.set_event_loop(loop)
        _tell_blockbuster()
        loop.run_forever()

    # A daemon: a process may end without telling us, and what costs is in the journal.
    threading.Thread(target=serve, name="modelwright-roles", daemon=True).start()
    return loop


def _tell_blockbuster() -> None:
    """Say that this thread may block. The development server's watchdog looks for a loop in any thread, ours included."""
    watchdog = sys.modules.get("blockbuster.blockbuster")
    if watchdog is not None:
        watchdog._skip.value = True
