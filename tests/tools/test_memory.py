"""Lessons: measured, shrunk, shared between processes, and used for similar data only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.candidate import Candidate, Member, Plan, Score
from state.task import Metric, SplitPlan, Task
from tools.memory import Lesson, add_lesson, lessons, lessons_of, recall, remember
from tools.places import Place
from tools.store import Catalogue

ROOT = Path(__file__).parents[2]
TRAITS = ["small", "missing", "categories"]


@pytest.fixture
def catalogue(places: Callable[[str], Place]) -> Iterator[Catalogue]:
    """An empty catalogue, in a file and in a shared database."""
    catalogue = Catalogue(places("catalogue"))
    yield catalogue
    catalogue.close()


def _task(direction: Literal["higher", "lower"] = "higher") -> Task:
    return Task(
        kind="regression",
        target="y",
        intent="",
        metric=Metric(name="rmse", direction=direction, needs="values"),
        features=[],
        split=SplitPlan(kind="random", folds=5, test_share=0.2, reason=""),
    )


def _candidate(recipe: str, value: float, *, width: float = 0.0, members: list[Member] | None = None) -> Candidate:
    return Candidate(
        id=f"{recipe}-{value}",
        iteration=0,
        plan=Plan(id="p", title=recipe.title(), rationale="", recipe=recipe),
        status="done",
        score=Score(value=value, folds=[value], low=value - width / 2, high=value + width / 2, rows=10),
        oof="sha256:" + "0" * 64,
        members=members or [],
        seconds=1.0,
    )


def _lesson(recipe: str, gain: float, run: str = "r", traits: list[str] | None = None) -> Lesson:
    given_traits = TRAITS if traits is None else traits
    return Lesson(
        id=f"{run}/{recipe}", kind="regression", traits=given_traits, recipe=recipe, gain=gain, run_id=run, text="said"
    )


# ---- measuring -----------------------------------------------------------------------------------------------


def test_gain_is_measured_against_the_median_candidate() -> None:
    """The best recipe gains, the worst loses, the median is zero; the sentence names place and score."""
    found = lessons_of(
        "run", _task(), TRAITS, [_candidate("forest", 0.8), _candidate("boost", 0.9), _candidate("line", 0.6)]
    )
    assert [(one.recipe, one.rank, round(one.gain, 3)) for one in found] == [
        ("boost", 1, 0.5),
        ("forest", 2, 0.0),
        ("line", 3, -1.0),
    ]
    assert found[0].text == "Boost: rmse 0.9, place 1 of 3 (median 0.8)"
    assert found[0].id == "run/boost"


def test_the_direction_of_the_metric_is_honoured() -> None:
    """With an error metric the smallest score gains."""
    found = lessons_of(
        "run", _task("lower"), TRAITS, [_candidate("a", 1.0), _candidate("b", 3.0), _candidate("c", 2.0)]
    )
    assert [(one.recipe, one.gain) for one in found] == [("a", 1.0), ("c", 0.0), ("b", -1.0)]


def test_differences_within_noise_teach_little() -> None:
    """When the intervals are ten times wider than the differences, gains are a tenth."""
    found = lessons_of("run", _task(), [], [_candidate("a", 0.81, width=0.2), _candidate("b", 0.79, width=0.2)])
    assert [round(one.gain, 6) for one in found] == [0.1, -0.1]


def test_one_lesson_per_recipe_from_its_best_candidate() -> None:
    """Variants of a recipe count once; ensembles, failures and freely written programs teach nothing."""
    failed = _candidate("broken", 0.1).but(status="failed")
    mixed = _candidate("ensemble", 0.99, members=[Member(candidate="x", weight=1.0)])
    candidates = [_candidate("a", 0.7), _candidate("a", 0.9), _candidate("b", 0.8), _candidate("", 0.85), failed, mixed]
    found = lessons_of("run", _task(), [], candidates)
    assert [(one.recipe, one.rank) for one in found] == [("a", 1), ("b", 3)]


def test_nothing_is_learned_without_a_comparison() -> None:
    """A single candidate, or none, gives no lesson; equal candidates give lessons of zero."""
    assert lessons_of("run", _task(), [], [_candidate("a", 0.5)]) == []
    assert [one.gain for one in lessons_of("run", _task(), [], [_candidate("a", 0.5), _candidate("b", 0.5)])] == [0, 0]


@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=8, unique=True),
    width=st.floats(0, 1e9),
    direction=st.sampled_from(["higher", "lower"]),
)
def test_gains_stay_in_bounds_and_follow_the_scores(
    values: list[float], width: float, direction: Literal["higher", "lower"]
) -> None:
    """For any scores, gains lie in −1 … 1 and never contradict their order."""
    candidates = [_candidate(f"r{index}", value, width=width) for index, value in enumerate(values)]
    found = lessons_of("run", _task(direction), [], candidates)
    gains = {one.recipe: one.gain for one in found}
    order = sorted(range(len(values)), key=lambda index: values[index], reverse=direction == "higher")
    assert all(-1.0 <= gain <= 1.0 for gain in gains.values())
    ordered = [gains[f"r{index}"] for index in order]
    assert ordered == sorted(ordered, reverse=True)


# ---- recalling -----------------------------------------------------------------------------------------------


def test_recipes_that_paid_come_first(catalogue: Catalogue) -> None:
    """The mean gain decides, shrunk: one lucky run does not beat steady evidence."""
    remember(catalogue, [_lesson("lucky", 0.9, "r1")])
    for run in ("r1", "r2", "r3", "r4", "r5", "r6"):
        remember(catalogue, [_lesson("steady", 0.7, run), _lesson("poor", -0.5, run)])
    found = recall(catalogue, "regression", TRAITS)
    assert [one["recipe"] for one in found] == ["steady", "lucky", "poor"]
    assert found[0]["gain"] == pytest.approx(0.7 * 6 / 8)
    assert found[1]["gain"] == pytest.approx(0.9 / 3)
    assert (found[0]["uses"], sorted(found[0]["runs"])) == (6, ["r1", "r2", "r3", "r4", "r5", "r6"])
    assert found[0]["text"].startswith("better than the median candidate in 6 earlier runs on similar data (gain +0.5")
    assert "worse" in found[2]["text"]
    assert len(recall(catalogue, "regression", TRAITS, limit=2)) == 2


def test_only_runs_on_similar_data_of_the_same_kind_count(catalogue: Catalogue) -> None:
    """Traits must overlap by half; the less they do, the less a lesson weighs; another kind of task is left out."""
    add_lesson(catalogue, _lesson("same", 0.6, traits=TRAITS))
    add_lesson(catalogue, _lesson("half", 0.6, traits=["small", "missing", "text"]))
    add_lesson(catalogue, _lesson("far", 0.6, traits=["small", "text", "wide"]))
    found = recall(catalogue, "regression", TRAITS)
    assert [one["recipe"] for one in found] == ["same", "half"]
    assert found[0]["gain"] > found[1]["gain"] > 0
    assert recall(catalogue, "binary", TRAITS) == []
    assert [one["similarity"] for one in lessons(catalogue, TRAITS, "regression")] == [0.5, 1.0]


def test_data_without_traits_is_alike(catalogue: Catalogue) -> None:
    """Two plain tables learn from each other, and not from a special one."""
    add_lesson(catalogue, _lesson("plain", 0.5, traits=[]))
    add_lesson(catalogue, _lesson("special", 0.5, traits=["text"]))
    assert [one["recipe"] for one in recall(catalogue, "regression", [])] == ["plain"]


def test_a_repeated_step_counts_once(catalogue: Catalogue) -> None:
    """Publishing again replaces the run's lessons instead of adding to them."""
    for gain in (0.2, 0.4):
        add_lesson(catalogue, _lesson("a", gain).plain())
    found = lessons(catalogue, TRAITS, "regression")
    assert [(one["gain"], one["id"], one["traits"]) for one in found] == [(0.4, "r/a", sorted(TRAITS))]


