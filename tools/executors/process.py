"""The default executor: each job in a process of its own on this machine, forked from a warm parent.

Every job passes: a free slot → its inputs in a private folder → the warm parent forks a keeper and the program's child
→ the keeper's durable receipt → outputs in the artifact store → the folder is removed. What each part guarantees is
told in keeper.py (limits, killing), folders.py (ownership, adoption) and collector.py (what is taken of the outputs).
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from state.errors import ModelwrightError
from state.jobs import Job, Receipt, ReceiptStatus
from tools.artifacts import ArtifactStore
from tools.crash import SUPERVISOR_POINTS, crash_point, crash_wanted
from tools.disk import RESERVE, full, is_tight, writing
from tools.executors import collector
from tools.executors.early import take_worker
from tools.executors.folders import JobFolders, boot_id, is_usable, read_json, remove
from tools.executors.worker import JobRefused, WorkerDied
from tools.sandbox import checked_tier, choose_tier

REPETITIONS = 3
"""Times a job is repeated after a death by a signal we did not send, or when the system gave no process for it."""
_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before a job for which there was no process is tried again: others may have ended by then."""
_PATIENCE_SECONDS = 120.0
"""Seconds beyond a job's own limit after which the warm parent counts as hung; its start is part of them."""
_REMEMBERED = ("done", "error", "bad output")
"""Outcomes that tell about the program, and so are not to be found out twice."""
_NO_ROOM = "this machine, or a limit on this user, allows no more processes, open files or memory"
_LAST_LINES = 30
_MOST_ERROR = 12_000
_KEY = re.compile(r"[0-9A-Za-z_-]{1,128}")


class _Ticket:
    """One submitted job on its way."""

    def __init__(self, job: Job, key: str) -> None:
        self.job = job
        self.key = key
        self.future: Future[Receipt] = Future()
        self.number: int | None = None
        """Its number at the warm parent while it runs there."""
        self.forsaken = threading.Event()
        """Set when nobody waits for it any more."""

    @property
    def cancelled(self) -> bool:
        return self.forsaken.is_set()


class _Cancelled(Exception):
    """Nobody waits for this job any more."""


