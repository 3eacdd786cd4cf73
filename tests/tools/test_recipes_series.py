"""Forecasting: seasons found on known series, methods against their definitions, forecasts against the last season."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.recipe_cases import framed
from tools.naive import seasonal_naive
from tools.recipes.parts.lags import carried, drawn_leads, past_of, reach_of, trailing, window_of
from tools.recipes.parts.methods import autoregress, autoregressed_ahead, fit_methods, look_ahead, method_pool, smooth
from tools.recipes.parts.seasons import season_shown, seasons_in


def _waves(count: int, lengths: dict[int, float], *, slope: float = 0.0, noise: float = 0.1) -> np.ndarray:
    at = np.arange(count)
    rng = np.random.default_rng(0)
    values = slope * at + rng.normal(0, noise, count)
    return values + sum(size * np.sin(2 * np.pi * at / length) for length, size in lengths.items())


@pytest.mark.parametrize(("length", "slope"), [(5, 0.0), (12, 0.5), (24, -0.2), (30, 0.0)])
def test_the_season_of_a_series_without_dates_is_found(length: int, slope: float) -> None:
    """Autocorrelation shows the length of a season, with a trend and noise on top."""
    series = _waves(12 * length, {length: 1.0}, slope=slope, noise=0.3)
    assert season_shown(series[None, :]) == length
    assert seasons_in(series[None, :], "one") == [length]


def test_noise_and_trends_have_no_season() -> None:
    """White noise, a straight line and a random walk show none, and a short series cannot."""
    rng = np.random.default_rng(1)
    for series in (rng.normal(size=300), np.arange(300.0), rng.normal(size=8)):
        assert season_shown(series[None, :]) == 1


@pytest.mark.parametrize(
    ("step", "count", "expected"),
    [
        ("month", 60, [12]),
        ("quarter", 40, [4]),
        ("86400", 900, [7, 365]),
        ("86400", 100, [7]),
        ("3600", 800, [24, 168]),
    ],
)
def test_dated_series_have_the_seasons_of_their_step(step: str, count: int, expected: list[int]) -> None:
    """Months 12, quarters 4, days a week and a year, hours a day and a week: those of which two were seen."""
    assert seasons_in(np.zeros((1, count)), step) == expected


def test_settings_fitted_together_are_those_fitted_alone() -> None:
    """Smoothing many settings at once changes none of them."""
    grid = np.vstack([_waves(80, {12: 2.0}, slope=0.1), _waves(80, {12: 1.0})])
    rates = {"level": [0.1, 0.6], "trend": [0.05, 0.2], "season": [0.1, 0.3], "damping": [0.97, 1.0]}
    both = smooth(grid, 12, {name: np.array(values) for name, values in rates.items()})
    for number in range(2):
        alone = smooth(grid, 12, {name: np.array([values[number]]) for name, values in rates.items()})[0]
        for part in ("level", "trend", "states"):
            assert np.allclose(both[number][part], alone[part])


def test_autoregression_follows_a_cycle_of_no_fixed_length_and_comes_back_to_the_mean() -> None:
    """A wandering cycle is told some steps ahead, better than by its mean; far ahead there is the mean, whatever came last."""
    noise = np.random.default_rng(0).normal(size=(4, 450))
    grid = np.zeros_like(noise)
    for at in range(2, grid.shape[1]):  # a damped wave of about ten steps, driven by noise
        grid[:, at] = 1.55 * grid[:, at - 1] - 0.92 * grid[:, at - 2] + noise[:, at]
    grid = grid[:, 50:] + 20.0
    rows, ahead = np.repeat(np.arange(4), 4), np.tile([1, 2, 3, 4], 4)
    errors, from_mean = [], []
    for end in range(200, 390, 7):
        state = autoregress(grid[:, :end], 3)
        truth = grid[rows, end + ahead - 1]
        errors.append(truth - autoregressed_ahead(state, rows, ahead))
        from_mean.append(truth - state["level"][rows])
    assert np.mean(np.square(errors)) < 0.5 * np.mean(np.square(from_mean))
    state = autoregress(grid, 3)
    assert np.allclose(state["weights"][:, :2], [1.55, -0.92], atol=0.25)
    far = autoregressed_ahead(state, np.arange(4), np.array([1_000, 2_000, 5_000, 10**9]))
    assert np.allclose(far, grid.mean(axis=1), atol=1e-3)


def test_autoregression_of_a_constant_is_the_constant() -> None:
    """Where nothing moves there is nothing to divide by."""
    state = autoregress(np.full((2, 30), 7.0), 3)
    assert np.allclose(autoregressed_ahead(state, np.array([0, 1]), np.array([1, 9])), 7.0)


def test_every_method_looks_ahead_finitely() -> None:
    """Each method of the pool forecasts every step of short and long histories."""
    for count in (3, 9, 40):
        grid = np.abs(np.vstack([_waves(count, {12: 1.0}), _waves(count, {4: 2.0})])) + 1
        pool = method_pool([False, True], [0.1, 0.6], [3], 3, seasons_in(grid, "month"), 2, plain=True)
        states = fit_methods(pool, grid, np.ones_like(grid), 500, "month")
        rows, ahead = np.array([0, 1, 1]), np.array([1, 5, 30])
        for method, state in zip(pool, states, strict=True):
            values = look_ahead(method, state, rows, ahead, 500 + count - 1, "month")
            assert np.isfinite(values).all(), (count, method)


def test_a_row_sees_nothing_later_than_its_origin() -> None:
    """What lies after the origin changes no feature of a row, its level or its scale."""
    grid = np.vstack([_waves(120, {12: 3.0}, slope=0.2), _waves(120, {12: 1.0})])
    for row, origin, ahead in ((0, 60, 1), (1, 70, 7), (0, 80, 13), (1, 90, 30)):
        changed = grid.copy()
        changed[row, origin + 1 :] = 1e6
        at = np.array([row]), np.array([origin]), np.array([ahead]), [12], 0.1
        for seen, again in zip(past_of(grid, *at), past_of(changed, *at), strict=True):
            assert np.array_equal(seen, again, equal_nan=True)
            assert np.isfinite(seen[..., :2]).all()


def test_the_tail_that_is_kept_is_enough() -> None:
    """Features of rows after the end are the same from the whole history and from its kept tail."""
    grid, seasons = _waves(400, {7: 2.0})[None, :], [7]
    ahead = np.arange(1, 40)
    rows, reach = np.zeros(39, dtype=np.int64), reach_of(seasons)
    whole, *_ = past_of(grid, rows, np.full(39, 399), ahead, seasons, 0.1)
    tail, *_ = past_of(grid[:, -reach:], rows, np.full(39, reach - 1), ahead, seasons, 0.1)
    assert np.allclose(whole, tail)
    assert window_of(seasons) == 14


def test_gaps_are_filled_by_the_past_alone() -> None:
    """A gap takes the value before it; before the beginning there is none; means count what is there."""
    grid = np.array([[np.nan, 1.0, np.nan, np.nan, 5.0]])
    assert np.array_equal(carried(grid), [[np.nan, 1.0, 1.0, 1.0, 5.0]], equal_nan=True)
    assert np.array_equal(trailing(grid, 2)[0], [np.nan, 1.0, 1.0, np.nan, 5.0], equal_nan=True)


def test_leads_cover_the_whole_horizon() -> None:
    """Every row is seen from near and far, never from further than asked."""
    leads = drawn_leads(500, 28, 4, 1)
    assert leads.shape == (500, 4)
    assert leads.min() == 1
    assert leads.max() == 28
    assert (leads[:, 0] <= 7).all()
    assert drawn_leads(5, 1, 4, 1).tolist() == [[1]] * 5


def _family(name: str) -> np.ndarray:
    """240 months (days for walks) of one kind of series."""
    at, rng = np.arange(240), np.random.default_rng(5)
    season = np.sin(2 * np.pi * at / 12)
    if name == "trend and season":
        return 100 + 0.5 * at + 10 * season + rng.normal(0, 2, 240)
    if name == "multiplicative":
        return np.asarray((50 * 1.006**at) * (1 + 0.3 * season) * np.exp(rng.normal(0, 0.03, 240)))
    if name == "intermittent":
        return np.where(rng.random(240) < 0.25, rng.poisson(6, 240) + 1.0, 0.0)
    return np.asarray(100 + np.cumsum(rng.normal(0, 2, 240)))


@pytest.mark.parametrize("name", ["trend and season", "multiplicative", "intermittent", "random walk"])
@pytest.mark.parametrize("recipe", ["seasonal", "lagged"])
def test_forecasts_are_no_worse_than_the_last_season(name: str, recipe: str) -> None:
    """Two years ahead of four kinds of series each recipe is better than the last season repeated."""
    values = _family(name)
    months = pd.Series(pd.date_range("2001-01-01", periods=240, freq="MS"))
    frame = pd.DataFrame({"month": months, "sold": values.round(3)})
    case = framed(name, frame, "sold", time_column="month", metric="mae", horizon=24, intent="Forecast what is sold")
    options: dict[str, Any] = {"picks": 8} if recipe == "seasonal" else {"rounds": 120, "members": 1}
    program = case.program(recipe, **options)
    model = case.fit(program, slice(0, 216))
    predicted = program["predict"](model, case.X.iloc[216:].reset_index(drop=True))
    naive = seasonal_naive(months[:216], values[:216], None, months[216:], None)
    assert naive is not None
    own, other = (np.abs(values[216:] - one).mean() for one in (predicted, naive))
    assert own < 1.02 * other, (own, other)


@pytest.mark.parametrize(("horizon", "farthest"), [(None, 80), (48, 48)])
def test_a_horizon_nobody_named_may_be_overstepped(horizon: int | None, farthest: int) -> None:
    """Trees follow a trend as far as they learnt to look ahead: a third of the history, unless a person said how far."""
    at = np.arange(320)
    values = 100 + 0.5 * at + 10 * np.sin(2 * np.pi * at / 12) + np.random.default_rng(5).normal(0, 2, 320)
    months = pd.Series(pd.date_range("1991-01-01", periods=320, freq="MS"))
    frame = pd.DataFrame({"month": months[:240], "sold": values[:240].round(3)})
    case = framed(
        f"far {horizon}",
        frame,
        "sold",
        time_column="month",
        metric="mae",
        horizon=horizon,
        intent="Forecast what is sold",
    )
    assert case.task.horizon == 48
    assert case.task.horizon_named == (horizon is not None)
    program = case.program("lagged", rounds=120, members=1)
    model = case.fit(program, slice(0, 240))
    assert model["farthest"] == farthest
    predicted = program["predict"](model, pd.DataFrame({"month": months[240:]}))
    behind = float((values[308:] - predicted[-12:]).mean())
    assert behind < 14 if horizon is None else behind > 14, behind
