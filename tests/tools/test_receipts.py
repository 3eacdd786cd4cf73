"""Receipts: readable ids, one receipt per number, the first telling of it, and the nearest ids for a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from state.candidate import Attempt, Candidate, Member, Plan, Score
from state.errors import NotFound
from tools.receipts import Number, baseline_id, find_number, number_id
from tools.tracing import collect_numbers


def candidate(name: str, **more: Any) -> Candidate:
    score = Score(
        value=0.8,
        folds=[0.7, 0.9],
        fold_numbers=[0, 2],
        fold_intervals=[(0.6, 0.8), (0.8, 1.0)],
        low=0.7,
        high=0.9,
        rows=100,
    )
    attempt = Attempt(number=1, outcome="done", program="sha256:00", receipts=["k2", "k0"])
    known = {"plan": Plan(id=name, title=f"the {name}", rationale=""), "score": score, "attempts": [attempt]}
    return Candidate(**{"id": name, "iteration": 0, "status": "done", "oof": "sha256:01", **known, **more})


def event(seq: int, kind: str, role: str = "", **data: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "time": f"2026-11-21T10:00:{seq:02}+00:00",
        "kind": kind,
        "role": role,
        "text": "",
        "data": data,
    }


def told(seq: int, *numbers: Number) -> dict[str, Any]:
    return event(seq, "numbers", "reviewer", numbers=[number.plain() for number in numbers])


def test_candidates_have_a_receipt_for_each_fold() -> None:
    """The fold's own number, interval and execution, and the event with which the score was told."""
    events = [
        event(1, "task", metric="roc_auc"),
        event(2, "job", candidate="a", fold=0, key="k0", state="done"),
        event(3, "job", candidate="a", fold=2, key="k2", state="done"),
        event(4, "candidate", "runner", candidate={"id": "a", "score": 0.8}),
    ]
    numbers = collect_numbers({"a": candidate("a")}, events)
    assert list(numbers) == ["oof.a", "fold.a.1", "fold.a.3"]
    assert numbers["oof.a"].jobs == ["k2", "k0"]
    assert (numbers["oof.a"].event, numbers["oof.a"].role, numbers["oof.a"].metric) == (4, "runner", "roc_auc")
    third = numbers["fold.a.3"]
    assert (third.value, third.low, third.high, third.jobs) == (0.9, 0.8, 1.0, ["k2"])


def test_an_ensemble_names_its_members() -> None:
    """It has no execution of its own."""
    mixed = candidate("mix", program=None, attempts=[], members=[Member(candidate="a", weight=1.0)])
    number = collect_numbers({"a": candidate("a"), "mix": mixed}, [])["oof.mix"]
    assert number.jobs == []
    assert number.made_of == ["oof.a"]


def test_comparisons_of_decisions_have_receipts() -> None:
    """Each pair with its interval; of the same pair the later decision counts."""
    pair = {"one": "a", "other": "b", "gain": 0.02, "low": -0.01, "high": 0.05, "better_share": 0.8}
    events = [
        event(5, "decision", "strategist", compared=[pair]),
        event(9, "decision", compared=[{**pair, "gain": 0.03}]),
    ]
    numbers = collect_numbers({}, events)
    assert numbers["gain.a.b"].value == 0.03
    assert numbers["gain.a.b"].event == 9
    assert numbers["gain.a.b"].facts == {"better_share": 0.8}


def test_a_number_told_twice_keeps_its_first_place() -> None:
    """A step that runs again tells the same; what changed counts from the later telling."""
    same, other = Number(id="optimism", title="luck", value=0.01), Number(id="lift", title="gain", value=0.5)
    numbers = collect_numbers({}, [told(3, same, other), told(7, same, other.but(value=0.6))])
    assert (numbers["optimism"].event, numbers["optimism"].role) == (3, "reviewer")
    assert (numbers["lift"].event, numbers["lift"].value) == (7, 0.6)


def test_a_receipt_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """Fields this version does not know are left alone."""
    event = told(3, Number(id="lift", title="gain", value=0.5))
    event["data"]["numbers"][0]["colour"] = "blue"
    assert collect_numbers({}, [event])["lift"].value == 0.5


def test_a_run_of_an_earlier_version_has_receipts_of_what_it_kept() -> None:
    """Test and baselines from its summary, without an interval where there was none."""
    summary = {
        "metric": "mae",
        "best": "a",
        "test": {"value": 3.0, "low": 2.0, "high": 4.0, "rows": 50, "folds": []},
        "opening": {"number": 1, "when": "then"},
        "ladder": [{"name": "seasonal naive", "value": 5.0, "note": ""}],
    }
    numbers = collect_numbers({}, [], summary)
    assert numbers["test.mae"].facts["opening"]["number"] == 1
    assert numbers["baseline.seasonal-naive"].low is None


def test_what_is_asked_most_comes_first() -> None:
    """Test, expectation and luck before candidates, single folds at the end."""
    first = [
        Number(id=name, title="", value=1.0) for name in ("segment.a=b", "optimism", "test.mae", "baseline.constant")
    ]
    names = list(collect_numbers({"a": candidate("a")}, [told(1, *first)]))
    assert names == ["test.mae", "optimism", "oof.a", "baseline.constant", "segment.a=b", "fold.a.1", "fold.a.3"]


def test_ids_are_one_printable_line() -> None:
    """Whatever a column or a value is called."""
    assert number_id("segment", "a\n\tb=c \x1b[31m") == "segment.a b=c [31m"
    assert len(number_id("segment", "x" * 500)) <= 120
    assert baseline_id("seasonal naive") == "baseline.seasonal-naive"


def test_a_wrong_id_is_answered_with_the_nearest() -> None:
    """Letter case does not matter; nothing similar leads to the list."""
    numbers = {
        name: Number(id=name, title="", value=1.0) for name in ("test.roc_auc", "oof.i0-linear", "segment.Sex=male")
    }
    assert find_number(numbers, "segment.sex=male").id == "segment.Sex=male"
    assert find_number(numbers, " test.roc_auc ").id == "test.roc_auc"
    with pytest.raises(NotFound, match=r"did you mean test\.roc_auc"):
        find_number(numbers, "test.auc", "brisk-otter")
    with pytest.raises(NotFound, match="modelwright why brisk-otter"):
        find_number(numbers, "zzz", "brisk-otter")
