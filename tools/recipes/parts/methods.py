"""Methods that look ahead from a history on a grid: past seasons, smoothing, autoregression, calendar regression."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from tools.recipes.parts.series import calendar, year_of

MOST_ORDER = 60
"""Past values that an autoregression looks at, at most."""


def repeated(grid: np.ndarray, season: int, seasons: int) -> dict[str, np.ndarray]:
    """The mean of the last seasons, phase by phase, as a state for `smoothed_ahead`."""
    season = min(season, grid.shape[1])
    whole = min(seasons, grid.shape[1] // season)
    parts = [grid[:, -season * (back + 1) :][:, :season] for back in range(whole)]
    zero = np.zeros(len(grid))
    return {"level": zero, "trend": zero, "states": np.mean(parts, axis=0)}


def smooth(grid: np.ndarray, season: int, rates: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Exponential smoothing with a damped trend and an additive season, all series and settings at once; final states.

    rates: one value per setting of level, trend, season (0 … 1) and damping. Early rows start from the first seasons'
    means. (Holt 1957; Winters 1960; the damped trend of Gardner and McKenzie, Management Science 31, 1985.)
    """
    count, settings = grid.shape[1], len(rates["level"])
    by_level, by_trend, by_season, damping = (
        np.asarray(rates[name], dtype=float)[:, None] for name in ("level", "trend", "season", "damping")
    )
    start = min(count, 2 * season if season > 1 else 3)
    level = np.tile(grid[:, :start].mean(axis=1), (settings, 1))
    trend = np.zeros_like(level)
    states = np.zeros((season, settings, len(grid)))
    if season > 1:
        for phase in range(min(season, start)):
            states[phase] = grid[:, :start][:, phase::season].mean(axis=1) - level
    for at in range(count):
        value, phase = grid[:, at], at % season
        before = level
        level = by_level * (value - states[phase]) + (1 - by_level) * (level + damping * trend)
        trend = by_trend * (level - before) + (1 - by_trend) * damping * trend
        if season > 1:
            states[phase] += by_season * (value - level - states[phase])
    turned = np.roll(states, -(count % season), axis=0)
    return [
        {"level": level[number], "trend": trend[number], "states": turned[:, number].T.copy()}
        for number in range(settings)
    ]


def smoothed_ahead(state: Mapping[str, Any], damping: float, rows: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Values `ahead` ≥ 1 steps after the end of the history, for the series at `rows`."""
    season = state["states"].shape[1]
    steps = ahead if damping == 1.0 else damping * (1 - damping**ahead) / (1 - damping)
    values = state["level"][rows] + steps * state["trend"][rows] + state["states"][rows, (ahead - 1) % season]
    return np.asarray(values)


def autoregress(grid: np.ndarray, order: int) -> dict[str, np.ndarray]:
    """Each series' mean, its autoregression around that, and its last distances from the mean, newest first.

    By Burg's method, whose forecasts always come back to the mean, in waves where the series has some. (Burg, Maximum
    entropy spectral analysis, 1967.)
    """
    level = grid.mean(axis=1)
    distances = grid - level[:, None]
    forward, backward = distances, distances
    weights = np.zeros((len(grid), 0))
    for _ in range(order):
        forward, backward = forward[:, 1:], backward[:, :-1]
        power = (forward**2).sum(axis=1) + (backward**2).sum(axis=1)
        alike = 2 * (forward * backward).sum(axis=1) / np.maximum(power, 1e-12)
        weights = np.column_stack([weights - alike[:, None] * weights[:, ::-1], alike])
        forward, backward = forward - alike[:, None] * backward, backward - alike[:, None] * forward
    return {"level": level, "weights": weights, "last": distances[:, ::-1][:, :order].copy()}


def autoregressed_ahead(state: Mapping[str, Any], rows: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Values `ahead` ≥ 1 steps after the end of the history, for the series at `rows`; after 2,000 steps they stay."""
    last, path = state["last"], []
    for _ in range(min(2000, int(ahead.max(initial=1)))):
        path.append((state["weights"] * last).sum(axis=1))
        last = np.column_stack([path[-1], last[:, :-1]])
    return np.asarray(state["level"][rows] + np.stack(path)[np.minimum(ahead, len(path)) - 1, rows])


