"""Who drives a run: one process at a time, wherever its database lies.

Files are driven under a lock of the kernel (tools/locks.py). A store that machines share has no kernel in common: there the
driver holds a lease as well, whose epoch fences every write (tools/postgres/lease.py). The folder's lock is taken in both
cases, since the run's folder and its jobs lie on this machine's disk.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from state.errors import RunHeld
from tools.home import run_folder
from tools.locks import LOCK_FILE, hold_run, holder
from tools.places import store_url


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


@contextmanager
def drive_run(run_id: str) -> Iterator[Drive]:
    """Drive a run for the whole block. Raises RunHeld at once, naming who drives it, when somebody else does.

    With a shared store the run can be lost meanwhile, to a process that found the lease run out: `Drive.lost` says so, and
    every write for the run raises RunHeld.
    """
    drive, url, folder = Drive(run_id), store_url(), run_folder(run_id)
    with hold_run(folder):
        if url is None:
            yield drive
            return
        from tools.postgres.lease import hold_lease

        with hold_lease(url, run_id, folder / LOCK_FILE, when_lost=drive.lose):
            yield drive


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
    return None if found is not None and lock.exists() and found["lock"] == identity(lock) else found


def check_driver(run_id: str) -> None:
    """Raises RunHeld when another process drives the run: nobody else may write its checkpoints then."""
    who = driver_of(run_id)
    if who is None or (who.get("pid"), who.get("host")) == (os.getpid(), socket.gethostname()):
        return
    if "expires" in who:
        from tools.postgres.fencing import held_by

        raise held_by(run_id, who)
    named = f"process {who['pid']} on {who['host']} since {who['since']}" if who.get("pid") else "another process"
    raise RunHeld(f"run {run_id!r} is driven by {named}", hint="wait until it ends or asks, or pause it there")
