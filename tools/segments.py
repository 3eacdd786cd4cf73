"""Scores of parts of the data: groups, and values of columns that have few, each with an interval.

Among many parts some look bad by luck. A part is called worse only when its distance from the whole, paired on the same
resamples, is beyond what luck does to the worst of so many (Holm, Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from state.task import Feature, Task
from tools.bootstrap import TAILS, Sample, by_luck, effort
from tools.intervals import bounded, perfect_bound
from tools.measuring import score
from tools.resampling import Array, Codes, statistic_of

LEAST_ROWS = 20
LEAST_UNITS = 5
"""Groups or blocks that a part must hold for them to be drawn whole."""
MOST_VALUES = 12
MOST_WHOLE_NUMBERS = 6
"""Numeric columns with so few distinct values are kinds rather than amounts."""
MOST_GROUPS = 20
MOST_COLUMNS = 10
MOST_ROWS = 5_000
"""Rows that resamples look at, fewer where a metric takes long."""
LEAST_OF_MANY = 1_500
REPEATS = 200
LEVEL = 0.05
"""Chance of calling any part worse that is not."""


@dataclass(frozen=True)
class Segment:
    """The rows where a column has a value."""

    column: str
    value: str
    rows: int
    score: float
    low: float
    high: float
    worse: bool
    """Worse than the whole beyond what luck does among so many parts."""
    chance: float
    """The chance of so large a distance by luck, for this part alone."""

    @property
    def name(self) -> str:
        return f"{self.column}={self.value}"


def score_segments(
    task: Task,
    labels: Array,
    predictions: Array,
    features: pd.DataFrame,
    *,
    groups: pd.Series | None = None,
    units: Codes | None = None,
    seed: int = 0,
) -> list[Segment]:
    """Scores of the parts, by column in the order of the table and within a column by rows.

    All arguments are of the same rows. groups: the group of each row, where the split keeps groups together. units: what
    a bootstrap draws together. Parts with fewer than 20 rows, and those whose score is undefined (one class only), are
    left out.
    """
    most = max(LEAST_OF_MANY, MOST_ROWS // effort(task.metric, task.classes))
    sample = Sample(task.metric, labels, task.classes, task.positive, units, seed, REPEATS, most_rows=most)
    whole = sample.spread(predictions)
    total = score(task.metric, labels, predictions, task.classes, task.positive)
    found: list[Segment] = []
    for name, values in _parts(task, features, groups):
        for value, count in values.value_counts().items():
            if count < LEAST_ROWS or count == len(values):
                continue
            rows = np.flatnonzero((values == value).to_numpy())
            one = _measure(task, sample, labels, predictions, rows, total, whole)
            if one is not None:
                ends, own, chance = one
                found.append(Segment(name, str(value), len(rows), own, *ends, False, chance))
    return _marked(found)


def _parts(task: Task, features: pd.DataFrame, groups: pd.Series | None) -> list[tuple[str, pd.Series]]:
    """Columns that cut the rows into few parts, as text."""
    parts: list[tuple[str, pd.Series]] = []
    if groups is not None:
        known = groups.where(groups != "")
        largest = known.value_counts().head(MOST_GROUPS).index
        parts.append((" · ".join(task.group_columns) or "group", known.where(known.isin(largest))))
    for feature in task.features:
        if len(parts) >= MOST_COLUMNS or feature.name in task.group_columns:
            continue
        if feature.name in features and (texts := _kinds(feature, features[feature.name])) is not None:
            parts.append((feature.name, texts))
    return parts


def _kinds(feature: Feature, column: pd.Series) -> pd.Series | None:
    """The column's values as text, `missing` where there is none; None when it is no column of few values."""
    distinct = column.nunique()
    if feature.kind == "category" and 2 <= distinct <= MOST_VALUES:
        return column.astype(object).where(column.notna(), "missing").astype(str)
    if feature.kind == "numeric" and 2 <= distinct <= MOST_WHOLE_NUMBERS:
        return column.map(lambda value: "missing" if pd.isna(value) else f"{value:g}")
    return None


def _measure(
    task: Task, sample: Sample, labels: Array, predictions: Array, rows: Codes, total: float, whole: Array
) -> tuple[tuple[float, float], float, float] | None:
    """Interval, score, and the chance of so bad a score by luck; None when the score is undefined there."""
    own = score(task.metric, labels[rows], predictions[rows], task.classes, task.positive)
    inside = np.flatnonzero(np.isin(sample.rows, rows))
    if not np.isfinite(own) or len(inside) < LEAST_ROWS // 2:
        return None
    units = len(inside) if sample.units is None else len(np.unique(sample.units[inside]))
    if units < LEAST_UNITS:
        # One or a few whole groups: what is asked is how they do on new rows of theirs, so rows are drawn.
        alone = Sample(task.metric, labels[rows], task.classes, task.positive, None, 0, REPEATS)
        drawn, units = alone.spread(predictions[rows]), alone.count
        differences = drawn - np.resize(whole, len(drawn))
    else:
        drawn = _drawn(task, sample, predictions, inside)
        differences = drawn - whole
    drawn, differences = drawn[np.isfinite(drawn)], differences[np.isfinite(differences)]
    if min(len(drawn), len(differences)) < REPEATS // 10:
        return None
    gap, spread = -task.metric.gain(own, total), float(np.std(differences, ddof=1))
    low, high = own + np.quantile(drawn, TAILS)
    low = min(low, perfect_bound(task.metric, own, drawn, _rarest(task, labels[rows])))
    return bounded(task.metric, own, low, high), own, by_luck(gap, spread, units) if spread > 0 else 1.0


def _drawn(task: Task, sample: Sample, predictions: Array, inside: Codes) -> Array:
    """Deviations of the part's score on the resamples of the whole; NaN where a resample has one class only."""
    statistic = statistic_of(
        task.metric.name,
        task.metric.needs,
        sample.labels[inside],
        np.asarray(predictions, dtype=np.float64)[sample.rows[inside]],
        len(task.classes),
        sample.positive,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = statistic(np.ones((1, len(inside))))[0]
        return np.asarray((statistic(sample.weights[:, inside]) - centre) * sample.scale)


def _rarest(task: Task, labels: Array) -> float:
    """Rows of the rarest class; all rows where accuracy or values are scored."""
    if not task.is_classification or task.metric.name == "accuracy":
        return float(len(labels))
    return float(pd.Series(np.asarray(labels, dtype=object)).value_counts().min())


def _marked(segments: list[Segment]) -> list[Segment]:
    """The same segments, those worse beyond luck marked by Holm's rule."""
    order = sorted(range(len(segments)), key=lambda place: segments[place].chance)
    worse: set[int] = set()
    for rank, place in enumerate(order):
        if segments[place].chance > LEVEL / (len(segments) - rank):
            break
        worse.add(place)
    return [replace(segment, worse=place in worse) for place, segment in enumerate(segments)]
