"""Failing branches: what a program does becomes a record, and the run goes on while another branch lives."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import modelwright
from tests.support.llm_server import LlmServer
from tests.support.scripted_team import scripted_team

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--folds", "3"]
CRASHES = '''"""A program that always fails."""


def fit(X, y, *, task, seed, time_limit, n_jobs):
    raise KeyError("age_bin")


def predict(model, X):
    return None
'''


def test_a_failed_branch_does_not_end_the_run(loans_csv: Path, home: Path) -> None:
    """A model's failing programs are records with their reason; the builtin candidates are scored and win."""
    with LlmServer(scripted_team(CRASHES)) as server:
        done = modelwright(
            "build", loans_csv, *OPTIONS, "--candidates", "2", "--attempts", "1", "--expert", "openai:scripted",
            "--base-url", server.url, "--api-key-env", "TEAM_KEY", "--json", home=home, TEAM_KEY="k",
        )  # fmt: skip
    assert done.code == 0, done.err
    rows = modelwright("leaderboard", "last", "--json", home=home).json()
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed
    assert all(row["attempts"] == 1 for row in failed)
    assert all("age_bin" in row["reason"] for row in failed)


def test_a_program_that_a_model_cannot_repair_is_repaired_by_the_builtin_expert(loans_csv: Path, home: Path) -> None:
    """The failure goes back for repair; the model repeats itself, the builtin expert writes one that runs."""
    with LlmServer(scripted_team(CRASHES)) as server:
        done = modelwright(
            "build", loans_csv, *OPTIONS, "--candidates", "1", "--attempts", "2", "--expert", "openai:scripted",
            "--base-url", server.url, "--api-key-env", "TEAM_KEY", "--no-builtin-candidates", "--json",
            home=home, TEAM_KEY="k",
        )  # fmt: skip
    assert done.code == 0, done.err
    assert "→ repair" in done.err
    rows = modelwright("leaderboard", "last", "--json", home=home).json()
    repaired = next(row for row in rows if row["operator"] != "ensemble")
    assert (repaired["status"], repaired["attempts"], repaired["expert"]) == ("done", 2, "builtin")


def test_when_no_candidate_survives_everything_that_failed_is_named(loans_csv: Path, home: Path) -> None:
    """Exit code 1, each failure in words, no traceback of ours."""
    with LlmServer(scripted_team(CRASHES)) as server:
        done = modelwright(
            "build", loans_csv, *OPTIONS, "--candidates", "1", "--attempts", "1", "--expert", "openai:scripted",
            "--base-url", server.url, "--api-key-env", "TEAM_KEY", "--no-builtin-candidates", "--json",
            home=home, TEAM_KEY="k",
        )  # fmt: skip
    assert done.code == 1
    assert "age_bin" in done.err
    assert "Traceback" not in done.err
    assert modelwright("show", "last", "--json", home=home).json()["status"] == "failed"
