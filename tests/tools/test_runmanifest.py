"""The manifest of a run: what it claims is durable, it is whole or not there, and it is told from a changed one."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from state.errors import StoreError, VersionMismatch
from state.settings import Settings
from tools.catalogue import Catalogue, RunRow
from tools.runlog import RunLog
from tools.runmanifest import FORMAT, MANIFEST, ManifestKeeper, look, manifests, mark_at, read_manifest

RUN = "3f0c8f0e-0000-4000-8000-000000000001"


@pytest.fixture
def keeper(tmp_path: Path) -> ManifestKeeper:
    """A run with two events, whose checkpoints lie where LangGraph keeps them."""
    folder = tmp_path / "runs" / RUN
    catalogue, log = Catalogue(tmp_path / "catalogue.db"), RunLog(folder / "run.db")
    catalogue.add_run(RunRow(id=RUN, name="calm-crane", created="2026-01-01", active_seconds=3.5))
    for text in ("one", "two"):
        log.add_event("note", "", text)
    with closing(sqlite3.connect(folder / "run.db")) as database:
        database.execute("CREATE TABLE checkpoints (thread_id TEXT, checkpoint_ns TEXT, checkpoint_id TEXT)")
        database.executemany(
            "INSERT INTO checkpoints VALUES (?, ?, ?)", [(RUN, "", "a"), (RUN, "", "b"), (RUN, "x", "c")]
        )
        database.commit()
    return ManifestKeeper(folder, catalogue, log, RUN)


def settings() -> dict[str, object]:
    return Settings(data="loans.csv").model_dump(mode="json")


def test_it_says_what_the_database_holds(keeper: ManifestKeeper) -> None:
    """Newest checkpoint of the main graph, all checkpoints, marks of the log, and the run as the catalogue knows it."""
    keeper.write(settings(), "1-graph")
    found = read_manifest(keeper.folder)
    assert found is not None
    assert (found.newest, found.checkpoints, found.graph) == ("b", 3, "1-graph")
    assert (found.log["events"].number, found.log["events"].rows) == (2, 2)
    assert (found.name, found.active_seconds, found.settings["data"]) == ("calm-crane", 3.5, "loans.csv")
    assert found.row().settings == found.settings
    assert stat.S_IMODE((keeper.folder / MANIFEST).stat().st_mode) == 0o600
    assert [one.id for one in manifests(keeper.folder.parent)] == [RUN]


def test_marks_are_carried_on(keeper: ManifestKeeper) -> None:
    """Written step by step it says the same as if it were written once, and an earlier mark is found again."""
    first = keeper.write(settings()).log["events"]
    keeper.log.add_event("note", "", "three")
    step_by_step = keeper.write(settings()).log
    assert step_by_step == look(keeper.log, RUN).log
    assert mark_at(keeper.log, "events", 2) == first
    with keeper.log.database.write() as db:
        db.execute("UPDATE events SET text = 'TWO' WHERE seq = 2")
    assert mark_at(keeper.log, "events", 2) != first


@pytest.mark.parametrize("content", ["", "{}", "[]", "not json", '{"run": {"format": 1}, "digest": "x"}'])
def test_a_damaged_manifest_is_named(content: str, keeper: ManifestKeeper) -> None:
    """Whatever lies there instead, the error names the file; nothing there is no error."""
    assert read_manifest(keeper.folder) is None
    (keeper.folder / MANIFEST).write_text(content)
    with pytest.raises(StoreError, match=r"run\.json.*damaged"):
        read_manifest(keeper.folder)
    assert manifests(keeper.folder.parent) == []


def test_a_changed_manifest_is_told(keeper: ManifestKeeper) -> None:
    """A manifest with another number in it is damaged: it is no witness against a database."""
    keeper.write(settings())
    path = keeper.folder / MANIFEST
    path.write_text(path.read_text().replace('"checkpoints":3', '"checkpoints":9'))
    with pytest.raises(StoreError, match="not what was written"):
        read_manifest(keeper.folder)


def test_a_newer_format_is_refused_naming_both(keeper: ManifestKeeper) -> None:
    """A manifest of a later version is not misread."""
    keeper.write(settings())
    path = keeper.folder / MANIFEST
    content = json.loads(path.read_text())
    content["run"]["format"] = FORMAT + 1
    path.write_text(json.dumps(content))
    with pytest.raises(VersionMismatch, match=rf"format {FORMAT + 1}.*up to {FORMAT}"):
        read_manifest(keeper.folder)


def test_a_write_that_fails_leaves_the_earlier_one(keeper: ManifestKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all: after a refused write the earlier manifest is there, and no temporary file."""
    first = keeper.write(settings())

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tools.runmanifest.os.fsync", refuse)
    with pytest.raises(StoreError, match=r"run\.json.* is full: No space left"):
        keeper.write(settings())
    assert read_manifest(keeper.folder) == first
    assert [path.name for path in keeper.folder.glob(".run.json.*")] == []
