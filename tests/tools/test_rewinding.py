"""Taking a run back: the candidate log says again what it said, and keeps what came after."""

from __future__ import annotations

import uuid
from pathlib import Path

from state.candidate import Candidate, Plan
from tools.rewinding import take_back
from tools.store import open_run_log


def candidate(name: str, status: str, reason: str = "") -> Candidate:
    plan = Plan(id=name, title=name, rationale="")
    return Candidate.model_validate({"id": name, "iteration": 0, "plan": plan, "status": status, "reason": reason})


def test_a_run_taken_back_knows_only_what_it_knew_then(home: Path) -> None:
    """What was tried later counts as dropped, what was known is as it was; rows are only added, and adding ends."""
    run = str(uuid.uuid4())
    log = open_run_log(run)
    log.put_candidate(candidate("kept", "done"))
    then = log.put_candidate(candidate("changed", "done", "first"))
    log.put_candidate(candidate("changed", "failed", "later"))
    newest = log.put_candidate(candidate("later", "done"))
    take_back(run, then)
    now = log.candidates()
    assert {name: one.status for name, one in now.items()} == {"kept": "done", "changed": "done", "later": "dropped"}
    assert now["changed"].reason == "first"
    assert "taken back" in now["later"].reason
    assert log.candidates(newest)["changed"].reason == "later"
    version = log.marks()["version"]
    take_back(run, then)
    assert log.marks()["version"] == version
    log.close()
