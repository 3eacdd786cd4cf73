"""Housekeeping: what is freed is told before and after, and nothing goes that a run, a fork or the count of openings needs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import modelwright
from graphs.forking import make_fork, plan_fork
from state.errors import NotFound, StoreError
from tests.conftest import Built
from tests.support.copies import copy_of, effects
from tests.support.inprocess import command_here
from tools import pruning
from tools.artifacts import open_artifacts
from tools.catalogue import Catalogue
from tools.executors.folders import JobFolders
from tools.forking import copy_run
from tools.home import run_folder
from tools.locks import hold_run
from tools.pruning import UNOWNED_AFTER, collect, prune_run, sweep, sweep_jobs, tidy_on_resume
from tools.references import needs_of


@pytest.fixture
def home(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shared build, as MODELWRIGHT_HOME."""
    folder = copy_of(built, tmp_path)
    monkeypatch.setenv("MODELWRIGHT_HOME", str(folder))
    return folder


@pytest.fixture
def catalogue(home: Path) -> Catalogue:
    return Catalogue(home / "catalogue.db")


def checkpoints(run_id: str) -> int:
    with sqlite3.connect(run_folder(run_id) / "run.db") as database:
        return int(database.execute("SELECT count(*) FROM checkpoints").fetchone()[0])


def size_of(run_id: str) -> int:
    return (run_folder(run_id) / "run.db").stat().st_size


def openings(home: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(home / "catalogue.db") as database:
        return database.execute("SELECT run_id, sealed_key FROM openings ORDER BY number").fetchall()


# ---- prune --------------------------------------------------------------------------------------------------------


def test_pruning_keeps_what_a_run_needs(home: Path) -> None:
    """A dry run tells what goes and changes nothing; pruning frees it; the run shows, predicts and logs as before."""
    run = modelwright.open_run("shared")
    before = {name: command_here(*name.split(), home=home).out for name in ("show shared", "log shared --steps")}
    stored, size, state = checkpoints(run.id), size_of(run.id), (run_folder(run.id) / "run.db").read_bytes()
    said = command_here("prune", "--dry-run", home=home).out
    assert f"shared: {stored - 1} old checkpoints" in said
    assert "nothing was changed" in said
    assert (run_folder(run.id) / "run.db").read_bytes() == state
    told = command_here("prune", "--json", home=home).json()
    (freed,) = told["runs"]
    assert (freed["checkpoints"], freed["skipped"]) == (stored - 1, "")
    assert checkpoints(run.id) == 1
    assert size_of(run.id) == size - freed["bytes"] < size / 2
    assert command_here("show", "shared", home=home).out == before["show shared"]
    after = command_here("log", "shared", "--steps", home=home).out
    assert "no step can be forked" in after
    assert [line for line in after.splitlines() if "checkpoints were pruned" not in line] == before[
        "log shared --steps"
    ].splitlines()
    with pytest.raises(NotFound, match="its checkpoint was pruned"):
        plan_fork("shared", "strategist")
    assert "no run has old checkpoints" in command_here("prune", home=home).out


def test_every_artifact_a_run_refers_to_stays(home: Path, catalogue: Catalogue) -> None:
    """After pruning, candidates, checkpoints, brief and journal name nothing that is gone; what nothing names is gone."""
    artifacts = open_artifacts()
    needed = needs_of(catalogue, artifacts).references
    stray = artifacts.put_text("nothing refers to this")
    present = {reference for reference in needed if artifacts.has(reference)}
    assert stray not in needed
    freed = collect(catalogue)
    assert freed.artifacts >= 1
    assert not artifacts.has(stray)
    assert {reference for reference in needed if artifacts.has(reference)} == present
    run = modelwright.open_run("shared")
    for one in run.candidate_records():
        assert artifacts.has(str(one.oof))
    assert collect(catalogue).artifacts == 0


def test_only_old_runs(home: Path) -> None:
    """An age leaves younger runs alone; a wrong one is named."""
    assert "shared" not in command_here("prune", "--older-than", "30d", "--dry-run", home=home).out
    assert "shared:" in command_here("prune", "--older-than", "0d", "--dry-run", home=home).out
    refused = command_here("prune", "--older-than", "soon", home=home)
    assert (refused.code, "30d, 12h or 2w" in refused.err) == (2, True)


def test_a_driven_run_is_left_alone(home: Path, catalogue: Catalogue) -> None:
    """While somebody drives a run neither its checkpoints nor any artifact goes, and it cannot be removed."""
    run = modelwright.open_run("shared")
    stray = open_artifacts().put_text("perhaps about to be named")
    with hold_run(run_folder(run.id)):
        assert "is driven by process" in prune_run(catalogue.run(run.id)).skipped
        assert collect(catalogue).skipped == "shared is being driven"
        refused = command_here("rm", "shared", "--yes", home=home)
    assert refused.code == 7
    assert str(os.getpid()) in refused.err
    assert open_artifacts().has(stray)
    assert checkpoints(run.id) > 1


def test_nothing_is_freed_when_a_run_cannot_be_read(home: Path, catalogue: Catalogue) -> None:
    """Nobody knows what a damaged run needs, so it is named and every artifact stays."""
    before = set(open_artifacts().refs())
    path = run_folder(modelwright.open_run("shared").id) / "run.db"
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="not a run database"):
        collect(catalogue)
    assert set(open_artifacts().refs()) == before


