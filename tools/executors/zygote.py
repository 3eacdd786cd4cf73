"""The warm parent: a process that has imported the libraries, and nothing else, and forks one single-use child per job.

Run by `worker.py` as a script of its own; stands alone (standard library at import). It holds no data, no program and
no thread. Requests come as JSON lines on stdin, what happened goes as JSON lines to stdout:

    → {"do": "run", "id", "folder"}                        the job is described in folder/job.json
    → {"do": "kill", "id"}
    ← {"event": "ready", "pid", "threads", "modules"}     the core libraries are in; the lazy ones follow while idle
    ← {"event": "done", "id", "receipt"}                   receipt is None when the job was killed or its keeper died
    ← {"event": "refused", "id", "error"}                  the system gave no process for the job; the others go on

At end of file on stdin, or when its parent is gone, it kills every job and exits.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

WORKER = "modelwright_worker"
"""Name of this folder inside the warm parent."""
PORTABLE = "modelwright_portable"
"""Name of the folder `tools/portable` there; harness.py says the same."""
CORE = (
    "numpy",
    "scipy.special",  # soon, for skops looks for its functions in all modules before it, which took it half a second
    "pandas",
    "pyarrow",
    "pyarrow.ipc",
    "scipy.sparse",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.ensemble",
    "sklearn.pipeline",
    "sklearn.compose",
    "sklearn.preprocessing",
    "sklearn.feature_extraction.text",
    "sklearn.decomposition",
    "sklearn.impute",
    "sklearn.svm",
    "sklearn.kernel_ridge",
    "sklearn.cross_decomposition",
    "sklearn.model_selection",
    "sklearn.neighbors",
    "sklearn.calibration",
    "lightgbm",
    f"{PORTABLE}.tables",
    f"{PORTABLE}.saving",
)
LAZY = (
    "skops.io",
    "sklearn.kernel_approximation",
    "sklearn.cluster",
    "matplotlib",
    "matplotlib.collections",
    "matplotlib.axes",
    "matplotlib.figure",
    "matplotlib.pyplot",
    "jinja2",
    "requests",
    "sklearn.utils._testing",
    "skrub",
)
"""Imported one by one after `ready`, whenever no request waits. What skrub brings comes in pieces before it, since a
request that arrives during an import waits for its end."""
_PARENT_LOOK = 0.5
"""Seconds between two looks whether the orchestrating process still lives, imports included."""


def namespace(name: str, folder: Path) -> None:
    """Make the files of `folder` importable under a package name of our own, without putting it on sys.path.

    So a script in a job may have modules called `harness` or `saving` of its own.
    """
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package


def load(names: tuple[str, ...]) -> list[str]:
    """Import modules, leaving out those that are not installed or whose shared libraries are missing."""
    loaded = []
    for name in names:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            print(f"not preloaded: {name}: {error}", file=sys.stderr)  # noqa: T201 - stderr is this process's log
        else:
            loaded.append(name)
    return loaded


def count_threads() -> int:
    """Threads of this process; 1 where the system does not say."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


