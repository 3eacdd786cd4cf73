"""Forking: back to any step, also inside a branch; only what depends on the change runs again, whatever dies meanwhile."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import modelwright
from graphs.forking import make_fork, plan_fork
from state.errors import InputError, NotFound, UsageError
from state.settings import Settings
from tests.conftest import Built
from tests.support.command import ROOT
from tests.support.command import modelwright as command
from tests.support.copies import copy_of, executed
from tests.support.inprocess import command_here
from tools.catalogue import Catalogue
from tools.forksettings import FORK_MAY_CHANGE
from tools.home import run_folder
from tools.runlog import RunLog
from tools.runs import register_run


@pytest.fixture
def home(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shared build, as MODELWRIGHT_HOME."""
    folder = copy_of(built, tmp_path)
    monkeypatch.setenv("MODELWRIGHT_HOME", str(folder))
    return folder


def steps(home: Path, name: str = "shared") -> list[dict[str, Any]]:
    return list(command_here("log", name, "--steps", "--json", home=home).json())


def branch_of(home: Path, role: str) -> dict[str, Any]:
    """The last step of a role in the first branch that ended well."""
    return next(step for step in steps(home) if step["role"] == role)


# ---- log --------------------------------------------------------------------------------------------------------


def test_the_log_numbers_every_step(built: Built) -> None:
    """Steps are numbered from 1 in the order they began, with role, candidate, time and cost; each event has its step."""
    told = steps(built.home)
    assert [step["number"] for step in told] == list(range(1, len(told) + 1))
    assert (told[0]["role"], told[-1]["role"]) == ("analyst", "publisher")
    assert all(step["seconds"] is not None and step["forkable"] for step in told)
    events = command_here("log", "shared", "--json", home=built.home).json()
    jobs = [event for event in events if event["kind"] == "job" and event["data"]["state"] != "started"]
    assert sum(step["trainings"] + step["reused"] for step in told) == len(jobs)
    roles = {step["number"]: step["role"] for step in told}
    assert {roles[event["step"]] for event in jobs} == {"runner", "operations", "publisher"}


def test_the_log_is_readable(built: Built) -> None:
    """A line per step: number, time of day, role, what it does, what it took; nothing a reader would have to decode."""
    shown = command_here("log", "shared", "--steps", home=built.home).out
    runner = next(step for step in steps(built.home) if step["role"] == "runner")
    line = next(line for line in shown.splitlines() if line.split()[:1] == [str(runner["number"])])
    assert f"runner           {runner['candidate']}: training and scoring · {runner['seconds']:.1f} s" in line
    assert f"{runner['trainings']} trainings" in line
    assert "trainings:" in shown.splitlines()[-2]


