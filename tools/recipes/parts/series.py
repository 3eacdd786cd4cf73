"""Time series on a grid: periods, series, and what each method needs to look ahead."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd


def step_of(times: pd.Series) -> str:
    """The step between neighbouring times: year, quarter, month, a number of seconds, or "one" for plain numbers."""
    if pd.api.types.is_numeric_dtype(times):
        return "one"
    moments = np.sort(pd.to_datetime(times).dropna().unique())
    if len(moments) < 2:
        return "86400"
    gaps = np.diff(moments).astype("timedelta64[s]").astype(np.int64)
    usual = float(np.median(gaps)) / 86_400
    for name, low, high in (("month", 27, 32), ("quarter", 88, 93), ("year", 364, 367)):
        if low <= usual <= high:
            return name
    values, counts = np.unique(gaps, return_counts=True)
    # A few odd stamps must not blow the grid up: at most 20,000 steps from first to last.
    return str(int(max(1, values[np.argmax(counts)], gaps.sum() // 20_000)))


def periods_of(times: pd.Series, step: str) -> np.ndarray:
    """Each time as a whole number of steps since 1970; a missing time is -1."""
    if step == "one":
        return times.fillna(-1).round().to_numpy(dtype=np.int64)
    moments = pd.to_datetime(times)
    months = (moments.dt.year - 1970) * 12 + moments.dt.month - 1
    if step in ("month", "quarter", "year"):
        return (months // {"month": 1, "quarter": 3, "year": 12}[step]).fillna(-1).to_numpy(dtype=np.int64)
    seconds = (moments - pd.Timestamp("1970-01-01")) // pd.Timedelta(seconds=1)
    return (seconds // int(step)).fillna(-1).to_numpy(dtype=np.int64)


def season_of(step: str) -> int:
    """Steps of the shortest natural season: a year of months or quarters, a week of days, a day of hours."""
    named = {"month": 12, "quarter": 4, "year": 1, "one": 1, "86400": 7, "604800": 52}
    return named.get(step) or (max(1, 86_400 // int(step)) if int(step) < 86_400 else 1)


def year_of(step: str) -> float:
    """Steps in a year."""
    return {"month": 12.0, "quarter": 4.0, "year": 1.0, "one": 1.0}.get(step) or 365.25 * 86_400 / int(step)


def series_names(X: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """One text per row that names its series."""
    if not keys:
        return np.full(len(X), "", dtype=object)
    return X[keys].astype(object).where(X[keys].notna(), "").astype(str).agg("\x1f".join, axis=1).to_numpy(dtype=object)


def grid_of(names: np.ndarray, periods: np.ndarray, y: np.ndarray, known: list[str]) -> np.ndarray:
    """History as a matrix of series × periods; the mean where rows repeat, NaN where none is."""
    place = {name: row for row, name in enumerate(known)}
    first, count = periods.min(), periods.max() - periods.min() + 1
    cells = np.array([place[name] for name in names], dtype=np.int64) * count + (periods - first)
    sums = np.bincount(cells, weights=y, minlength=len(known) * count)
    rows = np.bincount(cells, minlength=len(known) * count)
    with np.errstate(invalid="ignore"):
        return np.where(rows > 0, sums / np.maximum(rows, 1), np.nan).reshape(len(known), count)


def filled_gaps(grid: np.ndarray) -> np.ndarray:
    """Gaps inside a series interpolated, its ends carried on; a series without any value is zero."""
    table = pd.DataFrame(grid.T).interpolate(limit_direction="both")
    return table.fillna(0.0).to_numpy(dtype=float).T


def calendar(periods: np.ndarray, step: str, waves: int) -> np.ndarray:
    """Regressors of periods: waves of the year, of the week or day; for months, how many of each weekday they have."""
    columns = []
    turn = 2 * np.pi * (periods % (round(year_of(step) * 4))) / year_of(step)
    for wave in range(1, waves + 1) if year_of(step) >= 2 else ():
        columns += [np.sin(wave * turn), np.cos(wave * turn)] if 2 * wave < year_of(step) else [np.cos(wave * turn)]
        if 2 * wave >= year_of(step):
            break
    season = season_of(step)
    if step not in ("month", "quarter", "604800") and season > 1:
        phase = 2 * np.pi * (periods % season) / season
        for wave in range(1, min(3, season // 2) + 1):
            columns += [np.sin(wave * phase), np.cos(wave * phase)]
    if step == "month":
        starts = periods.astype("datetime64[M]")
        days = [(starts + ahead).astype("datetime64[D]") for ahead in (0, 1)]
        columns += list(weekday_counts(days[0], days[1]).T)
    return np.column_stack(columns) if columns else np.zeros((len(periods), 0))


def weekday_counts(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many Mondays … Saturdays lie from start to end, beyond four of each and beyond the Sundays."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    counts = np.array([np.busday_count(starts, ends, weekmask=name) for name in names], dtype=float).T
    return np.asarray(counts[:, :6] - counts[:, 6:])


def repeated(grid: np.ndarray, season: int, seasons: int) -> dict[str, np.ndarray]:
    """The mean of the last seasons, phase by phase, as a state for `smoothed_ahead`."""
    season = min(season, grid.shape[1])
    whole = min(seasons, grid.shape[1] // season)
    parts = [grid[:, -season * (back + 1) :][:, :season] for back in range(whole)]
    zero = np.zeros(len(grid))
    return {"level": zero, "trend": zero, "states": np.mean(parts, axis=0)}


def smooth(grid: np.ndarray, season: int, rates: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Exponential smoothing with a damped trend and an additive season, all series at once; its final state.

    rates: level, trend, season (0 … 1) and damping. Early rows start from the first seasons' means.
    """
    count = grid.shape[1]
    start = min(count, 2 * season if season > 1 else 3)
    level = grid[:, :start].mean(axis=1)
    trend = np.zeros(len(grid))
    states = np.zeros((len(grid), season))
    if season > 1:
        for phase in range(season):
            states[:, phase] = grid[:, :start][:, phase::season].mean(axis=1) - level if phase < start else 0.0
    for at in range(count):
        value, phase = grid[:, at], at % season
        before = level
        level = rates["level"] * (value - states[:, phase]) + (1 - rates["level"]) * (level + rates["damping"] * trend)
        trend = rates["trend"] * (level - before) + (1 - rates["trend"]) * rates["damping"] * trend
        if season > 1:
            states[:, phase] += rates["season"] * (value - level - states[:, phase])
    return {"level": level, "trend": trend, "states": np.roll(states, -(count % season), axis=1)}


