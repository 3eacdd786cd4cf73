"""Calibration: true chances are called so, false ones are named with their direction."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tools.task_cases import task_of, two_columns
from tools.calibration import BINS, calibrate, reliability, sentence


def chances(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What came true, and the chance it had."""
    chance = rng.beta(1.2, 2.5, rows)
    return rng.random(rows) < chance, chance


def test_true_chances_pass() -> None:
    """Of 40 perfectly calibrated sets, few are called otherwise, and each bin's interval holds its chance as it should."""
    rng = np.random.default_rng(0)
    called = held = bins = 0
    for repeat in range(40):
        found = reliability(*chances(500, rng), seed=repeat)
        called += not found.well
        held += sum(one.low <= one.chance <= one.high for one in found.bins)
        bins += len(found.bins)
        assert found.low <= found.error <= found.high
    assert called <= 6
    assert 0.9 <= held / bins <= 0.99


def test_false_chances_are_named() -> None:
    """Chances that promise too much, promise too little, or are too sure of themselves."""
    rng = np.random.default_rng(1)
    truth, chance = chances(2000, rng)
    high = reliability(truth, np.clip(chance + 0.1, 0, 1), "chance of y = 1")
    assert not high.well
    assert high.error == pytest.approx(0.1, abs=0.03)
    assert "of y = 1 is off by 8.9 percentage points" in sentence(high, "rows")
    assert "chances are too high, by 8.9 points on average" in sentence(high, "rows")
    low = reliability(truth, np.clip(chance - 0.1, 0, 1))
    assert "chances are too low" in sentence(low, "rows")
    odds = chance / (1 - chance)
    sharp = reliability(truth, odds**3 / (1 + odds**3))
    assert not sharp.well
    assert sharp.error > 0.08


def test_the_error_of_a_known_bias_is_in_its_interval() -> None:
    """Chances that are always 0.08 too high: the interval of the error holds 0.08 about as often as it says."""
    rng = np.random.default_rng(2)
    inside = 0
    for repeat in range(40):
        chance = rng.uniform(0.2, 0.6, 1500)
        found = reliability(rng.random(1500) < chance, chance + 0.08, seed=repeat)
        inside += found.low <= 0.08 <= found.high
    assert inside >= 34


def test_the_brier_score_falls_into_its_parts() -> None:
    """Reliability − resolution + uncertainty, as far as chances within a bin are alike."""
    rng = np.random.default_rng(3)
    chance = rng.choice(np.linspace(0.05, 0.95, BINS), 3000)
    found = reliability(rng.random(3000) < chance, chance)
    assert found.brier == pytest.approx(found.reliability - found.resolution + found.uncertainty, abs=0.002)
    assert found.brier_low < found.brier < found.brier_high
    assert found.reliability < 0.003


def test_each_kind_of_task_has_its_chances() -> None:
    """The positive class's for two classes, the chosen class's for many; none for numbers or a handful of rows."""
    rng = np.random.default_rng(4)
    truth, chance = chances(400, rng)
    two = calibrate(task_of("roc_auc"), truth.astype(int), two_columns(chance))
    assert two is not None
    assert two.of == "chance of y = 1"
    assert sum(one.rows for one in two.bins) == 400
    many = calibrate(task_of("macro_f1", 3), rng.integers(0, 3, 400), rng.dirichlet([1, 1, 1], 400))
    assert many is not None
    assert not many.well
    assert "too high" in sentence(many, "rows")
    assert calibrate(task_of("mae", 0), np.zeros(50), np.zeros(50)) is None
    assert calibrate(task_of("roc_auc"), truth[:9].astype(int), two_columns(chance[:9])) is None


def test_one_chance_for_all_is_one_bin() -> None:
    """A constant prediction is calibrated when it is the share, and is not drawn as ten bins."""
    truth = np.arange(300) % 4 == 0
    found = reliability(truth, np.full(300, 0.25))
    assert len(found.bins) == 1
    assert found.error == 0.0
    assert found.well
