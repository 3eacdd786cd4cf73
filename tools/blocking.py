"""Between plain code and coroutines: each waits for the other to its end, also where an event loop runs already (a notebook)."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Around = Callable[[threading.Thread], AbstractContextManager[None]]
"""What is to hold while the caller waits for a thread."""


def run_in_thread(work: Coroutine[Any, Any, T], name: str, around: Around | None = None) -> T:
    """The result of a coroutine that gets a thread and an event loop of its own. Raises what it raises."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, where it is raised again
            errors.append(error)

    # Nobody would tell a thread that is not watched to stop, so it must not keep an interrupted process alive.
    thread = threading.Thread(target=target, name=name, daemon=around is None)
    thread.start()
    with around(thread) if around else nullcontext():
        thread.join()
    if errors:
        raise errors[0]
    return results[0]


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run plain code in a thread, as `asyncio.to_thread` does. When this is cancelled, the thread has ended when it returns.

    A thread cannot be ended from outside. Left to itself it would go on asking models and writing the run's log after the
    run's lock is free, beside the process that drives the run by then.
    """
    context = contextvars.copy_context()
    waiting = asyncio.get_running_loop().run_in_executor(None, lambda: context.run(work, *args, **kwargs))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await seen_through(waiting)
        raise


async def seen_through(work: asyncio.Future[Any]) -> None:
    """Wait until it is done, however often this is cancelled, and leave what it gave or raised alone."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    if not work.cancelled():
        work.exception()  # looked at, so that it is not reported as forgotten
