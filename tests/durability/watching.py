"""Looks at a run's home from outside: receipts as they become durable, artifacts, databases, the journal's rows."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from state.errors import ArtifactDamaged, ArtifactMissing
from tests.durability.outcome import JOBS
from tools.artifacts import open_artifacts
from tools.home import home as home_folder
from tools.places import STORE_VARIABLE
from tools.store import open_catalogue

LOOK_SECONDS = 0.03
FINISHED = ("done", "error")
"""Ends of a training that the training itself decided; such a receipt is final once it is durable."""

Mark = tuple[float, float]
"""Wall and CPU seconds of an execution, to a tenth of a millisecond: two executions never share both."""


@contextmanager
def at_home(home: Path, store: str | None = None) -> Iterator[None]:
    """Our own functions look at this home and store for the length of the block."""
    kept = {name: os.environ.get(name) for name in ("MODELWRIGHT_HOME", STORE_VARIABLE)}
    os.environ["MODELWRIGHT_HOME"] = str(home)
    os.environ.pop(STORE_VARIABLE, None)
    if store:
        os.environ[STORE_VARIABLE] = store
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class Receipts:
    """Reads every receipt that ever lies in a job folder. A training that was executed twice leaves two marks."""

    def __init__(self, jobs: Path) -> None:
        self.jobs = jobs
        self.seen: dict[str, set[Mark]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Receipts:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        """Read what is there now."""
        for path in self._paths():
            try:
                receipt = json.loads(path.read_bytes())
            except (OSError, ValueError):  # it has just been cleared away
                continue
            if receipt.get("status") in FINISHED:
                mark = (round(receipt["seconds"], 4), round(receipt["cpu_seconds"], 4))
                self.seen.setdefault(receipt["key"], set()).add(mark)

    def _paths(self) -> Iterator[Path]:
        for place, folders, files in os.walk(self.jobs):  # what vanishes meanwhile is passed over
            if Path(place).name in ("in", "out", "tmp"):
                folders.clear()
                continue
            yield from (Path(place, name) for name in files if name in ("receipt.json", "collected.json"))

    def _watch(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            self.look()

    def repeated(self, finished: dict[str, Mark]) -> list[str]:
        """Keys whose execution had a durable receipt and was made again all the same.

        finished: what the journal holds in the end, by key.
        """
        return sorted(key for key, marks in self.seen.items() if len(marks | {finished.get(key, min(marks))}) > 1)


def finished_jobs() -> dict[str, Mark]:
    """Key → mark of every execution the journal holds as done."""
    return {
        row["key"]: _mark(row["result"]) for row in journal_rows() if row["state"] == "done" and row["kind"] in JOBS
    }


def journal_rows() -> list[dict[str, Any]]:
    """All rows of the journal as they lie there; none when there is no catalogue yet."""
    catalogue = open_catalogue()
    try:
        return catalogue.database.read("SELECT * FROM journal ORDER BY number")
    finally:
        catalogue.close()


def _mark(result: str) -> Mark:
    receipt = json.loads(result)
    return round(receipt["seconds"], 4), round(receipt["cpu_seconds"], 4)


def torn_artifacts() -> list[str]:
    """References of artifacts whose content is not what their name says."""
    store = open_artifacts()
    torn = []
    for reference in store.refs():
        try:
            store.check(reference)
        except (ArtifactMissing, ArtifactDamaged):
            torn.append(reference)
    return torn


def broken_databases() -> list[str]:
    """What SQLite's own check finds wrong with the files of this home."""
    found = []
    for path in [home_folder() / "catalogue.db", *home_folder().glob("runs/*/run.db")]:
        if path.exists():
            with closing(sqlite3.connect(path, timeout=60.0)) as connection:
                said = connection.execute("PRAGMA integrity_check").fetchone()[0]
                found += [] if said == "ok" else [f"{path.name}: {said}"]
    return found
