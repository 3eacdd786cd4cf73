"""A run whose database was damaged: never begun anew or finished in silence, always named, and rebuilt without training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graphs import desks, session
from state.errors import ModelwrightError, StoreError, UsageError
from state.settings import Settings
from tests.durability.forge import Forge
from tests.durability.outcome import differences, outcome
from tests.graphs.conftest import Small
from tests.support.damages import HARMS, deleted
from tools.drivers import drive_run
from tools.home import run_folder
from tools.runmanifest import MANIFEST, read_manifest
from tools.store import RunRow, open_catalogue, open_run_log
from tools.workbench import Workbench, opened_workbench

ALWAYS = {"cut in half", "event flipped", "checkpoint flipped", "older copy", "emptied", "deleted"}
"""Kinds that every `make test` tries; the others are of the campaign."""


def answered(asked: session.Outcome) -> dict[str, Any]:
    return {one["id"]: {"action": "approve"} for one in asked.waiting}


def test_a_whole_run_has_no_damage(small: Small) -> None:
    """Nothing is found where nothing was done, and the run goes on to its end."""
    assert small.damage() == []
    asked = session.resume("small")
    assert session.resume("small", answers=answered(asked)).status == "done"
    assert small.damage() == []


@pytest.mark.parametrize(
    "kind", [kind if kind in ALWAYS else pytest.param(kind, marks=pytest.mark.campaign) for kind in HARMS]
)
def test_a_damaged_database_is_named_and_the_run_rebuilt(kind: str, small: Small) -> None:
    """resume refuses, naming file and way out; doctor names it; --rebuild gives the same run with no effect made again."""
    harm, word = HARMS[kind]
    known = outcome("small")
    before, run_id, path = small.jobs(), small.id, small.database
    harm(path)
    with pytest.raises(StoreError) as refused:
        session.resume("small")
    assert str(path) in str(refused.value)
    assert word in str(refused.value)
    assert "--rebuild" in refused.value.hint
    assert any(str(path.parent) in one.where and not one.heals for one in small.damage())
    asked = session.resume("small", rebuild=True)
    assert asked.status == "waiting"
    assert asked.waiting[0]["gate"] == "release", "the plans were approved before, and nobody is asked again"
    assert differences(known, outcome("small")) == []
    assert small.jobs() == before
    assert small.id == run_id
    assert small.damage() == []
    assert session.resume("small", answers=answered(asked)).status == "done"
    assert small.jobs() == before


def test_the_old_database_is_kept(small: Small) -> None:
    """What cannot be believed is moved aside, not destroyed; a second rebuild keeps both."""
    content = small.database.read_bytes()
    session.resume("small", rebuild=True)
    assert (small.database.parent / "run.db.aside-1").read_bytes() == content
    session.resume("small", rebuild=True)
    assert (small.database.parent / "run.db.aside-2").exists()


def test_a_rebuild_that_is_killed_is_begun_again(small: Small) -> None:
    """Between the old database going aside and the new one's first checkpoint, resume still refuses and rebuild works."""
    before = small.jobs()
    small.database.rename(small.database.with_name("run.db.aside-1"))
    with pytest.raises(StoreError, match="is not there"):
        session.resume("small")
    assert session.resume("small", rebuild=True).status == "waiting"
    assert small.jobs() == before


@pytest.mark.parametrize("harm", ["missing", "changed", "not json"])
def test_a_lost_manifest_is_said_and_written_anew(harm: str, small: Small) -> None:
    """Without its manifest a whole database is gone on with, the manifest is made again, and a damaged one is named."""
    path = run_folder(small.id) / MANIFEST
    if harm == "missing":
        path.unlink()
    else:
        content = path.read_text()
        path.write_text(content.replace('"name":"small"', '"name":"tall"') if harm == "changed" else content[:50])
        assert [one.kind for one in small.damage()] == ["manifest"]
    asked = session.resume("small")
    assert asked.status == "waiting"
    manifest = read_manifest(run_folder(small.id))
    assert manifest is not None
    assert manifest.newest
    notes = [event["text"] for event in open_run_log(small.id).events() if event["kind"] == "note"]
    assert any(str(path) in note for note in notes) == (harm != "missing")


def test_without_manifest_a_lost_database_is_known_by_the_catalogue(small: Small) -> None:
    """Manifest and database both gone: the catalogue's count of work tells that the run had begun."""
    (run_folder(small.id) / MANIFEST).unlink()
    deleted(small.database)
    with pytest.raises(StoreError, match="is not there; the catalogue counts"):
        session.resume("small")


