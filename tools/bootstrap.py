"""The bootstrap: the rows it looks at, how often each resample has them, and what few units mean for its spread."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from state.task import Label, Metric
from tools import resampling
from tools.measuring import class_codes, positive_index
from tools.resampling import Array, Codes

LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
NORMAL = 1.959963984540054
"""Quantile of the normal distribution at the upper tail."""
MOST_ROWS = 10_000
"""Rows a bootstrap looks at; beyond, a subset is resampled and its spread scaled to the full size."""
_CELLS = 2_500_000
"""Size of the weight matrix, from which the number of resamples follows for larger data."""
_KEPT_CELLS = 4_000_000
"""Cells of the weight matrices that are kept for predictions of the same rows to come."""


class Sample:
    """The rows a bootstrap looks at, and their weights in each resample: the same for every prediction it is given."""

    def __init__(
        self,
        metric: Metric,
        y_true: ArrayLike | pd.Series,
        classes: Sequence[Label],
        positive: Label | None,
        groups: ArrayLike | None,
        seed: int,
        repeats: int,
        size: int | None = None,
        most_rows: int = MOST_ROWS,
    ) -> None:
        """size: rows that a resample stands for, when it is not the number of labels."""
        self._spreads: dict[bytes, Array] = {}
        self.metric, self.classes, self.positive = metric, list(classes), positive_index(classes, positive)
        labels: Array | Codes = class_codes(y_true, classes) if len(classes) else np.asarray(y_true, dtype=np.float64)
        codes = labels.astype(np.int64) if len(classes) else None
        members = pd.factorize(np.asarray(groups, dtype=object))[0].astype(np.int64) if groups is not None else None
        self.rows = subset(codes, members, len(labels), seed, most_rows)
        self.labels = labels[self.rows]
        codes = None if codes is None else codes[self.rows]
        self.units = None if members is None else members[self.rows]
        size = len(labels) if size is None else size
        drawn = min(size, len(self.rows))
        load = len(self.rows) * effort(metric, classes)
        self.weights = resampling.draw_weights(
            codes,
            self.units,
            int(np.clip(_CELLS // max(1, load), 100, repeats)),
            len(self.rows),
            seed,
            None if drawn == len(self.rows) else drawn,
        )
        count = len(self.rows) if self.units is None else len(np.unique(self.units))
        if self.units is not None and count < resampling.LEAST_UNITS:
            count = len(self.rows)
        self.count = count
        """Units that were drawn from: rows, groups or blocks."""
        self.scale = float(np.sqrt(drawn / max(1, size))) * widening(count)
        rarest = len(labels)
        if codes is not None and len(codes) and metric.name != "accuracy":
            # A label metric or an area hangs on the rarest class; accuracy on every row.
            rarest = int(np.bincount(codes)[np.unique(codes)].min())
        self.successes = float(min(count, rarest))
        """Successes that a perfect score of these labels stands for."""

    def spread(self, predictions: Array) -> Array:
        """Deviations of the resampled values from the value of the rows looked at, scaled to the full size."""
        looked_at = np.asarray(predictions, dtype=np.float64)[self.rows]
        key = _digest(looked_at)
        if key not in self._spreads:
            statistic = self.statistic(looked_at)
            centre = statistic(np.ones((1, len(self.rows))))[0]
            self._spreads[key] = np.asarray((statistic(self.weights) - centre) * self.scale)
        return self._spreads[key]

    def statistic(self, predictions: Array) -> resampling.Statistic:
        """The metric as a function of weights, for predictions of the rows looked at."""
        return resampling.statistic_of(
            self.metric.name, self.metric.needs, self.labels, predictions, len(self.classes), self.positive
        )


_kept: OrderedDict[tuple[Any, ...], Sample] = OrderedDict()
_keeping = threading.Lock()


def sample_of(
    metric: Metric,
    y_true: ArrayLike | pd.Series,
    classes: Sequence[Label],
    positive: Label | None,
    groups: ArrayLike | None,
    seed: int,
    repeats: int,
) -> Sample:
    """The sample of these rows, drawn once: candidates are judged, and compared with each other, on the same rows.

    The last ones are kept, within _KEPT_CELLS. Drawn again they would be the same, so nothing depends on what is kept.
    """
    labels = class_codes(y_true, classes) if len(classes) else np.asarray(y_true, dtype=np.float64)
    members = None if groups is None else pd.factorize(np.asarray(groups, dtype=object))[0]
    drawn_together = b"" if members is None else _digest(members)
    key = (metric, _digest(labels), tuple(map(repr, classes)), repr(positive), drawn_together, seed, repeats)
    with _keeping:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    sample = Sample(metric, y_true, classes, positive, groups, seed, repeats)
    with _keeping:
        _kept[key] = sample
        while len(_kept) > 1 and sum(one.weights.size for one in _kept.values()) > _KEPT_CELLS:
            _kept.popitem(last=False)
    return sample


def _digest(values: np.ndarray) -> bytes:
    shape = f"{values.dtype}{values.shape}".encode()
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16, key=shape[:64]).digest()


def effort(metric: Metric, classes: Sequence[Label]) -> int:
    """How many times as long one resample of the metric takes as one of others: an area is measured per class."""
    return max(1, len(classes)) if metric.name == "roc_auc_ovr" else 1


def widening(count: int) -> float:
    """By how much deviations of a bootstrap over `count` units are too small; 1 for many."""
    if count < 2:
        return 1.0
    from scipy.special import stdtrit

    return float(np.sqrt(count / (count - 1)) * stdtrit(count - 1, TAILS[1]) / NORMAL)


def by_luck(gain: float, spread: float, count: int) -> float:
    """One-sided chance of so large a gain under no difference, from the spread of resamples over `count` units."""
    if gain <= 0 or count < 3:
        return 1.0
    if spread <= 0:
        return 0.0
    from scipy.special import stdtr

    return float(stdtr(count - 1, -gain / spread))


def subset(codes: Codes | None, groups: Codes | None, rows: int, seed: int, most: int = MOST_ROWS) -> Codes:
    """Positions of at most about `most` rows: whole groups, or a sample in which every class keeps its share."""
    if rows <= most:
        return np.arange(rows)
    rng = np.random.default_rng([seed, rows])
    if groups is not None:
        sizes = np.bincount(groups)
        order = rng.permutation(len(sizes))
        kept = order[: max(resampling.LEAST_UNITS, int(np.searchsorted(np.cumsum(sizes[order]), most)))]
        return np.flatnonzero(np.isin(groups, kept))
    if codes is None:
        return np.sort(rng.choice(rows, most, replace=False))
    parts = []
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        parts.append(rng.choice(members, max(1, round(len(members) * most / rows)), replace=False))
    return np.sort(np.concatenate(parts))
