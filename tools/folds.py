"""How positions are dealt: stratified, by whole groups, and forward in time. Pure index arithmetic, no tables.

Everywhere a fold is a pair (train, valid) of ascending positions. Classes are given as numbers, or None for a
regression whose strata are quantiles of the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Fold = tuple[Rows, Rows]

_PINNED = -1
"""Fold number of rows that stay in training everywhere and are never predicted."""


def strata_of(values: NDArray[np.float64], bins: int = 10) -> Rows:
    """Quantile bins of a regression target, so that each part sees the same range of values."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    bins = int(np.clip(len(values) // 10, 1, bins))
    return np.asarray(ranks * bins // max(1, len(values)), dtype=np.int64)


def stratified_part(strata: Rows, share: float, rng: np.random.Generator, keep: int = 2, least: int = 0) -> Rows:
    """A share of the rows of every stratum, ascending; each keeps `keep` rows outside and, beyond that, gives `least`."""
    wanted = round(len(strata) * share)
    members = [rng.permutation(np.flatnonzero(strata == value)) for value in np.unique(strata)]
    exact = np.array([len(rows) * share for rows in members])
    taken = np.floor(exact).astype(np.int64)
    # Whole rows by largest remainder, so that the parts add up to the share of all.
    for place in np.argsort(-(exact - taken), kind="stable")[: max(0, wanted - int(taken.sum()))]:
        taken[place] += 1
    taken = np.maximum(0, np.minimum(np.maximum(taken, least), [len(rows) - keep for rows in members]))
    parts = [rows[:count] for rows, count in zip(members, taken, strict=True)]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


def stratified_numbers(strata: Rows, folds: int, rng: np.random.Generator) -> Rows:
    """A fold number per row. Strata with fewer members than folds are spread thinly; single members are pinned."""
    numbers = np.empty(len(strata), dtype=np.int64)
    start = 0
    for value in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == value))
        if len(members) == 1:
            numbers[members] = _PINNED
            continue
        # Each stratum begins where the last one ended, which keeps the folds equally large.
        numbers[members] = (start + np.arange(len(members))) % folds
        start = (start + len(members)) % folds
    return numbers


def group_part(
    groups: Rows, strata: Rows, share: float, rng: np.random.Generator, *, pin: bool, trials: int = 40
) -> Rows:
    """Rows of whole groups that make up about a share of all and resemble the rest; ascending.

    Among random choices the one whose size and mix of strata are nearest to the whole is taken. With `pin`,
    groups that alone hold a stratum stay outside.
    """
    table = _group_table(groups, strata)
    free = np.flatnonzero(~_pinned_groups(table, pin))
    sizes, total = table.sum(axis=1), len(groups)
    mix = table.sum(axis=0) / total
    best, best_distance = np.empty(0, dtype=np.int64), np.inf
    for _ in range(trials):
        order = rng.permutation(free)
        reached = np.cumsum(sizes[order])
        count = int(np.argmin(np.abs(reached - share * total))) + 1 if len(order) else 0
        chosen = order[: min(count, len(sizes) - 2)]
        if not len(chosen):
            continue
        part = table[chosen].sum(axis=0)
        distance = abs(part.sum() / total - share) / share + np.abs(part / part.sum() - mix).sum()
        if distance < best_distance:
            best, best_distance = chosen, distance
    return np.flatnonzero(np.isin(groups, best))


def group_numbers(groups: Rows, strata: Rows, folds: int, rng: np.random.Generator, *, pin: bool) -> Rows:
    """A fold number per row such that a group lies in one fold; sizes and strata are balanced greedily.

    With `pin`, groups that alone hold a stratum (a class) are pinned to training, unless that would pin more than
    half of the rows.
    """
    table = _group_table(groups, strata)
    shares = table / np.maximum(table.sum(axis=0), 1)
    # The rows as a whole weigh as much as all strata together.
    shares = np.column_stack([shares, table.sum(axis=1) / len(groups) * np.sqrt(table.shape[1])])
    pinned = _pinned_groups(table, pin)
    number_of = np.full(len(table), _PINNED)
    filled = np.zeros((folds, shares.shape[1]))
    order = rng.permutation(np.flatnonzero(~pinned))
    for group in order[np.argsort(-table[order].sum(axis=1), kind="stable")]:
        # The least sum of squares is the most even filling, of rows as a whole and of every stratum.
        cost = ((filled + shares[group]) ** 2 - filled**2).sum(axis=1)
        number_of[group] = int(np.argmin(cost))
        filled[number_of[group]] += shares[group]
    return np.asarray(number_of[groups])


