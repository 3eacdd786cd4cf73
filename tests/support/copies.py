"""A finished build to work on: a copy of the shared one, whose owner may change whatever it likes."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.conftest import Built


def copy_of(built: Built, folder: Path) -> Path:
    """The shared build's home, copied into a folder that holds none yet.

    Tests of other workers look at it meanwhile, and SQLite's side files, empty by then, come and go as they do: a copy in
    which one has vanished is made again.
    """
    target = folder / "home"
    for _ in range(50):
        try:
            shutil.copytree(built.home, target)
        except shutil.Error as error:
            if not all(source.endswith(("-wal", "-shm")) for source, _, _ in error.args[0]):
                raise
            shutil.rmtree(target)
        else:
            return target
    raise AssertionError(f"{built.home} does not hold still")


def effects(home: Path, run_id: str, *kinds: str) -> set[tuple[str, str, str]]:
    """What the journal knows of a run: (kind, key, when it was begun). A copied row keeps the time of the effect itself."""
    with sqlite3.connect(home / "catalogue.db") as database:
        sql = "SELECT kind, key, started FROM journal WHERE run_id = ? AND kind <> 'decision'"
        rows = database.execute(sql, [run_id]).fetchall()
    return {row for row in rows if not kinds or row[0] in kinds}


def executed(home: Path, parent: str, fork: str, *kinds: str) -> set[tuple[str, str, str]]:
    """What a fork executed itself: effects of its own that are no copies of its parent's."""
    return effects(home, fork, *kinds) - effects(home, parent, *kinds)
