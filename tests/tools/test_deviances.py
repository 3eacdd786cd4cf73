"""Deviances and metrics of ordered classes: scikit-learn's values, and the same for every resample."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from state.task import Label
from tools.deviances import FLOOR, POWERS
from tools.metrics import METRICS, metric, metric_in
from tools.naive import best_constant
from tools.resampling import statistic_of
from tools.scoring import interval, score

RNG = np.random.default_rng(3)
COUNTS = RNG.poisson(1.4, 200).astype(float)
AMOUNTS = RNG.gamma(2.0, 3.0, 200)
GUESS = RNG.gamma(4.0, 0.4, 200)
CLASSES: list[Label] = ["poor", "fair", "good", "great"]


def _truth(name: str) -> np.ndarray:
    return AMOUNTS if POWERS[name] == 2.0 else COUNTS


@pytest.mark.parametrize("name", list(POWERS))
def test_a_deviance_is_scikit_learns(name: str) -> None:
    """The value is that of mean_tweedie_deviance or d2_tweedie_score with the law's power."""
    y = _truth(name)
    function = sk.d2_tweedie_score if name.startswith("d2_") else sk.mean_tweedie_deviance
    assert score(METRICS[name], y, GUESS) == pytest.approx(function(y, GUESS, power=POWERS[name]), rel=1e-12)


@pytest.mark.parametrize("name", list(POWERS))
def test_a_resample_has_the_value_of_its_rows(name: str) -> None:
    """Row weights give what scikit-learn gives for the rows repeated as often."""
    y, drawn = _truth(name), RNG.integers(0, 200, 200)
    weights = np.bincount(drawn, minlength=200).astype(float)[None, :]
    own = statistic_of(name, "values", y, GUESS, 0, 0)
    assert own(np.ones((1, 200)))[0] == pytest.approx(score(METRICS[name], y, GUESS), rel=1e-9)
    assert own(weights)[0] == pytest.approx(score(METRICS[name], y[drawn], GUESS[drawn]), rel=1e-9)


def test_predictions_that_are_not_positive_count_as_the_floor() -> None:
    """A zero or negative prediction is scored as the documented floor instead of having no score."""
    y = np.array([0.0, 1.0, 2.0])
    at_floor = score(METRICS["poisson_deviance"], y, np.array([FLOOR, 1.0, 2.0]))
    assert score(METRICS["poisson_deviance"], y, np.array([-5.0, 1.0, 2.0])) == at_floor
    assert np.isfinite(score(METRICS["gamma_deviance"], y + 1, np.zeros(3)))


def test_a_deviance_of_impossible_targets_has_no_value() -> None:
    """Negative counts and zero amounts are undefined, not an error in the middle of a run."""
    assert np.isnan(score(METRICS["poisson_deviance"], np.array([-1.0, 2.0]), np.ones(2)))
    assert np.isnan(score(METRICS["gamma_deviance"], np.array([0.0, 2.0]), np.ones(2)))
    assert np.isnan(score(METRICS["d2_poisson"], np.ones(5), np.ones(5)))


def test_the_mean_is_the_best_constant_of_every_deviance() -> None:
    """No other constant scores better, so the ladder's first rung is honest."""
    for name in POWERS:
        y = _truth(name)
        best = score(METRICS[name], y, np.full(200, best_constant(METRICS[name], y)))
        for factor in (0.8, 0.95, 1.05, 1.3):
            assert METRICS[name].better(best, score(METRICS[name], y, np.full(200, factor * y.mean())))


def test_metrics_of_ranks_count_distances() -> None:
    """Linear kappa is scikit-learn's; the error of ranks is the mean distance; every resample agrees."""
    codes, chosen = RNG.integers(0, 4, 300), RNG.integers(0, 4, 300)
    labels, predictions = np.array(CLASSES, dtype=object)[codes], np.eye(4)[chosen]
    for name, wanted in (
        ("linear_kappa", sk.cohen_kappa_score(codes, chosen, weights="linear")),
        ("quadratic_kappa", sk.cohen_kappa_score(codes, chosen, weights="quadratic")),
        ("rank_mae", np.abs(codes - chosen).mean()),
    ):
        assert score(METRICS[name], labels, predictions, CLASSES) == pytest.approx(wanted, rel=1e-12)
        own = statistic_of(name, "labels", codes, predictions, 4, 0)
        assert own(np.ones((1, 300)))[0] == pytest.approx(wanted, rel=1e-9)
        low, high = interval(METRICS[name], labels, predictions, CLASSES, repeats=100)
        assert low < wanted < high


def test_names_people_use_lead_to_the_deviances() -> None:
    """scikit-learn's names and plain words both work; an intent can name one."""
    assert metric("mean_poisson_deviance").name == "poisson_deviance"
    assert metric("neg_mean_gamma_deviance").name == "gamma_deviance"
    assert metric("quadratic weighted kappa").name == "quadratic_kappa"
    found = metric_in("Claims, judged by Poisson deviance", "regression")
    assert found is not None
    assert found.name == "poisson_deviance"
