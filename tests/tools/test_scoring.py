"""Scoring: values as in scikit-learn, intervals that hold them, honest comparisons, and the lowest baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from state.task import SplitPlan, Task
from tools.bootstrap import Sample
from tools.metrics import METRICS, metrics_for
from tools.scoring import (
    check_predictions,
    compare,
    constant_predictions,
    error_of,
    interval,
    lift,
    make_score,
    score,
    seasonal_naive,
)


def binary(rows: int, seed: int = 0, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < share).astype(int)
    p = np.clip(0.3 * y + 0.7 * rng.random(rows), 0, 1).round(2)  # rounded, so that ties occur
    return y, np.column_stack([1 - p, p])


def many(rows: int, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    p = rng.random((rows, classes))
    p[np.arange(rows), y] += 0.5
    return y, p / p.sum(axis=1, keepdims=True)


def numbers(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.gamma(2, 2, rows) + 1
    return y, y + rng.normal(0, 1, rows)


def sample_of(kind: str, rows: int = 300) -> tuple[np.ndarray, np.ndarray, list[int]]:
    if kind == "regression":
        return *numbers(rows), []
    y, p = binary(rows) if kind == "binary" else many(rows)
    return y, p, list(range(p.shape[1]))


def test_values_are_those_of_scikit_learn() -> None:
    """A few values beside the functions everyone knows."""
    y, p = binary(400)
    assert score(METRICS["roc_auc"], y, p, [0, 1]) == pytest.approx(sk.roc_auc_score(y, p[:, 1]))
    assert score(METRICS["log_loss"], y, p, [0, 1]) == pytest.approx(sk.log_loss(y, p))
    assert score(METRICS["f1"], y, p, [0, 1], 1) == pytest.approx(sk.f1_score(y, p.argmax(axis=1)))
    y, p = many(400)
    assert score(METRICS["macro_f1"], y, p, [0, 1, 2, 3]) == pytest.approx(
        sk.f1_score(y, p.argmax(axis=1), average="macro")
    )
    expected = sk.roc_auc_score(y, p, multi_class="ovr")
    assert score(METRICS["roc_auc_ovr"], y, p, [0, 1, 2, 3]) == pytest.approx(expected)
    y, p = numbers(400)
    assert score(METRICS["r2"], y, p) == pytest.approx(sk.r2_score(y, p))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_bootstrap_computes_the_same_metric(kind: str) -> None:
    """With every row drawn once, and with rows drawn several times, weights give scikit-learn's value."""
    y, p, classes = sample_of(kind)
    p = p if classes else np.maximum(p, 0.2)  # deviances are of positive predictions
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(y), len(y))
    weights = np.vstack([np.ones(len(y)), np.bincount(drawn, minlength=len(y))])
    for metric in metrics_for(kind):  # type: ignore[arg-type]
        statistic = Sample(metric, y, classes, None, None, 0, 10).statistic(p)
        expected = [score(metric, y, p, classes), score(metric, y[drawn], p[drawn], classes)]
        assert statistic(weights) == pytest.approx(expected, abs=1e-9), metric.name


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_an_interval_holds_its_score_and_shrinks_with_rows(kind: str) -> None:
    """Every metric gets a finite interval around its value; ten times the rows make it narrower."""
    for metric in metrics_for(kind):  # type: ignore[arg-type]
        widths = []
        for rows in (200, 20_000):
            y, p, classes = sample_of(kind, rows)
            p = p if classes else np.maximum(p, 0.2)
            low, high = interval(metric, y, p, classes, repeats=100)
            assert low <= score(metric, y, p, classes) <= high
            widths.append(high - low)
        assert widths[1] < widths[0] or metric.name == "max_error"


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 samples with a known expected error, about 95 % have it inside, also when a subset is resampled."""
    rng = np.random.default_rng(0)
    truth, inside = np.sqrt(2 / np.pi), 0
    for repeat in range(200):
        rows = 12_000 if repeat % 10 == 0 else 300
        y = rng.normal(size=rows)
        low, high = interval(METRICS["mae"], y, np.zeros(rows), seed=repeat, repeats=200)
        inside += low <= truth <= high
    assert 0.90 <= inside / 200 <= 0.99


def test_a_rare_class_is_in_every_resample() -> None:
    """Three positives among 300 rows still give a finite interval of the area under the curve."""
    y = np.zeros(300, dtype=int)
    y[:3] = 1
    p = np.linspace(1, 0, 300)
    low, high = interval(METRICS["roc_auc"], y, np.column_stack([1 - p, p]), [0, 1])
    assert np.isfinite([low, high]).all()


def test_groups_widen_an_interval() -> None:
    """Rows of one entity err together, so fewer things were seen than there are rows."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 40)
    y = np.zeros(1200)
    p = rng.normal(size=30)[groups] + 0.1 * rng.normal(size=1200)
    plain = np.diff(interval(METRICS["mae"], y, p))
    grouped = np.diff(interval(METRICS["mae"], y, p, groups=groups))
    assert grouped > 2 * plain