class ProcessExecutor:
    """Runs jobs on this machine, `slots` at a time. See `tools.executors.Executor` for the contract.

    Works with any number of event loops and threads. `threads_per_job` is the number of OpenMP and BLAS threads a job
    may use, more when the job's own `n_jobs` is larger. `cache` is where libraries keep what they work out at import.

    What a killed executor finished is found again in the same `jobs_folder`, by whoever asks for the same key. So a
    folder per run keeps runs that want everything executed anew apart.

    `tier` is the sandbox tier, "T1", "T2" or "T3"; None takes the strongest that works here. A job whose tier cannot be
    entered fails; it never runs in a weaker one.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        jobs_folder: Path,
        slots: int,
        threads_per_job: int = 1,
        *,
        cache: Path | None = None,
        tier: str | None = None,
    ) -> None:
        self.slots = max(1, slots)
        self.threads_per_job = max(1, threads_per_job)
        self.artifacts = artifacts
        self._tier = None if tier is None else checked_tier(tier)
        self._folders = JobFolders(Path(jobs_folder).absolute())
        self.worker = take_worker(Path(cache or self._folders.root / "cache").absolute(), self.threads_per_job)
        self._queue: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._tickets: set[_Ticket] = set()
        self._threads: list[threading.Thread] = []
        self._swept = False
        self._closed = False
        self._ended = threading.Event()
        """Set when closing is over."""

    @property
    def tier(self) -> str:
        """Short name of the sandbox tier jobs run in; found by trial at the first look when none was given."""
        if self._tier is None:
            self._tier = choose_tier()
        return self._tier

    def warm(self) -> None:
        """Start the warm parent and the slots' threads, and sweep what dead executors left; waits for none of it.

        Raises ModelwrightError when the system lets not even one thread begin.
        """
        with suppress(JobRefused):  # the first job tries again, and says so
            self.worker.start()
        with self._lock:
            if len(self._threads) == self.slots or self._closed:
                return
            # Daemon threads: a process that forgets to close must still be able to end.
            if not self._swept:
                with suppress(RuntimeError):  # then the next look sweeps
                    threading.Thread(target=self._folders.sweep, name="modelwright-sweep", daemon=True).start()
                    self._swept = True
            while len(self._threads) < self.slots:
                name = f"modelwright-slot-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    if self._threads:
                        return  # so many slots for now
                    raise ModelwrightError(f"no program can be started: {error}", hint=_NO_ROOM) from error
                self._threads.append(thread)

    async def submit(self, job: Job, key: str) -> Receipt:
        """Run a job in isolation and return its receipt. Cancelling kills the job's whole process tree.

        Raises ArtifactMissing or ArtifactDamaged for inputs that are not in the store, and ModelwrightError when this
        executor is closed or processes cannot be started at all.
        """
        if not _KEY.fullmatch(key):
            raise ModelwrightError(f"{key!r} is no job key", hint="use Job.key(versions)")
        self.warm()
        ticket = _Ticket(job, key)
        with self._lock:
            if self._closed:
                raise _closed_error()
            self._tickets.add(ticket)
        self._queue.put(ticket)
        try:
            return await asyncio.wrap_future(ticket.future)
        except asyncio.CancelledError:
            self._cancel(ticket)
            me = asyncio.current_task()
            if self._closed and me is not None and not me.cancelling():
                # Closing cancelled the job that waited for a slot, and nobody the task that waits for the job.
                raise _closed_error() from None
            raise

    def close(self) -> None:
        """Kill running jobs, refuse waiting ones, end the warm parent.

        May be called again, also by several threads: each returns when all of it is over, since the run's lock may be
        freed after that, and the next driver must not find an owner here that still lives.
        """
        with self._lock:
            first, self._closed = not self._closed, True
            tickets = list(self._tickets)
        if not first:
            self._ended.wait()
            return
        try:
            for ticket in tickets:
                self._cancel(ticket)
            for _ in self._threads:
                self._queue.put(None)
            self.worker.close()
            # For as long as it takes: one may just be putting outputs into the store, and must not do so beside others.
            for thread in self._threads:
                thread.join()
            self._folders.close()
        finally:
            self._ended.set()

    # ---- a slot's thread --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (ticket := self._queue.get()) is not None:
            if not ticket.future.set_running_or_notify_cancel():
                self._forget(ticket)
                continue
            try:
                ticket.future.set_result(self._execute(ticket))
            except _Cancelled:
                ticket.future.set_exception(_closed_error())
            except BaseException as error:  # noqa: BLE001 - handed to the awaiting task, which is where it belongs
                ticket.future.set_exception(error)
            finally:
                self._forget(ticket)

    def _forget(self, ticket: _Ticket) -> None:
        with self._lock:
            self._tickets.discard(ticket)

    def _cancel(self, ticket: _Ticket) -> None:
        with self._lock:
            ticket.forsaken.set()
            number = ticket.number
        ticket.future.cancel()
        if number is not None:
            self.worker.kill(number)

    def _execute(self, ticket: _Ticket) -> Receipt:
        with writing(self._folders.root):
            return self._executed(ticket)

    def _executed(self, ticket: _Ticket) -> Receipt:
        adopted = self._adopt(ticket)
        if adopted is not None:
            return adopted
        started = time.monotonic()
        limit = ticket.job.limits.seconds
        for repetition in range(REPETITIONS + 1):
            left = limit - (time.monotonic() - started) if repetition else limit
            folder = self._folders.create(ticket.key)
            try:
                self._materialise(ticket, folder, left)
                raw = self._run(ticket, folder)
            except BaseException:
                self._folders.discard(folder, ticket.key)
                raise
            if raw is None:
                folder, raw = self._after_loss(ticket, folder)
            if raw["status"] != "done" and is_tight(folder):
                # What failed for want of room says nothing about the program, and is not to be remembered.
                remove(folder)
                raise full(self._folders.root, RESERVE, "a program ended without a result while there was no room left")
            again = repetition < REPETITIONS and time.monotonic() - started < limit
            if raw["status"] == "signal" and again:
                remove(folder)
                if raw.get("refused"):
                    ticket.forsaken.wait(_PAUSES[repetition])
                continue
            return self._finish(ticket.job, ticket.key, folder, raw)
        raise AssertionError("the last repetition always returns")

    def _run(self, ticket: _Ticket, folder: Path) -> dict[str, Any] | None:
        """Have one attempt executed. Returns the keeper's receipt; None when it was lost before it could tell."""
        with self._lock:
            if ticket.cancelled:
                raise _Cancelled
        ticket.number, future = self.worker.run(folder)
        if ticket.cancelled:  # between the look above and now
            self.worker.kill(ticket.number)
        try:
            raw = future.result(ticket.job.limits.seconds + _PATIENCE_SECONDS)
        except WorkerDied:
            raw = None
        except JobRefused as refusal:
            raw = {"status": "signal", "error": f"could not be started: {refusal}; {_NO_ROOM}", "refused": True}
        except FutureTimeout:  # the keeper's deadline is long past
            self.worker.abort()
            raw = None
        finally:
            ticket.number = None
        if ticket.cancelled:
            raise _Cancelled
        return raw

    def _after_loss(self, ticket: _Ticket, folder: Path) -> tuple[Path, dict[str, Any]]:
        """Where the attempt of a lost keeper lies now, and its receipt: the durable one, else that of a death by signal.

        The folder is moved before it is looked at. A keeper that still lives then finds no place for a receipt, so
        there is none that comes too late to be honoured.
        """
        folder = self._folders.claim(folder)
        raw = read_json(folder / "receipt.json")
        if raw is not None and is_usable(raw, ticket.key):
            return folder, raw
        return folder, {"status": "signal", "error": "the process that watched over it was killed"}

    # ---- in and out -------------------------------------------------------------------------------------------------

    def _materialise(self, ticket: _Ticket, folder: Path, seconds: float) -> None:
        """Put the job's inputs and its description into the folder."""
        job = ticket.job
        for name, reference in job.files.items():
            target = folder / "in" / _checked_name(name)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.artifacts.export(reference, target)
        description = {
            "key": ticket.key,
            "boot": boot_id(),
            "kind": job.kind,
            "folder": str(folder),
            "params": job.params,
            "time_limit": job.time_limit,
            "n_jobs": job.n_jobs,
            "threads": max(self.threads_per_job, job.n_jobs),
            "tier": self.tier,
            "guards": self._guards(),
            "limits": job.limits.but(seconds=seconds).plain(),
            "crash": next((name for name in SUPERVISOR_POINTS if crash_wanted(name)), None),
        }
        (folder / "job.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")

    def _guards(self) -> list[int]:
        """Processes that no job may signal."""
        return [os.getpid(), *([pid] if (pid := self.worker.facts.get("pid")) else [])]

    def _adopt(self, ticket: _Ticket) -> Receipt | None:
        """The receipt of an attempt that ended before its orchestrating process was killed, if there is one."""
        for folder in self._folders.left_behind(ticket.key):
            collected = read_json(folder / "collected.json")
            if collected is not None and all(map(self.artifacts.has, _references(collected))):
                receipt = Receipt.model_validate(collected)
                self._folders.hand_out(folder, receipt)
                return receipt
            raw = read_json(folder / "receipt.json")
            # With that note the outputs are on their way out: what is left of them would look like a program's failure.
            if collected is None and raw is not None and is_usable(raw, ticket.key) and (folder / "out").is_dir():
                return self._finish(ticket.job, ticket.key, folder, raw)
            remove(folder)
        return None

    def _finish(self, job: Job, key: str, folder: Path, raw: dict[str, Any]) -> Receipt:
        """Collect outputs and log of an ended attempt, clear its folder, and make the receipt."""
        crash_point("before-collect")
        status: ReceiptStatus = raw["status"]
        error = self._error(folder, raw)
        outputs: dict[str, str] = {}
        result: dict[str, Any] = {}
        if status == "done":
            try:
                result = {} if job.kind == "script" else collector.read_result(folder)
                outputs = collector.collect(folder, job.kind, self.artifacts, job.limits.disk_mb * 2**20)
            except collector.BadOutput as bad:
                status, error, result, outputs = "bad output", str(bad), {}, {}
        log = folder / "log.txt"
        receipt = Receipt(
            key=key,
            kind=job.kind,
            status=status,
            outputs=outputs,
            result=result,
            error=error,
            log=self.artifacts.put(log.read_bytes()) if log.exists() else None,
            seconds=raw.get("seconds", 0.0),
            cpu_seconds=raw.get("cpu_seconds", 0.0),
            peak_mb=raw.get("peak_mb", 0.0),
        )
        if status in _REMEMBERED:
            crash_point("before-note")
            self._folders.hand_out(folder, receipt)
        else:
            self._folders.keep_log(folder)
        return receipt

    def _error(self, folder: Path, raw: dict[str, Any]) -> str:
        """Why it failed: the program's traceback when it has one, else the keeper's reason with the last output."""
        if raw["status"] == "done":
            return ""
        text = collector.read_text(folder, "traceback.txt") if raw.get("exit") is not None else ""
        if text.strip():
            return text.strip()[-_MOST_ERROR:]
        reason = str(raw.get("error", ""))
        log = folder / "log.txt"
        if log.exists():
            lines = log.read_bytes().decode(errors="replace").replace(f"{folder}/in/", "").strip().splitlines()
            last = [line for line in lines if not _is_machinery(line)][-_LAST_LINES:]
            reason = "\n".join([f"{reason}; its last output:", *last])
        return reason[-_MOST_ERROR:]


def _checked_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ModelwrightError(f"{name!r} cannot be a file of a job", hint="names are relative and stay inside in/")
    return str(path)


def _is_machinery(line: str) -> bool:
    """True for lines of a crash's stack that tell about us and the interpreter, not about the program."""
    text = line.strip()
    return text.startswith((f'File "{Path(__file__).parent}', 'File "<frozen runpy>"', "Extension modules:"))


def _references(collected: dict[str, Any]) -> list[str]:
    log = collected.get("log")
    return [*collected.get("outputs", {}).values(), *([log] if log else [])]


def _closed_error() -> ModelwrightError:
    return ModelwrightError(
        "the executor was closed before the job ended", hint="`modelwright resume` continues the run"
    )
