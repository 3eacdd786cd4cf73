"""What one run learned changes the next, in another process; findings change later plans; data changes first plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Built
from tests.support.command import modelwright
from tests.support.inprocess import command_here
from tests.support.tables import houses, loans

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--folds", "3"]


def told(home: Path, name: str, iteration: int = 0) -> dict[str, Any]:
    """What the log holds of the plans of an iteration."""
    events = command_here("log", name, "--json", home=home).json()
    return next(one["data"] for one in events if one["kind"] == "plans" and one["data"]["iteration"] == iteration)


def planned(home: Path, name: str, iteration: int = 0) -> list[dict[str, Any]]:
    """The plans of an iteration, in order."""
    return list(told(home, name, iteration)["plans"])


def test_lessons_of_one_run_reorder_the_plans_of_the_next(tmp_path: Path, home: Path) -> None:
    """On the same kind of data the recipe that did best comes first, in another process."""
    loans(seed=1).to_csv(tmp_path / "one.csv", index=False)
    loans(seed=2).to_csv(tmp_path / "two.csv", index=False)
    first = modelwright("build", tmp_path / "one.csv", *OPTIONS, "--name", "first", "--json", home=home)
    assert first.code == 0, first.err
    rows = [
        row for row in command_here("leaderboard", "first", "--json", home=home).json() if row["operator"] == "draft"
    ]
    # It waits at its plans, which is as far as this has to be looked at.
    second = command_here("build", tmp_path / "two.csv", *OPTIONS, "--review", "plan", "--name", "second", home=home)
    assert second.code == 3, second.err
    before = [plan["recipe"] for plan in planned(home, "first")]
    after = [plan["recipe"] for plan in planned(home, "second")]
    best = next(plan["recipe"] for plan in planned(home, "first") if plan["id"] == rows[0]["id"])
    worst = next(plan["recipe"] for plan in planned(home, "first") if plan["id"] == rows[-1]["id"])
    assert after != before or before[0] == best
    assert after.index(best) < after.index(worst) if worst in after else True
    assert {lesson["recipe"] for lesson in told(home, "second")["lessons"]} >= {best}


def test_later_plans_cite_the_findings_they_answer(built: Built) -> None:
    """The second iteration answers what the first one showed."""
    later = planned(built.home, "shared", 1)
    assert any(plan["cites"] for plan in later)
    titles = {plan["title"] for plan in planned(built.home, "shared")}
    assert any(plan["title"] not in titles or plan["params"] for plan in later)


def test_different_data_gets_different_plans(built: Built, tmp_path: Path) -> None:
    """Two tables with different profiles are planned for differently."""
    houses().to_csv(tmp_path / "houses.csv", index=False)
    words = [tmp_path / "houses.csv", "--target", "price", "--candidates", "3", "--review", "plan", "--name", "houses"]
    home = tmp_path / "home"
    assert command_here("build", *words, home=home).code == 3
    one, other = planned(built.home, "shared"), planned(home, "houses")
    assert [(plan["recipe"], plan["params"]) for plan in one] != [(plan["recipe"], plan["params"]) for plan in other]


@pytest.mark.campaign  # test_resume.py holds a build against another one from scratch as well
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_scores(tmp_path: Path, seed: int) -> None:
    """Without time pressure two builds from scratch agree to the last digit."""
    loans().to_csv(tmp_path / "loans.csv", index=False)
    options = [*OPTIONS, "--candidates", "2", "--seed", seed, "--json"]
    found = [
        modelwright("build", tmp_path / "loans.csv", *options, home=tmp_path / f"home{number}").json()
        for number in (1, 2)
    ]
    told = ("score", "low", "high", "test", "best", "members")
    assert {name: found[0][name] for name in told} == {name: found[1][name] for name in told}
