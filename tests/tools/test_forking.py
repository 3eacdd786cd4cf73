"""The rows of a fork: exactly what the run had when the step began, all of it the fork's own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

import modelwright
from graphs.forking import make_fork, plan_fork
from state.errors import NotFound, UsageError, VersionMismatch
from tests.conftest import Built
from tests.support.copies import copy_of, effects
from tools.catalogue import Catalogue, RunRow
from tools.checkpointrows import read_thread
from tools.forking import copy_run
from tools.history import History, Step
from tools.home import run_folder
from tools.homesaver import HomeSaver
from tools.locks import hold_run
from tools.runlog import RunLog


@pytest.fixture
def home(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shared build, as MODELWRIGHT_HOME."""
    folder = copy_of(built, tmp_path)
    monkeypatch.setenv("MODELWRIGHT_HOME", str(folder))
    return folder


def history(run_id: str) -> list[Step]:
    log = RunLog(run_folder(run_id) / "run.db")
    try:
        return log.history().steps
    finally:
        log.close()


def step_of(run_id: str, role: str, place: int = -1) -> Step:
    return [step for step in history(run_id) if step.role == role][place]


def content(run_id: str) -> bytes:
    """All checkpoint content of a run."""
    rows = read_thread(run_folder(run_id) / "run.db", run_id)
    return b"".join(
        [row["checkpoint"] for row in rows.checkpoints.values()] + [row["value"] or b"" for row in rows.writes]
    )


def fork_at(step: Step, **more: Any) -> RunRow:
    return make_fork(plan_fork("shared", step.number, **more))


def test_a_fork_holds_what_had_happened(home: Path) -> None:
    """Steps, candidates and exchanges up to the step, the checkpoint it worked from as the newest, and none after it."""
    parent = modelwright.open_run("shared")
    step = step_of(parent.id, "strategist")
    fork = fork_at(step)
    kept = history(fork.id)
    assert [(one.number, one.role, one.candidate) for one in kept] == [
        (one.number, one.role, one.candidate) for one in history(parent.id)[: step.number - 1]
    ]
    rows = read_thread(run_folder(fork.id) / "run.db", fork.id)
    assert max(place for place in rows.checkpoints if not place[0]) == ("", step.checkpoint)
    assert not [row for row in rows.writes if row["checkpoint_id"] == step.checkpoint]
    log = RunLog(run_folder(fork.id) / "run.db")
    assert log.marks() == {"version": step.version, "exchanges": step.exchanges}
    assert [event["kind"] for event in log.events() if event["seq"] > step.seq - 1] == ["fork"]
    log.close()
    assert fork.active_seconds == step.spent
    assert rows.newest()["candidates_version"] <= step.version


def test_a_fork_is_its_own(home: Path) -> None:
    """No state in it names its parent, so whatever is driven from any of its checkpoints writes into the fork alone."""
    parent = modelwright.open_run("shared")
    for role in ("publisher", "runner"):
        fork = fork_at(step_of(parent.id, role))
        assert parent.id.encode() in content(parent.id)
        assert parent.id.encode() not in content(fork.id)
        assert fork.id.encode() in content(fork.id)
        assert {step.thread for step in history(fork.id)} == {""}


def test_the_parent_stays_as_it_was(home: Path) -> None:
    """Forking reads: the parent's rows are the same afterwards, also while somebody drives it."""
    parent = modelwright.open_run("shared")
    before = content(parent.id), effects(home, parent.id), history(parent.id)
    with hold_run(run_folder(parent.id)):
        fork_at(step_of(parent.id, "researcher"))
    assert (content(parent.id), effects(home, parent.id), history(parent.id)) == before
    assert modelwright.open_run("shared").status == "done"


def test_a_fork_takes_its_parents_finished_work_along(home: Path) -> None:
    """Its journal has its own rows for all the parent finished, so the parent may go."""
    parent = modelwright.open_run("shared")
    fork = fork_at(step_of(parent.id, "strategist"))
    assert effects(home, parent.id)
    assert effects(home, fork.id) == effects(home, parent.id)


