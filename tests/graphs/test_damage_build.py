"""A real build that was damaged: named by doctor, healed where a step meets it, rebuilt with only what was lost made again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import modelwright
from graphs.forking import make_fork, plan_fork
from state.errors import InputError, StoreError
from state.jobs import Job, Receipt
from state.settings import Settings
from tests.conftest import Built
from tests.durability.outcome import differences, outcome
from tests.support.command import modelwright as command
from tests.support.copies import copy_of
from tests.support.damages import header
from tests.support.inprocess import command_here
from tools.artifacts import open_artifacts, refs_in
from tools.blocking import in_thread, together
from tools.damage.healing import Healer
from tools.damage.inspecting import inspect_run
from tools.damage.kinds import Damage
from tools.history import Step
from tools.home import run_folder
from tools.inputs import recorded
from tools.journal import Journal
from tools.store import open_catalogue, open_run_log
from tools.workbench import close_workbench, open_workbench


@pytest.fixture
def home(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shared build, as MODELWRIGHT_HOME."""
    folder = copy_of(built, tmp_path)
    monkeypatch.setenv("MODELWRIGHT_HOME", str(folder))
    return folder


def file_of(reference: str) -> Path:
    name = reference.removeprefix("sha256:")
    return open_artifacts().root / "sha256" / name[:2] / name


def flip(reference: str) -> None:
    """One bit of an artifact's content is another one."""
    path = file_of(reference)
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def damage(name: str = "shared") -> list[Damage]:
    catalogue = open_catalogue()
    try:
        return inspect_run(catalogue, catalogue.find_run(name))
    finally:
        catalogue.close()


def effects(home: Path) -> dict[str, tuple[str, int, str]]:
    """What the journal holds of jobs: key → kind, how often it was made, when it finished."""
    with sqlite3.connect(home / "catalogue.db") as database:
        rows = database.execute("SELECT key, kind, attempt, finished FROM journal WHERE kind <> 'decision'").fetchall()
    return {key: (kind, attempt, finished) for key, kind, attempt, finished in rows}


def outputs(kind: str) -> list[tuple[str, str]]:
    """Finished effects of a kind: (key, one of the references they gave)."""
    catalogue = open_catalogue()
    try:
        journal = Journal(catalogue, catalogue.find_run("shared").id)
        found = [
            (entry["key"], journal.result(entry["key"]) or {}) for entry in journal.entries() if entry["kind"] == kind
        ]
        # What several effects gave alike (the outline of a model) belongs to none of them alone.
        given = Counter(ref for entry in journal.entries() for ref in set(refs_in(journal.result(entry["key"]) or {})))
        return [(key, next(ref for ref in refs_in(result["outputs"]) if given[ref] == 1)) for key, result in found]
    finally:
        catalogue.close()


def test_a_whole_build_has_no_damage(home: Path) -> None:
    """`doctor RUN` reads all of a build and finds nothing."""
    told = command_here("doctor", "shared", home=home)
    assert (told.code, told.out) == (0, "shared: everything is as it was written\n")


def test_damage_of_files_is_named(home: Path, tmp_path: Path) -> None:
    """Artifact flipped, artifact gone, release and report changed: each with its place and its way out, and exit code 1."""
    (fold, flipped), (_, gone) = outputs("fold")[:2]
    flip(flipped)
    file_of(gone).unlink()
    folder = run_folder(modelwright.open_run("shared").id)
    with (folder / "report.html").open("a") as report:
        report.write("<!-- hm -->")
    card = folder / "release" / "MODEL_CARD.md"
    card.chmod(0o600)
    card.write_text("better than it is")
    told = command_here("doctor", "shared", "--json", home=home)
    assert told.code == 1
    found = {(one["kind"], one["where"]): one for one in told.json()["damage"]}
    assert found.keys() == {
        ("artifact", flipped),
        ("artifact", gone),
        ("release", str(folder / "release")),
        ("report", str(folder / "report.html")),
    }
    assert fold[:16] in found["artifact", flipped]["way_out"]
    assert "not in the artifact store" in found["artifact", gone]["what"]
    assert "MODEL_CARD.md" in found["release", str(folder / "release")]["what"]
    assert "--rebuild" in found["release", str(folder / "release")]["way_out"]
    lines = command_here("doctor", "shared", home=home).out.splitlines()
    assert lines[0].startswith("shared: ")
    assert any(line.startswith(" →") and "--rebuild" in line for line in lines)


def test_a_damaged_build_is_rebuilt_with_only_what_was_lost_made_again(home: Path) -> None:
    """Database unreadable, one fold's predictions flipped, one model gone: the same result, two programs executed."""
    known, before = outcome("shared"), effects(home)
    (fold, flipped), (fit, gone) = outputs("fold")[0], outputs("fit")[0]
    header(run_folder(modelwright.open_run("shared").id) / "run.db")
    flip(flipped)
    file_of(gone).unlink()
    refused = command_here("resume", "shared", home=home)
    assert refused.code == 0 or "--rebuild" in refused.err
    done = command("resume", "shared", "--rebuild", "--json", home=home)
    assert done.code == 0, done.err
    assert differences(known, outcome("shared")) == []
    after = effects(home)
    made = {key for key in after if after[key] != before.get(key)}
    assert made == {fold, fit}
    assert f"artifact {flipped} does not have the content its name promises" in done.err
    assert f"artifact {gone} is not in the artifact store" in done.err
    assert "was moved to" in done.err
    assert damage() == []


