"""Fencing: a write transaction of a run's driver holds the run's lease, or is refused.

Whoever writes for a run calls `fence` (`afence` on an event loop) inside the transaction, before the writes. The argument
why that is enough is in tools/postgres/lease.py. An epoch is kept for good once it was given: what a process still writes
for a run after it let go of it, or lost it, is held against the same row.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import RunHeld, StoreError
from tools.places import CATALOGUE_SCHEMA, Schema, run_schema
from tools.postgres.session import shared_session
from tools.postgres.sql import quoted

if TYPE_CHECKING:
    import psycopg

LEASES = f"{quoted(CATALOGUE_SCHEMA)}.leases"
FENCE = f"SELECT 1 FROM {LEASES} WHERE run_id = %s AND epoch = %s FOR SHARE".encode()  # noqa: S608 - fixed words only
"""The statement by which a transaction holds on to its lease, in psycopg's words. No row: the lease is another's."""

ADDRESS = "coalesce(host(inet_client_addr()), '')"
"""Where the server sees this machine; "" through a socket of its own. A machine cloned with its memory has another."""

LOOK = f"""
    SELECT host, pid, epoch, lock, {ADDRESS} AS address, to_char(acquired AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS since,
    to_char(expires AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS expires,
    extract(epoch FROM expires - clock_timestamp())::float8 AS left,
    coalesce((to_jsonb(lease) ->> 'brief')::boolean, false) AS brief
    FROM {LEASES} AS lease WHERE run_id = ?"""  # noqa: S608 - fixed words only
"""A run's lease. Looking changes nothing, so a schema of format 1 is read as it is: nobody holds a lease briefly there."""

_epochs: dict[tuple[str, str], tuple[str, int]] = {}
"""URL and schema of a run → its id, and the epoch under which this process drives it, or last drove it."""


def drives(url: str, run_id: str, epoch: int) -> None:
    """From now on this process's writes for a run carry this epoch."""
    _epochs[url, run_schema(run_id)] = (run_id, epoch)


def current_epoch(url: str, run_id: str) -> int | None:
    """The epoch under which this process drives a run, or last drove it; None when it never did."""
    found = _epochs.get((url, run_schema(run_id)))
    return None if found is None else found[1]


def epoch_of(place: Schema) -> tuple[str, int] | None:
    """As `current_epoch`, with the run's id, for the run whose schema this is."""
    return _epochs.get((place.url, place.name))


def fence(connection: psycopg.Connection[Any] | psycopg.Cursor[Any], place: Schema) -> None:
    """Hold on to the lease of the run whose schema this is until the end of the transaction.

    Does nothing for a run this process never drove. Raises RunHeld when another process has taken the run over. To be
    called inside a transaction, before its writes.
    """
    found = epoch_of(place)
    if found is not None and not connection.execute(FENCE, found).fetchone():
        raise lost_to(place.url, found[0])


def fence_run(connection: psycopg.Connection[Any] | psycopg.Cursor[Any], url: str, run_id: str) -> None:
    """As `fence`, for a transaction in the catalogue."""
    fence(connection, Schema(url, run_schema(run_id)))


async def afence(connection: psycopg.AsyncConnection[Any] | psycopg.AsyncCursor[Any], place: Schema) -> None:
    """As `fence`, on a connection of an event loop."""
    found = epoch_of(place)
    if found is not None and not await (await connection.execute(FENCE, found)).fetchone():
        raise lost_to(place.url, found[0])


def lost_to(url: str, run_id: str) -> RunHeld:
    """The error of a process whose lease has gone to another one. Looks up, on another connection, whom."""
    try:
        now = lease_holder(url, run_id)
    except StoreError:
        now = None
    whom = f"process {now['pid']} on {now['host']}, which drives it since {now['since']}" if now else "another process"
    return RunHeld(
        f"this process lost run {run_id!r} to {whom}: it had stood still, or was cut off, for longer than its lease",
        hint="nothing it did since was written; `modelwright ls` tells how the run stands",
    )


def lease_holder(url: str, run_id: str) -> dict[str, Any] | None:
    """Who holds a run's lease now: {pid, host, since, expires, left, lock, address, brief}; None when nobody does, or the
    store holds nothing yet. address: of this machine. brief: for a moment only, not to drive the run."""
    session = shared_session(Schema(url, CATALOGUE_SCHEMA))
    sql = "SELECT 1 AS found FROM pg_tables WHERE schemaname = ? AND tablename = 'leases'"
    if not session.run(sql, [CATALOGUE_SCHEMA]):
        return None
    rows = session.run(LOOK, [run_id])
    if not rows or rows[0]["left"] is None or rows[0]["left"] <= 0:
        return None
    return {name: rows[0][name] for name in ("pid", "host", "since", "expires", "left", "lock", "address", "brief")}


def held_by(run_id: str, row: dict[str, Any]) -> RunHeld:
    """The error for a run whose lease is another's. row: as `LOOK` gives it."""
    who = f"process {row['pid']} on {row['host']} since {row['since']}"
    left = row["left"]
    if left is None or left <= 0:
        until = "its lease has run out, and the server still waits for a write it has begun"
        hint = "try again in a minute: the server ends a write that stands still"
    else:
        until = f"its lease lasts until {row['expires']} ({left:.0f} s more) unless it is renewed"
        hint = f"wait until it ends, or end it on {row['host']}; if it is dead, run the command again in {left:.0f} s"
    return RunHeld(f"run {run_id!r} is driven by {who}; {until}", hint=hint)


def identity(lock: Path, address: str) -> str:
    """A name for a file that no other file of any running machine has; of no meaning after a restart.

    address: where the server sees this machine. Clones of a virtual machine, made with its memory, share kernel and disk.
    """
    facts = lock.stat()
    return f"{_boot_id()}:{facts.st_dev}:{facts.st_ino}@{address}"


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}-{os.urandom(16).hex()}"  # macOS: then a dead holder's lease has to run out
