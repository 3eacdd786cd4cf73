"""What a sandboxed program may see of this machine's files: libraries and devices; the job's own folders come on top.

Stands alone (standard library only). It is worked out once, by the warm parent, after it has imported the libraries.
Named are folders that hold programs and libraries, never a whole prefix: people keep projects in a virtual
environment's folder, and container images keep the application under /usr/src.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from . import landlock, privileges

_SYSTEM = (
    *(f"/usr/{name}" for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "share")),
    *(f"/usr/local/{name}" for name in ("bin", "lib", "lib64", "libexec", "share", "cuda")),
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"),
)
_SETTINGS = (
    *(
        f"/etc/{name}"
        for name in ("fonts", "host.conf", "hosts", "mime.types", "nsswitch.conf", "os-release", "timezone")
    ),
    *(
        "/etc/ssl/certs",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/certs",
        "/etc/pki/tls/openssl.cnf",
        "/etc/crypto-policies",
    ),
    f"/etc/python{sys.version_info.major}.{sys.version_info.minor}",
    *("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu"),
)
"""What libraries read when it is there. Landlock denies reading but not seeing, and "is there" must not end in an error;
in T1 these are simply absent."""
_IN_PREFIX = ("bin", "lib", "lib32", "lib64", "libexec", "share", "pyvenv.cfg")
HARDWARE = "/sys/devices/system"
"""Where libraries count processors and cores."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
FACTS = tuple(
    f"/proc/{name}" for name in ("cpuinfo", "meminfo", "stat", "loadavg", "uptime", "version", "filesystems", "sys")
)
"""Files of /proc about the machine, not about its processes."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the kernel's own place for shared memory
MOST_SHARED_MB = 256
"""Most megabytes a job may put into shared memory."""


def rules(folder: Path, *, pools: bool) -> list[landlock.Rule]:
    """Landlock's rules for a job in `folder`.

    `pools` is for jobs that may use more than one core. It opens /dev/shm, which the whole machine shares: files there can
    be made, and used by whoever knows their name, but not listed. And it opens all of /proc, since a program's own
    processes look at themselves there, and Landlock cannot know the files of a process that begins later. What belongs
    to processes outside (environment, memory, open files) the kernel refuses all the same; their names and arguments
    it shows. Other jobs see of /proc themselves and facts about the machine.
    """
    found = [landlock.Rule(path, landlock.USE) for path in libraries()]
    found += [landlock.Rule(path, landlock.READ) for path in (HARDWARE, *FACTS, f"/proc/{os.getpid()}", *_SETTINGS)]
    found += [landlock.Rule(path, landlock.READ_FILE | landlock.WRITE_FILE | landlock.IOCTL_DEV) for path in DEVICES]
    found.append(landlock.Rule(str(folder / "in"), landlock.USE))
    found += [landlock.Rule(str(folder / name), landlock.KEEP) for name in ("out", "tmp")]
    if pools:
        found.append(landlock.Rule(SHARED_MEMORY, landlock.KEEP & ~landlock.READ_DIR))
        found.append(landlock.Rule("/proc", landlock.READ))
    return found


def passage(folder: Path) -> tuple[int, ...]:
    """Capabilities a spare user needs to come to the libraries and the job's folder: none, where all may pass.

    Else the one that passes closed folders and reads closed files. Landlock still decides which files those can be.
    """
    is_open = _libraries_are_open() and _lets_through(str(folder))
    return () if is_open else (privileges.CAP_DAC_READ_SEARCH,)


def prepare() -> None:
    """Work out what is the same for every job, before the first one is forked."""
    _libraries_are_open()


@cache
def _libraries_are_open() -> bool:
    return all(_lets_read(path) for path in libraries())


@cache
def libraries() -> tuple[str, ...]:
    """Existing paths with programs and libraries, none inside another. Both names of a path behind a link are there."""
    found = [path for path in _candidates() if os.path.isabs(path) and os.path.exists(path)]
    found += [os.path.realpath(path) for path in found]
    return tuple(_outermost(found))


def _candidates() -> Iterator[str]:
    yield from _SYSTEM
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)):
        yield from (os.path.join(prefix, name) for name in _IN_PREFIX)
    yield from (path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages"))
    yield from _chain(sys.executable)
    yield from filter(_holds_libraries, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    yield from _loaded()


def _chain(path: str) -> Iterator[str]:
    """A file and every link on the way to it."""
    for _ in range(40):
        yield path
        if not os.path.islink(path):
            return
        path = os.path.join(os.path.dirname(path), os.readlink(path))


def _holds_libraries(folder: str) -> bool:
    try:
        return os.path.isabs(folder) and any(".so" in name for name in os.listdir(folder))
    except OSError:
        return False


def _loaded() -> Iterator[str]:
    """Shared libraries this process has loaded, wherever they lie: a program's own processes load them anew."""
    try:
        with open("/proc/self/maps") as file:
            names = {line.split(maxsplit=5)[-1].strip() for line in file if ".so" in line}
    except OSError:
        return
    yield from (name for name in names if name.startswith("/") and os.path.isfile(name))


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths}, key=lambda path: path.split("/")):
        if not kept or not is_below(path, kept[-1]):
            kept.append(path)
    return kept


def is_below(path: str, folder: str) -> bool:
    """True for a folder itself and everything in it, by name alone."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _lets_read(path: str) -> bool:
    """True when every user may read a file or folder and pass everything on the way to it."""
    path = os.path.realpath(path)
    needed = 0o5 if os.path.isdir(path) else 0o4
    return os.stat(path).st_mode & needed == needed and _lets_through(path)


def _lets_through(path: str) -> bool:
    """True when every user may pass the folders above a path."""
    path = os.path.realpath(path)
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o1:
            return False
    return True
