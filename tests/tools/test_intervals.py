"""Intervals hold the truth about as often as they say, whatever is drawn together, and for scores not seen yet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tests.tools.task_cases import ranked, task_of, two_columns
from tools.bootstrap import widening
from tools.expectation import expected_score
from tools.intervals import compare, expected, interval, wilson
from tools.measuring import score
from tools.metrics import METRICS
from tools.scoring import make_score
from tools.selection import OutOfFold
from tools.units import time_blocks, units_of

AUC = METRICS["roc_auc"]


def test_intervals_of_an_area_hold_it() -> None:
    """Of 100 samples of 200 rows with a known area under the curve, about 95 have it inside."""
    rng = np.random.default_rng(0)
    truth = norm.cdf(1.2 / np.sqrt(2))
    inside = 0
    for repeat in range(100):
        low, high = interval(AUC, *ranked(200, rng), [0, 1], 1, seed=repeat, repeats=200)
        inside += low <= truth <= high
    assert 88 <= inside <= 100


def test_few_groups_are_enough_for_an_honest_interval() -> None:
    """Ten groups that err alike: drawn whole the interval holds the truth, drawn as rows it hardly ever does."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(10), 30)
    whole = rows = 0
    for repeat in range(100):
        error = rng.normal(size=10)[groups] + 0.5 * rng.normal(size=300)
        for drawn in (groups, None):
            low, high = interval(METRICS["mse"], np.zeros(300), error, seed=repeat, repeats=200, groups=drawn)
            whole += drawn is not None and low <= 1.25 <= high
            rows += drawn is None and low <= 1.25 <= high
    assert whole >= 78
    assert rows <= 45


def test_errors_that_last_are_drawn_in_blocks_of_time() -> None:
    """In a series whose errors follow each other the block interval holds the truth far more often than that of rows."""
    rng = np.random.default_rng(2)
    truth, count = np.sqrt(2 / np.pi / (1 - 0.7**2)), 200
    blocks, hits = time_blocks(np.arange(count)), [0, 0]
    for repeat in range(80):
        noise = rng.normal(size=count + 50)
        for place in range(1, len(noise)):
            noise[place] += 0.7 * noise[place - 1]
        for kind, drawn in enumerate((blocks, None)):
            low, high = interval(METRICS["mae"], np.zeros(count), noise[50:], seed=repeat, repeats=200, groups=drawn)
            hits[kind] += low <= truth <= high
    assert hits[0] >= 66
    assert hits[1] <= hits[0] - 8


def test_blocks_keep_equal_times_together() -> None:
    """Rows of all series at one time, and the times beside it, are one block; a row without a time stands alone."""
    times = pd.Series(pd.date_range("2020-01-01", periods=27, freq="D").repeat(2))
    times[3] = pd.NaT
    blocks = time_blocks(times)
    assert blocks[4] == blocks[5]
    assert len(set(blocks[[0, 1, 2, 4, 5]])) == 1
    assert (blocks == blocks[3]).sum() == 1
    assert len(set(blocks)) == 9 + 1
    assert len(set(time_blocks(np.arange(160), 20))) == 8  # a long forecast: its errors hang together


def test_units_follow_the_split() -> None:
    """Rows by themselves, by group, by time; a row without a group belongs to nobody."""
    labels = pd.DataFrame({"label": [1.0] * 4, "group": ["a", "b", "a", ""], "time": [1.0, 2.0, 3.0, 4.0]})
    assert units_of(task_of("mae", 0), labels) is None
    assert units_of(task_of("mae", 0, split="group"), labels).tolist() == [0, 1, 0, 2]  # type: ignore[union-attr]
    assert units_of(task_of("mae", 0, split="time"), labels).tolist() == [0, 1, 2, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "log_loss"])
def test_the_score_of_a_new_sample_is_foretold(name: str) -> None:
    """Told from 300 rows, the score on 80 other rows lies inside in at least 90 of 100 cases, and outside now and then."""
    rng = np.random.default_rng(3)
    metric, inside, width = METRICS[name], 0, []
    for repeat in range(100):
        y, p = ranked(300, rng)
        low, high = expected(metric, y, p, 80, [0, 1], 1, seed=repeat, repeats=200)
        fresh = score(metric, *ranked(80, rng), [0, 1], 1)
        inside += low <= fresh <= high
        plain = interval(metric, y, p, [0, 1], 1, seed=repeat, repeats=200)
        width.append((high - low) / (plain[1] - plain[0]))
    assert 90 <= inside <= 100
    assert 1.5 < np.mean(width) < 3.5  # a score of 80 rows varies by more than one of 300: √(300/80 + 1) times


