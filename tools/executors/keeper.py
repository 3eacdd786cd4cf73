"""One keeper process watches over one job: forks the child, holds its limits, kills its whole tree, writes the receipt.

Stands alone (standard library only). The warm parent forks a keeper per job and the keeper forks the program's child.
The keeper is a child subreaper, so every descendant that loses its parent, daemons included, becomes the keeper's own
child and is found and killed. It ends the job at once when its control socket reaches end of file (the warm parent or
the orchestrating process died) or carries the byte `k` (cancelled).

`receipt.json`, written durably into the job folder before anything is reported, is
{version, key, boot, kind, status, error, seconds, cpu_seconds, peak_mb, exit, signal, strays}.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import (
    capture,
    confine,
    harness,
    init,
    namespaces,
    privileges,
    proctree,
    views,
)  # relative: loaded by the warm parent, without our packages

RECEIPT_VERSION = 1
GRACE = 0.5
"""Seconds between SIGTERM and SIGKILL."""
_STRAY_GRACE = 0.2
"""Seconds that helpers of an ended program (a tracker of shared memory, say) get to clean up after it."""
_DISK_TICK = 0.5
_MOST_FILES = 20_000
_CHILD_BROKEN = 70
_STATUS_BY_EXIT = {
    harness.DONE: "done",
    harness.ERROR: "error",
    harness.MEMORY: "memory",
    harness.BAD_OUTPUT: "bad output",
    harness.DISK: "disk",
}


class Keeper:
    """Watches one job. Made in a freshly forked process; `run` is called once."""

    def __init__(self, request: Mapping[str, Any], control: socket.socket, program: init.Program = harness.run) -> None:
        self.request = request
        self.program = program
        self.limits: Mapping[str, Any] = request["limits"]
        self.folder = Path(request["folder"])
        self.control = control
        self.log = capture.CappedLog(int(self.limits["output_kb"]) * 1024)
        self.why: tuple[str, str] | None = None
        self.peak = 0
        self.strays = 0
        self.child = 0
        self.user: int | None = None
        """The spare user the job runs as, if any."""
        self.top = os.getpid()
        """The process below which everything is the program's: this one, or the first one of a T1 job."""
        self.report: int | None = None
        """Where the first process of a T1 job tells how the program ended."""
        self.wait_status: int | None = None
        self.next_disk_look = 0.0

    def run(self) -> dict[str, Any] | None:
        """Do the job. Returns the receipt, or None when nobody wants it any more (cancelled, orchestrator gone)."""
        confine.become_subreaper()
        confine.hide()
        wake = _child_signal()
        reading, writing = os.pipe()
        self.started = time.monotonic()
        self.began = time.time()
        try:
            self._fork(writing)
        except OSError as error:
            return self._never_started(error)
        os.close(writing)
        os.set_blocking(reading, False)
        capture.widen(reading)
        wanted = self._watch(reading, wake)
        seconds = time.monotonic() - self.started
        self._kill_tree(graceful=wanted and self.why is not None)
        self.log.take(reading)
        if self.why is None and self._shared_memory() > views.MOST_SHARED_MB * confine.MEGABYTE:
            self.why = self._too_much_shared()
        self._remove_shared()
        if not wanted:
            return None
        self.log.write(self.folder / "log.txt")
        receipt = self._receipt(seconds)
        self._crash_point("before-receipt")
        capture.write_durably(self.folder / "receipt.json", json.dumps(receipt, ensure_ascii=False).encode())
        self._crash_point("after-receipt")
        return receipt

    def _crash_point(self, name: str) -> None:
        """Die as by `kill -9` where a test asked for it: see tools/crash.py."""
        if self.request.get("crash") == name:
            os.kill(os.getpid(), signal.SIGKILL)

    def _never_started(self, error: OSError) -> dict[str, Any]:
        self.why = ("signal", f"could not be started: {error.strerror or error}")
        receipt = self._receipt(0.0)
        capture.write_durably(self.folder / "receipt.json", json.dumps(receipt, ensure_ascii=False).encode())
        return receipt

    # ---- the child --------------------------------------------------------------------------------------------------

    def _fork(self, output: int) -> None:
        """Start the program's child; in T1 that is the job's first process, whose child the program is."""
        keeper = os.getpid()
        is_strong = self.request["tier"] == "T1"
        if self.request["tier"] != "T3":
            self.user = privileges.spare_user()
        _prepare(self.folder, self.user)
        if is_strong:
            told, report = os.pipe()
            self.report = told
            namespaces.divide()
        self.child = os.fork()
        if self.child == 0:
            if is_strong:
                os.close(told)  # else it would itself be the one who reads what it tells, and never look deserted
                init.live(self.request, output, report, self.user, self.program, _CHILD_BROKEN)
            code = _CHILD_BROKEN
            try:
                confine.confine(self.request, output, keeper, self.user)
                code = self.program(self.request)
            finally:
                # Nothing of the keeper may run in the child, whatever happened.
                if code == _CHILD_BROKEN:
                    traceback.print_exc()
                os._exit(code)
        if is_strong:
            os.close(report)
            self.top = self.child

    # ---- watching ---------------------------------------------------------------------------------------------------

    def _watch(self, output: int, wake: int) -> bool:
        """Return when the child has ended, a limit is broken (self.why) or nobody wants the job (False)."""
        selector = selectors.DefaultSelector()
        for source in (self.control, output, wake):
            selector.register(source, selectors.EVENT_READ)
        next_look = 0.0
        while True:
            ready = {key.fileobj for key, _ in selector.select(proctree.LOOK_SECONDS)}
            if self.control in ready:
                return False
            if wake in ready:
                _empty(wake)
            if output in ready and not self.log.take(output):
                selector.unregister(output)
            self._reap()
            if self.wait_status is not None:
                return True
            now = time.monotonic()
            if now >= next_look:
                self.why = self._broken_limit(now)
                next_look = now + proctree.LOOK_SECONDS
            if self.why is not None:
                return True

    def _broken_limit(self, now: float) -> tuple[str, str] | None:
        """(status, reason) of the first limit that is broken."""
        seconds = float(self.limits["seconds"])
        if now - self.started > seconds:
            return "timeout", f"ended after its limit of {seconds:.4g} s"
        used = proctree.usage(self.top)
        self.peak = max(self.peak, used.rss)
        most = int(self.limits["memory_mb"])
        if used.rss > most * confine.MEGABYTE:
            # Forked processes share pages; the exact number is asked only when the cheap one is too high.
            exact = proctree.proportional(used.pids)
            rss = used.rss if exact is None else exact
            if rss > most * confine.MEGABYTE:
                return "memory", f"used {rss >> 20} MB of memory in {len(used.pids)} processes; the limit is {most} MB"
        if self._shared_memory() > views.MOST_SHARED_MB * confine.MEGABYTE:
            return self._too_much_shared()
        if used.tasks > int(self.limits["tasks"]):
            return "error", f"started {used.tasks} processes and threads; the limit is {self.limits['tasks']}"
        return self._broken_disk(now)

    def _shared_memory(self) -> int:
        """Bytes a T2 job has put into files of /dev/shm; in T1 the kernel bounds them, in T3 nobody does."""
        if self.request["tier"] != "T2":
            return 0
        if self.user is not None:
            return proctree.shared_memory(self.user, 0.0)
        return proctree.shared_memory(os.getuid(), self.began)

    def _too_much_shared(self) -> tuple[str, str]:
        return "disk", f"put more than {views.MOST_SHARED_MB} MB into shared memory ({views.SHARED_MEMORY})"

    def _remove_shared(self) -> None:
        """Remove what a spare user left in shared memory. What our own user left cannot be told from others' files."""
        if self.request["tier"] == "T2" and self.user is not None:
            proctree.remove_shared_memory(self.user)

    def _broken_disk(self, now: float) -> tuple[str, str] | None:
        if now < self.next_disk_look:
            return None
        self.next_disk_look = now + _DISK_TICK
        size, files = 0, 0
        for name in ("out", "tmp"):
            part = proctree.disk_use(self.folder / name, _MOST_FILES)
            size, files = size + part[0], files + part[1]
        size += proctree.held_without_name(proctree.descendants(self.top))
        most = int(self.limits["disk_mb"])
        if size > most * confine.MEGABYTE:
            return "disk", f"wrote {size >> 20} MB; the limit is {most} MB"
        if files > _MOST_FILES:
            return "disk", f"wrote more than {_MOST_FILES} files, or folders that nobody can look into"
        return None

    # ---- ending -----------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Collect every ended child; remember how the program's own ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child:
                self.wait_status = self._reported(status)

    def _reported(self, status: int) -> int:
        """The program's wait status: the child's own, or what the first process of a T1 job told."""
        if self.report is None:
            return status
        os.set_blocking(self.report, False)
        try:
            told = json.loads(os.read(self.report, 4096))
        except (BlockingIOError, ValueError):  # it was killed, or could not enter the sandbox
            return status
        self.strays = int(told["strays"])
        return int(told["status"])

    def _kill_tree(self, graceful: bool) -> None:
        """Kill every descendant and wait until none is left. Graceful: SIGTERM first, SIGKILL after GRACE seconds."""
        if graceful and self.wait_status is None:
            self._ask_to_end()
            until = time.monotonic() + GRACE
            while self.wait_status is None and time.monotonic() < until:
                time.sleep(0.01)
                self._reap()
        if self.wait_status is not None:
            self._wait_for_strays()
        for _ in range(1000):
            if self.wait_status is None:  # after it is reaped, its number may belong to somebody else
                _kill_group(self.child, signal.SIGKILL)
            left = proctree.descendants(os.getpid())
            for pid in left:
                _kill(pid, signal.SIGKILL)
            self._reap()
            if not left and self.wait_status is not None:
                return
            time.sleep(0.005)

    def _ask_to_end(self) -> None:
        if self.report is None:
            _kill_group(self.child, signal.SIGTERM)
            return
        for pid in proctree.descendants(self.child):
            _kill(pid, signal.SIGTERM)

    def _wait_for_strays(self) -> None:
        """The program has ended; count what it left running, ask it to end, and give it a moment.

        Trackers of shared memory and semaphores ignore SIGTERM, and clean up once the processes they serve have gone.
        """
        if not proctree.LINUX:  # orphans are not handed to us there, but the group still names them
            _kill_group(self.child, signal.SIGKILL)
        for pid in proctree.descendants(os.getpid()):
            _kill(pid, signal.SIGTERM)
        until = time.monotonic() + _STRAY_GRACE
        while left := proctree.descendants(os.getpid()):
            self.strays = max(self.strays, len(left))
            if time.monotonic() > until:
                return
            time.sleep(0.01)
            self._reap()

    def _receipt(self, seconds: float) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        unit = 1024 if proctree.LINUX else 1
        ended = self.wait_status
        status, error = self._outcome()
        return {
            "version": RECEIPT_VERSION,
            "key": self.request["key"],
            "boot": self.request["boot"],
            "kind": self.request["kind"],
            "status": status,
            "error": error,
            "seconds": round(seconds, 4),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 4),
            "peak_mb": round(max(self.peak, used.ru_maxrss * unit) / confine.MEGABYTE, 1),
            "exit": os.WEXITSTATUS(ended) if ended is not None and os.WIFEXITED(ended) else None,
            "signal": os.WTERMSIG(ended) if ended is not None and os.WIFSIGNALED(ended) else None,
            "strays": self.strays,
        }

    def _outcome(self) -> tuple[str, str]:
        if self.why is not None:
            return self.why
        if self.wait_status is None:
            return "error", "did not end although it was killed"
        if os.WIFSIGNALED(self.wait_status):
            number = os.WTERMSIG(self.wait_status)
            return "signal", f"died of signal {number} ({signal.Signals(number).name}), which we did not send"
        code = os.WEXITSTATUS(self.wait_status)
        if code == _CHILD_BROKEN:
            # No fault of the program: like a death by a foreign signal it is tried again, and not remembered.
            return "signal", "could not be prepared to run in its sandbox; its log says why"
        if self.request["kind"] == "script" and code not in _STATUS_BY_EXIT:
            return "error", f"ended with exit code {code}"
        return _STATUS_BY_EXIT.get(code, "error"), "" if code == harness.DONE else f"ended with exit code {code}"


