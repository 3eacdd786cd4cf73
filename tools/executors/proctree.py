"""Looks at what a job uses: its tree of processes, their memory and tasks, and the disk below a folder.

Stands alone (standard library only), since it runs inside the warm parent. On Linux it reads /proc; elsewhere it asks
`ps`, and what `ps` cannot tell is reported as None.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
    """(bytes on disk, number of entries) below a folder, links not followed; stops counting after `most_files`."""
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
        except OSError:  # removed or locked meanwhile
            continue
    return size, count


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
