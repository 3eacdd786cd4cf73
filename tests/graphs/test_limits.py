"""Limits over the command line, counted in the log: candidates, iterations, attempts, jobs, seed, time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import modelwright
from tests.support.inprocess import command_here
from tests.support.llm_server import LlmServer, Reply
from tests.support.scripted_team import PROGRAM, scripted_team
from tests.support.sharing import once
from tests.support.tables import loans

OPTIONS = ["--target", "default", "--time-limit", "600", "--folds", "2", "--candidates", "2"]
FAILING = PROGRAM.replace("    columns = dict", "    raise ValueError('no forest today')\n    columns = dict", 1)


def ever_new(team: Callable[[dict[str, Any]], Reply]) -> Callable[[dict[str, Any]], Reply]:
    """The same team, whose programs differ in a number each time: a program that comes back unchanged is refused."""
    numbers = itertools.count(100)

    def reply(request: dict[str, Any]) -> Reply:
        one = team(request)
        if isinstance(one, dict) and "code" in one.get("answer", {}):
            one["answer"]["code"] = one["answer"]["code"].replace("TREES = 120", f"TREES = {next(numbers)}")
        return one

    return reply


def events(home: Path, name: str, kind: str) -> list[dict[str, Any]]:
    """Data of the log's events of one kind, in order."""
    found = command_here("log", name, "--json", home=home).json()
    return [event["data"] for event in found if event["kind"] == kind]


def trained(home: Path, name: str) -> list[dict[str, Any]]:
    """Finished jobs of folds."""
    return [job for job in events(home, name, "job") if job.get("fold") is not None and job.get("state") != "started"]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a build of two iterations, one job at a time, and the first of them once more, in another process."""

    def build(folder: Path) -> None:
        loans().to_csv(folder / "loans.csv", index=False)
        rounds = {"first": (modelwright, "2", "--jobs", "1"), "again": (command_here, "1")}
        for name, (command, *more) in rounds.items():
            arguments = [folder / "loans.csv", *OPTIONS, "--name", name, "--iterations", *more]
            done = command("build", *arguments, home=folder / "home")
            assert done.code == 0, done.err
            (folder / f"{name}.err").write_text(done.err)

    return once(tmp_path_factory, "limited", build) / "home"


def test_candidates_and_iterations_hold(limited: Path) -> None:
    """Two plans in each of at most two iterations, and no other candidate but an ensemble."""
    rounds = events(limited, "first", "plans")
    assert 1 <= len(rounds) <= 2
    assert all(1 <= len(one["plans"]) <= 2 for one in rounds)
    planned = {plan["id"] for one in rounds for plan in one["plans"]}
    rows = command_here("leaderboard", "first", "--json", home=limited).json()
    assert {row["id"] for row in rows if row["operator"] != "ensemble"} == planned


def test_one_job_at_a_time(limited: Path) -> None:
    """With --jobs 1 no fold starts before the one before it has ended."""
    told = [job["state"] == "started" for job in events(limited, "first", "job") if job.get("fold") is not None]
    assert told == [True, False] * (len(told) // 2)
    assert events(limited, "first", "session")[0]["jobs"] == 1


def test_the_same_seed_trains_nothing_twice(limited: Path) -> None:
    """What the second build plans as the first did is answered from the journal, however many run at a time; it says so."""
    assert not any(job["reused"] for job in trained(limited, "first"))
    known = {job["candidate"] for job in trained(limited, "first") if job["candidate"].startswith("i0-")}
    again = [job for job in trained(limited, "again") if job["candidate"] in known]
    assert again
    assert all(job["reused"] for job in again)
    assert "trainings had run before: answered from the journal" in (limited.parent / "again.err").read_text()
    one, other = (
        {row["id"]: row["score"] for row in command_here("leaderboard", name, "--json", home=limited).json()}
        for name in ("first", "again")
    )
    common = {job["candidate"] for job in again}
    assert {name: one[name] for name in common} == {name: other[name] for name in common}


@pytest.mark.campaign
def test_another_seed_is_another_split(limited: Path) -> None:
    """Nothing is answered from the journal, and the scores differ."""
    arguments = [*OPTIONS, "--iterations", "1", "--seed", "5", "--name", "other"]
    done = modelwright("build", limited.parent / "loans.csv", *arguments, home=limited)
    assert done.code == 0, done.err
    assert not any(job["reused"] for job in trained(limited, "other"))
    best = [command_here("show", name, "--json", home=limited).json()["summary"] for name in ("first", "other")]
    assert best[0]["score"] != best[1]["score"]


def test_attempts_hold_and_a_build_without_a_model_fails(loans_csv: Path, home: Path) -> None:
    """A program that fails is repaired as often as allowed; then the build ends with 1, its reason, and no traceback."""
    with LlmServer(ever_new(scripted_team(FAILING))) as server:
        done = command_here(
            "build", loans_csv, *OPTIONS, "--candidates", "1", "--iterations", "1", "--attempts", "2", "--name", "failing",
            "--expert", "openai:scripted", "--base-url", server.url, "--api-key-env", "TEAM_KEY",
            "--no-builtin-candidates", home=home, TEAM_KEY="some key",
        )  # fmt: skip
    assert done.code == 1, done.err
    assert "no forest today" in done.err
    assert "Traceback" not in done.err
    assert "hint:" in done.err
    assert [job["fold"] for job in trained(home, "failing")] == [0, 0]
    row = command_here("leaderboard", "failing", "--json", home=home).json()[0]
    assert (row["status"], row["attempts"]) == ("failed", 2)
    assert command_here("show", "failing", "--json", home=home).json()["status"] == "failed"


def test_a_short_time_limit_ends_with_a_release(loans_csv: Path, home: Path) -> None:
    """No more is planned than runs at once, what could be trained is released, and the reason for stopping is told."""
    arguments = ["--target", "default", "--time-limit", "12", "--jobs", "2", "--json"]
    done = modelwright("build", loans_csv, *arguments, home=home)
    assert done.code == 0, done.err
    one = done.json()
    assert one["candidates"] <= 2
    assert one["decision"] == "time used up"
    assert Path(one["folder"]).is_dir()
    assert Path(one["report"]).is_file()
