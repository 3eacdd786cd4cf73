"""Season lengths of series on a grid: those a step suggests, and those the values show."""

from __future__ import annotations

import numpy as np

from tools.recipes.parts.series import season_of, year_of


def natural_seasons(step: str) -> list[int]:
    """Lengths in which series of this step usually repeat: months 12, days 7 and 365, hours 24 and 168, and so on."""
    if step in ("one", "year"):
        return []
    lengths = {season_of(step), round(year_of(step))}
    if step.isdigit() and int(step) < 86_400:
        lengths.add(7 * season_of(step))
    return sorted(length for length in lengths if length > 1)


def autocorrelation(grid: np.ndarray, most: int) -> np.ndarray:
    """Mean autocorrelation of the series at lags 0 … most, once a straight line is taken off each."""
    count = grid.shape[1]
    slope = np.arange(count) - (count - 1) / 2
    rest = grid - grid.mean(axis=1, keepdims=True)
    rest = rest - (rest @ slope / (slope @ slope))[:, None] * slope
    spread = np.maximum((rest**2).sum(axis=1), 1e-12)
    lags = [(rest[:, lag:] * rest[:, : count - lag]).sum(axis=1) / spread for lag in range(most + 1)]
    # Lags far apart have fewer pairs; as they stand they would look weaker than they are.
    return np.asarray(np.array([lag.mean() for lag in lags]) * count / (count - np.arange(most + 1)))


def season_shown(grid: np.ndarray) -> int:
    """The shortest lag at which the series clearly repeat; 1 when there is none."""
    most = min(400, grid.shape[1] // 3)
    if most < 3:
        return 1
    strength = autocorrelation(grid[-50:, -4000:], most)
    peaks = [lag for lag in range(2, most) if strength[lag] >= max(strength[lag - 1], strength[lag + 1])]
    clear = [lag for lag in peaks if strength[lag] > max(0.3, 2.5 / np.sqrt(grid.shape[1]))]
    if not clear:
        return 1
    highest = max(strength[lag] for lag in clear)
    return next(lag for lag in clear if strength[lag] >= 0.9 * highest)


def seasons_in(grid: np.ndarray, step: str) -> list[int]:
    """Season lengths to reckon with, shortest first: the natural ones of the step, else the one the values show.

    Only lengths of which the history holds two.
    """
    natural = natural_seasons(step) or [season_shown(grid)]
    return [length for length in natural if 1 < length <= grid.shape[1] // 2]


def repeats_clearly(grid: np.ndarray, lengths: list[int]) -> bool:
    """Whether the series are more alike one season apart than somewhere within it, for one of the lengths.

    A level that wanders is alike over short distances too, but ever less over longer ones.
    """
    for length in lengths:
        strength = autocorrelation(grid[-50:, -max(4000, 3 * length) :], length)
        if strength[length] > strength[1:length].min(initial=np.inf) + 0.1:
            return True
    return False
