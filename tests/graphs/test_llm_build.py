"""A build whose programs come from a language model: a real HTTP server on loopback that speaks the OpenAI protocol."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import modelwright
from tests.support.inprocess import command_here
from tests.support.llm_server import LlmServer
from tests.support.scripted_team import MARKER, scripted_team

SECRET = "canary-key-3141592653"
OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "2", "--folds", "2"]


def test_the_released_program_is_the_servers_and_its_key_is_nowhere(loans_csv: Path, home: Path) -> None:
    """With builtin candidates switched off, and a first reply that is invalid, the server's program is released. Neither
    databases, artifacts, logs nor the release hold the key, which was in every request.
    """
    with LlmServer(scripted_team(stumble=True), key=SECRET) as server:
        done = modelwright(
            "build", loans_csv, *OPTIONS, "--expert", "openai:scripted", "--base-url", server.url,
            "--api-key-env", "TEAM_KEY", "--no-builtin-candidates", "--json", home=home, TEAM_KEY=SECRET,
        )  # fmt: skip
        assert done.code == 0, done.err
        calls = server.calls
        again = command_here("resume", "last", "--json", home=home, TEAM_KEY=SECRET)
        assert again.json()["test"] == done.json()["test"]
        assert server.calls == calls
    release = Path(done.json()["folder"])
    programs = [path.read_text() for path in (release / "model_training" / "programs").glob("*.py")]
    assert programs
    assert all(MARKER in program for program in programs)
    rows = command_here("leaderboard", "last", "--json", home=home).json()
    assert {row["expert"] for row in rows if row["operator"] != "ensemble"} == {"openai:scripted"}
    assert SECRET not in done.out + done.err
    holding = [path for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holding == []


def test_an_unreachable_model_falls_back_to_the_builtin_expert(loans_csv: Path, home: Path) -> None:
    """The build ends with a model all the same, and says who stood in."""
    done = command_here(
        "build", loans_csv, *OPTIONS, "--candidates", "1", "--expert", "openai:scripted",
        "--base-url", "http://127.0.0.1:9/v1", "--api-key-env", "TEAM_KEY", "--json", home=home, TEAM_KEY=SECRET,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "builtin" in done.err
    assert json.loads(done.out)["status"] == "done"


def test_builtin_candidates_compete_beside_the_model(loans_csv: Path, home: Path) -> None:
    """By default every run has a floor: programs of both experts are scored on the same folds."""
    with LlmServer(scripted_team()) as server:
        done = command_here(
            "build", loans_csv, *OPTIONS, "--expert", "openai:scripted", "--base-url", server.url,
            "--api-key-env", "TEAM_KEY", "--json", home=home, TEAM_KEY=SECRET,
        )  # fmt: skip
    assert done.code == 0, done.err
    rows = command_here("leaderboard", "last", "--json", home=home).json()
    assert {"builtin", "openai:scripted"} <= {row["expert"] for row in rows if row["status"] == "done"}
