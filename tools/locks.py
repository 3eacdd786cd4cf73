"""One process at a time drives a run: a lock the kernel holds for us, and frees when we die, `kill -9` included.

The lock is `flock` on `run.lock` in the run's folder. The file also says who holds it, for people; only the kernel's
lock decides, and whether it is ours is known from our own descriptors: a container has processes of the same number, on a
host of the same name, as the next one. Children never hold it: the descriptor is closed on exec, and after a bare fork.

Who only writes something beside a driver (tools/homesaver.py) holds it briefly, and others wait for that.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from state.errors import RunHeld, StoreError
from tools.catalogue import now
from tools.disk import writing
from tools.home import private_folder

LOCK_FILE = "run.lock"

BRIEF_SECONDS = 20.0
"""How long a driver waits for somebody who holds the lock briefly. A write to the run's database waits for others, too."""

_held: set[int] = set()
"""Descriptors of locks this process holds, or is about to."""
_locked: set[int] = set()
"""Those it holds."""


class RunLock:
    """A run's lock, held by this process."""

    def __init__(self, handle: int, path: Path) -> None:
        self.handle = handle
        self.path = path

    def say(self, *, briefly: bool) -> None:
        """Write down who holds the lock, and whether for a moment only."""
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        with writing(self.path):
            _write(self.handle, {**facts, "brief": True} if briefly else facts)


@contextmanager
def hold_run(run_folder: Path, *, briefly: bool = False) -> Iterator[RunLock]:
    """Drive a run: hold its lock for the whole block. Writes `run.lock`; creates the folder if it is not there.

    briefly: not to drive it, only for a moment. Raises RunHeld, naming pid, host and time, when another process (or another
    part of this one) drives the run: at once, but for somebody who holds it briefly it waits. StoreError when the file
    system cannot lock.
    """
    path = run_folder / LOCK_FILE
    handle = _taken(path)
    try:
        lock = RunLock(handle, path)
        lock.say(briefly=briefly)
        try:
            yield lock
        finally:
            if handle in _held:
                os.ftruncate(handle, 0)
    finally:
        _free(handle)


def holder(run_folder: Path) -> dict[str, Any] | None:
    """Who drives a run now: {pid, host, since}, empty when it has not said so yet; None when nobody does.

    With `brief` among the facts it is held for a moment only.
    """
    path = run_folder / LOCK_FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle)
    else:
        return None
    finally:
        os.close(handle)


def _taken(path: Path) -> int:
    """A descriptor that holds the lock at `path`; file and folder are made if they are not there."""
    for last in (False, False, True):
        private_folder(path.parent)
        with writing(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _held.add(handle)
        try:
            _lock(handle, path)
            with suppress(FileNotFoundError):
                # Whoever held it may have removed the run with its folder. Then this file has no name any more, and the
                # next process would lock another one and drive beside us.
                if last or os.path.samestat(os.fstat(handle), os.stat(path)):
                    return handle
        except BaseException:
            _free(handle)
            raise
        _free(handle)
    raise AssertionError("the last round returns or raises")


def _free(handle: int) -> None:
    if handle in _held:  # not in a forked child, where it is closed already
        _held.discard(handle)
        _locked.discard(handle)
        # Closing alone would not free it as long as a child, forked a moment ago, has not closed its copy yet.
        with suppress(OSError):  # on a file system that cannot lock there is nothing to free
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        give_up = time.monotonic() + BRIEF_SECONDS
        while True:
            for _ in range(10):  # `holder` looks through a shared lock for a moment; that is no driver
                with suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _locked.add(handle)
                    return
                time.sleep(0.02)
            facts = _read(handle)
            if not facts.get("brief") or time.monotonic() > give_up:
                raise _held_by(facts, path, is_ours=_is_ours(handle))
    except OSError as error:
        raise StoreError(
            f"the file system cannot lock {str(path)!r}: {error.strerror}",
            hint="set MODELWRIGHT_HOME to a folder on a local disk",
        ) from error


def _is_ours(handle: int) -> bool:
    """Whether another descriptor of this very process holds the lock of the same file."""
    with suppress(OSError):  # one that was closed just now holds nothing any more
        mine = os.fstat(handle)
        return any(os.path.samestat(mine, os.fstat(one)) for one in _locked.copy())
    return False


def _held_by(facts: dict[str, Any], path: Path, *, is_ours: bool) -> RunHeld:
    pid, host, since = facts["pid"], facts["host"], facts["since"]
    who = f"process {pid} on {host} since {since}" if pid else "another process"
    if is_ours:
        hint = "this very process drives it already: let that finish, or pause it"
    elif host and host != socket.gethostname():
        hint = f"wait until it ends, or end it on {host} with `kill {pid}` and run the command again"
    else:
        hint = f"wait until it ends, or pause it with `kill {pid}`, then run the command again" if pid else "try again"
    return RunHeld(f"run {path.parent.name!r} is driven by {who}", hint=hint)


def _write(handle: int, facts: dict[str, Any]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(facts).encode(), 0)


def _read(handle: int, patience: float = 0.5) -> dict[str, Any]:
    """What the holder wrote. A holder that has just locked is given a moment to write it."""
    give_up = time.monotonic() + patience
    while True:
        with suppress(ValueError):
            facts = json.loads(os.pread(handle, 4096, 0))
            if isinstance(facts, dict) and {"pid", "host", "since"} <= facts.keys():
                return facts
        if time.monotonic() >= give_up:
            return {"pid": None, "host": "", "since": ""}
        time.sleep(0.02)


def _forget_after_fork() -> None:
    # Closing the child's copy leaves the parent's lock alone; keeping it would hold the run beyond the parent's death.
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()
    _locked.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