def test_a_bad_lesson_is_refused_and_none_of_its_run_is_kept(catalogue: Catalogue) -> None:
    """A gain out of bounds does not get in, and a run's lessons are stored all or none."""
    with pytest.raises(ValueError, match="gain"):
        add_lesson(catalogue, {**_lesson("a", 0.0).plain(), "gain": 7})
    with pytest.raises(ValueError, match="Lesson"):
        remember(catalogue, [_lesson("b", 0.1), None])  # type: ignore[list-item]
    assert lessons(catalogue, TRAITS, "regression") == []


def test_a_lesson_of_one_process_changes_what_another_recalls(tmp_path: Path) -> None:
    """What one process learned is found first by the next one, which knew nothing."""
    script = (
        "import json, sys; from pathlib import Path; from tools.memory import *; from tools.store import Catalogue\n"
        "catalogue = Catalogue(Path(sys.argv[1])); new = json.loads(sys.argv[2])\n"
        "print([one['recipe'] for one in recall(catalogue, 'regression', ['small', 'missing'])])\n"
        "[add_lesson(catalogue, one) for one in new]"
    )

    def process(*new: Lesson) -> str:
        return subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "catalogue.db"), json.dumps([one.plain() for one in new])],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert process(_lesson("forest", 0.3), _lesson("line", 0.1)) == "[]\n"
    assert process(_lesson("line", 0.9, "r2"), _lesson("line", 0.9, "r3")) == "['forest', 'line']\n"
    assert process() == "['line', 'forest']\n"