# ---- rm -----------------------------------------------------------------------------------------------------------


def test_a_fork_outlives_its_parent(home: Path) -> None:
    """With its parent removed a fork goes on to its end, not in the process that built; every finished training is there."""
    parent = modelwright.open_run("shared")
    known = effects(home, parent.id)
    fork = make_fork(plan_fork("shared", "publisher"))
    removed = command_here("rm", "shared", "--yes", home=home)
    assert removed.code == 0, removed.err
    assert "removed shared" in removed.out
    assert not run_folder(parent.id).exists()
    assert effects(home, parent.id) == set()
    done = command_here("resume", fork.name, "--json", home=home)
    assert done.code == 0, done.err
    assert effects(home, fork.id) == known, "something was executed again"
    assert Path(done.json()["folder"]).is_dir()
    assert [row["name"] for row in command_here("ls", "--json", home=home).json()] == [fork.name]
    assert parent.id in {run for run, _ in openings(home)}


def test_removing_the_only_run_frees_everything(home: Path) -> None:
    """Artifacts, folder and journal rows go with it; the count of openings and the lessons do not."""
    before, run = openings(home), modelwright.open_run("shared")
    assert before
    told = command_here("rm", "shared", "--yes", "--json", home=home).json()
    assert told["artifacts"]["artifacts"] > 50
    assert list(open_artifacts().refs()) == []
    assert effects(home, run.id) == set()
    assert openings(home) == before
    with sqlite3.connect(home / "catalogue.db") as database:
        assert database.execute("SELECT count(*) FROM lessons").fetchone()[0] > 0
    assert "no runs yet" in command_here("ls", home=home).out


def test_removing_asks_first(home: Path) -> None:
    """Where nobody can be asked, nothing is removed without --yes; what would go and what stays is said."""
    make_fork(plan_fork("shared", "publisher", name="kept"))
    refused = command_here("rm", "shared", home=home)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert "their forks stay and keep working: kept" in refused.out
    assert modelwright.open_run("shared").status == "done"


def test_results_another_run_rests_on_stay(home: Path, catalogue: Catalogue) -> None:
    """A run that was answered with trainings of a removed one keeps them, though it made no row of its own for them."""
    run, other = modelwright.open_run("shared"), str(uuid.uuid4())
    copy_run(catalogue, catalogue.run(run.id), other)
    with catalogue.database.write() as db:
        db.execute("DELETE FROM journal WHERE run_id = ?", [other])
    rested = {key for one in run.candidate_records() for attempt in one.attempts for key in attempt.receipts}
    assert command_here("rm", "shared", "--yes", home=home).code == 0
    left = effects(home, run.id)
    assert rested <= {key for _, key, _ in left}
    artifacts = open_artifacts()
    for row in catalogue.database.read("SELECT result FROM journal WHERE kind = 'fold'"):
        for reference in [word for word in row["result"].replace('"', " ").split() if word.startswith("sha256:")]:
            assert artifacts.has(reference)
    assert command_here("rm", other, "--yes", home=home).code == 0
    assert effects(home, run.id) == set()


# ---- leftovers ----------------------------------------------------------------------------------------------------