def smoothed_ahead(state: Mapping[str, Any], damping: float, rows: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Values `ahead` ≥ 1 steps after the end of the history, for the series at `rows`."""
    season = state["states"].shape[1]
    steps = ahead if damping == 1.0 else damping * (1 - damping**ahead) / (1 - damping)
    values = state["level"][rows] + steps * state["trend"][rows] + state["states"][rows, (ahead - 1) % season]
    return np.asarray(values)


def regress(
    grid: np.ndarray, weight: np.ndarray, design: np.ndarray, memory: float, recent: int, anchor: float, trend: float
) -> dict[str, np.ndarray]:
    """Calendar regression per series, older periods counting less.

    grid, weight: series × periods. memory: half-life in periods. anchor: share of the mean residual of the `recent`
    periods that moves the level. trend: share of the fitted slope that is carried into the future.
    """
    count = grid.shape[1]
    share = weight * 0.5 ** (np.arange(count)[::-1] / memory)
    slope = (np.arange(count) - (count - 1)) / max(count - 1, 1)
    table = np.column_stack([np.ones(count), slope, design])
    width = table.shape[1]
    squares = (table[:, :, None] * table[:, None, :]).reshape(count, width * width)
    left = (share @ squares).reshape(-1, width, width) + np.diag([1e-6, 1e-3, *([0.3] * (width - 2))])
    coefficients = np.linalg.solve(left, ((share * grid) @ table)[:, :, None])[:, :, 0]
    rest = (grid - coefficients @ table.T)[:, -recent:]
    near = weight[:, -recent:] + 1e-9
    offset = anchor * (rest * near).sum(axis=1) / near.sum(axis=1)
    return {
        "level": coefficients[:, 0] + offset,
        "slope": coefficients[:, 1] * trend / max(count - 1, 1),
        "calendar": coefficients[:, 2:],
    }


def regressed_ahead(
    state: Mapping[str, Any], design: np.ndarray, rows: np.ndarray, ahead: np.ndarray, horizon: int
) -> np.ndarray:
    """Values `ahead` steps after the end of the history; the trend runs on for `horizon` steps and then levels out."""
    steps = horizon * (1 - np.exp(-ahead / horizon))
    values = state["level"][rows] + state["slope"][rows] * steps + (state["calendar"][rows] * design).sum(axis=1)
    return np.asarray(values)


def mixture(errors: list[np.ndarray], absolute: bool, picks: int) -> np.ndarray:
    """Weights of methods by repeated choice of the one that lowers the loss of their mean most.

    errors: per method, its errors on the same held-back values.
    """
    table = np.stack(errors)
    chosen: list[int] = []
    for _ in range(picks):
        total = table[chosen].sum(axis=0) if chosen else 0.0
        means = (total + table) / (len(chosen) + 1)
        losses = np.abs(means).mean(axis=1) if absolute else (means**2).mean(axis=1)
        chosen.append(int(np.argmin(losses)))
    return np.bincount(chosen, minlength=len(table)) / picks


def method_pool(logs: list[bool], levels: list[float], memories: list[int], waves: int) -> list[dict[str, Any]]:
    """All methods: past seasons repeated, exponential smoothing, and calendar regression, each in several settings."""
    pool: list[dict[str, Any]] = [
        {"kind": "repeat", "log": False, "seasons": seasons, "damping": 0.0} for seasons in (1, 2, 3, 5)
    ]
    for log, level, season, damping in product(logs, levels, (0.1, 0.3), (0.0, 0.97, 1.0)):
        rates = {"level": level, "trend": 0.05, "season": season, "damping": damping}
        pool.append({"kind": "smooth", "log": log, **rates})
    for log, memory, anchor, trend in product(logs, memories, (0.0, 0.7), (0.0, 0.5, 1.0)):
        shape = {"memory": memory, "anchor": anchor, "trend": trend, "reach": 5, "waves": waves}
        pool.append({"kind": "regress", "log": log, **shape})
    return pool


def fit_method(method: Mapping[str, Any], grid: np.ndarray, weight: np.ndarray, first: int, step: str) -> Any:
    """The state of one method at the end of a history of series × periods that begins at period `first`."""
    count, season, year = grid.shape[1], season_of(step), max(1, round(year_of(step)))
    if method["log"]:
        grid = np.log(np.maximum(grid, scale_of(grid)[0]))
    if method["kind"] == "repeat":
        return repeated(grid, year if year <= count // 2 else season, method["seasons"])
    if method["kind"] == "smooth":
        return smooth(grid[:, -600:], season if count > 2 * season else 1, method)
    design = calendar(first + np.arange(count), step, method["waves"])
    return regress(grid, weight, design, method["memory"] * year, year, method["anchor"], method["trend"])


def look_ahead(
    method: Mapping[str, Any], state: Mapping[str, Any], rows: np.ndarray, ahead: np.ndarray, end: int, step: str
) -> np.ndarray:
    """Values of the series at `rows`, `ahead` steps after period `end`."""
    if method["kind"] == "regress":
        steps, places = np.unique(ahead, return_inverse=True)
        design = calendar(end + steps, step, method["waves"])[places]
        values = regressed_ahead(state, design, rows, ahead, method["reach"] * max(1, round(year_of(step))))
    else:
        values = smoothed_ahead(state, method["damping"], rows, ahead)
    return np.exp(np.minimum(values, 700.0)) if method["log"] else values


def scale_of(grid: np.ndarray) -> tuple[float, float]:
    """Smallest value a logarithm is taken of, and the largest size a forecast may reach: three times the history's."""
    positive = grid[grid > 0]
    low = float(positive.min()) / 2 if len(positive) else 1.0
    return low, float(np.abs(grid).max()) * 3 + low
