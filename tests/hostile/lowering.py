"""Becoming an ordinary user: for suites that run as root, in a process of their own that does not come back."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from pathlib import Path

SPARE_UID = 64_231
"""A number that no account has; nothing belongs to it."""
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18


class NotPossible(Exception):
    """This system does not let the process become an ordinary user that can read the interpreter; says why."""


def become_ordinary(checkout: Path) -> None:
    """Give this process a private view in which everybody can read the interpreter, then become SPARE_UID for good.

    Folders that others may not enter (a root's home with the interpreter in it) are covered by an open one that holds
    nothing but what the interpreter and the checkout need. Nothing outside this process changes. Raises NotPossible.
    """
    if os.getuid() != 0:
        raise NotPossible("only root can become somebody else")
    needed = [Path(sys.base_prefix), Path(sys.prefix), checkout]
    closed = sorted({wall for path in needed if (wall := _closed(path.resolve())) is not None})
    if closed:
        _private_view(closed, [path.resolve() for path in needed])
    os.setgroups([])
    os.setresgid(SPARE_UID, SPARE_UID, SPARE_UID)
    os.setresuid(SPARE_UID, SPARE_UID, SPARE_UID)
    ctypes.CDLL(None).prctl(4, 1)  # changing the user made us undumpable, which an ordinary user's processes are not
    unreadable = [str(path) for path in needed if not os.access(path, os.R_OK | os.X_OK)]
    if unreadable:
        raise NotPossible(f"uid {SPARE_UID} cannot read {unreadable[0]!r}")


def _closed(path: Path) -> Path | None:
    """The topmost folder on the way to a path that others may not enter."""
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def _private_view(closed: list[Path], needed: list[Path]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(done: int, what: str) -> None:
        if done != 0:
            raise NotPossible(f"{what}: {os.strerror(ctypes.get_errno())}")

    call(libc.unshare(_CLONE_NEWNS), "a private view of the file system is refused")
    call(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "the view cannot be made private")
    for wall in closed:
        inside = [path for path in needed if path.is_relative_to(wall)]
        kept = Path(tempfile.mkdtemp(prefix="modelwright-view-"))
        for number, path in enumerate(inside):
            (kept / str(number)).mkdir()
            call(libc.mount(bytes(path), bytes(kept / str(number)), None, _MS_BIND | _MS_REC, None), f"binding {path}")
        call(libc.mount(b"tmpfs", bytes(wall), b"tmpfs", 0, b"mode=0755"), f"covering {wall}")
        for number, path in enumerate(inside):
            path.mkdir(parents=True, exist_ok=True)
            call(libc.mount(bytes(kept / str(number)), bytes(path), None, _MS_BIND | _MS_REC, None), f"showing {path}")
            libc.umount2(bytes(kept / str(number)), 2)
            (kept / str(number)).rmdir()
        kept.rmdir()
