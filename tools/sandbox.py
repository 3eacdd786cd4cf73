"""What surrounds a program while it runs: its environment, its share of memory, and the name of the sandbox tier.

The tier is "basic" (T3). What it covers:

- a process group and session of its own, killed whole (daemonised descendants included) at the end of the job, at a
  limit, when the awaiting task is cancelled, and when the orchestrating process dies by any signal;
- an environment made from an allow-list: nothing of the parent's environment is passed on but what is named here;
- hard limits on wall time, memory of the whole process tree, size of a single allocation area, disk, output, processes
  and threads; no core files; no new privileges through setuid programs;
- no open file of ours is inherited; what comes back is copied by a collector that takes regular files with plain names.

What it does not cover: a program runs as the same user, so it can open the network, read any file this user can read
(other processes' environments included), write where this user can write, and signal this user's processes; shared
memory it leaves behind stays. Code that nobody has read should not run in this tier. On systems without /proc the
limits are sampled once a second, descendants that leave their session are not found, and orphans are possible.
"""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

import psutil

TIER = "basic (T3)"
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_MEMORY_SHARE = 0.8
_LEAST_MEMORY_MB = 512
_CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Folder, limit, use, and the line of memory.stat that names file cache the kernel gives back: version 2, version 1."""


def tier() -> str:
    """Name of the sandbox tier jobs run in, as doctor, report and manifest show it."""
    return TIER


def environment(folder: Path, threads: int) -> dict[str, str]:
    """The whole environment of the process that programs are forked from. `folder` is its HOME, TMPDIR, MPLCONFIGDIR.

    Programs get a HOME, TMPDIR and MPLCONFIGDIR of their own after the fork. `threads` is what OpenMP may use per job.
    BLAS starts with one thread whatever `threads` says, since a process with threads cannot be forked safely; a job
    that may use more raises it for itself.
    """
    passed = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **passed,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MPLCONFIGDIR": str(folder),
        "MPLBACKEND": "agg",
        "TZ": "UTC",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        # libarrow starts a housekeeping thread when it is loaded; threads do not survive a fork.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        # macOS aborts forked children that touch Objective-C classes unless told otherwise.
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        # Pools and shared memory that a program does not close are cleaned up behind it; no need to tell in its log.
        "PYTHONWARNINGS": "ignore:resource_tracker",
    }


def library_paths() -> list[str]:
    """Folders with libraries that this interpreter sees and an isolated one would not (user site, PYTHONPATH, .pth).

    Only folders that hold installed distributions count, so that a checkout or the working folder is not passed on.
    """
    default = {os.path.realpath(path) for path in site.getsitepackages()}
    found = []
    for path in sys.path:
        is_library = os.path.basename(path) in ("site-packages", "dist-packages")
        if is_library and os.path.realpath(path) not in default and os.path.isdir(path):
            found.append(path)
    return found


def default_memory_mb(slots: int) -> int:
    """Most megabytes one program may use: 80 % of what is free now, shared between the slots, at least 512."""
    free = psutil.virtual_memory().available
    room = _cgroup_room()
    if room is not None:
        free = min(free, room)
    return max(_LEAST_MEMORY_MB, int(free * _MEMORY_SHARE / 2**20 / max(1, slots)))


def _cgroup_room() -> int | None:
    """Bytes left in this container's memory limit; None where there is no limit."""
    for folder, most, used, cache in _CGROUPS:
        try:
            limit, current = Path(folder, most).read_text().strip(), int(Path(folder, used).read_text())
            facts = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        # Version 2 says "max" for "no limit", version 1 a number near 2^63.
        if limit.isdigit() and int(limit) < 2**60:
            return max(0, int(limit) - current + int(facts.get(cache, 0)))
    return None
