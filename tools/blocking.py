"""Between plain code and coroutines: each waits for the other to its end, also where an event loop runs already (a notebook)."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, ParamSpec, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
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


@overload
async def together(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
@overload
async def together(
    one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B], third: Coroutine[Any, Any, C], /
) -> tuple[A, B, C]: ...
@overload
async def together(*works: Coroutine[Any, Any, T]) -> tuple[T, ...]: ...
async def together(*works: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """What each of them gives, in their order, worked out side by side. All have ended when this returns or raises.

    `asyncio.gather` leaves with the first error while the others work on: beside whoever holds the run's lock by then. Here
    the first error ends the others, threads begun by `in_thread` are seen through, and then it is raised as it is; when
    this is cancelled, that. What else went wrong is told in its notes.
    """
    me = asyncio.current_task()
    before = me.cancelling() if me is not None else 0
    tasks = [asyncio.ensure_future(work) for work in works]
    over: list[asyncio.Task[Any]] = []
    for task in tasks:
        task.add_done_callback(over.append)
    if tasks:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    await end_tasks(tasks)
    errors = errors_of(over)
    if me is not None and me.cancelling() > before:
        errors.insert(0, asyncio.CancelledError())
    if errors:
        note_beside(errors[0], errors[1:])
        raise errors[0]
    return tuple(task.result() for task in tasks)


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Cancel those that still run, and what joins them meanwhile, and see all through, however often this is cancelled."""
    asked: set[asyncio.Task[Any]] = set()
    while left := set(tasks) - asked:
        asked |= left
        for task in left:
            task.cancel()
        while waiting := {task for task in left if not task.done()}:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(waiting)
    return asked


def errors_of(tasks: Iterable[asyncio.Task[Any]]) -> list[BaseException]:
    """What tasks that have ended raised, cancellations aside."""
    return [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]


def note_beside(error: BaseException, others: Iterable[BaseException]) -> None:
    """Note in an error what went wrong beside it, each thing once."""
    told = {(type(error), str(error))}
    for other in others:
        if (what := (type(other), str(other))) not in told:
            told.add(what)
            error.add_note(f"Beside it: {type(other).__name__}: {other}")


async def seen_through(work: asyncio.Future[Any]) -> None:
    """Wait until it is done, however often this is cancelled, and leave what it gave or raised alone."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    if not work.cancelled():
        work.exception()  # looked at, so that it is not reported as forgotten
