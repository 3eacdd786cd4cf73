"""Looks at what a job uses: its tree of processes, their memory and tasks, and the disk below a folder.

Stands alone (standard library only), since it runs inside the warm parent. On Linux it reads /proc; elsewhere it asks
`ps`, and what `ps` cannot tell is reported as None.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the kernel's own place for shared memory
PAGE = os.sysconf("SC_PAGE_SIZE")
LINUX = sys.platform.startswith("linux")
_HAS_CHILDREN_FILE = Path(f"/proc/self/task/{os.getpid()}/children").exists()
LOOK_SECONDS = 0.05 if _HAS_CHILDREN_FILE else 0.25 if LINUX else 1.0
"""Seconds between two looks that keep the cost of looking near one per cent."""


class Usage(NamedTuple):
    """What a tree uses at one moment."""

    pids: list[int]
    rss: int
    """Bytes, pages shared with the warm parent counted in each process."""
    tasks: int
    """Processes and threads."""


def usage(root: int) -> Usage:
    """Descendants of `root` (not itself) with their resident bytes and their number of tasks."""
    if not LINUX:
        return _usage_by_ps(root)
    pids = descendants(root)
    rss = tasks = 0
    for pid in pids:
        rss += _resident(pid)
        tasks += len(_threads(pid)) or 1
    return Usage(pids, rss, tasks)


def descendants(root: int) -> list[int]:
    """Process ids below `root`, parents before children. Processes that start or end meanwhile may be missed."""
    if not LINUX:
        return _usage_by_ps(root).pids
    if not _HAS_CHILDREN_FILE:
        return _below(root, _parents_by_proc())
    found: list[int] = []
    waiting = [root]
    while waiting:
        for child in _children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def proportional(pids: list[int]) -> int | None:
    """Bytes of memory with shared pages divided among their sharers; None where the kernel does not tell.

    Costs milliseconds per process, so it is asked only when `rss` is above the limit.
    """
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            if not LINUX:
                return None
            continue
        except OSError:
            return None
        total += sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


def data_size() -> int:
    """Bytes of private writable memory this process has mapped; 0 where unknown."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)


def disk_use(folder: Path, most_files: int) -> tuple[int, int]:
    """(bytes on disk, number of entries) below a folder, links not followed; stops counting after `most_files`.

    Folders that cannot be looked into (paths too long, mode taken away) count as too many entries.
    """
    size = count = 0
    waiting = [str(folder)]
    while waiting and count <= most_files:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    facts = entry.stat(follow_symlinks=False)
                    size += facts.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError as error:  # removed or locked meanwhile, or beyond reach
            count += most_files + 1 if error.errno in (errno.ENAMETOOLONG, errno.EACCES) else 0
    return size, count


def held_without_name(pids: list[int]) -> int:
    """Bytes of files that processes hold open after their names were removed; `disk_use` cannot see them."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for number in numbers:
            try:
                facts = os.stat(f"/proc/{pid}/fd/{number}")
            except OSError:
                continue
            if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                sizes[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return sum(sizes.values())


def shared_memory(user: int, since: float) -> int:
    """Bytes in shared memory files of a user that were made or changed after a moment (seconds since the epoch)."""
    return sum(facts.st_blocks * 512 for _, facts in _shared_files(user) if facts.st_ctime >= since)


def remove_shared_memory(user: int) -> None:
    """Remove every shared memory file and folder of a user who is nobody else's."""
    for path, facts in sorted(_shared_files(user), reverse=True):
        try:
            os.rmdir(path) if stat.S_ISDIR(facts.st_mode) else os.unlink(path)
        except OSError:  # somebody else's file lies in the folder
            continue


def _shared_files(user: int) -> Iterator[tuple[str, os.stat_result]]:
    waiting = [_SHARED_MEMORY]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError:
            continue
        for path, facts in found:
            if facts.st_uid == user:
                yield path, facts
                if stat.S_ISDIR(facts.st_mode):
                    waiting.append(path)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in _threads(pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _parents_by_proc() -> dict[int, int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    # The command, in brackets, may itself hold spaces and brackets.
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    return parents


def _below(root: int, parents: dict[int, int]) -> list[int]:
    found: list[int] = []
    level = {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level and pid != parent}
        found += sorted(level)
    return found


def _usage_by_ps(root: int) -> Usage:
    command = ["/bin/ps", "-axo", "pid=,ppid=,rss="]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return Usage([], 0, 0)
    rows = [[int(cell) for cell in line.split()] for line in listing.splitlines() if line.strip()]
    pids = _below(root, {row[0]: row[1] for row in rows})
    resident = {row[0]: row[2] * 1024 for row in rows}
    return Usage(pids, sum(resident[pid] for pid in pids), len(pids))
