"""What Ctrl-C and SIGTERM mean while a run is driven: the first pauses it in good order, the second ends its programs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from langgraph.runtime import RunControl

from state.errors import ModelwrightError
from tools.blocking import run_in_thread
from tools.workbench import Workbench

T = TypeVar("T")

_drains: dict[int, Callable[[], object]] = {}
"""Thread → what Ctrl-C means for the run it drives. Only the main thread gets signals, so it has to hand them on."""


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also from inside a running event loop (a notebook): then in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return run_in_thread(work, "modelwright", _handing_on)


@contextmanager
def listening(desk: Workbench, control: RunControl, stops: list[str]) -> Iterator[None]:
    """Ctrl-C and SIGTERM: the first lets running programs finish and pauses; the second ends them at once.

    stops: gets the name of each signal.
    """
    loop = asyncio.get_running_loop()

    def drain(name: str) -> None:
        stops.append(name)
        if len(stops) == 2:
            desk.note("ending the running programs; what had finished is kept")
            loop.run_in_executor(None, _end_programs, desk)  # it waits for them: not on the loop
        if len(stops) > 1:
            return
        desk.draining = True
        desk.note("pausing: running programs are let finish; Ctrl-C once more ends them")
        control.request_drain(name)

    if threading.current_thread() is not threading.main_thread():
        me = threading.get_ident()
        _drains[me] = lambda: loop.call_soon_threadsafe(drain, "SIGINT")
        try:
            yield
        finally:
            del _drains[me]
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, drain, signal.Signals(number).name)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _end_programs(desk: Workbench) -> None:
    try:
        desk.executor.close()
    except (ModelwrightError, OSError) as error:  # nobody waits for this, and the run's end closes it once more
        with suppress(ModelwrightError):
            desk.note(f"while the programs were ended: {error}")


@contextmanager
def _handing_on(thread: threading.Thread) -> Iterator[None]:
    """Ctrl-C, or a notebook's interrupt button, pauses the run that another thread drives."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, frame: Any) -> None:
        drain = _drains.get(thread.ident or 0)
        if drain is None:
            raise KeyboardInterrupt
        drain()

    before = signal.signal(signal.SIGINT, hand_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
