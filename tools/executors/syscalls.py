"""System calls by name: their numbers on x86-64 and arm64, and a way to make those that Python does not offer.

Stands alone (standard library only). Numbers are those of Linux's own headers; a test compares them where the headers
are installed.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import NamedTuple

Value = int | bytes | ctypes.Array[ctypes.c_char] | None


class Machine(NamedTuple):
    """What a system call filter has to know of a processor."""

    column: int
    """Place of its numbers in `NUMBERS`."""
    audit: int
    """The AUDIT_ARCH_… constant the kernel tells a filter."""
    x32_bit: int
    """Bit that marks numbers of the x32 ABI; 0 where there is none."""


MACHINES = {
    "x86_64": Machine(column=0, audit=0xC000003E, x32_bit=0x40000000),
    "aarch64": Machine(column=1, audit=0xC00000B7, x32_bit=0),
}

# name: (x86-64, arm64); None where that machine has no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "_sysctl": (156, None),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capget": (125, 90),
    "capset": (126, 91),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lchown": (94, None),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open": (2, None),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "sendto": (44, 206),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}

_libc = ctypes.CDLL(None, use_errno=True)


def machine() -> Machine | None:
    """This machine's entry in `MACHINES`; None on one that nothing is known of, and for 32-bit interpreters."""
    return MACHINES.get(platform.machine()) if ctypes.sizeof(ctypes.c_void_p) == 8 else None


def number(name: str, where: Machine | None = None) -> int | None:
    """The number of a system call; None where the machine does not have it."""
    found = where or machine()
    return None if found is None else NUMBERS[name][found.column]


def call(name: str, *arguments: Value) -> int:
    """Make a system call. Integers and pointers are passed at full width. Raises OSError named after the call."""
    which = number(name)
    if which is None:
        raise OSError(38, f"{name}: no such system call on {platform.machine()}")
    ctypes.set_errno(0)
    result = int(_libc.syscall(ctypes.c_long(which), *map(_wide, arguments)))
    return _checked(name, result)


def libc(name: str, *arguments: Value) -> int:
    """Call a function of the C library that returns -1 and sets errno on failure. Raises OSError named after it."""
    ctypes.set_errno(0)
    return _checked(name, int(getattr(_libc, name)(*map(_wide, arguments))))


def _checked(name: str, result: int) -> int:
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _wide(value: Value) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value
