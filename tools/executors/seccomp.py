"""The system call filter of tiers T1 and T2, written as the kernel's BPF and installed by system call.

Stands alone (standard library only). The filter is a list of what is refused; everything else passes, since libraries
use far more calls than a list could name. Each call is a block of its own: compare the number, look at arguments where
the answer depends on them, return. Calls of another architecture (32-bit, x32) are refused whole.

In T2 a program shares the machine's network, processes and files' attributes, so more is refused than in T1, where
namespaces hold: connecting, datagram sockets, sending to an address, and everything that acts on another process by its
number. Changes of mode, owner and times are answered with success and do nothing there: Landlock does not see them, and
libraries copy modes without need.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable

from . import syscalls

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_SET_MODE_FILTER = 1
_SPEC_ALLOW = 1 << 2
"""Leave speculation as it is: the barrier protects secrets within a process, and a job's process holds none."""

_REFUSED = """
    ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise process_mrelease migrate_pages move_pages
    mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr
    unshare setns bpf userfaultfd perf_event_open add_key request_key keyctl
    kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff quotactl quotactl_fd acct
    settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname iopl ioperm syslog vhangup
    lookup_dcookie nfsservctl _sysctl uselib ustat sysfs modify_ldt name_to_handle_at open_by_handle_at
    fanotify_init shmget semget msgget mq_open capset
""".split()
"""Answered with EPERM. System V and POSIX queues and segments hold memory that belongs to no process."""
_ABSENT = "clone3 io_uring_setup io_uring_enter io_uring_register memfd_create memfd_secret".split()
"""Answered with ENOSYS, so that libraries take the older way. Memory files would be memory nobody counts."""
_FAKED = """
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
""".split()
_ATTRIBUTES = """
    setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat file_setattr
""".split()
_WATCHING = ("inotify_init", "inotify_init1")
_SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")

_NEW_NAMESPACES = 0x7E020000
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_TYPE, _SOCK_STREAM, _SOCK_SEQPACKET = 0xF, 1, 5
_IOCTLS = (0x5412, 0x541C, 0x40086602, 0x401C5820)
"""TIOCSTI and TIOCLINUX (typing into a terminal), FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR (attributes of files)."""
_PERSONALITIES = (0, 0xFFFFFFFF)
_PR_SET_DUMPABLE = 4
_O_ACCMODE_TRUNC, _O_TRUNC = 0o1003, 0o1000

Instruction = tuple[int, int, int, int]


def program(tier: str, *, landlock: int = 6, protected: Iterable[int] = (), where: syscalls.Machine) -> bytes:
    """The filter of "T1" or "T2" as the kernel takes it.

    `landlock` is the Landlock version in force: below 6 the processes `protected`, their groups and "everybody" cannot
    be sent a signal; below 3 files cannot be cut through a path.
    """
    blocks: dict[str, list[Instruction]] = {name: [_fail(errno.EPERM)] for name in _REFUSED}
    blocks |= {name: [_fail(errno.ENOSYS)] for name in _ABSENT}
    blocks["clone"] = [_low(0), (_AND, 0, 0, _NEW_NAMESPACES), *_only(0)]
    blocks["personality"] = [_low(0), *_only(*_PERSONALITIES)]
    blocks["ioctl"] = [_low(1), *_none_of(_IOCTLS)]
    blocks["prctl"] = [_low(0), (_JUMP_EQUAL, 1, 0, _PR_SET_DUMPABLE), _pass(), _low(1), *_none_of((0,))]
    blocks |= _standard(landlock, tuple(protected)) if tier == "T2" else _strong()
    filter_ = [
        _load(_ARCH), (_JUMP_EQUAL, 1, 0, where.audit), _fail(errno.ENOSYS), _load(_NUMBER)
    ]  # fmt: skip
    if where.x32_bit:
        filter_ += [(_JUMP_AT_LEAST, 0, 1, where.x32_bit), _fail(errno.ENOSYS)]
    for name, block in blocks.items():
        number = syscalls.number(name, where)
        if number is not None:
            filter_ += [(_JUMP_EQUAL, 0, len(block), number), *block]
    filter_.append(_pass())
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in filter_)