def regress(
    grid: np.ndarray, weight: np.ndarray, design: np.ndarray, memory: float, recent: int
) -> dict[str, np.ndarray]:
    """Calendar regression per series, older periods counting less.

    grid, weight: series × periods. memory: half-life in periods. offset: the mean residual of the `recent` periods.
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
    return {
        "level": coefficients[:, 0],
        "offset": (rest * near).sum(axis=1) / near.sum(axis=1),
        "slope": coefficients[:, 1] / max(count - 1, 1),
        "calendar": coefficients[:, 2:],
    }


def regressed_ahead(
    method: Mapping[str, Any],
    state: Mapping[str, Any],
    design: np.ndarray,
    rows: np.ndarray,
    ahead: np.ndarray,
    turn: int,
) -> np.ndarray:
    """Values `ahead` steps after the end of the history; the trend runs on for some turns (years) and then levels out.

    Of the method, `anchor` is the share of the recent residuals that moves the level, `trend` that of the fitted slope
    that is carried into the future.
    """
    horizon = method["reach"] * turn
    steps = method["trend"] * horizon * (1 - np.exp(-ahead / horizon))
    level = state["level"] + method["anchor"] * state["offset"]
    values = level[rows] + state["slope"][rows] * steps + (state["calendar"][rows] * design).sum(axis=1)
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


def method_pool(
    logs: list[bool],
    levels: list[float],
    memories: list[int],
    waves: int,
    seasons: list[int],
    series: int,
    plain: bool,
) -> list[dict[str, Any]]:
    """All methods in several settings: past seasons repeated, smoothing, autoregression, and calendar regression.

    seasons: lengths found, shortest first; smoothing takes those that its states can follow. plain: and none, which
    on few held-back values may look better by luck where series do repeat.
    """
    short = [season for season in seasons if season <= 700 and season * series <= 100_000]
    pool: list[dict[str, Any]] = [
        {"kind": "repeat", "log": False, "season": season, "seasons": count, "damping": 0.0}
        for season, count in product(seasons[-1:] or [1], (1, 2, 3, 5))
    ]
    lengths: list[int] = [*short, 1] if plain or not short else short
    for log, length in product(logs, lengths):
        # Without a season a series may be a random walk; with one, a level that forgets everything fits accidents.
        rates_of_level = levels if length > 1 else [*levels, 1.0]
        for level, by_season, damping in product(
            rates_of_level, (0.1, 0.3) if length > 1 else (0.0,), (0.0, 0.97, 1.0)
        ):
            rates = {"level": level, "trend": 0.05, "by_season": by_season, "damping": damping}
            pool.append({"kind": "smooth", "log": log, "season": length, **rates})
    orders = sorted({1, 3, 9, *seasons[:1], *(2 * season for season in seasons[:1])})
    pool += [
        {"kind": "autoregress", "log": log, "order": order}
        for log, order in product(logs, orders)
        if order <= MOST_ORDER
    ]
    for log, memory, anchor, trend in product(logs, memories, (0.0, 0.7), (0.0, 0.5, 1.0)):
        shape = {"memory": memory, "anchor": anchor, "trend": trend, "reach": 5, "waves": waves}
        pool.append({"kind": "regress", "log": log, "season": seasons[0] if seasons else 0, **shape})
    return pool


def fit_methods(
    pool: list[dict[str, Any]], grid: np.ndarray, weight: np.ndarray, first: int, step: str
) -> list[dict[str, np.ndarray]]:
    """The states of methods at the end of a history of series × periods that begins at period `first`, in their order.

    Methods that differ only in rates are fitted together.
    """
    shared: dict[tuple[Any, ...], list[int]] = {}
    for place, method in enumerate(pool):
        alone = place if method["kind"] == "repeat" else method.get("memory")
        shared.setdefault((method["kind"], method["log"], method.get("season"), alone), []).append(place)
    logarithms = np.log(np.maximum(grid, scale_of(grid)[0])) if any(method["log"] for method in pool) else grid
    states: list[dict[str, np.ndarray]] = [{} for _ in pool]
    for places in shared.values():
        methods = [pool[place] for place in places]
        values = logarithms if methods[0]["log"] else grid
        for place, state in zip(places, fit_alike(methods, values, weight, first, step), strict=True):
            states[place] = state
    return states


def fit_alike(
    methods: list[dict[str, Any]], grid: np.ndarray, weight: np.ndarray, first: int, step: str
) -> list[dict[str, np.ndarray]]:
    """The states of methods that differ in rates only."""
    method, count = methods[0], grid.shape[1]
    if method["kind"] == "regress":
        year = max(1, round(year_of(step)))
        design = calendar(first + np.arange(count), step, method["waves"], own_turn(method, step))
        return [regress(grid, weight, design, method["memory"] * year, year)] * len(methods)
    if method["kind"] == "autoregress":
        return [autoregress(grid, max(1, min(one["order"], count // 8))) for one in methods]
    season = method["season"] if count > 2 * method["season"] else 1
    if method["kind"] == "repeat":
        return [repeated(grid, method["season"] if method["season"] <= count else 1, method["seasons"])]
    rates = {"level": "level", "trend": "trend", "season": "by_season", "damping": "damping"}
    settings = {name: np.array([one[key] for one in methods]) for name, key in rates.items()}
    return smooth(grid[:, -max(600, 8 * season) :], season, settings)


def own_turn(method: Mapping[str, Any], step: str) -> int:
    """The season a calendar regression is told of, where the calendar itself has none."""
    return int(method["season"]) if step == "one" else 0


def look_ahead(
    method: Mapping[str, Any], state: Mapping[str, Any], rows: np.ndarray, ahead: np.ndarray, end: int, step: str
) -> np.ndarray:
    """Values of the series at `rows`, `ahead` steps after period `end`."""
    if method["kind"] == "regress":
        steps, places = np.unique(ahead, return_inverse=True)
        design = calendar(end + steps, step, method["waves"], own_turn(method, step))[places]
        values = regressed_ahead(method, state, design, rows, ahead, max(1, round(year_of(step))))
    elif method["kind"] == "autoregress":
        values = autoregressed_ahead(state, rows, ahead)
    else:
        values = smoothed_ahead(state, method["damping"], rows, ahead)
    return np.exp(np.minimum(values, 700.0)) if method["log"] else values


def scale_of(grid: np.ndarray) -> tuple[float, float]:
    """Smallest value a logarithm is taken of, and the largest size a forecast may reach: three times the history's."""
    positive = grid[grid > 0]
    low = float(positive.min()) / 2 if len(positive) else 1.0
    return low, float(np.abs(grid).max()) * 3 + low
