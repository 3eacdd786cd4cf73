"""The namespaces of tier T1, entered by a running process: what bubblewrap does, without starting a new program.

Stands alone (standard library only). `divide` is called by the keeper, so that its next child is the first process of a
new process namespace; `move_in` by that child. Mounts are made with the calls of Linux 5.12 (open_tree, mount_setattr,
move_mount), which keep what a user namespace locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from . import privileges, syscalls, views

_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_SLAVE = 1, 2, 4, 8, 0x4000, 0x80000
_MNT_DETACH = 2
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_FROM_FD = 0x4
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_COMMON, _TEMPORARY_MB = "/tmp", 64  # noqa: S108 - a private one, for programs that insist on the name
TEMPORARY = "/run/tmp"
"""A second, short name of the job's `tmp/`: names of unix sockets in it may have 107 bytes at most."""
_LINKS = {"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
          "/dev/stderr": "/proc/self/fd/2"}  # fmt: skip
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def divide() -> None:
    """Make this process's next child the first of a new process namespace; unprivileged, in a user namespace of its own.

    Raises OSError where the system does not let us.
    """
    if privileges.may(privileges.CAP_SYS_ADMIN):
        syscalls.libc("unshare", _CLONE_NEWPID)
        return
    user, group = os.geteuid(), os.getegid()
    syscalls.libc("unshare", _CLONE_NEWUSER | _CLONE_NEWPID)
    # The files below belong to root as long as this process is hidden.
    privileges.set_dumpable(True)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1\n")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1\n")
    privileges.set_dumpable(False)


def move_in(folder: Path, user: int) -> None:
    """Leave the machine's mounts, network, queues, host name and control groups for empty ones of the job's own.

    Afterwards the root holds libraries read-only, a /proc of the new process namespace, a /dev, a small /tmp, and the
    job's folder at its own path: `in/` read-only, `out/` and `tmp/` to be written. `user` is who programs will be.
    Raises OSError when any part is refused.
    """
    _unshare()
    syscalls.libc("mount", None, b"/", None, _MS_REC | _MS_SLAVE, None)
    libraries = [(path, _clone(path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)) for path in _to_bind()]
    libraries.append((views.HARDWARE, _clone(views.HARDWARE, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)))
    devices = [(path, _clone(path, _ATTR_NOSUID)) for path in views.DEVICES]
    own = [(str(folder / "in"), _clone(str(folder / "in"), _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV))]
    own += [(str(folder / name), _clone(str(folder / name), _ATTR_NOSUID | _ATTR_NODEV)) for name in ("out", "tmp")]
    own += [(TEMPORARY, _clone(str(folder / "tmp"), _ATTR_NOSUID | _ATTR_NODEV))]
    root = str(folder)  # covered here only, and held open above
    _tmpfs(root, "size=1m,mode=0755")
    _furnish(root, user)
    for path, tree in (*libraries, *devices, *own):
        _put(root, path, tree)
    _set_attributes(root)
    _change_root(root)
    _raise_loopback()
    syscalls.libc("sethostname", b"job", 3)


def _unshare() -> None:
    own = _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWNET
    try:
        syscalls.libc("unshare", own | _CLONE_NEWCGROUP)
    except OSError as error:
        if error.errno != errno.EINVAL:  # kernels without control groups
            raise
        syscalls.libc("unshare", own)


def _to_bind() -> Iterable[str]:
    return (path for path in views.libraries() if not os.path.islink(path))


def _clone(path: str, attributes: int) -> int:
    """A detached copy of the mounts at and below a path, with attributes added to all of them."""
    tree = syscalls.call(
        "open_tree", _AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    )
    change = struct.pack("QQQQ", attributes, 0, 0, 0)
    syscalls.call("mount_setattr", tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, change, len(change))
    return tree


def _put(root: str, path: str, tree: int) -> None:
    """Mount a detached tree at a path below the new root, making what has to be there."""
    target = root + path
    if not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    syscalls.call("move_mount", tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_FROM_FD)
    os.close(tree)


def _furnish(root: str, user: int) -> None:
    """What is not taken from the machine: links, /dev, /proc, /tmp, and the few files of /etc that name things."""
    os.umask(0o022)
    for name in ("dev", "proc", "tmp", "etc"):
        os.mkdir(f"{root}/{name}")
    for path in views.libraries():
        if os.path.islink(path):
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(os.readlink(path), root + path)
    for path, target in _LINKS.items():
        os.symlink(target, root + path)
    _tmpfs_at(root + views.SHARED_MEMORY, f"size={views.MOST_SHARED_MB}m,mode=1777")
    _tmpfs_at(root + _COMMON, f"size={_TEMPORARY_MB}m,mode=1777")
    syscalls.libc("mount", b"proc", f"{root}/proc".encode(), b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    for name, text in (("hosts", _HOSTS), ("passwd", f"job:x:{user}:{user}::/tmp:\n"), ("group", f"job:x:{user}:\n")):
        Path(root, "etc", name).write_text(text)


def _tmpfs_at(path: str, options: str) -> None:
    os.makedirs(path, exist_ok=True)
    _tmpfs(path, options)


def _tmpfs(path: str, options: str) -> None:
    syscalls.libc("mount", b"tmpfs", os.fsencode(path), b"tmpfs", _MS_NOSUID | _MS_NODEV, options.encode())


def _set_attributes(root: str) -> None:
    """Make the new root itself read-only; what is mounted in it keeps its own."""
    change = struct.pack("QQQQ", _ATTR_RDONLY, 0, 0, 0)
    syscalls.call("mount_setattr", _AT_FDCWD, os.fsencode(root), 0, change, len(change))


def _change_root(root: str) -> None:
    os.chdir(root)
    # The old root is put over the new one and taken away at once, so that no folder for it is needed.
    syscalls.call("pivot_root", b".", b".")
    syscalls.libc("umount2", b".", _MNT_DETACH)
    os.chdir("/")


def _raise_loopback() -> None:
    """Switch the new network's own loopback on; the kernel gives it 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        asked = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack("16sH22x", asked)[1] | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags))
