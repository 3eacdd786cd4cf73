"""Approval from another process than the one that asked: what runs is what was approved."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from graphs.api import open_run
from tests.support.command import modelwright
from tests.support.inprocess import command_here
from tests.support.sharing import once
from tests.support.tables import loans
from tools.artifacts import FolderArtifacts

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "3", "--folds", "2"]


class Asked:
    """A run that waits for the word on its plans, in a home of its own, and the plans it showed."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.plans: list[dict[str, Any]] = json.loads((folder / "asked.json").read_text())["waiting"][0]["plans"]


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a run, begun once: it waits first for the word on its plans, then for that on its release."""

    def build(folder: Path) -> None:
        loans().to_csv(folder / "loans.csv", index=False)
        words = [folder / "loans.csv", *OPTIONS, "--review", "plan,release", "--name", "asked", "--json"]
        asked = modelwright("build", *words, home=folder / "home")
        assert asked.code == 3, asked.err
        (folder / "asked.json").write_text(asked.out)

    return once(tmp_path_factory, "asked", build)


@pytest.fixture
def asked(begun: Path, tmp_path: Path) -> Asked:
    """A copy of it, to be answered."""
    return Asked(Path(shutil.copytree(begun, tmp_path / "asked")))


def test_plans_are_edited_and_dropped_and_the_release_is_rejected(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One plan is edited and one dropped; exactly that runs. The word on the release is final: a report without a model
    folder, and exit code 0."""
    plans = asked.plans
    assert len(plans) == 3
    assert all(plan["estimate_seconds"] > 0 for plan in plans)
    shown = command_here("approve", "asked", "--show", home=asked.home)
    assert plans[0]["id"] in shown.out
    boosting = next(plan for plan in plans if "lgb" in plan["params"])
    kept, dropped = (plan["id"] for plan in plans if plan is not boosting)
    edited = boosting["id"]
    assert boosting["params"]["lgb"]["num_leaves"] != 5
    change = ["--drop", dropped, "--set", f"{edited}.num_leaves=5", "--set", f"{edited}.members=2"]
    answered = modelwright(
        "approve", "asked", *change, "--json", home=asked.home
    )  # another process than the one that asked
    assert answered.code == 3, answered.err
    assert answered.json()["waiting"][0]["gate"] == "release"
    rows = {row["id"]: row for row in command_here("leaderboard", "asked", "--json", home=asked.home).json()}
    assert [rows[one]["status"] for one in (kept, edited)] == ["done", "done"]
    assert dropped not in rows
    monkeypatch.setenv("MODELWRIGHT_HOME", str(asked.home))
    record = next(one for one in open_run("asked").candidate_records() if one.id == edited)
    program = FolderArtifacts(asked.home / "artifacts").get_text(str(record.program))
    assert re.search(r"num_leaves\W+5\b", program), program
    events = command_here("log", "asked", "--json", home=asked.home).json()
    answer = next(event for event in events if event["kind"] == "answer")
    assert answer["data"]["answer"]["edit"][0]["params"] == {"lgb": {"num_leaves": 5}, "members": 2}

    done = command_here("approve", "asked", "--reject", "--reason", "not good enough", "--json", home=asked.home)
    assert done.code == 0, done.err
    assert done.json()["folder"] is None
    assert Path(done.json()["report"]).is_file()


def test_an_impossible_answer_is_refused_and_the_run_still_waits(asked: Asked) -> None:
    """An unknown plan is named with those there are; nothing is lost."""
    done = command_here("approve", "asked", "--drop", "nonsense", home=asked.home)
    assert done.code == 5
    assert "nonsense" in done.err
    assert asked.plans[0]["id"] in done.err
    assert command_here("show", "asked", "--json", home=asked.home).json()["status"] == "waiting"


def test_an_edit_that_no_program_can_follow_is_asked_about_again(asked: Asked) -> None:
    """An unknown parameter is named with those there are; the run still waits at the same gate, and nothing has run."""
    plan = asked.plans[1]["id"]
    done = command_here("approve", "asked", "--set", f"{plan}.note=mine", "--json", home=asked.home)
    assert done.code == 3, done.err
    question = done.json()["waiting"][0]
    assert question["gate"] == "plan"
    assert "unknown parameter 'note'" in question["problem"]
    assert "known: " in question["problem"]
    assert "! " in command_here("approve", "asked", "--show", home=asked.home).out
    events = command_here("log", "asked", "--json", home=asked.home).json()
    assert not [event for event in events if event["kind"] in {"answer", "job"}]


def test_rejected_plans_go_back_to_the_researcher_with_the_reason(asked: Asked) -> None:
    """The next question holds other plans; the reason is in the log."""
    reason = f"no {asked.plans[0]['recipe']}"
    done = command_here("approve", "asked", "--reject", "--reason", reason, "--json", home=asked.home)
    assert done.code == 3, done.err
    again = done.json()["waiting"][0]["plans"]
    assert asked.plans[0]["recipe"] not in [plan["recipe"] for plan in again]
    events = command_here("log", "asked", "--json", home=asked.home).json()
    assert [event["data"]["answer"]["reason"] for event in events if event["kind"] == "answer"] == [reason]
