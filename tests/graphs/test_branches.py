"""Failing branches: what a program does becomes a record, and the run goes on while another branch lives."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.support.inprocess import command_here
from tests.support.llm_server import LlmServer, Reply
from tests.support.scripted_team import PROGRAM, scripted_team

OPTIONS = [
    "--target",
    "default",
    "--time-limit",
    "600",
    "--iterations",
    "1",
    "--folds",
    "2",
    "--api-key-env",
    "TEAM_KEY",
]
CRASHES = '''"""A program that always fails."""


def fit(X, y, *, task, seed, time_limit, n_jobs):
    raise KeyError("age_bin")


def predict(model, X):
    return None
'''
NEVER_ENDS = PROGRAM.replace("    columns = dict", "    import time\n\n    time.sleep(600)\n    columns = dict", 1)


def test_failed_branches_do_not_end_the_run(loans_csv: Path, home: Path) -> None:
    """A model's failing programs are records with their reason, one that never ends is ended by --run-timeout; the builtin
    candidates are scored, and one is released."""
    first, second = scripted_team(CRASHES), scripted_team(NEVER_ENDS)
    numbers = itertools.count()

    def team(request: dict[str, Any]) -> Reply:
        reply = first(request)
        is_program = isinstance(reply, dict) and "code" in reply.get("answer", {})
        return second(request) if is_program and next(numbers) % 2 else reply

    with LlmServer(team) as server:
        done = command_here(
            "build", loans_csv, *OPTIONS, "--candidates", "2", "--attempts", "1", "--expert", "openai:scripted",
            "--base-url", server.url, "--run-timeout", "30", "--json", home=home, TEAM_KEY="k",
        )  # fmt: skip
    assert done.code == 0, done.err
    assert Path(done.json()["folder"]).is_dir()
    rows = command_here("leaderboard", "last", "--json", home=home).json()
    failed = [row for row in rows if row["expert"] == "openai:scripted"]
    assert [(row["status"], row["attempts"]) for row in failed] == [("failed", 1)] * 2
    assert sum("age_bin" in row["reason"] for row in failed) == 1
    events = command_here("log", "last", "--json", home=home).json()
    jobs = [event["data"] for event in events if event["kind"] == "job" and "loopback" in event["data"]["candidate"]]
    theirs = [job for job in jobs if job.get("state") != "started"]
    assert {job["state"] for job in theirs} == {"error", "timeout"}


def test_a_program_that_a_model_cannot_repair_is_repaired_by_the_builtin_expert(loans_csv: Path, home: Path) -> None:
    """The failure goes back for repair; the model repeats itself, the builtin expert writes one that runs."""
    with LlmServer(scripted_team(CRASHES)) as server:
        done = command_here(
            "build", loans_csv, *OPTIONS, "--candidates", "1", "--attempts", "2", "--expert", "openai:scripted",
            "--base-url", server.url, "--no-builtin-candidates", "--json", home=home, TEAM_KEY="k",
        )  # fmt: skip
    assert done.code == 0, done.err
    assert "→ repair" in done.err
    rows = command_here("leaderboard", "last", "--json", home=home).json()
    repaired = next(row for row in rows if row["operator"] != "ensemble")
    assert (repaired["status"], repaired["attempts"], repaired["expert"]) == ("done", 2, "builtin")