def _group_table(groups: Rows, strata: Rows) -> NDArray[np.int64]:
    """Rows per group and stratum."""
    width = int(strata.max()) + 1
    flat = np.bincount(groups * width + strata, minlength=(int(groups.max()) + 1) * width)
    return np.asarray(flat.reshape(-1, width), dtype=np.int64)


def _pinned_groups(table: NDArray[np.int64], pin: bool) -> NDArray[np.bool_]:
    """Groups without which a stratum would be gone; none where they hold more than half of the rows."""
    alone = (table > 0).sum(axis=0) == 1
    holders = np.asarray((table[:, alone] > 0).any(axis=1))
    return holders if pin and table[holders].sum() <= table.sum() / 2 else np.zeros(len(table), dtype=bool)


def free_groups(groups: Rows, strata: Rows, *, pin: bool) -> int:
    """How many groups may be validated; more folds than these cannot be made."""
    return int((~_pinned_groups(_group_table(groups, strata), pin)).sum())


def folds_of(numbers: Rows, folds: int) -> list[Fold]:
    """Pairs (train, valid) from fold numbers; folds without validation rows are left out."""
    pairs = [(np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)) for fold in range(folds)]
    return [(train, valid) for train, valid in pairs if len(valid) and len(train)]


def latest_part(times: NDArray[np.float64], share: float) -> Rows:
    """Rows of the latest times that make up about a share; equal times are never parted. Rows without a time stay."""
    known = np.flatnonzero(np.isfinite(times))
    distinct, counts = np.unique(times[known], return_counts=True)
    if len(distinct) < 2 or share <= 0:
        return np.empty(0, dtype=np.int64)
    from_here_on = np.cumsum(counts[::-1])[::-1] / len(known)
    cut = distinct[1 + int(np.argmin(np.abs(from_here_on[1:] - share)))]
    return np.asarray(known[times[known] >= cut], dtype=np.int64)


def forward_folds(
    times: NDArray[np.float64], folds: int, window: float | None, codes: Rows | None = None
) -> list[Fold]:
    """Expanding windows: each fold trains on everything before its validation window. The latest window comes first.

    window: length of a validation window in units of `times`; None for windows of about equal rows. The windows
    together take at most 60 % of the time, so that each has a past to learn from; fewer folds are made for that.
    Rows without a time are in every training part. Folds whose past lacks a class are left out while others remain.
    """
    pairs = _windows(times, _window_borders(times[np.isfinite(times)], folds, window))
    if not pairs and window is not None:  # the series has gaps where all windows lie
        pairs = _windows(times, _window_borders(times[np.isfinite(times)], folds, None))
    if codes is None:
        return pairs
    whole = len(np.unique(codes))
    return [pair for pair in pairs if len(np.unique(codes[pair[0]])) == whole] or pairs


def _windows(times: NDArray[np.float64], borders: list[tuple[float, float]]) -> list[Fold]:
    known = np.isfinite(times)
    pairs = []
    for start, end in borders:
        train = np.flatnonzero(~known | (times < start))
        valid = np.flatnonzero(known & (times >= start) & (times < end))
        if (known[train]).any() and len(valid):
            pairs.append((train, valid))
    return pairs


def _window_borders(times: NDArray[np.float64], folds: int, window: float | None) -> list[tuple[float, float]]:
    """Start (inside) and end (outside) of each validation window, latest first."""
    ordered = np.sort(times)
    distinct = np.unique(ordered)
    after = float(distinct[-1]) + 1.0
    if window is not None:
        span = after - float(distinct[0])
        room = int(0.6 * span // window)
        if room < 2:
            room, window = 2, max(1.0, span / 4)
        count = min(folds, room)
        return [(after - (i + 1) * window, after - i * window) for i in range(count)]
    count = min(folds, max(1, len(distinct) - 1))
    first = 0.4 if count > 2 else 0.6
    places = [int(len(ordered) * (1 - (1 - first) * i / count)) for i in range(1, count + 1)]
    starts = sorted({float(ordered[place]) for place in places} - {float(distinct[0])}, reverse=True)
    return list(zip(starts, [after, *starts[:-1]], strict=True))


def numbered(pairs: Sequence[Fold], rows: int) -> NDArray[np.int8]:
    """Folds as a matrix (rows, folds): 0 not used, 1 train, 2 validation."""
    matrix = np.zeros((rows, len(pairs)), dtype=np.int8)
    for fold, (train, valid) in enumerate(pairs):
        matrix[train, fold] = 1
        matrix[valid, fold] = 2
    return matrix
