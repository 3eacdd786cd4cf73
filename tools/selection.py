"""Choosing among finished candidates: paired comparison, and the weights of an ensemble, from out-of-fold predictions.

The framework holds labels and predictions, so both are free of any further training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from state.candidate import Candidate, Combination, Member
from state.task import Task
from tools.measuring import class_codes, positive_index
from tools.portable.combining import combine
from tools.resampling import statistic_of
from tools.scoring import score

Array = np.ndarray

PRIOR_VOTES = 6
"""Votes that each near-best candidate has before the greedy rounds begin; they pull the weights towards equal ones."""

MOST_ROWS = 8_000
"""Weights are searched on at most this many rows: beyond it they no longer change, and every step costs a scoring."""

_NEAR = 1e-5
"""More than two ways of computing a score differ by: in all metrics by rounding, in the log loss by how chances are normed."""


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of one candidate. rows: (n,) positions, ascending; values: (n,) or (n, classes)."""

    rows: Array
    values: Array


def common_rows(parts: list[OutOfFold]) -> Array:
    """Positions that every candidate has a prediction for."""
    rows = parts[0].rows
    for part in parts[1:]:
        rows = np.intersect1d(rows, part.rows, assume_unique=True)
    return rows


def at_rows(part: OutOfFold, rows: Array) -> Array:
    """The predictions at the given positions (a subset of `part.rows`, ascending)."""
    return part.values[np.searchsorted(part.rows, rows)]


def blend(parts: Mapping[str, OutOfFold], members: list[Member], combination: Combination | None = None) -> OutOfFold:
    """The members' out-of-fold predictions combined, on the rows all of them have: their weighted mean by default."""
    chosen = [parts[member.candidate] for member in members]
    rows = common_rows(chosen)
    names, weights = [member.candidate for member in members], [member.weight for member in members]
    rule = (combination or Combination()).rule()
    return OutOfFold(rows, combine([at_rows(part, rows) for part in chosen], names, weights, rule))


def ensemble_members(
    task: Task,
    labels: Array,
    parts: Mapping[str, OutOfFold],
    *,
    seed: int,
    first: Sequence[str] = (),
    rounds: int = 24,
    most: int = 5,
) -> list[Member]:
    """Greedy weighted selection with replacement: each round votes for whoever improves the mean most.

    Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models, ICML 2004. All rounds vote,
    and the votes up to the best score count: a member may deserve less weight than the second vote would give it.
    first: candidates that have PRIOR_VOTES votes each before the rounds begin. The paper starts from several good
    models for the same reason: on few rows the best single score is partly luck. `most` bounds the members.
    """
    rows = common_rows(list(parts.values()))
    if rows.size > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    truth = labels[rows]
    values = {name: at_rows(part, rows) for name, part in parts.items()}

    def value_of(predictions: Array) -> float:
        return score(task.metric, truth, predictions, task.classes, task.positive)

    votes = list(first) * PRIOR_VOTES
    total = np.asarray(sum(values[name] for name in votes)) if votes else np.zeros_like(values[next(iter(values))])
    best = value_of(total / len(votes)) if votes else None
    best_count = max(1, len(votes))
    for count in range(len(votes) + 1, len(votes) + rounds + 1):
        names = list(values) if len(set(votes)) < most else sorted(set(votes))
        trials = {name: (total + values[name]) / count for name in names}
        # scikit-learn's checks take longer than a score: only of those that stand a chance is it asked.
        reached = {name: value_of(trials[name]) for name in _near_the_top(task, truth, trials)}
        name, *others = reached
        for other in others:
            if task.metric.better(reached[other], reached[name]):
                name = other
        votes.append(name)
        total = total + values[name]
        if task.metric.better(reached[name], best):
            best, best_count = reached[name], count
    cast = Counter(votes[:best_count])
    return [Member(candidate=name, weight=number / best_count) for name, number in cast.most_common()]


def equal_members(names: Sequence[str]) -> list[Member]:
    """All with the same weight. Weights learnt on few windows forecast worse than none: the forecast combination puzzle
    (Stock and Watson, Journal of Forecasting 23, 2004; Smith and Wallis, Oxford Bulletin of Economics and Statistics 71, 2009).
    """
    return [Member(candidate=name, weight=1 / len(names)) for name in names]


def _near_the_top(task: Task, truth: Array, trials: Mapping[str, Array]) -> list[str]:
    """Those whose score may be the best, in their order, by the bootstrap's way of computing it; all when it cannot tell."""
    labels = class_codes(truth, task.classes) if task.classes else np.asarray(truth, dtype=np.float64)
    metric, classes = task.metric, len(task.classes)
    positive = positive_index(task.classes, task.positive)
    once = np.ones((1, len(truth)))
    measures = [
        statistic_of(metric.name, metric.needs, labels, values, classes, positive) for values in trials.values()
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.array([float(measure(once)[0]) for measure in measures])
    if not np.isfinite(found).all():
        return list(trials)
    top = found.max() if metric.direction == "higher" else found.min()
    near = np.abs(found - top) <= _NEAR * max(1.0, abs(top))
    return [name for name, is_near in zip(trials, near, strict=True) if is_near]


def best_of(task: Task, candidates: list[Candidate]) -> Candidate | None:
    """The usable candidate with the best score; of equals the quicker one.

    Only candidates scored on the most rows stand for election: a score of one lucky fold says little.
    """
    usable = [candidate for candidate in candidates if candidate.usable]
    most = max((candidate.score.rows for candidate in usable if candidate.score), default=0)
    best: Candidate | None = None
    for candidate in usable:
        if candidate.score and candidate.score.rows == most and (best is None or beats(task, candidate, best)):
            best = candidate
    return best


def beats(task: Task, one: Candidate, other: Candidate) -> bool:
    """Whether one has the better score; of equals the quicker one."""
    if one.score is None or other.score is None:
        return other.score is None
    if one.score.value == other.score.value:
        return one.fit_seconds < other.fit_seconds
    return task.metric.better(one.score.value, other.score.value)
