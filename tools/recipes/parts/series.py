"""Time series on a grid: periods, series, and what each method needs to look ahead."""

from __future__ import annotations

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


def calendar(periods: np.ndarray, step: str, waves: int, turn: int = 0) -> np.ndarray:
    """Regressors of periods: waves of the year, of the week and day; for months, how many of each weekday they have.

    turn: a further length of which waves are wanted, 0 for none.
    """
    columns = []
    angle = 2 * np.pi * (periods % (round(year_of(step) * 4))) / year_of(step)
    for wave in range(1, waves + 1) if year_of(step) >= 2 else ():
        columns += [np.sin(wave * angle), np.cos(wave * angle)] if 2 * wave < year_of(step) else [np.cos(wave * angle)]
        if 2 * wave >= year_of(step):
            break
    season = season_of(step)
    turns = {turn: waves}
    if step not in ("month", "quarter", "604800"):
        within_day = step.isdigit() and int(step) < 86_400
        turns |= {season: 6, 7 * season: 3} if within_day else {season: 3}
    for length, most in turns.items():
        phase = 2 * np.pi * (periods % max(length, 1)) / max(length, 1)
        for wave in range(1, min(most, length // 2) + 1):
            columns += [np.sin(wave * phase), np.cos(wave * phase)] if 2 * wave < length else [np.cos(wave * phase)]
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