class Zygote:
    """The loop: one thread, stdin and one socket per running job."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self.selector = selectors.DefaultSelector()
        self.selector.register(source, selectors.EVENT_READ, "stdin")
        self.buffer = b""
        self.jobs: dict[int, tuple[int, socket.socket]] = {}
        self.reports: dict[int, bytes] = {}

    def serve(self) -> None:
        """Work until stdin ends, then kill everything. Imports the lazy modules in between."""
        waiting = list(LAZY)
        while True:
            ready = self.selector.select(0 if waiting else None)
            if not ready and waiting:
                load((waiting.pop(0),))
                gc.freeze()
            for key, _ in ready:
                if key.data == "stdin":
                    if not self._read_requests():
                        return
                else:
                    self._read_report(key.data)

    def end_all(self) -> None:
        """Have every keeper kill its job, which it does when its socket closes, and wait until all have gone."""
        for pid, connection in self.jobs.values():
            connection.close()
            os.waitpid(pid, 0)

    def tell(self, **message: Any) -> None:
        """Write one JSON line to the orchestrating process."""
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self.sink, data) :]

    def _read_requests(self) -> bool:
        data = os.read(self.source, 65536)
        if not data:
            return False
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["do"] == "run":
                self._start(request)
            else:
                self._kill(request["id"])
        return True

    def _start(self, request: dict[str, Any]) -> None:
        try:
            ours, theirs = socket.socketpair()
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                theirs.close()
                raise
        except OSError as error:
            # Too many processes, or no memory for one more: that is this job's bad luck, and no reason to end the others.
            self.tell(event="refused", id=request["id"], error=error.strerror or str(error))
            return
        if pid == 0:
            try:
                importlib.import_module(f"{WORKER}.keeper").keep(request["folder"], theirs)
            finally:
                os._exit(1)  # it never returns; whatever happened, a child must not serve its parent's requests
        theirs.close()
        self.jobs[request["id"]] = (pid, ours)
        self.reports[request["id"]] = b""
        self.selector.register(ours, selectors.EVENT_READ, request["id"])

    def _kill(self, job: int) -> None:
        if job in self.jobs:
            try:
                self.jobs[job][1].sendall(b"k")
            except OSError:  # it has just ended; its report is on the way
                return

    def _read_report(self, job: int) -> None:
        """Take what a keeper says; at its end, tell the orchestrating process."""
        pid, connection = self.jobs[job]
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        if data:
            self.reports[job] += data
            return
        self.selector.unregister(connection)
        connection.close()
        os.waitpid(pid, 0)
        del self.jobs[job]
        text = self.reports.pop(job)
        if not text.endswith(b"\n"):
            self._kill_strays()
        self.tell(event="done", id=job, receipt=json.loads(text) if text.endswith(b"\n") else None)

    def _kill_strays(self) -> None:
        """Kill what a dead keeper left: its descendants are our children now, and ours are only keepers."""
        proctree = importlib.import_module(f"{WORKER}.proctree")
        keepers = {pid for pid, _ in self.jobs.values()}
        for left in reversed(range(200)):
            try:
                strays = [pid for pid in proctree.descendants(os.getpid()) if pid not in keepers]
                kept = {pid for one in keepers for pid in proctree.descendants(one)}
            except OSError:  # no file may be opened now; but a program that nobody watches over must not be left
                if not left:
                    raise
                time.sleep(0.005)
                continue
            strays = [pid for pid in strays if pid not in kept]
            if not strays:
                return
            for pid in strays:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
                except (ProcessLookupError, ChildProcessError):
                    continue
            time.sleep(0.005)


def leave_with(parent: int) -> None:
    """End this process soon after its parent has ended, whatever it is doing. Keepers then end their jobs.

    Not by the kernel's parent-death signal: that comes when the thread that started us ends.
    """

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _PARENT_LOOK, _PARENT_LOOK)


def main() -> None:
    """Start, import, announce, serve. Arguments: the parent's process id, folders to append to the module search path."""
    leave_with(int(sys.argv[1]))
    folder = Path(__file__).resolve().parent
    sys.path.extend(path for path in sys.argv[2:] if path not in sys.path)
    namespace(WORKER, folder)
    namespace(PORTABLE, folder.parent / "portable")
    # Libraries that print while they are imported must not talk into the protocol.
    sink = os.dup(1)
    os.dup2(2, 1)
    confine = importlib.import_module(f"{WORKER}.confine")
    importlib.import_module(f"{WORKER}.keeper")
    confine.become_subreaper()
    confine.hide()
    gc.disable()  # looking through what imports make, which stays, took a tenth of their time
    modules = load(CORE)
    importlib.import_module(f"{WORKER}.views").prepare()
    gc.collect()
    gc.freeze()
    gc.enable()
    zygote = Zygote(0, sink)
    zygote.tell(event="ready", pid=os.getpid(), threads=count_threads(), modules=modules)
    zygote.serve()
    zygote.end_all()
    os._exit(0)


if __name__ == "__main__":
    main()
