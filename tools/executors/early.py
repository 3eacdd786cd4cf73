"""A warm parent that starts before there is a run: it imports its libraries while the command still imports its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.executors.worker import JobRefused, Worker
from tools.home import home

THREADS = 1
"""Threads of the jobs of a run (tools/workbench.py)."""

_waiting: list[Worker] = []


@contextmanager
def early_worker() -> Iterator[None]:
    """Start a warm parent for the executor that will be opened inside; one that nobody took is ended at the end.

    Writes the folder `cache` under MODELWRIGHT_HOME.
    """
    worker = Worker(home() / "cache", THREADS)
    with suppress(JobRefused):  # the first job tries again, and says so
        worker.start()
    _waiting.append(worker)
    try:
        yield
    finally:
        if _taken(worker):
            worker.close()


def take_worker(folder: Path, threads: int) -> Worker:
    """The warm parent that was started early, when it is of this kind; else a new one, not yet started."""
    for worker in _waiting.copy():
        if worker.folder == folder and worker.threads == threads and _taken(worker):
            return worker
    return Worker(folder, threads)


def _taken(worker: Worker) -> bool:
    """Whether it was still waiting; of several threads one gets it."""
    try:
        _waiting.remove(worker)
    except ValueError:
        return False
    return True