def test_luck_in_choosing_lowers_what_is_expected() -> None:
    """The optimism of the choice is taken off the centre and off the worse end, in either direction."""
    rng = np.random.default_rng(4)
    y, p = ranked(300, rng)
    part = OutOfFold(np.arange(300), p)
    plain = expected_score(task_of("roc_auc"), y, part, 80)
    lowered = expected_score(task_of("roc_auc"), y, part, 80, luck=0.02)
    assert lowered == pytest.approx((plain[0] - 0.02, plain[1] - 0.02, plain[2]))
    plain, raised = (expected_score(task_of("log_loss"), y, part, 80, luck=luck) for luck in (0.0, 0.02))
    assert raised == pytest.approx((plain[0] + 0.02, plain[1], plain[2] + 0.02))


def test_windows_of_time_that_differ_widen_what_is_expected() -> None:
    """When the windows' scores differ by more than chance, the next stretch of time may differ as much."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=500)
    steady, drifting = (
        y + 1.0 * rng.normal(size=500),
        y + np.repeat([0.2, 0.5, 1.0, 1.5, 2.0], 100) * rng.normal(size=500),
    )
    task, folds = task_of("mae", 0, split="time"), [np.arange(k * 100, k * 100 + 100) for k in range(5)]
    widths = []
    for values in (steady, drifting):
        whole = make_score(task.metric, y, values, folds)
        _, low, high = expected_score(task, y, OutOfFold(np.arange(500), values), 100, folds=whole)
        widths.append((high - low) / whole.value)
    assert widths[1] > 2.5 * widths[0]


def test_a_perfect_score_on_few_rows_is_not_sure() -> None:
    """Where no resample can doubt a score, as many successes as there are rows of the rarest class still leave doubt."""
    y = np.array([0] * 40 + [1] * 12)
    p = two_columns(np.where(y == 1, 0.9, 0.1))
    for name in ("roc_auc", "accuracy", "balanced_accuracy", "recall", "macro_f1"):
        low, high = interval(METRICS[name], y, p, [0, 1], 1)
        assert high == 1.0, name
        assert 0.6 < low < 0.95, name
    assert expected(AUC, y, p, 20, [0, 1], 1)[0] < 0.9


def test_shares_have_wilson_s_interval() -> None:
    """Known values; no tries say nothing."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_many_units_need_no_widening() -> None:
    """A few per cent for thirty rows, more than double for three groups."""
    assert widening(10_000) == pytest.approx(1.0, abs=1e-3)
    assert 1.02 < widening(30) < 1.1
    assert widening(3) > 2


def test_folds_have_intervals_and_numbers() -> None:
    """Each fold that has a score has one, also when a fold before it has none."""
    y, p = ranked(120, np.random.default_rng(6))
    zeros = np.flatnonzero(y == 0)[:20]
    made = make_score(AUC, y, p, [np.arange(60), zeros, np.arange(60, 120)], [0, 1], 1, numbers=[0, 2, 4])
    assert made.fold_numbers == [0, 4]
    assert all(low <= value <= high for value, (low, high) in zip(made.folds, made.fold_intervals, strict=True))


def test_a_gain_by_luck_is_told_from_a_real_one() -> None:
    """The chance of a gain under no difference is about even over many equal pairs, and tiny for a real gain."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=200)
    chances = []
    for repeat in range(40):
        one, other = y + rng.normal(size=200), y + rng.normal(size=200)
        chances.append(compare(METRICS["mae"], y, one, other, seed=repeat, repeats=150)["chance"])
    assert sum(chance < 0.05 for chance in chances) <= 6
    assert compare(METRICS["mae"], y, y + 0.9 * (one - y), one)["chance"] < 0.001
    assert compare(METRICS["mae"], y, one, one)["chance"] == 1.0


def test_what_lies_further_ahead_may_be_worse() -> None:
    """Test rows that reach four times as far as the windows did: an error may be double there, and r² may fall."""
    rng = np.random.default_rng(8)
    y = rng.normal(size=400)
    part = OutOfFold(np.arange(400), y + 0.5 * rng.normal(size=400))
    mean, squared = task_of("mae", 0, split="time"), task_of("r2", 0, split="time")
    near, far = (expected_score(mean, y, part, 100, reach=reach) for reach in (1.0, 4.0))
    assert far == pytest.approx((near[0], near[1], 2 * near[2]))
    near, far = (expected_score(squared, y, part, 100, reach=reach) for reach in (1.0, 4.0))
    assert far == pytest.approx((near[0], 1 - 4 * (1 - near[1]), near[2]))
