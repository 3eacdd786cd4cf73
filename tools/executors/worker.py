"""The orchestrating side of the warm parent: starts it, hands it jobs, hears what happened, replaces a dead one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import IO, Any

from state.errors import ModelwrightError
from tools.sandbox import environment, library_paths

_STARTS = 3
"""Warm parents in a row that may die before they are ready."""
_LEAVE_SECONDS = 2.0
_NO_PROCESS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


class WorkerDied(Exception):
    """The warm parent ended while a job was with it; the job's processes are gone too."""


class JobRefused(Exception):
    """The system gave no process for a job: too many of them, or too little memory. The jobs that run go on."""


class Worker:
    """One warm parent at a time. Thread-safe; every method returns at once but `close`."""

    def __init__(self, folder: Path, threads: int) -> None:
        """`folder` is made when the warm parent starts; the libraries keep their caches (fonts) in it."""
        self.folder = folder
        self.threads = threads
        self.facts: dict[str, Any] = {}
        """What the warm parent said when it was ready: {pid, threads, modules}."""
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._waiting: dict[int, Future[dict[str, Any] | None]] = {}
        self._number = 0
        self._failed_starts = 0
        self._closed = False

    def start(self) -> None:
        """Start the warm parent when none lives. Does not wait until it is ready.

        Raises ModelwrightError when it has died before it was ready several times in a row, with its last words;
        JobRefused when the system lets no process begin now.
        """
        with self._lock:
            if self._closed or self._process is not None:
                return
            if self._failed_starts >= _STARTS:
                raise ModelwrightError(
                    f"the process that programs are started from cannot start:\n{self._last_words()}",
                    hint="`modelwright doctor` checks the installed libraries",
                )
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            script = Path(__file__).with_name("zygote.py")
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process it belongs to
            # Not -I: it would ignore PYTHONHASHSEED, and sets of strings would be ordered anew in each build.
            command = [sys.executable, "-s", "-P", "-B", str(script), str(os.getpid()), *library_paths()]
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=environment(self.folder, self.threads),
                    cwd=self.folder,
                    start_new_session=True,
                )
            except OSError as error:
                if error.errno not in _NO_PROCESS:
                    raise
                raise JobRefused(error.strerror or str(error)) from error
            try:
                threading.Thread(target=self._listen, args=(process,), name="modelwright-worker", daemon=True).start()
            except RuntimeError as error:  # nobody would hear it
                process.kill()
                process.communicate()
                raise JobRefused(str(error)) from error
            self._process = process

    def run(self, folder: Path) -> tuple[int, Future[dict[str, Any] | None]]:
        """Hand over the job that lies in `folder`, described by its job.json; returns its number and a future receipt.

        The future gives None when the job was killed or its keeper died, and raises WorkerDied, or JobRefused when the
        system gave no process for it.
        """
        with self._lock:
            self._number += 1
            future: Future[dict[str, Any] | None] = Future()
            try:
                self.start()
            except JobRefused as refusal:
                future.set_exception(refusal)
                return self._number, future
            if self._closed:
                future.set_exception(WorkerDied("closed"))
                return self._number, future
            self._waiting[self._number] = future
            self._send({"do": "run", "id": self._number, "folder": str(folder)})
            return self._number, future

    def kill(self, number: int) -> None:
        """Kill a job's whole process tree. Does nothing when it has ended."""
        with self._lock:
            if number in self._waiting:
                self._send({"do": "kill", "id": number})

    def abort(self) -> None:
        """Kill a warm parent that no longer answers. Its jobs end too; the next job starts a new one."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Kill every job and the warm parent, and wait until it has gone."""
        with self._lock:
            self._closed = True
            process = self._process
            if process is None:
                return
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # what was still to be written cannot be: it has died already
                process.stdin.close()
        if not self.facts:
            process.kill()  # it is importing, has no job, and would not look at its stdin for seconds
        try:
            process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            # Its keepers see their sockets close, and end their jobs themselves.
            process.kill()
            process.wait()

    # ---- one thread per warm parent ---------------------------------------------------------------------------------

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        ready = False
        try:
            for line in process.stdout:
                message = json.loads(line)
                if message["event"] == "ready":
                    ready = True
                    self._failed_starts = 0
                    self.facts = message
                elif message["event"] == "refused":
                    self._settle(message["id"], JobRefused(message["error"]))
                else:
                    self._settle(message["id"], message["receipt"])
        except BaseException:
            process.kill()  # nobody would hear it any more, and everybody would wait for it
            raise
        finally:
            process.wait()
            process.stdout.close()
            self._bury(ready)

    def _settle(self, number: int, end: dict[str, Any] | JobRefused | None) -> None:
        with self._lock:
            future = self._waiting.pop(number, None)
        if future is None:
            return
        if isinstance(end, JobRefused):
            future.set_exception(end)
        else:
            future.set_result(end)

    def _bury(self, was_ready: bool) -> None:
        """The warm parent has ended: tell everyone who waits; the next job starts a new one."""
        with self._lock:
            self._process = None
            self.facts = {}
            self._failed_starts += 0 if was_ready else 1
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            try:
                future.set_exception(WorkerDied("the warm parent ended"))
            except InvalidStateError:
                continue

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            # It has just died; the listening thread is about to tell everyone who waits.
            return

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:].strip()