def test_an_undefined_score_is_no_number() -> None:
    """One class only has no area under the curve; folds like that are left out of a score record."""
    y, p = binary(100)
    assert np.isnan(score(METRICS["roc_auc"], np.ones(100, dtype=int), p, [0, 1]))
    ones = np.flatnonzero(y == 1)
    record = make_score(METRICS["roc_auc"], y, p, [np.arange(50), ones], [0, 1])
    assert len(record.folds) == 1
    assert record.rows == 100


def test_a_paired_comparison_sees_a_small_real_gain() -> None:
    """Two predictions that err alike are told apart although their own intervals overlap widely."""
    y, p = numbers(500)
    better = y + 0.95 * (p - y)
    result = compare(METRICS["rmse"], y, better, p)
    assert result["low"] > 0
    assert result["better_share"] == 1.0
    back = compare(METRICS["rmse"], y, p, better)
    assert back["gain"] == pytest.approx(-result["gain"])
    same = compare(METRICS["rmse"], y, p, p)
    assert same["gain"] == 0.0
    assert same["better_share"] == 0.5


def test_labels_of_any_form_are_scored() -> None:
    """Texts, whole numbers read back as floats, and a positive class that comes first."""
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert score(METRICS["accuracy"], ["ham", "spam", "ham"], p, ["ham", "spam"]) == 1.0
    assert score(METRICS["accuracy"], np.array([1.0, 2.0, 1.0]), p, [1, 2]) == 1.0
    assert score(METRICS["recall"], ["ham", "ham", "spam"], p, ["ham", "spam"], "ham") == 0.5
    with pytest.raises(ValueError, match="'eggs'"):
        score(METRICS["accuracy"], ["eggs", "spam", "ham"], p, ["ham", "spam"])


def test_bad_predictions_are_named() -> None:
    """Wrong count, wrong shape, missing values, impossible probabilities: each is said with its row."""
    good = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert check_predictions(good, 2, ["a", "b"]) == []
    assert check_predictions(np.array([1.0, 2.0]), 2, []) == []
    assert "shape (2, 2), expected (3, 2)" in check_predictions(good, 3, ["a", "b"])[0]
    assert "shape (2,), expected (2, 2)" in check_predictions(np.array([0.1, 0.9]), 2, ["a", "b"])[0]
    assert "the first in row 1" in check_predictions(np.array([1.0, np.nan]), 2, [])[0]
    problems = check_predictions(np.array([[0.5, 0.5], [1.2, -0.1]]), 2, ["a", "b"])
    assert "outside 0 to 1" in problems[0]
    assert "row 1 to 1.1" in problems[1]
    assert "not numbers" in check_predictions([["x"]], 1, [])[0]


