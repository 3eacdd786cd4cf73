"""Calibration of a classifier: do predicted chances come true as often as they say?

Chances are grouped into bins of about equal rows. The calibration error is the mean distance, over rows, between the
predicted chance and the observed share of their bin. It is never zero, since shares of few rows vary by chance: so
beside it stands the error that a perfectly calibrated model with the same chances would show (Bröcker and Smith,
Weather and Forecasting 22, 2007), and only an error beyond that is called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from state.task import Task
from tools.bootstrap import widening
from tools.intervals import wilson
from tools.measuring import class_codes, positive_index
from tools.resampling import Array, Codes, draw_weights

BINS = 10
REPEATS = 300
MOST_ROWS = 20_000
"""Rows that resamples look at; the error of all rows is reported, with the spread scaled."""
_CELLS = 2_500_000
"""Size of the weight matrix, from which the number of resamples follows for larger data."""


@dataclass(frozen=True)
class Bin:
    """One group of rows by predicted chance: mean chance, observed share with its 95 % interval, rows."""

    chance: float
    seen: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Calibration:
    """How well chances are calibrated on one set of rows."""

    of: str
    """What the chances are of, in words."""
    bins: list[Bin]
    error: float
    """Mean distance between chance and observed share, weighted by rows: the expected calibration error."""
    low: float
    high: float
    """95 % bootstrap interval of `error`."""
    usual: float
    """What the error of a perfectly calibrated model would be on so many rows, on average …"""
    usual_high: float
    """… and in 95 of 100 cases at most."""
    brier: float
    """Mean squared distance between chance and outcome. Murphy's parts, by bins: about reliability − resolution +
    uncertainty (Journal of Applied Meteorology 12, 1973)."""
    brier_low: float
    brier_high: float
    reliability: float
    resolution: float
    uncertainty: float
    rows: int

    @property
    def well(self) -> bool:
        """Whether chance alone explains the error."""
        return self.error <= self.usual_high

    @property
    def leaning(self) -> float:
        """Mean chance minus observed share over all rows: positive when the model promises too much."""
        return sum(one.rows * (one.chance - one.seen) for one in self.bins) / max(1, self.rows)


def calibrate(
    task: Task, labels: Array | Sequence[object], predictions: Array, *, units: Codes | None = None, seed: int = 0
) -> Calibration | None:
    """Calibration of the positive class's chance, or with many classes of the chance of the class that is chosen.

    None for a regression and below 20 rows. units: what a bootstrap draws together.
    """
    if not task.is_classification or len(predictions) < 2 * BINS:
        return None
    codes = class_codes(np.asarray(labels, dtype=object), task.classes)
    if task.kind == "binary":
        column = positive_index(task.classes, task.positive)
        truth, chance = codes == column, predictions[:, column]
        of = f"chance of {_short(task.target)} = {_short(task.classes[column])}"
    else:
        truth, chance = codes == predictions.argmax(axis=1), predictions.max(axis=1)
        of = "chance of the class that is chosen"
    return reliability(truth, chance, of, units=units, seed=seed)


def reliability(
    truth: Array, chance: Array, of: str = "chance", *, units: Codes | None = None, seed: int = 0
) -> Calibration:
    """Calibration of chances (rows,) for what came true or did not (rows,)."""
    truth = np.asarray(truth, dtype=np.float64)
    chance = np.clip(np.asarray(chance, dtype=np.float64), 0.0, 1.0)
    group = _groups(chance)
    rows = np.bincount(group).astype(np.float64)
    mean, seen = (np.bincount(group, weights=values) / rows for values in (chance, truth))
    share = float(truth.mean())
    error = _error(mean, seen, rows)
    (low, high), (brier_low, brier_high), (usual, usual_high) = _spread(truth, chance, group, units, seed)
    ends = [wilson(float(hits), float(count)) for hits, count in zip(seen * rows, rows, strict=True)]
    return Calibration(
        of=of,
        bins=[Bin(float(m), float(s), *end, int(n)) for m, s, end, n in zip(mean, seen, ends, rows, strict=True)],
        error=error,
        low=max(0.0, error + low),
        high=min(1.0, error + high),
        usual=usual,
        usual_high=usual_high,
        brier=(brier := float(np.mean((chance - truth) ** 2))),
        brier_low=max(0.0, brier + brier_low),
        brier_high=min(1.0, brier + brier_high),
        reliability=float(np.sum(rows * (mean - seen) ** 2) / rows.sum()),
        resolution=float(np.sum(rows * (seen - share) ** 2) / rows.sum()),
        uncertainty=share * (1 - share),
        rows=len(truth),
    )


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= 40 else text[:39] + "…"


def _groups(chance: Array) -> Codes:
    """Bin numbers without gaps: up to BINS bins of about equal rows, equal chances together."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, BINS + 1)))
    return np.asarray(np.unique(np.searchsorted(edges[1:-1], chance, side="left"), return_inverse=True)[1].reshape(-1))


def _error(mean: Array, seen: Array, rows: Array) -> float:
    return float(np.sum(rows * np.abs(mean - seen)) / rows.sum())


def _spread(
    truth: Array, chance: Array, group: Codes, units: Codes | None, seed: int
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """95 % deviations of the error and of the Brier score, and mean and 95 % bound of a perfectly calibrated error."""
    rng = np.random.default_rng(seed)
    kept = np.arange(len(truth))
    if len(kept) > MOST_ROWS:
        kept = np.sort(rng.choice(kept, MOST_ROWS, replace=False))
    part = None if units is None else np.asarray(units)[kept]
    scale = float(np.sqrt(len(kept) / len(truth)))
    repeats = int(np.clip(_CELLS // len(kept), 60, REPEATS))
    weights = draw_weights(None, part, repeats, len(kept), seed)
    total, miss = weights.sum(axis=1), (chance - truth)[kept]
    bins = np.eye(int(group.max()) + 1)[group[kept]]
    wider = scale * widening(len(kept) if part is None else len(np.unique(part)))

    def ends(drawn: Array) -> tuple[float, float]:
        # Resampling adds noise of its own to every bin, so drawn errors are too large on average: only their spread counts.
        low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) * wider
        return min(0.0, float(low)), max(0.0, float(high))

    errors = np.abs((weights * miss) @ bins).sum(axis=1) / total
    luck = (rng.random((repeats, len(kept))) < chance[kept]) - chance[kept]
    perfect = np.abs(luck @ bins).sum(axis=1) / len(kept) * scale
    briers = weights @ miss**2 / total
    return ends(errors), ends(briers), (float(perfect.mean()), float(np.quantile(perfect, 0.95)))


def sentence(one: Calibration, rows_are: str) -> str:
    """The finding in one sentence, in percentage points."""
    told = (
        f"On {one.rows:,} {rows_are} the predicted {one.of} is off by {100 * one.error:.1f} percentage points on average "
        f"(95 % interval {100 * one.low:.1f} to {100 * one.high:.1f}); a perfectly calibrated model would show "
        f"{100 * one.usual:.1f}, seldom more than {100 * one.usual_high:.1f}"
    )
    if one.well:
        return f"{told}: no sign of miscalibration."
    lean = one.leaning
    if abs(lean) < 0.5 * one.error:
        return f"{told}: chances are not to be taken at their word."
    return f"{told}: chances are too {'high' if lean > 0 else 'low'}, by {100 * abs(lean):.1f} points on average."
