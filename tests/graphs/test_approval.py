"""Approval from another process: what runs is what was approved."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import modelwright

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "3", "--folds", "3"]


def test_plans_edited_and_dropped_from_a_second_process(loans_csv: Path, home: Path) -> None:
    """The build waits with exit code 3; one plan is edited and one dropped elsewhere; exactly that runs."""
    asked = modelwright("build", loans_csv, *OPTIONS, "--review", "plan", "--name", "asked", "--json", home=home)
    assert asked.code == 3, asked.err
    plans = asked.json()["waiting"][0]["plans"]
    assert len(plans) == 3
    assert all(plan["estimate_seconds"] > 0 for plan in plans)
    shown = modelwright("approve", "asked", "--show", home=home)
    assert plans[0]["id"] in shown.out
    kept, edited, dropped = plans[0]["id"], plans[1]["id"], plans[2]["id"]
    done = modelwright("approve", "asked", "--drop", dropped, "--set", f"{edited}.note=mine", "--json", home=home)
    assert done.code == 0, done.err
    rows = {row["id"] for row in modelwright("leaderboard", "asked", "--json", home=home).json()}
    assert {kept, edited} <= rows
    assert dropped not in rows
    events = modelwright("log", "asked", "--json", home=home).json()
    answer = next(event for event in events if event["kind"] == "answer")
    assert answer["data"]["answer"]["edit"][0]["params"] == {"note": "mine"}


def test_an_impossible_answer_is_refused_and_the_run_still_waits(loans_csv: Path, home: Path) -> None:
    """An unknown plan is named with those there are; nothing is lost."""
    modelwright("build", loans_csv, *OPTIONS, "--review", "plan", "--name", "asked", home=home)
    done = modelwright("approve", "asked", "--drop", "nonsense", home=home)
    assert done.code == 5
    assert "nonsense" in done.err
    assert modelwright("show", "asked", "--json", home=home).json()["status"] == "waiting"


def test_rejected_plans_go_back_to_the_researcher_with_the_reason(loans_csv: Path, home: Path) -> None:
    """The next question holds other plans; the reason is in the log."""
    first = modelwright("build", loans_csv, *OPTIONS, "--review", "plan", "--name", "asked", "--json", home=home).json()
    recipes = [plan["recipe"] for plan in first["waiting"][0]["plans"]]
    done = modelwright("approve", "asked", "--reject", "--reason", f"no {recipes[0]}", "--json", home=home)
    assert done.code == 3, done.err
    again = done.json()["waiting"][0]["plans"]
    assert recipes[0] not in [plan["recipe"] for plan in again]


def test_a_rejected_release_leaves_a_report_and_no_release(loans_csv: Path, home: Path) -> None:
    """The person's word is final: a report without a model folder, and exit code 0."""
    asked = modelwright("build", loans_csv, *OPTIONS, "--review", "release", "--name", "asked", "--json", home=home)
    assert asked.code == 3, asked.err
    done = modelwright("approve", "asked", "--reject", "--reason", "not good enough", "--json", home=home)
    assert done.code == 0, done.err
    assert done.json()["folder"] is None
    assert Path(done.json()["report"]).is_file()
