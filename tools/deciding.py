"""From probabilities to labels: class weights tuned on out-of-fold predictions, kept only where a nested check bears them out.

The label is the class with the largest weight × probability; for two classes that is a threshold. Probabilities stay as
they are. Weights are chosen on some folds and judged on the others, so the score that is reported counts their own
optimism, and no training is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from state.task import Metric, Task
from tools.measuring import class_codes, positive_index
from tools.portable.combining import weighed
from tools.promotion import challenge
from tools.resampling import Array, Codes, draw_weights, from_confusion
from tools.selection import MOST_ROWS, OutOfFold

KEEP, KEEP_ACCURACY = 0.35, 0.02
"""Chance of so large a gain by luck above which the most probable class stays the answer; for accuracy, of which that is
the best answer wherever probabilities are right, another one."""
_PRIOR_ROWS = 10
"""Rows of a class at which its weight goes half of the way from the default to what the rows ask for."""
_RESAMPLES = 40
"""Bootstrap samples whose best thresholds are averaged: the best one of a single sample jumps."""
_THRESHOLDS = 200
_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
_STEPS = (-0.6, -0.3, -0.15, 0.15, 0.3, 0.6)
_ROUNDS = 2
_MOST_CLASSES = 20
"""Beyond so many classes only one number is tuned: how far rare classes are favoured."""
_ONE_SIDED = frozenset({"precision", "recall", "macro_precision"})
"""Metrics that are best for a model which answers (nearly) always or never the same."""
_MOST_APART = 2.0
"""With these, how many times as often or as seldom as it occurs a class may be answered."""


@dataclass(frozen=True)
class Decision:
    """Tuned class weights. decided: each row's probabilities times the weights chosen without its block, rows summing to 1."""

    weights: list[float]
    decided: OutOfFold
    gain: float
    chance: float

    def told(self, task: Task, rows: int) -> str:
        """The rule and its source, in a sentence."""
        source = f"chosen on {rows} out-of-fold predictions, judged on folds it was not chosen on: {self.gain:+.3g} {task.metric.name}"
        if task.kind == "binary":
            place = positive_index(task.classes, task.positive)
            return (
                f"{task.classes[place]!r} is answered from a probability of {self.weights[1 - place]:.3f} on; {source}"
            )
        said = ", ".join(f"{label!r} {weight:.2f}" for label, weight in zip(task.classes, self.weights, strict=True))
        return f"the answer is the largest weight × probability, with the weights {said}; {source}"


def tune_decision(
    task: Task, labels: Array, part: OutOfFold, blocks: Codes, *, units: Codes | None = None, seed: int = 0
) -> Decision | None:
    """Class weights for a metric of labels; None where they do not hold up, or the metric needs none.

    labels and units: per position of the open rows. blocks: per row of `part`, numbers of what is left out together: its
    fold. The weights of the result are chosen on all rows; gain and `decided` are of weights chosen without a row's
    block.
    """
    numbers = np.unique(blocks)
    if not task.is_classification or task.metric.needs != "labels" or part.values.ndim != 2 or len(numbers) < 2:
        return None
    codes = class_codes(labels[part.rows], task.classes)
    positive = positive_index(task.classes, task.positive)
    crossed = np.ones_like(part.values)
    for number in numbers:
        rest = blocks != number
        crossed[~rest] = choose_weights(task.metric, codes[rest], part.values[rest], positive, seed)
    decided = OutOfFold(part.rows, weighed(part.values, crossed))
    found = challenge(task, labels, decided, part, units=units, seed=seed)
    if not found["gain"] > 0 or found["chance"] > (KEEP_ACCURACY if task.metric.name == "accuracy" else KEEP):
        return None
    weights = choose_weights(task.metric, codes, part.values, positive, seed)
    return Decision([float(weight) for weight in weights], decided, float(found["gain"]), float(found["chance"]))


def choose_weights(metric: Metric, codes: Codes, probabilities: Array, positive: int, seed: int = 0) -> Array:
    """Class weights, adding up to 1, with which the metric of these rows is best, drawn towards equal ones on few rows."""
    if len(codes) > MOST_ROWS:
        kept = np.sort(np.random.default_rng(seed).choice(len(codes), MOST_ROWS, replace=False))
        codes, probabilities = codes[kept], probabilities[kept]
    classes = probabilities.shape[1]
    counts = np.bincount(codes, minlength=classes).astype(np.float64)
    if (counts > 0).sum() < 2:
        return np.full(classes, 1.0 / classes)
    if classes == 2:
        threshold = _threshold(metric, codes == positive, probabilities[:, positive], seed)
        trust = counts.min() / (counts.min() + _PRIOR_ROWS)
        threshold = 1.0 / (1.0 + np.exp(-trust * np.log(threshold / (1.0 - threshold))))
        weights = np.empty(2)
        weights[positive], weights[1 - positive] = 1.0 - threshold, threshold
        return weights
    shifts = _shifts(metric, codes, np.log(np.maximum(probabilities, 1e-12)), counts, positive)
    powers = np.exp(shifts - shifts.max())
    return np.asarray(powers / powers.sum())


