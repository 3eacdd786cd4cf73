"""The search over a whole build: operations on record, first looks that lead to full candidates, folds alike for all."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelwright
from tests.support.inprocess import command_here
from tests.support.tables import loans
from tools.search import sizing
from tools.search.looks import Sizing


@pytest.mark.campaign
def test_first_looks_lead_to_candidates_on_all_rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where time is short, drafts see part of the rows of one fold; the better half gets all, on as many folds as decided."""
    monkeypatch.setattr(sizing, "size_up", lambda *_, **__: Sizing(folds=2, rows=100))
    settings = {
        "time_limit": 900,
        "iterations": 3,
        "candidates": 2,
        "folds": 3,
        "policy": "best-first",
        "name": "looks",
    }
    run = modelwright.build(loans(), "default", metric="roc_auc", **settings)
    assert run.status == "done"
    known = {one.id: one for one in run.candidate_records()}
    looks = [one for one in known.values() if one.plan.rows]
    assert {one.iteration for one in looks} == {0}
    assert {one.plan.rows for one in looks} == {100}
    assert all(one.score is not None and len(one.score.folds) == 1 for one in looks)
    promoted = [one for one in known.values() if one.iteration == 1]
    assert [one.plan.parent in known and one.plan.operator for one in promoted] == ["improve"]
    assert promoted[0].score is not None
    assert promoted[0].score.fold_numbers == [0, 1]
    assert run.summary["best"] not in {one.id for one in looks}
    events = command_here("log", "looks", "--json", home=home).json()
    decisions = [event["data"] for event in events if event["kind"] == "decision"]
    assert decisions[0]["reason"] == "first looks taken: the best go on"
    assert [one["policy"] for one in decisions] == ["best-first"] * len(decisions)
    asked = decisions[1]["operations"]
    assert asked
    assert {parent for one in asked for parent in one["parents"]} <= {promoted[0].id}
