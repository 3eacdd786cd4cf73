"""What the journal does inside its transactions, and what becomes of rows that cannot be written."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tools.catalogue import Catalogue
from tools.database import open_database
from tools.journal import Journal
from tools.places import Place, Schema

ROOT = Path(__file__).parents[2]


def write_at_once(place: Place) -> None:
    """What another process writes meanwhile. Raises when it would have to wait."""
    if isinstance(place, Schema):
        other = open_database(place, "catalogue")
        other.session.patience = 0.001  # type: ignore[union-attr]  # a shared one has a session
        try:
            with other.write():
                pass
        finally:
            other.close()
        return
    with closing(sqlite3.connect(place, timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")


def test_others_can_write_while_a_result_is_looked_at(catalogue: Catalogue) -> None:
    """Whether a stored result is whole may take gigabytes of hashing: nobody waits for that to write."""
    looked: list[str] = []

    def intact(result: dict[str, Any]) -> bool:
        write_at_once(catalogue.database.place)
        looked.append(result["text"])
        return result["text"] != "old"

    journal = Journal(catalogue, "run", intact=intact)
    assert journal.effect_now("key", "fold", lambda: {"text": "old"})[1] is False
    assert journal.effect_now("key", "fold", lambda: {"text": "new"}) == ({"text": "new"}, False)
    assert asyncio.run(journal.effect("key", "fold", _never)) == ({"text": "new"}, True)
    assert looked == ["old", "new"]
    assert [(row["state"], row["attempt"]) for row in journal.entries()] == [("done", 2)]


def test_a_result_that_came_while_others_were_looked_at_is_not_undone(catalogue: Catalogue) -> None:
    """The first stored result is found unusable; meanwhile another run finishes the effect: its result is taken."""
    rival = Journal(catalogue, "rival")

    def intact(result: dict[str, Any]) -> bool:
        if result["by"] == "lost":
            assert Journal(catalogue, "rival", fresh=True).effect_now("key", "fold", lambda: {"by": "rival"})
            return False
        return True

    assert Journal(catalogue, "lost").effect_now("key", "fold", lambda: {"by": "lost"})[1] is False
    journal = Journal(catalogue, "run", intact=intact)
    assert asyncio.run(journal.effect("key", "fold", _never)) == ({"by": "rival"}, True)
    assert journal.entries() == []
    assert [row["state"] for row in rival.entries()] == ["done"]


def test_a_cancelled_attempt_does_not_stay_at_running(catalogue: Catalogue) -> None:
    """Cancelled while its row is being written, an attempt is on record as one that gave nothing."""
    journal = Journal(catalogue, "run")

    async def work() -> None:
        task = asyncio.create_task(journal.effect("key", "fold", _never))
        await asyncio.sleep(0)  # now the row is being written in a thread
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert [row["state"] for row in journal.entries()] == ["failed"]


async def _never() -> dict[str, Any]:
    raise AssertionError("it was made again")


FULL = """
import asyncio, gc, resource, signal, sqlite3, sys, threading
from pathlib import Path
from tools.catalogue import Catalogue
from tools.journal import Journal

path = Path(sys.argv[1])
catalogue = Catalogue(path)
journal = Journal(catalogue, "run")
journal.effect_now("first", "fold", dict)
other = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
finishing = threading.Event()

def keep(result):
    finishing.set()
    return True

async def make():
    other.execute("BEGIN IMMEDIATE")  # the row has to wait
    return {"big": "x" * 100_000}

async def work():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: print("noise:", context["message"]))
    task = asyncio.create_task(journal.effect("key", "fold", make, keep=keep))
    await asyncio.to_thread(finishing.wait)
    task.cancel()
    await asyncio.sleep(0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    other.execute("ROLLBACK")
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")
    del task
    gc.collect()

asyncio.run(work())
print(journal.entries()[1]["state"])
"""


def test_a_write_that_fails_after_its_caller_was_cancelled_is_no_noise(tmp_path: Path) -> None:
    """On a disk that takes nothing more nobody is shown an exception that "was never retrieved"."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "catalogue.db")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.split("\n"), done.stderr) == (["cancelled", "running", ""], "")