def test_openings_come_back_with_the_runs(home: Path) -> None:
    """The catalogue is gone: the repair knows from the run's outcome that the sealed rows were opened, by whom and when."""
    before = opened(home)
    for path in home.glob("catalogue.db*"):
        path.unlink()
    assert command_here("doctor", "--repair-catalogue", home=home).code == 0
    assert opened(home) == before
    assert len(before) == 1
    run = modelwright.open_run("shared")
    assert (run.status, run.summary["best"]) == ("done", outcome("shared")["summary"]["best"])


def opened(home: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(home / "catalogue.db") as database:
        sql = "SELECT sealed_key, run_id, candidate, code_hash, data_hash, opened FROM openings"
        return [tuple(row) for row in database.execute(sql)]


def last_step(role: str) -> Step:
    log = open_run_log(modelwright.open_run("shared").id)
    try:
        return [step for step in log.history().steps if step.role == role][-1]
    finally:
        log.close()


@pytest.mark.campaign
def test_artifacts_lost_before_a_step_are_made_again_in_it(home: Path) -> None:
    """The framed data, pooled predictions, a program and a fitted model: each is made again when the step needs it."""
    run = modelwright.open_run("shared")
    released = {path.name: path.read_bytes() for path in (run_folder(run.id) / "release").rglob("*") if path.is_file()}
    fork = make_fork(plan_fork("shared", last_step("publisher").number, name="again"))
    best = next(one for one in run.candidate_records() if one.id == run.summary["best"])
    member = next(
        one for one in run.candidate_records() if one.id == (best.members[0].candidate if best.members else best.id)
    )
    state = plan_fork("shared", last_step("publisher").number).origin.main_values()
    prepared = open_artifacts().get_json(state["brief"])["prepared"]
    lost = [prepared["features"], prepared["sealed_labels"], str(best.oof), str(member.program), outputs("fit")[-1][1]]
    for number, reference in enumerate(dict.fromkeys(lost)):
        flip(reference) if number % 2 else file_of(reference).unlink()
    done = command("resume", "again", "--json", home=home)
    assert done.code == 0, done.err
    for reference in lost:
        open_artifacts().check(reference)
    for reference in (prepared["features"], str(best.oof), str(member.program)):
        assert f"damage: artifact {reference}" in done.err, "the person is told"
    again = {path.name: path.read_bytes() for path in (run_folder(fork.id) / "release").rglob("*") if path.is_file()}
    told = {"manifest.json", "MODEL_CARD.md", "report.html"}
    assert {name: content for name, content in again.items() if name not in told} == {
        name: content for name, content in released.items() if name not in told
    }


def changed(home: Path) -> dict[str, Any]:
    """The recorded input of the shared build, whose file now has one more row."""
    catalogue = open_catalogue()
    try:
        run = catalogue.find_run("shared")
        known = recorded(Journal(catalogue, run.id))
        assert known is not None
        copy = home.parent / "loans.csv"
        copy.write_text(Path(run.data).read_text() + "9999,1.0,1.0,car,2020-01-01,no\n")
        catalogue.update_run(run.id, data=str(copy), settings={**run.settings, "data": str(copy)})
        return known
    finally:
        catalogue.close()


def test_a_changed_data_file_is_named_with_both_hashes(home: Path) -> None:
    """doctor names it; a rebuild is refused before anything is touched; the finished run needs the file no more."""
    known = changed(home)
    found = [one for one in damage() if one.kind == "input"]
    assert len(found) == 1
    assert known["source"] in found[0].what
    folder = run_folder(modelwright.open_run("shared").id)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(InputError) as refused:
        modelwright.resume("shared", rebuild=True)
    assert known["source"] in str(refused.value)
    assert "put the original back" in str(refused.value)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_fork_is_forked_again_instead(home: Path) -> None:
    """The beginning of a fork's history is its parent's, so a rebuild of it is refused, naming the parent."""
    make_fork(plan_fork("shared", last_step("publisher").number, name="again"))
    with pytest.raises(StoreError, match="is a fork"):
        modelwright.resume("again", rebuild=True)


@pytest.mark.campaign
def test_a_rebuild_without_the_file_takes_the_stored_copy(home: Path) -> None:
    """The data file is gone, its stored copy is whole: the same result, nothing trained."""
    known, before = outcome("shared"), effects(home)
    catalogue = open_catalogue()
    run = catalogue.find_run("shared")
    catalogue.update_run(run.id, settings={**run.settings, "data": str(home.parent / "gone.csv")})
    catalogue.close()
    done = command("resume", "shared", "--rebuild", "--json", home=home)
    assert done.code == 0, done.err
    assert "stored copy" in done.err
    assert differences(known, outcome("shared")) == []
    assert effects(home) == before


def test_branches_that_need_one_lost_artifact_make_it_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three candidates' branches meet the same lost predictions at once: its program is executed once, all go on."""
    (_, gone), run = outputs("fold")[0], modelwright.open_run("shared")
    whole = file_of(gone).read_bytes()
    file_of(gone).unlink()
    executed: list[str] = []

    async def branches() -> tuple[bytes, ...]:
        desk = open_workbench(run.id, Settings.model_validate(open_catalogue().run(run.id).settings))
        submit = desk.executor.submit

        async def counted(job: Job, key: str) -> Receipt:
            executed.append(key)
            return await submit(job, key)

        monkeypatch.setattr(desk.executor, "submit", counted)

        async def needs() -> bytes:
            await in_thread(desk.artifacts.check, gone)
            return file_of(gone).read_bytes()

        try:
            healers = [Healer(desk, "", lambda: None) for _ in range(3)]
            return await together(*(healer.through(needs) for healer in healers))
        finally:
            await in_thread(close_workbench, run.id)

    found = asyncio.run(branches())
    assert len(executed) == 1
    assert found == (whole,) * 3
