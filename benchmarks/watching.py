"""Runs one command, measures it with everything it starts, and ends all of it at the hard limit.

    python benchmarks/watching.py SPEC.json

SPEC.json: {argv, cwd, env, cores, deadline (seconds), stdout, stderr, out}. Writes to `out` as JSON

    code            exit code of the command, negative for a signal
    began, ended    wall clock, seconds since 1970
    wall            seconds from its start to its end
    cpu_seconds     user and system time of the command and of all its descendants
    peak_mb         most memory of the tree at one moment: the sum of the proportional set sizes (Pss, in which a page
                    that several processes share counts once), sampled; never less than the largest single process's
                    resident set, which the kernel keeps exactly
    memory_by       "pss", or "rss" where the kernel lets Pss of another process not be read (shared pages count often)
    killed          true when the hard limit ended it
    left_behind     processes that still lived when the command had ended; they are killed

This process is the reaper of all descendants (PR_SET_CHILD_SUBREAPER, Linux), so none escapes the measure by being
orphaned. When its own parent dies, or at SIGTERM, it kills the tree: nothing goes on after a killed benchmark.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

INTERVAL = 0.25
"""Seconds between two samples of memory."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MB = 1024 * 1024


class Stopped(Exception):
    """SIGTERM came, or our parent died."""


class Sampler(threading.Thread):
    """Samples the tree's memory and CPU until told to stop, and kills the tree at the deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__(daemon=True)
        self.deadline = deadline
        self.peak = 0
        self.memory_by = "pss"
        self.killed = False
        self.cpu: dict[tuple[int, float], float] = {}
        """Process and its start → CPU seconds when it was last seen."""
        self._enough = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self._enough.wait(INTERVAL):
            self._sample()
            if time.monotonic() - began > self.deadline:
                self.killed = True
                kill_tree()
                return

    def finish(self) -> None:
        self._enough.set()
        self.join()

    def _sample(self) -> None:
        total = 0
        for process in descendants():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
                times = process.cpu_times()
                self.cpu[process.pid, process.create_time()] = times.user + times.system
                total += self._memory(process)
        self.peak = max(self.peak, total)

    def _memory(self, process: psutil.Process) -> int:
        share = proportional(process.pid)
        if share is not None:
            return share
        self.memory_by = "rss"
        return int(process.memory_info().rss)


def proportional(pid: int) -> int | None:
    """Pss of a process in bytes; None where it cannot be read; 0 for a process that has just ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return None
    return 0


def descendants() -> list[psutil.Process]:
    """Everything below this process."""
    return psutil.Process().children(recursive=True)


def kill_tree() -> None:
    """Kill every descendant, and those that come while we kill; at most ten rounds."""
    for _ in range(10):
        alive = [one for one in descendants() if _alive(one)]
        if not alive:
            return
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def reap() -> None:
    """Collect every ended descendant, so that the kernel counts its CPU."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def watch(spec: dict[str, Any]) -> dict[str, Any]:
    """Run the command of a specification and return its figures."""
    sampler = Sampler(float(spec["deadline"]))
    began, started = time.time(), time.monotonic()
    with Path(spec["stdout"]).open("wb") as out, Path(spec["stderr"]).open("wb") as err:
        command = subprocess.Popen(
            spec["argv"], cwd=spec["cwd"], env=spec["env"], stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        sampler.start()
        code = command.wait()
    wall = time.monotonic() - started
    sampler.finish()
    left = len([one for one in descendants() if _alive(one)])
    kill_tree()
    reap()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "code": code,
        "began": began,
        "ended": began + wall,
        "wall": wall,
        # A process nobody waited for is missing in the first; one between two samples in the second.
        "cpu_seconds": max(used.ru_utime + used.ru_stime, sum(sampler.cpu.values())),
        "peak_mb": max(sampler.peak, used.ru_maxrss * 1024) / _MB,
        "memory_by": sampler.memory_by,
        "killed": sampler.killed,
        "left_behind": left,
    }


def _prepare(cores: int) -> None:
    """Reaper of all descendants, ended with our parent, on so many cores."""
    if sys.platform == "linux":
        system = ctypes.CDLL(None, use_errno=True)
        system.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _stop(*_: object) -> None:
    raise Stopped


def main() -> int:
    """0 when the figures are written, whatever the command's own code; 143 when we were stopped."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGTERM, _stop)
    parent = os.getppid()
    _prepare(int(spec["cores"]))
    if os.getppid() != parent:  # it died before we asked to be told
        return 143
    try:
        figures = watch(spec)
    except Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        kill_tree()
        return 143
    Path(spec["out"]).write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
