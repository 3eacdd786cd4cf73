"""A lost or damaged catalogue: never begun anew in silence, and made again from what can be read and from the runs' folders."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from graphs import session
from state.errors import RunHeld, StoreError
from tests.durability.outcome import differences, outcome
from tests.graphs.conftest import Small
from tests.support.damages import cut, deleted, emptied, flip, header, replaced, whole
from tests.support.inprocess import command_here
from tools.damage.repair import repair_catalogue
from tools.drivers import drive_run
from tools.store import open_catalogue


def rows(home: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "catalogue.db")) as database:
        return database.execute(f"SELECT * FROM {table} ORDER BY number").fetchall()


def flipped_page(path: Path) -> None:
    """The first page of the journal is unreadable, those of the other tables are whole."""
    content = bytearray(whole(path))
    with closing(sqlite3.connect(path)) as database:
        size = database.execute("PRAGMA page_size").fetchone()[0]
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'journal'").fetchone()[0]
    for place in range((root - 1) * size, (root - 1) * size + 40):
        content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "kept"),
    [
        (header, {"journal", "openings"}),
        (cut, set()),
        (flipped_page, {"openings"}),
        (emptied, set()),
        (deleted, set()),
        (replaced, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_catalogue_is_named_and_made_again(
    harm: Callable[[Path], None], kept: set[str], small: Small
) -> None:
    """Every command refuses it and tells the way out; the repair brings the run back, and says what it could not."""
    known, run_id = outcome("small"), small.id
    openings = rows(small.home, "openings")
    path = small.home / "catalogue.db"
    harm(path)
    for words in (["resume", "small"], ["doctor", "small"]):
        refused = command_here(*words, home=small.home)
        assert refused.code == 1
        assert str(path) in refused.err
        assert "--repair-catalogue" in refused.err
    repaired = command_here("doctor", "--repair-catalogue", home=small.home)
    assert repaired.code == 0
    assert (path.with_name("catalogue.db.aside-1").exists()) == (harm is not deleted)
    assert small.id == run_id
    if "openings" in kept:
        assert rows(small.home, "openings") == openings
    assert ("lost to the journal" in repaired.out) == ("journal" not in kept)
    if "journal" in kept:
        assert differences(known, outcome("small")) == []
    asked = session.resume("small")
    assert asked.status == "waiting"
    answers = {one["id"]: {"action": "approve"} for one in asked.waiting}
    assert session.resume("small", answers=answers).status == "done"
    assert outcome("small")["candidates"] == known["candidates"]


def test_a_new_run_does_not_begin_over_a_lost_catalogue(small: Small) -> None:
    """Without the refusal a build would make a new catalogue, and forget all runs in silence."""
    deleted(small.home / "catalogue.db")
    with pytest.raises(StoreError, match="though 1 run is"):
        open_catalogue()
    assert not (small.home / "catalogue.db").exists()


def test_a_whole_catalogue_is_left_as_it_is(small: Small) -> None:
    """The repair of a whole catalogue changes nothing, but for runs whose folder it finds and whose row is gone."""
    before = (small.home / "catalogue.db").read_bytes()
    assert command_here("doctor", "--repair-catalogue", home=small.home).out == "the catalogue is whole\n"
    assert (small.home / "catalogue.db").read_bytes() == before
    with closing(sqlite3.connect(small.home / "catalogue.db")) as database:
        database.execute("DELETE FROM runs")
        database.commit()
    assert "registered from their folders: small" in command_here("doctor", "--repair-catalogue", home=small.home).out
    assert session.resume("small").status == "waiting"


def test_a_flipped_result_is_not_taken_over(small: Small) -> None:
    """A row that can be read and does not fit its digest is left out and counted; it is made again when it is needed."""
    path = small.home / "catalogue.db"
    flip(path, "SELECT result FROM journal WHERE kind = 'fold' ORDER BY number LIMIT 1")
    header(path)
    account = repair_catalogue()
    assert account.left["journal"] == 1
    assert account.lost == 1
    assert account.read["runs"] == 1


def test_a_repair_that_was_killed_is_finished_by_the_next(small: Small) -> None:
    """Between the old file going aside and the new one's renaming there is no catalogue; commands refuse until then."""
    path = small.home / "catalogue.db"
    path.with_name("catalogue.db.repaired").write_bytes(whole(path))
    path.rename(path.with_name("catalogue.db.aside-1"))
    assert command_here("ls", home=small.home).code == 1
    repair_catalogue()
    assert session.resume("small").status == "waiting"


def test_no_catalogue_is_replaced_under_a_driver(small: Small) -> None:
    """While a run is driven the repair refuses, naming who drives it."""
    run_id = small.id
    emptied(small.home / "catalogue.db")
    with drive_run(run_id), pytest.raises(RunHeld):
        repair_catalogue()
