"""What one model for all series looks at: the recent past of a series as seen from an origin, some steps before a row.

A row `ahead` steps after its origin may know of the series only what lay at the origin or before. So a lag reaches back from
the row by whole seasons until it is no later than the origin: direct forecasts of every step, without recursion.
"""

from __future__ import annotations

import numpy as np

from tools.recipes.parts.series import year_of


def carried(grid: np.ndarray) -> np.ndarray:
    """Gaps filled by the value before them, never by a later one; NaN before a series begins."""
    known = np.isfinite(grid)
    last = np.maximum.accumulate(np.where(known, np.arange(grid.shape[1]), -1), axis=1)
    values = np.take_along_axis(grid, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, values, np.nan)


def trailing(grid: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last `width` periods up to each period, of those that are there; same shape."""
    known = np.isfinite(grid)
    edge = ((0, 0), (width, 0))
    sums = np.cumsum(np.pad(np.where(known, grid, 0.0), edge), axis=1)
    counts = np.cumsum(np.pad(known.astype(float), edge), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[:, width:] - sums[:, :-width]) / (counts[:, width:] - counts[:, :-width]))


def window_of(seasons: list[int]) -> int:
    """Periods a series' level is taken over: whole seasons, eight periods at least."""
    short = next((season for season in seasons if season >= 4), 0)
    return short * -(-8 // short) if short else 8


def reach_of(seasons: list[int]) -> int:
    """Periods of the past that `past_of` looks at."""
    return max(4 * window_of(seasons), 3 * max(seasons, default=1)) + 1


def past_of(
    grid: np.ndarray, rows: np.ndarray, origins: np.ndarray, ahead: np.ndarray, seasons: list[int], least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The past of each row as (features, level, scale); features are in scales above the level.

    grid: series × periods without later values in its gaps; rows, origins: series and column of each row's origin;
    least: the smallest scale.
    """
    width = window_of(seasons)
    means = trailing(grid, width)
    level = np.nan_to_num(means[rows, origins])
    sizes = trailing(np.abs(grid), 2 * width)[rows, origins]
    scale = np.maximum(np.nan_to_num(sizes), least)

    def at(table: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.where(columns >= 0, table[rows, np.maximum(columns, 0)], np.nan)

    def scaled(values: np.ndarray) -> np.ndarray:
        return np.asarray((values - level) / scale)

    squares = trailing(grid**2, width)[rows, origins]
    features = [
        ahead,
        scaled(at(grid, origins)),
        scaled(at(trailing(grid, 3), origins)),
        scaled(at(means, origins - width)),
        scaled(at(means, origins - 2 * width)),
        np.sqrt(np.maximum(squares - level**2, 0.0)) / scale,
        trailing((grid == 0).astype(float), width)[rows, origins],
        np.log(scale),
    ]
    for season in seasons:
        back = origins + ahead - season * -(-ahead // season)
        same = [at(grid, back - season * turn) for turn in range(3)]
        features += [scaled(same[0]), scaled(same[1]), scaled(np.mean(same, axis=0))]
        # How the level has moved since the season that is repeated.
        features.append(scaled(at(means, back)))
    return np.column_stack(features), level, scale


def calendar_parts(periods: np.ndarray, step: str, seasons: list[int]) -> np.ndarray:
    """Where in the year, month, week and day a period lies, as whole numbers for trees."""
    columns = [periods % season for season in seasons if season <= year_of(step)]
    if step in ("month", "quarter", "year"):
        return np.column_stack([*columns, periods % {"month": 12, "quarter": 4, "year": 1}[step]]).astype(float)
    if step == "one":
        return np.column_stack([*columns, np.zeros(len(periods))]).astype(float)
    moments = np.asarray(periods, dtype=np.int64) * int(step)
    days = moments.astype("datetime64[s]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    columns += [months.astype(np.int64) % 12, (days - months).astype(np.int64), (days.astype(np.int64) + 3) % 7]
    return np.column_stack([*columns, moments % 86_400 / 3600]).astype(float)


def least_scale(values: np.ndarray) -> float:
    """A fiftieth of the usual size of the values: a series of zeros has no scale of its own."""
    return float(np.abs(values).mean()) / 50 + 1e-9


def drawn_leads(count: int, most: int, each: int, seed: int) -> np.ndarray:
    """For each of `count` rows `each` different numbers of steps from 1 to `most`, as (count, each)."""
    each = min(each, most)
    generator = np.random.default_rng(seed)
    # One lead of every stretch of the horizon, so that near and far ones are learnt alike.
    edges = np.linspace(0, most, each + 1)
    return np.asarray(np.floor(edges[:-1] + generator.random((count, each)) * np.diff(edges)).astype(np.int64) + 1)
