"""The search with a language model as the team: what it is asked to improve it sees, and first looks go on for nothing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import modelwright
from state.candidate import Candidate
from tests.support.inprocess import command_here
from tests.support.llm_server import LlmServer, Reply
from tests.support.scripted_team import PROGRAM, answer_kind, data_block, scripted_team
from tools.artifacts import open_artifacts
from tools.search import sizing
from tools.search.looks import Sizing

OPTIONS = [
    *("--target", "default", "--time-limit", "900", "--folds", "2", "--candidates", "2", "--iterations", "3"),
    *("--policy", "greedy", "--api-key-env", "TEAM_KEY", "--no-builtin-candidates", "--name", "team", "--json"),
]


class Team:
    """The scripted team, which plans drafts without parents whatever it is asked for. Every program is another one."""

    def __init__(self) -> None:
        self.requests: dict[str, list[dict[str, Any]]] = {}
        """Per kind of answer."""
        self._plain = scripted_team()
        self._numbers = itertools.count(20)

    def __call__(self, request: dict[str, Any]) -> Reply:
        kind = answer_kind(request)
        self.requests.setdefault(kind, []).append(request)
        if kind != "ProgramAnswer":
            return self._plain(request)
        code = PROGRAM.replace("TREES = 120", f"TREES = {next(self._numbers)}")
        return {"answer": {"code": code, "notes": "as planned"}}


def test_a_model_improves_the_program_it_is_shown_and_first_looks_go_on_unpaid(
    loans_csv: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two first looks, the better one on all rows without a request, then two improvements written from its text."""
    monkeypatch.setattr(sizing, "size_up", lambda *_, **__: Sizing(rows=100))
    team = Team()
    with LlmServer(team) as server:
        done = command_here(
            "build", loans_csv, *OPTIONS, "--expert", "openai:scripted", "--base-url", server.url, home=home, TEAM_KEY="k"
        )  # fmt: skip
    assert done.code == 0, done.err
    rounds: dict[int, list[Candidate]] = {}
    for one in modelwright.open_run("team").candidate_records():
        if not one.members:
            rounds.setdefault(one.iteration, []).append(one)
    looks, (whole,), improved = rounds[0], rounds[1], rounds[2]

    assert [one.plan.rows for one in looks] == [100, 100]
    first = next(one for one in looks if one.id == whole.plan.parent)
    assert (whole.plan.operator, whole.plan.rows, whole.program) == ("improve", 0, first.program)
    assert (whole.expert, whole.status) == ("openai:scripted", "done")
    assert whole.plan.architecture == first.plan.architecture
    # Nothing was asked for it: plans of two iterations, and the programs of the others.
    assert [len(team.requests[kind]) for kind in ("PlanAnswer", "ProgramAnswer")] == [2, 4]

    text, asked = open_artifacts().get_text(str(whole.program)), team.requests["ProgramAnswer"]
    assert [(one.plan.operator, one.plan.parent) for one in improved] == [("improve", whole.id)] * 2
    assert [data_block(request, "parent_program") for request in asked[2:]] == [text] * 2
    told = [json.loads(data_block(request, "parent")) for request in asked[2:]]
    assert whole.score is not None
    assert [one["score"]["value"] for one in told] == [pytest.approx(whole.score.value, rel=1e-5)] * 2
    assert all("parent_program" not in str(request) for request in asked[:2])
    plans = [json.loads(data_block(request, "plan")) for request in asked[2:]]
    assert [len(plan["grounds"]) for plan in plans] == [len(plan["cites"]) for plan in plans]


def test_a_model_that_only_writes_improves_its_own_programs(loans_csv: Path, home: Path) -> None:
    """The builtin expert plans by rule; an improvement of a program without a recipe goes to the model with its text."""
    team = Team()
    with LlmServer(team) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEAM_KEY", "k")
        run = modelwright.build(
            loans_csv, "default", time_limit=900, folds=2, candidates=1, iterations=2, policy="greedy", name="writer",
            experts={"engineer": "openai:scripted"}, base_url=server.url, api_key_env="TEAM_KEY", builtin_candidates=False,
        )  # fmt: skip
    known = [one for one in run.candidate_records() if not one.members]
    assert [(one.iteration, one.plan.operator, one.plan.recipe) for one in known] == [
        (0, "draft", ""),
        (1, "improve", ""),
    ]
    first, second = known
    assert second.plan.parent == first.id
    assert {kind: len(requests) for kind, requests in team.requests.items()} == {"ProgramAnswer": 2}
    text = open_artifacts().get_text(str(first.program))
    assert data_block(team.requests["ProgramAnswer"][1], "parent_program") == text
