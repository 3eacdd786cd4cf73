"""Who drives a run: one process at a time, wherever its database lies.

Files are driven under a lock of the kernel (tools/locks.py). A store that machines share has no kernel in common: there the
driver holds a lease as well, whose epoch fences every write (tools/postgres/lease.py). The folder's lock is taken in both
cases, since the run's folder and its jobs lie on this machine's disk.

Whoever writes for a run without driving it (the LangGraph server stores checkpoints by itself) holds the run for that write,
with `write_beside`. In the process that drives it this costs nothing: driver and writers share one hold, and it ends with
the last of them. In all other processes looking and acting are one, so that nobody begins to drive in between.

Whether a run is held by this process is never read from a file or row: pid and host name tell nothing where every container
has a process 1, and many the same name. It is known here, in this process's memory.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import RunHeld, StoreError
from tools.home import run_folder
from tools.locks import BRIEF_SECONDS, LOCK_FILE, RunLock, hold_run, holder
from tools.places import store_url

if TYPE_CHECKING:
    from tools.postgres.lease import Lease


@dataclass
class Drive:
    """That this process drives a run."""

    run_id: str
    lost: RunHeld | None = None
    """Set when the run was lost to another process: nothing is written for it any more."""
    when_lost: Callable[[RunHeld], object] | None = None
    """Called once when that happens, from a thread of its own; to end what the run still has going."""

    def lose(self, error: RunHeld) -> None:
        self.lost = error
        if self.when_lost is not None:
            self.when_lost(error)


@dataclass
class _Hold:
    """A run this process holds: to drive it, for writes from beside, or both."""

    lock: RunLock
    lease: Lease | None = None
    held: ExitStack = field(default_factory=ExitStack)
    """Frees the lease, then the lock."""
    users: int = 0
    drive: Drive | None = None
    lost: RunHeld | None = None

    def say(self, *, briefly: bool) -> None:
        """Tell other processes whether the run is held for a moment only: they wait for that."""
        self.lock.say(briefly=briefly)
        if self.lease is not None:
            self.lease.say(briefly=briefly)

    def lose(self, error: RunHeld) -> None:
        self.lost = error
        if self.drive is not None:
            self.drive.lose(error)


_Key = tuple[str | None, Path]
"""URL of the store and folder of the run."""
_holds: dict[_Key, _Hold] = {}
_turns: dict[_Key, threading.Lock] = {}
"""Held while a run is taken or freed here."""


@contextmanager
def drive_run(run_id: str) -> Iterator[Drive]:
    """Drive a run for the whole block. Raises RunHeld at once, naming who drives it, when somebody else does.

    With a shared store the run can be lost meanwhile, to a process that found the lease run out: `Drive.lost` says so, and
    every write for the run raises RunHeld.
    """
    drive = Drive(run_id)
    with _held(run_id, drive):
        yield drive


@contextmanager
def write_beside(run_id: str) -> Iterator[None]:
    """Hold a run for a write that is no driver's: together with this process's driver, or alone.

    Raises RunHeld, before anything is written, while another process drives the run, or when this one has lost it.
    """
    with _held(run_id, None):
        yield


@contextmanager
def _held(run_id: str, drive: Drive | None) -> Iterator[None]:
    key = store_url(), run_folder(run_id)
    with _turns.setdefault(key, threading.Lock()):
        hold = _holds.get(key)
        if hold is None:
            hold = _holds[key] = _taken(key, run_id, drive)
        elif hold.lost is not None:
            raise hold.lost
        elif drive is not None:
            if hold.drive is not None:
                with hold_run(key[1]):  # which it cannot, and says so
                    raise AssertionError("a run was driven without its lock")
            hold.say(briefly=False)
            hold.drive = drive
        hold.users += 1
    try:
        yield
    finally:
        with _turns.setdefault(key, threading.Lock()):
            hold.users -= 1
            if drive is not None:
                hold.drive = None
            if not hold.users:
                if _holds.get(key) is hold:  # not in a forked child, which holds nothing
                    del _holds[key]
                hold.held.close()
            elif drive is not None:
                with suppress(StoreError):  # on a full disk: others are refused then, instead of waiting
                    hold.say(briefly=True)


def _taken(key: _Key, run_id: str, drive: Drive | None) -> _Hold:
    url, folder = key
    with ExitStack() as held:
        hold = _Hold(held.enter_context(hold_run(folder, briefly=drive is None)), drive=drive)
        if url is not None:
            from tools.postgres.lease import hold_lease

            lease = hold_lease(url, run_id, folder / LOCK_FILE, briefly=drive is None, when_lost=hold.lose)
            hold.lease = held.enter_context(lease)
        hold.held = held.pop_all()
        return hold


def driver_of(run_id: str) -> dict[str, Any] | None:
    """Who drives a run now: {pid, host, since}, empty when it has not said so yet; None when nobody does.

    A lease that a process of this machine left behind when it was killed is nobody's: the kernel has freed its lock.
    """
    folder, url = run_folder(run_id), store_url()
    here = holder(folder)
    if here is not None or url is None:
        return here
    from tools.postgres.fencing import identity, lease_holder

    found, lock = lease_holder(url, run_id), folder / LOCK_FILE
    if found is not None and lock.exists() and found["lock"] == identity(lock, found["address"]):
        return holder(folder)  # once more: it may have been taken, lock and then lease, since the first look
    return found


def check_driver(run_id: str) -> None:
    """Raises RunHeld when another process drives the run: nobody else may write its checkpoints then.

    For a look ahead. Whoever writes afterwards holds the run for it, see `write_beside`.
    """
    hold = _holds.get((store_url(), run_folder(run_id)))
    if hold is not None:
        if hold.lost is not None:
            raise hold.lost
        return
    give_up = time.monotonic() + BRIEF_SECONDS
    while (who := driver_of(run_id)) is not None and who.get("brief") and time.monotonic() < give_up:
        time.sleep(0.02)
    if who is None:
        return
    if "expires" in who:
        from tools.postgres.fencing import held_by

        raise held_by(run_id, who)
    named = f"process {who['pid']} on {who['host']} since {who['since']}" if who.get("pid") else "another process"
    raise RunHeld(f"run {run_id!r} is driven by {named}", hint="wait until it ends or asks, or pause it there")


def _forget_after_fork() -> None:
    _holds.clear()
    _turns.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
