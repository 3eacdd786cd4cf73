"""Scores that mean nothing: models no better than a constant, tests far from the estimate; good ones are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from state.candidate import Candidate, Plan, Score
from state.settings import Settings
from state.task import Task
from tests.tools.leak_tables import TARGETS, real_table
from tools.framing import canonical_labels, frame_task
from tools.leaks.routes import refusals
from tools.leaks.sanity import check_after_test, check_baseline
from tools.naive import constant_predictions
from tools.profiling.profile import profile_table
from tools.scoring import make_score, score
from tools.selection import OutOfFold

RNG = np.random.default_rng(0)


def framed(name: str) -> tuple[Task, np.ndarray]:
    """The task of a real table and its labels."""
    frame, target = real_table(name), TARGETS[name]
    profile = profile_table(frame, target)
    task = frame_task(Settings(target=target), frame, profile, target)
    return task, canonical_labels(frame[target], task.kind)[0]


def good_guess(task: Task, labels: np.ndarray) -> np.ndarray:
    """Predictions of a model that has learnt much, and errs."""
    if not task.is_classification:
        numbers = labels.astype(float)
        return np.asarray(numbers + RNG.normal(scale=0.5 * numbers.std(), size=len(numbers)))
    truth = np.column_stack([(labels == label).astype(float) for label in task.classes])
    values = truth + RNG.uniform(0, 1.2, size=truth.shape)
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def candidate() -> Candidate:
    return Candidate(id="c1", iteration=0, plan=Plan(id="c1", title="one", rationale=""), status="done")


def scored(task: Task, labels: np.ndarray, values: np.ndarray) -> Score:
    return make_score(task.metric, labels, values, [], task.classes, task.positive)


@pytest.mark.parametrize("name", ["iris", "cancer", "diabetes"])
@pytest.mark.parametrize(("kind", "status"), [("good", "passed"), ("shuffled", "found"), ("constant", "found")])
def test_a_model_must_beat_a_constant(name: str, kind: str, status: str) -> None:
    """What has learnt passes; the same predictions dealt to other rows, and a constant, are told with rows."""
    task, labels = framed(name)
    guess = constant_predictions(task, labels, len(labels))
    values = good_guess(task, labels)
    values = {"good": values, "shuffled": values[RNG.permutation(len(values))], "constant": guess}[kind]
    rows = np.arange(len(labels))
    check, findings = check_baseline(task, candidate(), OutOfFold(rows, values), OutOfFold(rows, guess), labels)
    assert check.status == status
    assert [(one.severity, one.route) for one in findings] == [("warning", "ask")] * (status == "found")
    assert all(one.evidence for one in findings)


@pytest.mark.parametrize("name", ["titanic", "cancer", "diabetes"])
@pytest.mark.parametrize(("kind", "route"), [("same", None), ("worse", "ask"), ("worthless", "reject")])
def test_a_test_far_from_the_estimate(name: str, kind: str, route: str | None) -> None:
    """Near is silent, far is put to the person, worthless where the deal was ours is refused; nothing goes back."""
    task, labels = framed(name)
    values = good_guess(task, labels)
    estimate = scored(task, labels, values)
    share: Any = {"same": 0.0, "worse": 0.25, "worthless": 1.0}[kind]
    moved = np.arange(len(values))
    few = RNG.permutation(len(values))[: int(share * len(values))]
    moved[few] = np.roll(few, 1)
    test = scored(task, labels, good_guess(task, labels) if kind == "same" else values[moved])
    constant = score(task.metric, labels, constant_predictions(task, labels, len(labels)), task.classes, task.positive)
    worst = 0.999 if task.metric.direction == "higher" else 0.001
    checks, findings = check_after_test(task, estimate, test, worst if kind == "worthless" else constant)
    gap = [one for one in findings if one.id == "review-gap"]
    assert [one.route for one in gap] == ([] if route is None else [route])
    assert checks[0].status == ("passed" if route is None else "found")
    assert bool(refusals(findings)) == (route == "reject")
    assert {one.route for one in findings} <= {"report", "ask", "reject"}


@pytest.mark.parametrize("looked", [False, True])
def test_a_better_test_after_a_first_look(looked: bool) -> None:
    """A model fitted on more rows than the look that was scored may well do better, which is no finding; worse is one."""
    task, labels = framed("titanic")
    values = good_guess(task, labels)
    spoilt = values.copy()
    spoilt[: len(values) // 3] = np.roll(spoilt[: len(values) // 3], 1, axis=0)
    poor, good = scored(task, labels, spoilt), scored(task, labels, values)
    constant = score(task.metric, labels, constant_predictions(task, labels, len(labels)), task.classes, task.positive)
    better, found = check_after_test(task, poor, good, constant, looked=looked)
    assert better[0].status == ("passed" if looked else "found")
    assert bool(found) != looked
    assert ("saw more rows" in better[0].detail) == looked
    assert check_after_test(task, good, poor, constant, looked=looked)[0][0].status == "found"
