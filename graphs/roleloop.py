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
from functools import lru_cache
from typing import Any, TypeVar

from tools.blocking import seen_through

T = TypeVar("T")


async def on_role_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the roles' loop. When this is cancelled, the coroutine is, and has ended when this returns."""
    loop = _role_loop()
    result: Future[T] = Future()
    tasks: list[asyncio.Task[T]] = []

    def begin() -> None:
        tasks.append(loop.create_task(work))
        tasks[0].add_done_callback(lambda task: _hand_over(task, result))

    loop.call_soon_threadsafe(begin)
    waiting = asyncio.wrap_future(result)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        loop.call_soon_threadsafe(lambda: tasks[0].cancel())
        await seen_through(waiting)
        raise


def _hand_over(task: asyncio.Task[T], result: Future[T]) -> None:
    if result.cancelled():
        return
    if task.cancelled():
        result.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())


@lru_cache(maxsize=1)
def _role_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()

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