def test_folders_that_no_run_owns(home: Path, catalogue: Catalogue) -> None:
    """A folder the catalogue does not know goes after an hour, when nobody drives it; a younger one may be in the making."""
    old, young, held = (home / "runs" / str(uuid.uuid4()) for _ in range(3))
    for folder in (old, young, held):
        shutil.copytree(run_folder(modelwright.open_run("shared").id), folder)
    long_ago = time.time() - UNOWNED_AFTER - 60
    with hold_run(held):
        for folder in (old, held):
            for path in (folder, *folder.glob("*")):
                os.utime(path, (long_ago, long_ago))
        assert sweep(catalogue, dry_run=True) == [old]
        assert old.exists()
        assert sweep(catalogue) == [old]
    assert (old.exists(), young.exists(), held.exists()) == (False, True, True)


def test_a_resume_sweeps_leftovers(home: Path) -> None:
    """Temporary files nobody can still be writing and job folders of dead owners are gone, a usable receipt is not."""
    run = modelwright.open_run("shared")
    temporary, fresh = home / "artifacts" / "tmp" / "1-dead", home / "artifacts" / "tmp" / "2-alive"
    for path in (temporary, fresh, run_folder(run.id) / ".report.html.x1y2"):
        path.write_bytes(b"half")
    os.utime(temporary, (1, 1))
    jobs = home / "jobs" / str(uuid.uuid4())
    unfinished, finished = jobs / "key" / f"{'a' * 12}-1", jobs / "other" / f"{'b' * 12}-1"
    for folder in (unfinished, finished):
        (folder / "in").mkdir(parents=True)
    (finished / "receipt.json").write_text("{}")
    (home / "jobs" / str(uuid.uuid4())).mkdir()
    tidy_on_resume(run.id)
    assert (temporary.exists(), fresh.exists()) == (False, True)
    assert not list(run_folder(run.id).glob(".report.html.*"))
    assert (unfinished.exists(), finished.exists()) == (False, True)
    assert [folder.name for folder in (home / "jobs").iterdir()] == [jobs.name]


def test_what_a_killed_process_has_just_noted_is_kept(home: Path, catalogue: Catalogue) -> None:
    """A job's outputs that lie in the store before the journal knows of them: the next resume adopts them."""
    store, run = open_artifacts(), modelwright.open_run("shared")
    noted, idle = store.put(b"predictions"), store.put(b"nobody's")
    attempt = home / "jobs" / run.id / "key" / f"{'c' * 12}-1"
    attempt.mkdir(parents=True)
    (attempt / "collected.json").write_text(json.dumps({"outputs": {"predictions.npy": noted}}))
    collect(catalogue)
    assert (store.has(noted), store.has(idle)) == (True, False)


def test_what_a_kill_left_of_a_release_being_tried_out_goes(home: Path) -> None:
    """Its folder holds copies of the data; one whose process lives, or that is being made, stays."""
    dead, living, young = (home / "jobs" / f"release-{name}" for name in ("dead", "living", "young"))
    owners = [JobFolders(folder / "jobs") for folder in (dead, living)]
    os.close(owners[0]._lock)  # as the kernel does it
    young.mkdir()
    (dead / "artifacts").mkdir()
    for path in (dead, *dead.glob("*"), living, *living.glob("*")):
        os.utime(path, (1, 1))
    sweep_jobs()
    assert (dead.exists(), living.exists(), young.exists()) == (False, True, True)
    owners[1].close()


def test_a_run_that_begins_where_nobody_knew_one_is_not_swept(
    home: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a folder and its removal somebody may take it up: it is looked at again under its lock."""
    run = modelwright.open_run("shared")
    taken = home / "runs" / str(uuid.uuid4())
    shutil.copytree(run_folder(run.id), taken)
    long_ago = time.time() - UNOWNED_AFTER - 60
    for path in (taken, *taken.glob("*")):
        os.utime(path, (long_ago, long_ago))

    @contextmanager
    def held_late(folder: Path) -> Iterator[None]:
        catalogue.add_run(catalogue.run(run.id).but(id=folder.name, name="taken"))
        with hold_run(folder):
            yield

    monkeypatch.setattr(pruning, "hold_run", held_late)
    sweep(catalogue)
    assert taken.exists()
