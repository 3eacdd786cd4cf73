"""Intervals of scores and paired comparisons of predictions, by bootstrap over rows, groups or blocks of time.

Deviations of resampled values are laid around the value itself and widened a little where few units were drawn: a
bootstrap of n units underrates the spread by n/(n − 1), and its quantiles are normal ones where Student's belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from state.task import Label, Metric
from tools.bootstrap import NORMAL, TAILS, Sample, by_luck, sample_of
from tools.measuring import class_codes, positive_index, score
from tools.metrics import ENTRIES
from tools.resampling import Array

_LEAST_DRAWN = 20
"""Resamples with a defined value that an interval needs."""


def interval(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    predictions: Array,
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    repeats: int = 400,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """A 95 % interval of the score, which always holds the score itself. NaN on both sides when it is undefined.

    Accuracy, precision and recall of single rows have Wilson's; everything else is bootstrapped. `groups` (one entity
    or block of time per row) are drawn whole. Above 10,000 rows a subset is resampled and the spread scaled by the
    square root of the ratio. A perfect score, which no resample can doubt, has the exact bound of so many successes.
    """
    value = score(metric, y_true, predictions, classes, positive)
    if not np.isfinite(value):
        return float("nan"), float("nan")
    if groups is None and metric.name in {"accuracy", "precision", "recall"}:
        hits, tries = _successes(metric.name, y_true, predictions, classes, positive)
        return wilson(hits, tries)
    sample = sample_of(metric, y_true, classes, positive, groups, seed, repeats)
    drawn = _finite(sample.spread(predictions))
    if len(drawn) < _LEAST_DRAWN:
        return value, value
    low, high = value + np.quantile(drawn, TAILS)
    return bounded(metric, value, min(low, perfect_bound(metric, value, drawn, sample.successes)), high)


def bounded(metric: Metric, value: float, low: float, high: float) -> tuple[float, float]:
    """The interval cut to the metric's range, and stretched to hold the value."""
    entry = ENTRIES[metric.name]
    floor, ceiling = sorted((entry.worst, entry.best))
    return float(np.clip(min(low, value), floor, value)), float(np.clip(max(high, value), value, ceiling))


def wilson(hits: float, tries: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: `hits` of `tries`. The whole range where there were none."""
    if tries <= 0:
        return 0.0, 1.0
    share, z2 = hits / tries, NORMAL**2
    middle = (share + z2 / (2 * tries)) / (1 + z2 / tries)
    half = NORMAL / (1 + z2 / tries) * np.sqrt(share * (1 - share) / tries + z2 / (4 * tries**2))
    return float(max(0.0, min(middle - half, share))), float(min(1.0, max(middle + half, share)))


def expected(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    predictions: Array,
    size: int,
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    repeats: int = 1000,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """A 95 % interval for the score on a new sample of `size` rows, told from these predictions of other rows.

    Two independent deviations add up: that of the new sample, and that of the value here, which is itself one of a
    sample. NaN on both sides when the score is undefined here.
    """
    value = score(metric, y_true, predictions, classes, positive)
    if not np.isfinite(value) or size < 1:
        return float("nan"), float("nan")
    if groups is None and metric.name == "accuracy":
        hits, tries = _successes(metric.name, y_true, predictions, classes, positive)
        return _new_share(hits, tries, size, seed)
    new = Sample(metric, y_true, classes, positive, groups, seed, repeats, size=size)
    here = Sample(metric, y_true, classes, positive, groups, seed + 1, repeats)
    both, other = new.spread(predictions), here.spread(predictions)
    count = min(len(both), len(other))
    drawn = _finite(both[:count] - other[:count])
    if len(drawn) < _LEAST_DRAWN:
        return float("nan"), float("nan")
    low, high = value + np.quantile(drawn, TAILS)
    successes = new.successes * size / (size + len(predictions))
    return bounded(metric, value, min(low, perfect_bound(metric, value, drawn, successes)), high)


def compare(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    one: Array,
    other: Array,
    classes: Sequence[Label] = (),
    positive: Label | None = None,
    seed: int = 0,
    repeats: int = 400,
    groups: ArrayLike | None = None,
) -> dict[str, float]:
    """A paired comparison of two predictions of the same rows by bootstrap.

    Returns {gain, low, high, better_share, chance}: by how much `one` is better than `other` (positive when better), its
    95 % interval, the share of resamples in which `one` is better (ties count half), and the one-sided chance of so
    large a gain when there is no difference (Student's distribution with the spread of the resamples).
    """
    values = [score(metric, y_true, predictions, classes, positive) for predictions in (one, other)]
    gain = metric.gain(*values)
    sample = sample_of(metric, y_true, classes, positive, groups, seed, repeats)
    sign = 1.0 if metric.direction == "higher" else -1.0
    gains = _finite(gain + sign * (sample.spread(one) - sample.spread(other)))
    if not np.isfinite(gain) or len(gains) < _LEAST_DRAWN:
        gain = gain if np.isfinite(gain) else 0.0
        return {"gain": gain, "low": gain, "high": gain, "better_share": 0.5, "chance": 1.0}
    low, high = np.quantile(gains, TAILS)
    share = float((gains > 0).mean() + (gains == 0).mean() / 2)
    chance = by_luck(gain, float(np.std(gains, ddof=1)), sample.count)
    ends = {"low": float(min(low, gain)), "high": float(max(high, gain))}
    return {"gain": gain, **ends, "better_share": share, "chance": chance}


def _finite(drawn: Array) -> Array:
    return drawn[np.isfinite(drawn)]


def perfect_bound(metric: Metric, value: float, drawn: Array, successes: float) -> float:
    """The lower end for a perfect score that all resamples repeat: what as many successes without a failure leave open
    (Clopper and Pearson), counted in rows of the rarest class or in units. Otherwise the value itself, no bound."""
    entry = ENTRIES[metric.name]
    if metric.direction == "lower" or metric.needs == "values" or value < entry.best or np.any(drawn):
        return value
    return float(TAILS[0] ** (1 / max(1.0, successes)))


def _successes(
    name: str, y_true: ArrayLike | pd.Series, predictions: Array, classes: Sequence[Label], positive: Label | None
) -> tuple[float, float]:
    """Hits and tries of accuracy, precision or recall."""
    codes, chosen = class_codes(y_true, classes), np.argmax(predictions, axis=1)
    if name == "accuracy":
        return float((codes == chosen).sum()), float(len(codes))
    column = positive_index(classes, positive)
    both = float(((codes == column) & (chosen == column)).sum())
    return both, float(((chosen if name == "precision" else codes) == column).sum())


def _new_share(hits: float, tries: float, size: int, seed: int) -> tuple[float, float]:
    """The share of hits among `size` new rows after `hits` of `tries`: Jeffreys' beta-binomial, 95 %."""
    rng = np.random.default_rng(seed)
    drawn: Any = rng.binomial(size, rng.beta(hits + 0.5, tries - hits + 0.5, 4000)) / size
    value = hits / tries
    low, high = np.quantile(drawn, TAILS)
    return float(min(low, value)), float(max(high, value))
