"""Answers that come late, twice, or to nobody: each counts once, and the run stands where it stood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modelwright
from graphs.forking import make_fork, plan_fork
from tests.conftest import Built
from tests.support.copies import copy_of

REJECT = {"action": "reject", "reason": "try something else"}


@pytest.fixture
def waiting(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelwright.Run:
    """A run that waits for a person's word on its plans."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(copy_of(built, tmp_path)))
    fork = make_fork(plan_fork("shared", "approve_plan", settings={"review": ["plan"]}, name="waits"))
    return modelwright.resume(fork.id)


def refused(identity: str, answer: Any) -> str:
    with pytest.raises(modelwright.ModelwrightError) as error:
        modelwright.resume("waits", answers={identity: answer})
    assert modelwright.open_run("waits").status == "waiting"
    return error.value.message


def test_each_answer_counts_once(waiting: Any) -> None:
    """The same answer again is told and changes nothing; another one is refused with what was said; so is a strange id."""
    first = waiting.waiting[0]["id"]
    assert refused("0" * 32, REJECT) == f"no open question has the id {'0' * 32!r}"
    run = modelwright.resume("waits", answers={first: REJECT})
    second = run.waiting[0]["id"]
    assert (run.status, second != first) == ("waiting", True)
    again = modelwright.resume("waits", answers={first: REJECT})
    assert (again.status, again.waiting[0]["id"]) == ("waiting", second)
    assert again.log()[-2]["text"] == f"question {first} was answered already: this answer changes nothing"
    assert "was answered already, and differently: {'action': 'reject'" in refused(first, {"action": "approve"})
    rejected = [event for event in modelwright.open_run("waits").log() if event["kind"] == "answer"]
    assert len(rejected) == 1