def test_inside_a_branch_the_others_are_finished(home: Path) -> None:
    """The branches beside it keep their records and writes; of its own branch nothing after the step is left."""
    parent = modelwright.open_run("shared")
    step = step_of(parent.id, "runner", 0)
    fork = fork_at(step)
    rows = read_thread(run_folder(fork.id) / "run.db", fork.id)
    (root,) = {rows.root_of((step.namespace, step.checkpoint))} - {None}
    done = {row["task_id"] for row in rows.writes if (row["checkpoint_ns"], row["checkpoint_id"]) == root}
    beside = {one.candidate for one in history(parent.id) if one.role == "runner" and one.candidate[:3] == "i0-"}  # type: ignore[index]
    assert len(done) == len(beside) - 1
    assert step.namespace.rpartition(":")[2] not in done
    assert max(place for place in rows.checkpoints if place[0] == step.namespace)[1] == step.checkpoint
    log = RunLog(run_folder(fork.id) / "run.db")
    candidates = log.candidates()
    log.close()
    assert {name: one.status for name, one in candidates.items()} == {
        name: "running" if name == step.candidate else "done" for name in beside
    }


def test_a_fork_of_a_fork(home: Path) -> None:
    """A fork's inherited steps can be forked as its parent's can, from its own rows."""
    parent = modelwright.open_run("shared")
    first = fork_at(step_of(parent.id, "publisher"))
    (run_folder(parent.id) / "run.db").unlink()
    second = make_fork(plan_fork(first.id, step_of(first.id, "strategist").number))
    assert second.parent == first.id
    assert history(second.id)[-1].number == step_of(first.id, "strategist").number - 1
    assert effects(home, second.id) == effects(home, parent.id)


def test_changed_settings_are_in_the_state(home: Path) -> None:
    """Whoever drives the fork reads them: from the catalogue, from the state, and in branches from the brief."""
    parent = modelwright.open_run("shared")
    fork = fork_at(step_of(parent.id, "strategist"), settings={"iterations": 1})
    state = read_thread(run_folder(fork.id) / "run.db", fork.id).newest()
    from tools.artifacts import open_artifacts

    brief = open_artifacts().get_json(state["brief"])
    assert (state["settings"]["iterations"], brief["settings"]["iterations"], fork.settings["iterations"]) == (1, 1, 1)
    before = read_thread(run_folder(parent.id) / "run.db", parent.id).newest()
    assert before["settings"]["iterations"] == 2
    assert {**open_artifacts().get_json(before["brief"]), "settings": {}} == {**brief, "settings": {}}


def test_another_graph_is_refused(home: Path) -> None:
    """A run made by a graph of another shape is not forked here."""
    parent = modelwright.open_run("shared")
    path = run_folder(parent.id) / "run.db"
    with sqlite3.connect(path) as database:
        for rowid, blob in database.execute("SELECT rowid, checkpoint FROM checkpoints").fetchall():
            changed = blob.replace(b"graph_version", b"graph_version", 1)
            place = changed.find(b"graph_version") + len(b"graph_version")
            if place > len(b"graph_version"):
                changed = changed[: place + 1] + b"9" + changed[place + 2 :]
            database.execute("UPDATE checkpoints SET checkpoint = ?, digest = NULL WHERE rowid = ?", [changed, rowid])
    with pytest.raises(VersionMismatch, match="made by graph 9-"):
        plan_fork("shared", "strategist")


def test_pruned_steps_are_named(home: Path) -> None:
    """A step whose checkpoint is gone says so, and which can still be forked."""
    parent = modelwright.open_run("shared")
    left = step_of(parent.id, "publisher")
    with sqlite3.connect(run_folder(parent.id) / "run.db") as database:
        database.execute("DELETE FROM checkpoints WHERE checkpoint_id < ?", [left.checkpoint])
    with pytest.raises(NotFound, match="its checkpoint was pruned") as refused:
        plan_fork("shared", "strategist")
    assert refused.value.hint == f"these can: {left.number}"
    assert plan_fork("shared", left.number).step == left


# ---- copies -------------------------------------------------------------------------------------------------------