def test_rows_of_the_journal_that_are_gone_are_said(small: Small) -> None:
    """The run goes on; what the journal lost is told in its log, and made again only where it is needed."""
    catalogue = open_catalogue()
    with catalogue.database.write() as db:
        db.execute("DELETE FROM journal WHERE kind = 'fold'")
    catalogue.close()
    found = small.damage()
    assert {one.kind for one in found} == {"journal"}
    assert all(one.heals for one in found)
    before = small.jobs()
    assert session.resume("small").status == "waiting"
    notes = [event["text"] for event in open_run_log(small.id).events() if event["kind"] == "note"]
    assert any("lost 4 finished effects" in note for note in notes)
    assert small.jobs() == before


def test_a_damaged_row_of_the_journal_is_made_again(small: Small) -> None:
    """A result that does not fit its digest is not believed: told, made again, and whole afterwards."""
    known, before = outcome("small"), small.jobs()
    catalogue = open_catalogue()
    with catalogue.database.write() as db:
        db.execute(
            "UPDATE journal SET result = replace(result, 'done', 'gone') WHERE key = "
            "(SELECT min(key) FROM journal WHERE kind = 'fold')"
        )
    catalogue.close()
    assert [one.kind for one in small.damage()] == ["journal"]
    session.resume("small", rebuild=True)
    assert differences(known, outcome("small")) == []
    assert small.jobs() == before, "its receipt was found where the executor keeps it"
    notes = [event["text"] for event in open_run_log(small.id).events() if event["kind"] == "note"]
    assert any("does not fit its digest" in note for note in notes)


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    with Forge() as warm:
        yield warm


@pytest.mark.parametrize("harm", ["deleted", "cut"])
def test_a_lost_log_of_writes_is_named(
    harm: str, forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 the newest rows lie in SQLite's log of writes; without it, or with half of it, resume refuses."""
    home, ledger = tmp_path / "home", tmp_path / "home.ledger"
    request = {"name": "small", "candidates": 2, "review": []}
    assert forge.ask("start", home, crash="after-checkpoint:9", **request)["end"] == "killed"
    monkeypatch.setenv("MODELWRIGHT_HOME", str(home))
    small = Small(home)
    log = small.database.with_name("run.db-wal")
    if harm == "deleted":
        log.unlink()
        small.database.with_name("run.db-shm").unlink()
    else:
        log.write_bytes(log.read_bytes()[: log.stat().st_size // 3])
    refused = forge.ask("resume", home, name="small")
    assert refused["kind"] == "StoreError", refused
    assert str(small.database) in refused["error"]
    assert "--rebuild" in refused["error"]
    jobs = ledger.read_text().splitlines()
    assert forge.ask("rebuild", home, name="small")["status"] == "done"
    assert not [key for key, count in Counter(ledger.read_text().splitlines()).items() if count > 1]
    assert set(jobs) <= set(ledger.read_text().splitlines())


def test_a_rebuild_takes_no_other_settings(small: Small) -> None:
    """What has finished belongs to the settings it had."""
    with pytest.raises(UsageError, match="settings it had"):
        session.resume("small", rebuild=True, overrides={"time_limit": 5.0})
    assert small.damage() == []


def test_a_run_is_driven_as_it_stands_when_its_lock_is_had(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another driver did between the look at the run's row and the lock counts: its settings, and that it ended."""
    done: dict[str, Any] = {}

    @contextmanager
    def drive_late(run_id: str) -> Iterator[Any]:
        catalogue = open_catalogue()
        catalogue.update_run(run_id, **done)
        catalogue.close()
        with drive_run(run_id) as drive:
            yield drive

    def row() -> RunRow:
        catalogue = open_catalogue()
        try:
            return catalogue.find_run("small")
        finally:
            catalogue.close()

    monkeypatch.setattr(session, "drive_run", drive_late)
    done["settings"] = {**row().settings, "time_limit": 7200.0}
    assert session.resume("small", overrides={"jobs": 1}).status == "waiting"
    assert (row().settings["time_limit"], row().settings["jobs"]) == (7200.0, 1)
    done |= {"status": "done", "summary": {"best": "i0-1"}}
    ended = session.resume("small", answers={"0" * 32: {"action": "approve"}})
    assert (ended.status, ended.summary, row().status) == ("done", {"best": "i0-1"}, "done")


def test_a_drive_that_fails_before_its_first_step_leaves_no_workbench(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that stayed open would count as a session's, and steps would borrow it without the run's lock."""

    def fail(*_: object) -> None:
        raise ModelwrightError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(session, "tell_damage", fail)
        with pytest.raises(ModelwrightError, match="the disk is full"):
            session.resume("small")
    assert opened_workbench(small.id) is None
    monkeypatch.setattr(Workbench, "note", fail)
    monkeypatch.setattr(desks, "check_before_driving", lambda *_, **__: [SimpleNamespace(way_out="")])
    with pytest.raises(ModelwrightError, match="the disk is full"):
        desks.borrow(small.id, Settings())
    assert opened_workbench(small.id) is None
