"""Landlock, the kernel's own file rules for unprivileged processes, by system call.

Stands alone (standard library only). Numbers and structures are those of linux/landlock.h. `restrict` asks for as much
as the kernel's version of Landlock (its ABI) knows: 1 files, 2 moving between folders, 3 truncation, 4 TCP, 5 device
ioctls, 6 signals to and abstract unix sockets of processes outside.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from typing import NamedTuple

from . import syscalls

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
USE = READ | EXECUTE
KEEP = (
    USE | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM
    | REFER | TRUNCATE
)  # fmt: skip
"""All a program may do in a folder of its own, but make devices."""
NEWEST = 6
"""The newest version that is made use of."""
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights that a rule on a single file may name."""
_TCP = 0b11
_SCOPES = 0b11
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_O_PATH = getattr(os, "O_PATH", 0)


class Rule(NamedTuple):
    """Rights at and below a path."""

    path: str
    rights: int


def abi() -> int:
    """The version of Landlock this kernel offers; 0 when it has none or it is switched off."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(rules: Iterable[Rule], version: int) -> None:
    """Deny this process and its descendants, for good, every file access that no rule allows.

    `version` is at most `abi()`; a lower one asks for less. Needs no_new_privs. A path that does not exist gives no
    rights. Raises OSError when the kernel refuses, with nothing changed.
    """
    handled = _handled(version)
    attributes = struct.pack("QQQ", handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = syscalls.call("landlock_create_ruleset", attributes[:size], size, 0)
    try:
        for rule in rules:
            _allow(ruleset, rule, handled)
        syscalls.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _handled(version: int) -> int:
    handled = (1 << 13) - 1
    for first, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        handled |= right if version >= first else 0
    return handled


def _allow(ruleset: int, rule: Rule, handled: int) -> None:
    try:
        place = os.open(rule.path, _O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        rights = rule.rights & handled
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_FILES
        syscalls.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