def _sign(metric: Metric) -> float:
    return 1.0 if metric.direction == "higher" else -1.0


# ---- two classes ----------------------------------------------------------------------------------------------------


def _threshold(metric: Metric, truth: np.ndarray, chances: Array, seed: int) -> float:
    """The threshold of the positive class with the best metric: the median of the best ones of bootstrap samples.

    Bagging an unstable choice (Breiman, Bagging Predictors, Machine Learning 24, 1996), in log-odds.
    """
    order = np.argsort(chances, kind="stable")
    ordered, hits = chances[order], truth[order].astype(np.float64)
    cuts = _cuts(ordered)
    if not len(cuts):
        return 0.5
    borders = np.searchsorted(ordered, cuts)
    drawn = draw_weights(truth.astype(np.int64), None, _RESAMPLES, len(truth), seed)[:, order]
    up = np.cumsum(np.pad(drawn * hits, ((0, 0), (1, 0))), axis=1)
    down = np.cumsum(np.pad(drawn * (1 - hits), ((0, 0), (1, 0))), axis=1)
    missed, quiet = up[:, borders], down[:, borders]
    found, alarms = up[:, -1:] - missed, down[:, -1:] - quiet
    # Confusion matrices with the positive class second: the metric's own positive is told by its column, here 1.
    matrices = np.stack([np.stack([quiet, alarms], -1), np.stack([missed, found], -1)], -2)
    values = _sign(metric) * from_confusion(metric.name, matrices.reshape(-1, 2, 2), 1).reshape(len(drawn), -1)
    if metric.name in _ONE_SIDED:
        said, real = found + alarms, found + missed
        values = np.where((said > real * _MOST_APART) | (said < real / _MOST_APART), -np.inf, values)
    values = np.where(np.isfinite(values), values, -np.inf)
    usual = np.log(cuts / (1 - cuts))
    # Of equally good thresholds the one nearest to one half.
    top = values >= values.max(axis=1, keepdims=True) - 1e-12
    best = np.argmin(np.where(top, np.abs(usual), np.inf), axis=1)
    return float(1.0 / (1.0 + np.exp(-np.median(usual[best]))))


def _cuts(ordered: Array) -> Array:
    """Thresholds half way between neighbouring probabilities, at most so many, evenly over the rows, and one half."""
    values = np.unique(np.clip(ordered, 1e-6, 1 - 1e-6))
    cuts = (values[1:] + values[:-1]) / 2
    if len(cuts) > _THRESHOLDS:
        places = np.linspace(0, len(ordered) - 1, _THRESHOLDS + 2)[1:-1].astype(int)
        cuts = np.unique(cuts[np.clip(np.searchsorted(cuts, ordered[places]), 0, len(cuts) - 1)])
    return np.unique(np.append(cuts, 0.5)) if len(cuts) else cuts


# ---- many classes ---------------------------------------------------------------------------------------------------


def _shifts(metric: Metric, codes: Codes, logs: Array, counts: Array, positive: int) -> Array:
    """What is added to the logarithms of probabilities: a power of how rare the classes are, then class by class."""
    classes = len(counts)

    def value(shifts: Array) -> float:
        chosen = np.argmax(logs + shifts, axis=1)
        matrix = np.bincount(codes * classes + chosen, minlength=classes * classes).reshape(1, classes, classes)
        if metric.name in _ONE_SIDED and not _is_moderate(matrix[0]):
            return -np.inf
        found = _sign(metric) * float(from_confusion(metric.name, matrix.astype(np.float64), positive)[0])
        return found if np.isfinite(found) else -np.inf

    rarity = -np.log(np.maximum(counts, 1.0) / counts.sum())
    rarity -= rarity.min()
    start = max((power * rarity for power in _POWERS), key=value)
    shifts, best = start.copy(), value(start)
    for _ in range(_ROUNDS if classes <= _MOST_CLASSES else 0):
        for place in range(classes):
            for step in _STEPS:
                trial = shifts.copy()
                trial[place] += step
                if (reached := value(trial)) > best:
                    shifts, best = trial, reached
    smallest = counts[counts > 0].min()
    # One number for all classes needs fewer rows than one for each.
    trusted = smallest * classes / (smallest * classes + _PRIOR_ROWS) * start
    return np.asarray(trusted + counts / (counts + 2 * _PRIOR_ROWS) * (shifts - start))


def _is_moderate(matrix: np.ndarray) -> bool:
    """Whether every class is answered neither much more often nor much less often than it occurs."""
    said, real = matrix.sum(axis=0), matrix.sum(axis=1)
    return bool(np.all(said <= _MOST_APART * real) and np.all(said >= real / _MOST_APART))
