"""A disk that is too small: a file system of a given size, seen by one process only, on which a small run is driven.

Each request is carried out by a child of a warm process (tests/durability/forge.py), in a mount namespace of its own: the
file system is gone with the child, and nothing else on the machine ever sees it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.durability.forge import Forge
from tests.support.command import ROOT

_NEWNS, _NEWUSER = 0x20000, 0x10000000
_RDONLY, _REMOUNT, _REC, _PRIVATE = 1, 32, 16384, 1 << 18
ENOUGH = 64 * 2**20
NAME = "small"


class DiskForge(Forge):
    """As `Forge`, for the requests below."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.smalldisk"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self


def why_not() -> str:
    """Why this machine lets no process have a file system of its own; empty when it does."""
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no file systems of one's own here: {tried.stderr.strip()}"


# ---- in the child -------------------------------------------------------------------------------------------------


def _mount(kind: bytes | None, target: Path | str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(target), kind, flags, options.encode() or None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def _alone() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_NEWNS | (0 if user == 0 else _NEWUSER)) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1\n")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1\n")
    _mount(None, "/", _REC | _PRIVATE)


def _resize(home: Path, size: int) -> None:
    _mount(b"tmpfs", home, _REMOUNT, f"size={size}")


def _attempt(work: Any) -> dict[str, Any]:
    """What came of driving: the status, or the error as a person is told it."""
    from state.errors import ModelwrightError

    try:
        return {"status": work().status}
    except ModelwrightError as error:
        return {"kind": type(error).__name__, "message": error.message, "hint": error.hint}


def through(request: dict[str, Any]) -> dict[str, Any]:
    """Drive a run on a disk of `size` bytes until it ends; then make room, go on, and tell what both came to."""
    from graphs import session
    from state.settings import Settings
    from tests.durability.outcome import outcome

    home = Path(request["home"])
    _alone()
    home.mkdir(parents=True)
    _mount(b"tmpfs", home, 0, f"size={request['size']},mode=0700")
    if not request.get("reserve"):
        _no_reserve()
    settings = Settings(name=NAME, time_limit=86400, jobs=2, iterations=1, candidates=2)
    first = _attempt(lambda: session.start(settings))
    _resize(home, ENOUGH * 4)
    torn = [str(path) for path in home.rglob("*.db") if not _intact(path)]
    again = _attempt(lambda: session.resume(NAME)) if _knows() else _attempt(lambda: session.start(settings))
    known = outcome(NAME)
    told = {"best": known["summary"]["best"], "status": known["status"]}
    return {"first": first, "again": again, "torn": torn, "outcome": told, "candidates": known["candidates"]}


def read_only(request: dict[str, Any]) -> dict[str, Any]:
    """A run that waits; its disk becomes read-only and it is answered; then the disk can be written again."""
    from graphs import session
    from state.settings import Settings

    home = Path(request["home"])
    _alone()
    home.mkdir(parents=True)
    _mount(b"tmpfs", home, 0, f"size={ENOUGH * 4},mode=0700")
    settings = Settings(name=NAME, time_limit=86400, jobs=2, iterations=1, candidates=2, review=["release"])
    session.start(settings)
    _mount(b"tmpfs", home, _REMOUNT | _RDONLY)
    refused = _attempt(lambda: session.resume(NAME))
    begun = _attempt(lambda: session.start(settings))
    _mount(b"tmpfs", home, _REMOUNT)
    return {"refused": refused, "begun": begun, "again": _attempt(lambda: session.resume(NAME))}


def _knows() -> bool:
    """Whether the catalogue has heard of the run."""
    from tools.store import open_catalogue

    catalogue = open_catalogue()
    try:
        return any(row.name == NAME for row in catalogue.runs())
    finally:
        catalogue.close()


def _intact(path: Path) -> bool:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as database:
        try:
            return bool(database.execute("PRAGMA integrity_check").fetchall() == [("ok",)])
        except sqlite3.DatabaseError:
            return False


def _no_reserve() -> None:
    """Let every write find out for itself that there is no room."""
    import tools.disk

    tools.disk.RESERVE = 0


if __name__ == "__main__":
    from tests.durability.forge import serve
    from tests.durability.smallruns import warm_up

    warm_up()
    serve({"through": through, "read only": read_only})