def install(filter_: bytes) -> None:
    """Put this process and its descendants under a filter for good. Needs no_new_privs. Raises OSError."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    told = Program(len(filter_) // 8, filter_)
    syscalls.call("seccomp", _SET_MODE_FILTER, _SPEC_ALLOW, ctypes.addressof(told))


def _strong() -> dict[str, list[Instruction]]:
    """Sockets that stay inside the job's own, empty network; asking it for its addresses included."""
    families = (_AF_UNIX, _AF_INET, _AF_INET6)
    is_route = [_low(0), (_JUMP_EQUAL, 1, 0, _AF_NETLINK), _fail(errno.EACCES), _low(2), *_only(0)]
    passing = [(_JUMP_EQUAL, 0, 1, family) for family in families]
    return {"socket": [_low(0), *(one for jump in passing for one in (jump, _pass())), *is_route]}


def _standard(landlock: int, protected: tuple[int, ...]) -> dict[str, list[Instruction]]:
    own_socket = [
        _low(0), (_JUMP_EQUAL, 1, 0, _AF_UNIX), _fail(errno.EACCES),
        _low(1), (_AND, 0, 0, _SOCK_TYPE), *_only(_SOCK_STREAM, _SOCK_SEQPACKET, error=errno.EACCES),
    ]  # fmt: skip
    others = sorted({pid & 0xFFFFFFFF for one in protected for pid in (one, -one)} | {0xFFFFFFFF})
    blocks = {
        "socket": own_socket,
        "socketpair": own_socket,
        # Landlock version 9 could tell one unix socket from another; this filter does not ask it to.
        "connect": [_fail(errno.EACCES)],
        "sendto": [_low(4), (_JUMP_EQUAL, 1, 0, 0), _fail(errno.EACCES), _high(4), *_only(0, error=errno.EACCES)],
        "prlimit64": [_low(0), *_only(0)],
        "sched_setscheduler": [_low(0), *_only(0)],
        "sched_setparam": [_low(0), *_only(0)],
        "sched_setattr": [_low(0), *_only(0)],
        # A thread is named here by its number, and libraries pin theirs: other numbers are answered with success.
        "sched_setaffinity": [_low(0), *_only(0, error=0)],
        "setpriority": [_low(0), (_JUMP_EQUAL, 1, 0, 0), _fail(errno.EPERM), _low(1), *_only(0)],
        "ioprio_set": [_low(0), (_JUMP_EQUAL, 1, 0, 1), _fail(errno.EPERM), _low(1), *_only(0)],
    }
    blocks |= {name: [_fail(0)] for name in _FAKED}
    blocks |= {name: [_fail(errno.ENOTSUP)] for name in _ATTRIBUTES}
    blocks |= {name: [_fail(errno.EMFILE)] for name in _WATCHING}
    if landlock < 6:
        blocks |= {name: [_low(0), *_none_of(others)] for name in _SIGNALS}
        blocks["pidfd_send_signal"] = [_fail(errno.EPERM)]
    if landlock < 3:
        blocks["truncate"] = [_fail(errno.EACCES)]
        blocks["openat2"] = [_fail(errno.ENOSYS)]
        blocks["open"] = [_low(1), (_AND, 0, 0, _O_ACCMODE_TRUNC), *_none_of((_O_TRUNC,))]
        blocks["openat"] = [_low(2), (_AND, 0, 0, _O_ACCMODE_TRUNC), *_none_of((_O_TRUNC,))]
    return blocks


def _only(*values: int, error: int = errno.EPERM) -> list[Instruction]:
    """Pass when the loaded word is one of `values`, else fail."""
    return [one for value in values for one in ((_JUMP_EQUAL, 0, 1, value), _pass())] + [_fail(error)]


def _none_of(values: Iterable[int]) -> list[Instruction]:
    """Fail when the loaded word is one of `values`, else pass."""
    return [one for value in values for one in ((_JUMP_EQUAL, 0, 1, value), _fail(errno.EPERM))] + [_pass()]


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _low(argument: int) -> Instruction:
    """Load the lower half of an argument; both machines are little-endian."""
    return _load(_ARGUMENTS + 8 * argument)


def _high(argument: int) -> Instruction:
    return _load(_ARGUMENTS + 8 * argument + 4)


def _fail(error: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)


def _pass() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)
