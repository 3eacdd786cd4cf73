"""Who drives a run: one process at a time, wherever its database lies.

Files are driven under a lock of the kernel (tools/locks.py). A store that machines share has no kernel in common: there the
driver holds a lease as well, whose epoch fences every write (tools/postgres/lease.py). The folder's lock is taken in both
cases, since the run's folder and its jobs lie on this machine's disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.home import run_folder
from tools.locks import hold_run, holder


@contextmanager
def drive_run(run_id: str) -> Iterator[None]:
    """Drive a run for the whole block. Raises RunHeld at once, naming who drives it, when somebody else does."""
    with hold_run(run_folder(run_id)):
        yield


def driver_of(run_id: str) -> dict[str, Any] | None:
    """Who drives a run now: {pid, host, since}, empty when it has not said so yet; None when nobody does."""
    return holder(run_folder(run_id))
