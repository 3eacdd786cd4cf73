"""One driver per run on machines that share a database: a lease with an epoch that fences every write.

A row of `leases` says who drives a run: host, process, and until when. The holder renews it while it lives. Why two
processes never both drive a run, whatever stops, wakes up, or is cut off:

1. Taking the lease is one statement of the server. It succeeds when nobody holds the lease, or when it has run out by the
   server's clock, and it raises the epoch by one. No other clock counts, so a machine whose clock jumps gains and loses
   nothing.
2. Each write transaction of a driver reads its lease's row FOR SHARE, with the epoch it was given, and is refused when
   that row is not there any more. So a process that was stopped past its lease, and wakes up, cannot write.
3. That row stays locked until the transaction ends. So whoever takes the lease over waits for a write that passed the
   check, and sees it; a process that stops right there is ended by the server (tools/postgres/session.py).

A holder that died on this very machine need not be waited for: who holds the kernel's lock on the file its lease names
(tools/locks.py) knows that no living process has it. The file is named by the running kernel, the device, the inode and the
address the server sees, which no two files share. Where the address changes, the lease has to run out.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from state.errors import RunHeld, StoreError
from tools.locks import BRIEF_SECONDS
from tools.places import CATALOGUE_SCHEMA, Schema
from tools.postgres.database import PostgresDatabase
from tools.postgres.fencing import ADDRESS, LEASES, LOOK, drives, held_by, identity, lost_to
from tools.postgres.session import Session, driver, lease_seconds

_BUSY_SECONDS = 0.7
"""How long taking a lease waits for a write of the process that holds it."""

_PAUSE = 0.05
"""Between two looks at a lease that is held for a moment, in seconds."""

_TAKE = f"""
    INSERT INTO {LEASES} AS held (run_id, epoch, host, pid, started, lock, brief, acquired, expires)
    VALUES (:run, 1, :host, :pid, :started, :lock, :brief, clock_timestamp(), clock_timestamp() + :seconds * interval '1 s')
    ON CONFLICT (run_id) DO UPDATE SET epoch = held.epoch + 1, host = excluded.host, pid = excluded.pid,
        started = excluded.started, lock = excluded.lock, brief = excluded.brief, acquired = excluded.acquired, expires = excluded.expires
    WHERE held.expires IS NULL OR held.expires <= clock_timestamp() OR held.lock = excluded.lock
    RETURNING epoch"""  # noqa: S608 - fixed words only
_RENEW = (
    f"UPDATE {LEASES} SET brief = ?, expires = clock_timestamp() + ? * interval '1 s' "  # noqa: S608 - fixed words only
    "WHERE run_id = ? AND epoch = ? RETURNING 1"
)
_RELEASE = f"UPDATE {LEASES} SET expires = NULL WHERE run_id = ? AND epoch = ?"  # noqa: S608 - fixed words only


@dataclass
class Lease:
    """A lease this process was given."""

    session: Session
    run_id: str
    epoch: int
    briefly: bool
    when_lost: Callable[[RunHeld], object]
    ended: bool = False
    wake: threading.Event = field(default_factory=threading.Event)
    """Set for the thread that renews, when it has something to do before its time."""

    def say(self, *, briefly: bool) -> None:
        """Whether it is held for a moment only. Written soon, since a write of ours may hold the row."""
        self.briefly = briefly
        self.wake.set()


@contextmanager
def hold_lease(
    url: str,
    run_id: str,
    lock: Path,
    *,
    briefly: bool = False,
    when_lost: Callable[[RunHeld], object] = lambda error: None,
) -> Iterator[Lease]:
    """Hold a run's lease for the whole block, renewing it; let go of it at the end.

    lock: the file whose kernel lock this process holds for the run. briefly: not to drive the run, only for a moment.
    when_lost: called once, from a thread of its own, when another process has taken the run over, or when nobody knows any
    more whether one has. Raises RunHeld, naming host, process, since when and until when, when another process holds the
    lease: at once, but for one that holds it briefly it waits.
    """
    session = Session(Schema(url, CATALOGUE_SCHEMA), patience=_BUSY_SECONDS)
    try:
        lease = Lease(session, run_id, _take(session, run_id, lock, briefly=briefly), briefly, when_lost)
        drives(url, run_id, lease.epoch)
        thread = threading.Thread(target=_renew, args=[lease], name=f"lease-{run_id[:8]}", daemon=True)
        thread.start()
        try:
            yield lease
        finally:
            lease.ended = True
            lease.wake.set()
            thread.join()
            with suppress(StoreError):  # then it runs out by itself
                session.run(_RELEASE, [run_id, lease.epoch])
    finally:
        session.close()


# ---- taking and renewing ----------------------------------------------------------------------------------------


def _take(session: Session, run_id: str, lock: Path, *, briefly: bool) -> int:
    """The epoch of a lease that is ours now."""
    values = {
        "run": run_id,
        "brief": briefly,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": f"{psutil.Process().create_time():.3f}",
        "seconds": lease_seconds(),
    }
    database = PostgresDatabase(session.schema, "catalogue")
    database.prepare()
    database.close()
    give_up = time.monotonic() + BRIEF_SECONDS
    while True:
        epoch, holder = _tried(session, values, lock)
        if epoch is not None:
            return epoch
        if holder is not None and not (holder["brief"] and time.monotonic() < give_up):
            raise held_by(run_id, holder)
        time.sleep(_PAUSE)


def _tried(session: Session, values: dict[str, Any], lock: Path) -> tuple[int | None, dict[str, Any] | None]:
    """The epoch, if the lease could be taken; else whose it is, as `LOOK` gives it."""
    try:
        with session.transaction():
            address = str(session.run(f"SELECT {ADDRESS} AS address")[0]["address"])
            rows = session.run(_TAKE, {**values, "lock": identity(lock, address)})
            found = [] if rows else session.run(LOOK, [values["run"]])
    except StoreError as error:
        if not isinstance(error.__cause__, driver().errors.LockNotAvailable):
            raise
        rows, found = [], session.run(LOOK, [values["run"]])
    return int(rows[0]["epoch"]) if rows else None, found[0] if found else None


def _renew(lease: Lease) -> None:
    """Renew until told to end. A lease that cannot be renewed before it runs out is lost."""
    session, seconds = lease.session, lease_seconds()
    renewed, pause = time.monotonic(), seconds / 3
    while True:
        lease.wake.wait(pause)
        lease.wake.clear()  # before looking: what is said from here on wakes once more
        if lease.ended:
            return
        pause = seconds / 3
        try:
            if session.run(_RENEW, [lease.briefly, seconds, lease.run_id, lease.epoch]):
                renewed = time.monotonic()
                continue
            error = lost_to(session.schema.url, lease.run_id)
        except StoreError as cause:
            busy = isinstance(cause.__cause__, driver().errors.LockNotAvailable)  # with a write of ours: then it holds
            if busy:  # … but may have run out by the time that write ends, when whoever comes first gets it
                pause = min(pause, _BUSY_SECONDS / 2)
            if busy or time.monotonic() - renewed < seconds:
                continue
            error = RunHeld(
                f"this process cannot renew its lease on run {lease.run_id!r}, so another may have it: {cause.message}",
                hint="`modelwright resume` goes on as soon as the database can be reached; finished work is kept",
            )
        lease.when_lost(error)
        return
