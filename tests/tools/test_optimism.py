"""The luck in choosing is measured: all of it where there is nothing else, hardly any where one is truly better."""

from __future__ import annotations

import numpy as np
import pytest

from state.candidate import Member
from tests.tools.task_cases import ranked, task_of, two_columns
from tools.measuring import score
from tools.optimism import expected_optimism
from tools.promotion import challenge
from tools.selection import OutOfFold, blend

Parts = dict[str, OutOfFold]


def noise(rows: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, Parts]:
    """Labels, and candidates that know nothing of them."""
    y = rng.integers(0, 2, rows)
    values = [two_columns(0.4 + 0.2 * rng.random(rows)) for _ in range(count)]
    return y, {f"c{place}": OutOfFold(np.arange(rows), one) for place, one in enumerate(values)}


def best_of(metric: str, y: np.ndarray, parts: Parts) -> tuple[str, float]:
    task = task_of(metric)
    values = {name: score(task.metric, y, part.values, [0, 1], 1) for name, part in parts.items()}
    sign = 1 if task.metric.direction == "higher" else -1
    name = max(values, key=lambda one: sign * values[one])
    return name, values[name]


@pytest.mark.parametrize(("metric", "chance"), [("roc_auc", 0.5), ("accuracy", 0.5), ("log_loss", 0.70)])
def test_the_best_of_many_guesses_is_a_guess(metric: str, chance: float) -> None:
    """Twenty candidates that know nothing: the best score looks like knowledge, the corrected one does not."""
    rng = np.random.default_rng(0)
    shown, corrected = [], []
    for repeat in range(12):
        y, parts = noise(200, 20, rng)
        name, value = best_of(metric, y, parts)
        found = expected_optimism(task_of(metric), y, parts, name, seed=repeat)
        assert found is not None
        assert found.value > 0
        shown.append(value)
        corrected.append(found.corrected)
    assert abs(np.mean(shown) - chance) > 2 * abs(np.mean(corrected) - chance)
    assert np.mean(corrected) == pytest.approx(chance, abs=0.02)


def test_mixing_guesses_gives_a_guess() -> None:
    """An ensemble of candidates that know nothing looks better still; its luck is counted with that of its weights."""
    rng = np.random.default_rng(1)
    shown, corrected = [], []
    for repeat in range(5):
        y, parts = noise(200, 8, rng)
        values = {name: score(task_of("roc_auc").metric, y, part.values, [0, 1], 1) for name, part in parts.items()}
        top = sorted(values, key=lambda one: -values[one])[:3]
        parts["mix"] = blend(parts, [Member(candidate=name, weight=1 / 3) for name in top])
        shown.append(score(task_of("roc_auc").metric, y, parts["mix"].values, [0, 1], 1))
        found = expected_optimism(task_of("roc_auc"), y, parts, "mix", mixed=True, seed=repeat)
        assert found is not None
        assert found.switched is None
        corrected.append(found.corrected)
    assert np.mean(shown) > 0.56
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.03)


def test_a_truly_better_candidate_owes_little_to_luck() -> None:
    """When one is far ahead, the choice falls on it in nearly every draw."""
    rng = np.random.default_rng(2)
    y, good = ranked(300, rng, apart=3.0)
    _, parts = noise(300, 10, rng)
    parts["good"] = OutOfFold(np.arange(300), good)
    found = expected_optimism(task_of("roc_auc"), y, parts, "good")
    assert found is not None
    assert found.value < 0.002
    assert found.switched == 0.0
    assert found.candidates == 11


def test_one_candidate_leaves_no_choice() -> None:
    """No luck without a choice; candidates scored on fewer rows took no part in it; the same seed gives the same."""
    y, parts = noise(100, 2, np.random.default_rng(3))
    alone = expected_optimism(task_of("roc_auc"), y, {"c0": parts["c0"]}, "c0")
    assert alone is not None
    assert (alone.value, alone.candidates) == (0.0, 1)
    half = {"c0": parts["c0"], "c1": OutOfFold(np.arange(50), parts["c1"].values[:50])}
    assert expected_optimism(task_of("roc_auc"), y, half, "c0") == alone
    assert expected_optimism(task_of("roc_auc"), y, parts, "c0", seed=5) == expected_optimism(
        task_of("roc_auc"), y, parts, "c0", seed=5
    )


def test_groups_are_left_out_whole() -> None:
    """Candidates that are lucky in some groups: the luck is larger than rows by themselves would show."""
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(12), 25)
    y = np.zeros(300)
    parts = {
        f"c{place}": OutOfFold(np.arange(300), np.abs(rng.normal(size=12))[groups] + 0.05 * rng.random(300))
        for place in range(8)
    }
    values = {name: np.abs(part.values).mean() for name, part in parts.items()}
    best = min(values, key=lambda one: values[one])
    whole = expected_optimism(task_of("mae", 0), y, parts, best, units=groups)
    rows = expected_optimism(task_of("mae", 0), y, parts, best)
    assert whole is not None
    assert rows is not None
    assert whole.value > rows.value
    assert whole.corrected == pytest.approx(values[best] + whole.value)


def test_a_new_best_has_to_be_sure() -> None:
    """A gain within luck is not called a new best, a clear one is, and being the best of many needs more."""
    rng = np.random.default_rng(5)
    y, good = ranked(400, rng, apart=2.0)
    rows = np.arange(400)
    weak = OutOfFold(rows, two_columns(np.clip(good[:, 1] + 0.8 * (rng.random(400) - 0.5), 0, 1)))
    twin = OutOfFold(rows, two_columns(np.clip(good[:, 1] + 0.02 * (rng.random(400) - 0.5), 0, 1)))
    clear = challenge(task_of("roc_auc"), y, OutOfFold(rows, good), weak)
    assert clear["sure"]
    assert clear["low"] > 0
    assert not challenge(task_of("roc_auc"), y, OutOfFold(rows, good), twin)["sure"]
    assert not challenge(task_of("roc_auc"), y, weak, OutOfFold(rows, good))["sure"]
    small = challenge(task_of("roc_auc"), y, OutOfFold(rows, good), weak, rivals=1)["chance"]
    assert challenge(task_of("roc_auc"), y, OutOfFold(rows, good), weak, rivals=10**12)["sure"] == (
        small <= 0.05 / 10**12
    )
    assert not challenge(task_of("roc_auc"), y, OutOfFold(rows[:0], good[:0]), weak)["sure"]