def test_the_steps_in_python(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run.steps()` is the same as a table."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(built.home))
    table = modelwright.open_run("shared").steps()
    assert list(table["number"]) == [step["number"] for step in steps(built.home)]
    assert table["forkable"].all()


# ---- what runs again ----------------------------------------------------------------------------------------------


def test_only_the_ensemble_step_is_changed(home: Path) -> None:
    """Forked at the last strategist by one process, driven by another: no program runs, and the winner is the same."""
    parent = modelwright.open_run("shared")
    fork = make_fork(plan_fork("shared", "strategist", settings={"time_limit": "10m"}, name="again"))
    assert modelwright.open_run("again").status == "paused"
    done = command("resume", "again", "--json", home=home)
    assert done.code == 0, done.err
    after = done.json()
    assert executed(home, parent.id, fork.id) == set()
    told = ("best", "score", "low", "high", "members", "test")
    assert {name: after[name] for name in told} == {name: parent.summary[name] for name in told}
    assert Path(after["folder"]).is_relative_to(run_folder(fork.id))
    # The sealed rows are the same, and the receipt says who has seen them before.
    assert after["opening"]["sealed_key"] == parent.summary["opening"]["sealed_key"]
    assert (after["opening"]["number"], [one["name"] for one in after["opening"]["earlier"]]) == (2, ["shared"])
    assert "opening no. 2 of these rows" in command_here("show", "again", home=home).out
    assert modelwright.open_run("again").settings.time_limit == 600
    assert parent.refresh().status == "done"


def test_another_choice_among_the_same_candidates(home: Path) -> None:
    """Forked at the last strategist with speed preferred: one quick candidate instead of the ensemble, and no candidate is
    trained; what runs are the checks of the one that is chosen now."""
    parent = modelwright.open_run("shared")
    fork = parent.fork(at="strategist", settings={"prefer": "speed"}, name="quick")
    assert fork.status == "done"
    own = fork.log()[next(place for place, event in enumerate(fork.log()) if event["kind"] == "fork") :]
    assert [event for event in own if event["kind"] == "job" and event["role"] == "runner"] == []
    assert len(executed(home, parent.id, fork.id, "fold")) <= 2, "one fold of the winner again, with and without rows"
    assert not fork.summary["best"].endswith("ensemble")
    assert fork.settings.prefer == "speed"
    assert parent.settings.prefer == "balanced"


def test_inside_a_branch_with_an_edited_plan(home: Path) -> None:
    """A branch is written and trained anew with the edited plan; the branches beside it stay as they were."""
    parent = modelwright.open_run("shared")
    plan = next(one.plan for one in parent.candidate_records() if one.plan.recipe == "forest")
    # It waits at the next plans, which is as far as this has to be looked at.
    fork = parent.fork(
        at="engineer", candidate=plan.id, settings={"review": ["plan"]}, plan={"params": {"trees": 30}}, name="small"
    )
    assert fork.status == "waiting"
    folds = parent.settings.folds
    assert len(executed(home, parent.id, fork.id)) == len(executed(home, parent.id, fork.id, "fold")) == folds
    own = fork.log()[next(place for place, event in enumerate(fork.log()) if event["kind"] == "fork") :]
    trained = [event["data"] for event in own if event["kind"] == "job" and event["data"]["state"] != "started"]
    assert [(job["candidate"], job["reused"]) for job in trained] == [(plan.id, False)] * folds
    before, after = ({one.id: one for one in run.candidate_records()} for run in (parent, fork))
    beside = [name for name, one in before.items() if one.iteration == 0 and not one.members and name != plan.id]
    assert beside
    assert {name: after[name] for name in beside} == {name: before[name] for name in beside}
    assert set(after) == {*beside, plan.id}
    assert after[plan.id].plan.params == {**plan.params, "trees": 30}
    assert after[plan.id].program != before[plan.id].program
    assert after[plan.id].status == "done"
    assert fork.settings.review == ["plan"]


@pytest.mark.campaign
def test_a_gate_can_be_put_in(home: Path) -> None:
    """Forked before the plans with a gate the parent did not have, the run waits for a person and trains nothing."""
    asked = command_here("fork", "shared", "--at", "approve_plan", "--set", "review=plan", "--json", home=home)
    assert asked.code == 3, asked.err
    fork = modelwright.open_run("shared-fork")
    (question,) = fork.waiting
    assert question["gate"] == "plan"
    assert executed(home, modelwright.open_run("shared").id, fork.id) == set()


# ---- before anything is forked --------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_means_and_writes_nothing(home: Path) -> None:
    """Steps, roles and settings with what depends on them; no run, no row, no artifact more than before."""

    def everything() -> set[tuple[str, int]]:
        return {
            (str(path), path.stat().st_size) for path in home.rglob("*") if path.is_file() and "-shm" not in path.name
        }

    command_here("ls", home=home)
    before = everything()
    number = next(step["number"] for step in reversed(steps(home)) if step["role"] == "strategist")
    shown = command_here("fork", "shared", "--at", number, "--set", "iterations=1", "--dry-run", home=home)
    assert shown.code == 0, shown.err
    assert "iterations: 2 → 1; runs again: programs of plans the parent did not have" in shown.out
    assert f"steps {number}–{number + 4} of shared are not kept" in shown.out
    assert "strategist, operations, reviewer, approve_release, publisher" in shown.out
    assert "nothing was forked" in shown.out
    assert everything() == before


def test_plans_are_edited_in_an_editor(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The editor gets the step's plans as YAML; what is saved counts, and leaving it as it was forks nothing."""
    step = branch_of(home, "engineer")
    place = ("fork", "shared", "--at", step["number"], "--edit-plan", "--dry-run", "--json")
    script = tmp_path / "edit.py"
    script.write_text(
        "import sys, yaml\n"
        "plans = yaml.safe_load(open(sys.argv[1]))\n"
        "plans[0]['title'] = 'as I like it'\n"
        "open(sys.argv[1], 'w').write(yaml.safe_dump(plans))\n"
    )
    shown = command_here(*place, home=home, EDITOR=f"{sys.executable} {script}")
    assert shown.code == 0, shown.err
    assert shown.json()["plans"] == [step["candidate"]]
    left = command_here(*place, home=home, EDITOR="true")
    assert (left.code, "nothing was changed" in left.err) == (2, True)
    none = command_here(*place, home=home, EDITOR="", VISUAL="")
    assert "--plan FILE" in none.err


@pytest.mark.campaign
def test_a_file_of_plans_takes_the_place_of_all(home: Path, tmp_path: Path) -> None:
    """At approve_plan a list stands for the iteration's plans: others are gone, edited ones are told."""
    plans = [one["plan"] for one in _plans(home)]
    path = tmp_path / "plans.yaml"
    path.write_text(yaml.safe_dump([{**plans[0], "title": "only this one"}]))
    facts = command_here("fork", "shared", "--at", 4, "--plan", path, "--dry-run", "--json", home=home).json()
    assert facts["role"] == "approve_plan"
    assert facts["plans"] == [plan["id"] for plan in plans]


def _plans(home: Path) -> list[dict[str, Any]]:
    events = command_here("log", "shared", "--json", home=home).json()
    return [{"plan": plan} for plan in next(event for event in events if event["kind"] == "plans")["data"]["plans"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "999"], ["has no step 999: it has steps 1 to", "log shared --steps"]),
        (["--at", "0"], ["has no step 0"]),
        (["--at", "strategits"], ["no step of run 'shared' is called 'strategits'", "strategist"]),
        ([], ["fork needs the step to go back to", "--at STEP"]),
        (["--at", "strategist", "--candidate", "i0-nobody"], ["no branch of a candidate 'i0-nobody'"]),
        (["--at", "1", "--set", "test_share=0.4"], ["a fork cannot change 'test_share'", "sealed rows"]),
        (["--at", "1", "--set", "seeds=3"], ["there is no setting 'seeds'", "did you mean 'seed'?"]),
        (["--at", "strategist", "--set", "folds=4"], ["changing 'folds' has no effect at the strategist's step", "examiner"]),
        (["--at", "strategist", "--set", "iterations=none"], ["1 problem", "iterations", "whole number"]),
        (["--at", "strategist", "--set", "iterations"], ["--set takes KEY=VALUE"]),
        (["--at", "operations", "--plan", "FILE"], ["no plan is read any more", "(all plans)"]),
        (["--at", "4", "--plan", "nothing.yaml"], ["'nothing.yaml' is no file"]),
    ],
)  # fmt: skip
def test_what_cannot_be_forked_is_told(arguments: list[str], words: list[str], built: Built, tmp_path: Path) -> None:
    """Each mistake is named with what can be done instead; nothing is made, and nobody sees a traceback."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"title": "x"}))
    given = [str(path) if one == "FILE" else one for one in arguments]
    refused = command_here("fork", "shared", *given, home=built.home)
    assert refused.code in {2, 5}
    assert "Traceback" not in refused.err
    for word in words:
        assert word in refused.err


def test_a_step_after_a_branch_has_ended(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that does not lie in the named branch is refused, with the steps that do."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(built.home))
    runner = branch_of(built.home, "runner")
    last = steps(built.home)[-1]["number"]
    with pytest.raises(UsageError, match="which had ended by then") as refused:
        plan_fork("shared", last, candidate=runner["candidate"])
    assert f"{runner['number']} (runner)" in refused.value.hint


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"params": {"no_such": 1}}, "unknown parameter 'no_such'"),
        ({"titel": "x"}, "Extra inputs"),
        ([{"id": "another", "title": "x", "rationale": "y"}], "its id stays"),
        (7, "this is no plan"),
    ],
)
def test_a_plan_that_cannot_be_carried_out(
    plan: Any, words: str, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that the writer would refuse, or that is none, is refused before anything is forked."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(built.home))
    step = branch_of(built.home, "engineer")
    with pytest.raises(InputError, match=words):
        plan_fork("shared", step["number"], plan=plan)


def test_a_run_without_checkpoints(home: Path) -> None:
    """A run that somebody drove without our checkpointer has steps, and none to go back to."""
    catalogue = Catalogue(home / "catalogue.db")
    run = register_run(catalogue, "0a0a0a0a-0000-4000-8000-000000000000", Settings(data="x.csv", name="alone"))
    catalogue.close()
    log = RunLog(run_folder(run.id) / "run.db")
    log.add_event("phase", "analyst", "", {"candidate": None, "task": "t", "checkpoint": "c", "thread": "1"})
    log.close()
    with pytest.raises(NotFound, match="driven without checkpoints of ours"):
        plan_fork("alone", 1)


def test_a_run_that_has_not_begun(home: Path) -> None:
    """A run that is registered and has done nothing yet has no steps."""
    catalogue = Catalogue(home / "catalogue.db")
    register_run(catalogue, "0b0b0b0b-0000-4000-8000-000000000000", Settings(data="x.csv", name="fresh"))
    catalogue.close()
    with pytest.raises(NotFound, match="'fresh' has no steps yet"):
        plan_fork("fresh", 1)


def test_the_document_tells_every_setting() -> None:
    """What a fork may change stands in the table of docs/forking.md, with the last step that reads it, and nothing else."""
    rows = [
        line.split("|") for line in (ROOT / "docs" / "forking.md").read_text().splitlines() if line.startswith("| `")
    ]
    told = {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert set(told) == set(FORK_MAY_CHANGE)
    assert all(change.read in told[name] for name, change in FORK_MAY_CHANGE.items())


def test_two_forks_of_one_name_are_told_apart(home: Path) -> None:
    """Names get numbers, as those of builds do, and the settings of each fork say its own."""
    made = [make_fork(plan_fork("shared", "publisher", name="twin")) for _ in range(2)]
    assert [row.name for row in made] == ["twin", "twin-2"]
    assert [modelwright.open_run(row.id).settings.name for row in made] == ["twin", "twin-2"]
    assert {row.parent for row in made} == {modelwright.open_run("shared").id}