def keep(folder: str, control: socket.socket) -> None:
    """The whole life of a keeper process; never returns.

    `folder` is a job's, with in/, out/ and job.json, which holds {key, boot, kind, folder, params, time_limit, n_jobs,
    threads, tier, guards, limits}. Reports the receipt as one JSON line on `control`.
    """
    code = 1
    try:
        empty = os.open(os.devnull, os.O_RDWR)
        os.dup2(empty, 0)
        os.dup2(empty, 1)
        confine.close_files(keep=(control.fileno(),))
        request = json.loads(Path(folder, "job.json").read_text(encoding="utf-8"))
        receipt = Keeper(request, control).run()
        if receipt is not None:
            control.sendall(json.dumps(receipt).encode() + b"\n")
        code = 0
    finally:
        # The warm parent sees that no receipt came; why is in its log, which is our stderr.
        if code:
            traceback.print_exc()
        os._exit(code)


def _prepare(folder: Path, user: int | None) -> None:
    """Make the job's private folder and give what the job works with to its spare user."""
    (folder / "tmp").mkdir(mode=0o700, exist_ok=True)
    if user is None:
        return
    for name in ("in", "out", "tmp"):
        os.chown(folder / name, user, user)
        for parent, folders, files in os.walk(folder / name):
            for one in (*folders, *files):
                os.chown(os.path.join(parent, one), user, user, follow_symlinks=False)


def _child_signal() -> int:
    """A file that becomes readable when a child ends."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _empty(source: int) -> None:
    try:
        while os.read(source, 512):
            pass
    except BlockingIOError:
        return


def _kill_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # it has not called setsid yet, or has ended
        _kill(pid, number)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