def test_errors_and_lift() -> None:
    """An error is 0 when perfect; lift is the share of the baseline's error that is gone."""
    assert error_of(METRICS["roc_auc"], 0.9) == pytest.approx(0.1)
    assert error_of(METRICS["mae"], 3.0) == 3.0
    assert lift(METRICS["mae"], 3.0, 6.0) == pytest.approx(0.5)
    assert lift(METRICS["accuracy"], 0.9, 0.6) == pytest.approx(0.75)


def task_of(kind: str, metric: str, classes: list[str]) -> Task:
    return Task(
        kind=kind,  # type: ignore[arg-type]
        target="y",
        intent="",
        metric=METRICS[metric],
        classes=classes,
        features=[],
        split=SplitPlan(kind="random", folds=5, test_share=0.2, reason=""),
    )


def test_the_constant_guess_fits_the_metric() -> None:
    """Class shares for classes; for numbers no other constant does better under the task's metric."""
    shares = constant_predictions(task_of("binary", "log_loss", ["a", "b"]), ["a", "a", "a", "b"], 2)
    assert shares.tolist() == [[0.75, 0.25], [0.75, 0.25]]
    y = np.random.default_rng(0).gamma(1.5, 4, 501)
    for name in ("rmse", "mae", "mape", "rmsle", "max_error", "median_ae", "pinball"):
        guess = constant_predictions(task_of("regression", name, []), y, len(y))
        value = score(METRICS[name], y, guess)
        others = [score(METRICS[name], y, guess * factor) for factor in (0.8, 1.2)]
        if name != "median_ae":  # the median has the least mean, not the least median error
            assert value <= min(others), name


def test_the_seasonal_naive_repeats_the_last_season() -> None:
    """Monthly values repeat after a year, further years too, each series for itself."""
    months = pd.date_range("2015-01-01", periods=60, freq="MS")
    y = np.arange(60) % 12 + 100.0 * (np.arange(60) // 12)
    times = np.concatenate([months, months])
    groups = np.repeat(["a", "b"], 60)
    values = np.concatenate([y, -y])
    train = times < np.datetime64("2018-01-01")
    result = seasonal_naive(times[train], values[train], groups[train], times[~train], groups[~train])
    assert result is not None
    assert result[:12].tolist() == (np.arange(12) + 200.0).tolist()
    assert result[12:24].tolist() == result[:12].tolist()
    assert result[24:].tolist() == (-result[:24]).tolist()


def test_daily_series_repeat_after_a_year_or_a_week() -> None:
    """With two years of days the season is the year, with less it is the week; an unknown series gets the median."""
    days = pd.date_range("2020-01-01", periods=900, freq="D")
    y = np.sin(np.arange(900) * 2 * np.pi / 365)
    result = seasonal_naive(days[:800], y[:800], None, days[800:], None)
    assert result is not None
    assert np.abs(result - y[800:]).max() < 0.03
    weekly = np.arange(900) % 7 * 1.0
    result = seasonal_naive(days[:100], weekly[:100], ["a"] * 100, days[100:200], ["a"] * 50 + ["new"] * 50)
    assert result is not None
    assert result[:50].tolist() == weekly[100:150].tolist()
    assert set(result[50:]) == {3.0}


def test_a_training_row_without_a_time_is_no_obstacle() -> None:
    """The seasonal naive leaves it out."""
    months = pd.Series(pd.date_range("2015-01-01", periods=48, freq="MS"))
    holey = months[:36].copy()
    holey[3] = pd.NaT
    y = np.arange(48) % 12 * 1.0
    result = seasonal_naive(holey, y[:36], ["a"] * 36, months[36:], ["a"] * 12)
    assert result is not None
    assert result.tolist() == y[36:].tolist()


def test_without_a_step_there_is_no_seasonal_naive() -> None:
    """Two times make no series."""
    assert seasonal_naive([1.0, 2.0], [1.0, 2.0], None, [3.0], None) is None
