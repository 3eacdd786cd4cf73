"""What a process may do beyond other processes: capabilities, privileges gained by starting programs, and user ids.

Stands alone (standard library only).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from . import syscalls

CAP_DAC_READ_SEARCH = 2
CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN = 6, 7, 21
_CAP_CHOWN = 0
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 47, 2, 4
_CAPABILITY_VERSION = 0x20080522

_SPARE_FIRST = 1_900_000_000
"""Start of the spare user ids. systemd's table of user ids lists 1879048192 … 2147483647 as used by nobody."""
_MOST_PIDS = 1 << 22


def prctl(option: int, value: int, third: int = 0) -> int:
    """One prctl call. Raises OSError when refused, also where there is no such call."""
    if not sys.platform.startswith("linux"):
        raise OSError(38, "prctl: only Linux has it")
    return syscalls.libc("prctl", option, value, third, 0, 0)


def set_dumpable(dumpable: bool) -> None:
    """Open or close this process's memory, environment and files to other processes of the same user."""
    prctl(_PR_SET_DUMPABLE, int(dumpable))


def gain_nothing() -> None:
    """From now on no started program can give this process privileges (setuid, file capabilities)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def may(capability: int) -> bool:
    """True when this process has a capability in effect."""
    return bool(_capabilities()[0] >> capability & 1)


def become(user: int | None, keep: Iterable[int] = ()) -> None:
    """Drop every capability but `keep`, from every set, and turn into `user`, a spare one, unless that is None.

    `keep` survives the start of further programs. Raises OSError, and RuntimeError should a capability be left.
    """
    kept = tuple(keep)
    prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    for capability in range(64):
        if capability not in kept and not _drop_bound(capability):
            break
    if user is not None:
        prctl(_PR_SET_KEEPCAPS, int(bool(kept)))
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    wanted = sum(1 << capability for capability in kept)
    _set_capabilities(wanted)
    for capability in kept:
        prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, capability)
    if _capabilities() != (wanted, wanted, wanted) or (user is not None and os.getuid() != user):
        raise RuntimeError("privileges could not be given up")


def spare_user() -> int | None:
    """A user id that belongs to nobody and to no other job that runs, for the calling keeper's job.

    None where ids cannot be changed: not root, or root without the capabilities for it.
    """
    if os.geteuid() != 0 or not all(map(may, (_CAP_CHOWN, CAP_SETUID, CAP_SETGID))):
        return None
    mapped = _mapped_ids()
    offset = os.getpid() % _MOST_PIDS
    if any(start <= _SPARE_FIRST and end >= _SPARE_FIRST + _MOST_PIDS for start, end in mapped):
        return _SPARE_FIRST + offset
    # A container's own range of ids: its upper half, above everything that packages and people use.
    start, end = max(mapped, key=lambda one: one[1] - one[0], default=(0, 0))
    room = (end - start) // 2
    return end - 1 - offset % room if room >= 1 << 14 else None


def _mapped_ids() -> list[tuple[int, int]]:
    """Ranges [start, end) of user ids that exist here."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return []
    ranges = [tuple(map(int, line.split())) for line in lines]
    return [(first, first + count) for first, _, count in ranges]


def _drop_bound(capability: int) -> bool:
    """Take a capability out of the bounding set. False beyond the last one the kernel knows."""
    try:
        if prctl(_PR_CAPBSET_READ, capability) == 0:
            return True
    except OSError:
        return False
    try:
        prctl(_PR_CAPBSET_DROP, capability)
    except PermissionError:
        # Without CAP_SETPCAP the set cannot be made smaller; no_new_privs keeps it from mattering.
        return True
    return True


def _capabilities() -> tuple[int, int, int]:
    """This process's (effective, permitted, inheritable) sets."""
    data = ctypes.create_string_buffer(24)
    syscalls.call("capget", _header(), data)
    effective, permitted, inheritable, *high = struct.unpack("=6I", data.raw)
    return effective | high[0] << 32, permitted | high[1] << 32, inheritable | high[2] << 32


def _set_capabilities(wanted: int) -> None:
    low, high = wanted & 0xFFFFFFFF, wanted >> 32
    syscalls.call("capset", _header(), struct.pack("=6I", low, low, low, high, high, high))


def _header() -> bytes:
    return struct.pack("=Ii", _CAPABILITY_VERSION, 0)