def test_copying_a_thread_copies_its_run(home: Path) -> None:
    """What the LangGraph server calls copying a thread: a run of its own, with log, state and a row that names its origin."""
    parent, target = modelwright.open_run("shared"), str(uuid.uuid4())
    asyncio.run(HomeSaver().acopy_thread(parent.id, target))
    copy = modelwright.open_run(target)
    assert (copy.name, copy.status, copy.score) == ("shared-copy", "done", parent.score)
    assert [step.number for step in history(target)] == [step.number for step in history(parent.id)]
    # A finished run's state says where its release lies: that is still its parent's.
    assert parent.id.encode() not in content(target).replace(f"/runs/{parent.id}".encode(), b"")

    async def newest() -> Any:
        return await HomeSaver().aget_tuple({"configurable": {"thread_id": target, "checkpoint_ns": ""}})

    assert asyncio.run(newest()).checkpoint["channel_values"]["run_id"] == target
    with pytest.raises(UsageError, match="holds a run already"):
        asyncio.run(HomeSaver().acopy_thread(parent.id, target))


def test_copying_a_run_that_is_not_finished(home: Path) -> None:
    """The copy stands where the run stands, and can go on from there."""
    catalogue = Catalogue(home / "catalogue.db")
    try:
        fork = fork_at(step_of(modelwright.open_run("shared").id, "reviewer"))
        copy_run(catalogue, fork, str(uuid.uuid4()))
        assert {row.name: row.status for row in catalogue.runs()}["shared-fork-copy"] == "paused"
    finally:
        catalogue.close()


# ---- steps --------------------------------------------------------------------------------------------------------


def _event(seq: int, kind: str, role: str, **data: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "time": f"2026-01-01T00:00:{seq:02}.000+00:00",
        "kind": kind,
        "role": role,
        "text": "",
        "data": data,
    }


def test_a_step_that_was_interrupted_keeps_its_number() -> None:
    """Run again after a kill, it is one step begun twice; what both executions cost is counted, seconds are the last's."""
    found = History(
        [
            _event(1, "phase", "analyst", task="a"),
            _event(2, "step", "analyst", task="a", seconds=1.0),
            _event(3, "phase", "operations", task="b"),
            _event(4, "job", "operations", candidate="x", state="done", seconds=2.0, reused=False),
            _event(5, "session", ""),
            _event(6, "phase", "operations", task="b"),
            _event(7, "job", "operations", candidate="x", state="done", seconds=2.0, reused=True),
            _event(8, "step", "operations", task="b", seconds=0.5),
        ]
    )
    first, second = found.steps
    assert (second.number, second.times, second.seconds) == (2, 2, 0.5)
    assert (second.trainings, second.reused, second.training_seconds) == (1, 1, 2.0)
    assert (first.trainings, found.of_event.get(5), found.of_event[7]) == (0, None, 2)


def test_events_of_parallel_branches_find_their_step() -> None:
    """Two branches at once: each job and each question goes to the step of its own candidate."""
    asked = {"role": "engineer", "expert": "openai:x", "tokens_in": 5, "tokens_out": 6, "cost": 0.5}
    found = History(
        [
            _event(1, "phase", "engineer", candidate="a", task="1", namespace="candidate:1", exchanges=0),
            _event(2, "phase", "engineer", candidate="b", task="2", namespace="candidate:2", exchanges=0),
            _event(3, "phase", "runner", candidate="a", task="3", namespace="candidate:1", exchanges=1),
            _event(4, "phase", "runner", candidate="b", task="4", namespace="candidate:2", exchanges=1),
            _event(5, "job", "runner", candidate="a", state="done", seconds=1.0),
            _event(6, "candidate", "runner", candidate={"id": "b"}),
        ],
        [{**asked, "number": 1, "question": {"asked": {"plan": {"id": "a"}}}}],
    )
    assert [step.trainings for step in found.steps] == [0, 0, 1, 0]
    assert [step.tokens for step in found.steps] == [11, 0, 0, 0]
    assert found.steps[0].experts == ["openai:x"]
    assert found.of_event[6] == 4
    assert json.loads(found.steps[0].model_dump_json())["cost"] == 0.5
