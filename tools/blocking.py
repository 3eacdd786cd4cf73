"""Running a coroutine to its end from plain code, also where an event loop runs already (a notebook)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

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
