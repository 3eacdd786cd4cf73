"""Expected optimism: by how much the best of many scores flatters itself, told from stored out-of-fold predictions.

Whoever takes the best of N candidates takes some luck with it. The luck is measured by repeating the choice: rows (or
groups, or blocks of time) are drawn with replacement, the choice is made on those drawn, and what was chosen is scored
on those left out, which took no part in it. How much worse it does there than the candidate that was really chosen is
the optimism (BBC-CV: Tsamardinos, Greasidou and Borboudakis, Machine Learning 107, 2018). Both are scored on the same
left-out rows, so that their common luck cancels. Nothing is trained.

It counts the choice among scores and the choice of an ensemble's weights. Plans that were written after looking at
scores make for some more, which no resampling of predictions can see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from state.task import Task
from tools.bootstrap import Sample, effort
from tools.measuring import score
from tools.resampling import Array, Codes, statistic_of
from tools.selection import OutOfFold, at_rows, common_rows

MOST_CANDIDATES = 24
"""Candidates that the repeated choice is among: the best ones; a weaker one is hardly ever chosen."""
MOST_ROWS = 2_500
"""Rows the repeated choice looks at; the optimism of more is smaller by the root of the ratio."""
MOST_MIXED = 10
"""Candidates that a repeated ensemble is mixed of."""
MOST_MIXING_ROWS = 1_500
LEAST_ROWS = 600
REPEATS = 200
MIXING_REPEATS = 24
"""An ensemble is mixed anew in each, so there are fewer."""
_STARTING = 3
"""Candidates with votes before the rounds of a repeated ensemble begin: the best ones on the rows drawn."""
_PRIOR_VOTES = 4
_ROUNDS = 8


@dataclass(frozen=True)
class Optimism:
    """What choosing among candidates is worth. `value` is never negative: how much the score is too good."""

    value: float
    corrected: float
    """The chosen candidate's score without the optimism."""
    candidates: int
    rounds: int
    rows: int
    switched: float | None
    """Share of the rounds in which another candidate was chosen; None for an ensemble."""


def expected_optimism(
    task: Task,
    labels: Array,
    parts: Mapping[str, OutOfFold],
    chosen: str,
    *,
    mixed: bool = False,
    units: Codes | None = None,
    seed: int = 0,
) -> Optimism | None:
    """The optimism of the score of `chosen`, one of `parts`: the out-of-fold predictions of all that stood for election.

    mixed: `chosen` is an ensemble of the others; then every round mixes one of its own. units: what a bootstrap draws
    together, per position of `labels`. Only candidates that predict every row of the chosen one count. None when the
    score of the chosen one is undefined. Deterministic for a seed.
    """
    rows = parts[chosen].rows
    rivals = {name: part for name, part in parts.items() if len(np.intersect1d(part.rows, rows)) == len(rows)}
    rows = common_rows(list(rivals.values()))
    truth = labels[rows]
    value = _value(task, truth, at_rows(parts[chosen], rows))
    if not np.isfinite(value):
        return None
    others = {name: part for name, part in rivals.items() if not mixed or name != chosen}
    singles = _best_of(task, truth, rows, others, MOST_MIXED if mixed else MOST_CANDIDATES)
    if not mixed and chosen not in singles:
        singles[chosen] = parts[chosen]
    if len(singles) < 2:
        return Optimism(0.0, value, len(rivals), 0, len(rows), 0.0)
    sample = Sample(
        task.metric,
        truth,
        task.classes,
        task.positive,
        None if units is None else units[rows],
        seed,
        max(8, MIXING_REPEATS // effort(task.metric, task.classes)) if mixed else REPEATS,
        most_rows=max(LEAST_ROWS, (MOST_MIXING_ROWS if mixed else MOST_ROWS) // effort(task.metric, task.classes)),
    )
    votes = _Votes(task, sample, {name: at_rows(part, rows)[sample.rows] for name, part in singles.items()})
    own = at_rows(parts[chosen], rows)[sample.rows]
    gaps = votes.mixed_gaps(own) if mixed else votes.gaps(chosen)
    gaps = gaps[np.isfinite(gaps)]
    found = max(0.0, float(gaps.mean())) if len(gaps) else 0.0
    found *= float(np.sqrt(len(sample.rows) / len(rows)))
    return Optimism(
        value=found,
        corrected=value - found if task.metric.direction == "higher" else value + found,
        candidates=len(rivals),
        rounds=len(gaps),
        rows=len(rows),
        switched=None if mixed else votes.switched(chosen),
    )


def _value(task: Task, truth: Array, values: Array) -> float:
    return score(task.metric, truth, values, task.classes, task.positive)


def _best_of(task: Task, truth: Array, rows: Array, parts: Mapping[str, OutOfFold], most: int) -> dict[str, OutOfFold]:
    if len(parts) <= most:
        return dict(parts)
    sign = 1.0 if task.metric.direction == "higher" else -1.0
    order = sorted(parts, key=lambda name: -sign * _value(task, truth, at_rows(parts[name], rows)))
    return {name: parts[name] for name in order[:most]}


class _Votes:
    """The candidates' values, higher is better, on the rows drawn and on the rows left out, per round."""

    def __init__(self, task: Task, sample: Sample, values: dict[str, Array]) -> None:
        self.task, self.sample = task, sample
        self.names = list(values)
        self.values = np.stack([values[name] for name in self.names])
        self.left_out = (sample.weights == 0).astype(np.float64)
        self.inside = np.stack([self._measure(one, sample.weights) for one in self.values])
        top = int(np.argmax(np.nanmean(self.inside, axis=1)))
        self.margin = float(np.nanstd(self.inside[top]))
        """How far from the best a score is hard to tell from it: half of its interval's half width."""
        self.best: Codes = np.argmax(np.where(np.isfinite(self.inside), self.inside, -np.inf), axis=0)

    def _measure(self, predictions: Array, weights: Array) -> Array:
        statistic = statistic_of(
            self.task.metric.name,
            self.task.metric.needs,
            self.sample.labels,
            predictions,
            len(self.task.classes),
            self.sample.positive,
        )
        with np.errstate(invalid="ignore", divide="ignore"):  # rounds whose left-out rows have no value
            found = statistic(weights)
        return found if self.task.metric.direction == "higher" else -found

    def gaps(self, chosen: str) -> Array:
        """Per round: how much better the really chosen one does on the left-out rows than the one chosen there."""
        outside = np.stack([self._measure(one, self.left_out) for one in self.values])
        own = outside[self.names.index(chosen)]
        return np.asarray(own - outside[self.best, np.arange(outside.shape[1])])

    def switched(self, chosen: str) -> float:
        return float(np.mean(self.best != self.names.index(chosen)))

    def mixed_gaps(self, own: Array) -> Array:
        """As `gaps`, for an ensemble whose members and weights are chosen anew in each round."""
        outside = self._measure(own, self.left_out)
        rounds = range(len(outside))
        mixes = [self._measure(self._mix(one), self.left_out[one : one + 1])[0] for one in rounds]
        return np.asarray(outside - np.array(mixes))

    def _mix(self, one: int) -> Array:
        """Greedy weighted mean on the rows drawn in a round, begun from those hard to tell from the best there."""
        weights = self.sample.weights[one : one + 1]
        ranked = np.argsort(-np.where(np.isfinite(self.inside[:, one]), self.inside[:, one], -np.inf), kind="stable")
        near = self.inside[ranked, one] >= self.inside[ranked[0], one] - self.margin
        start = ranked[near][:_STARTING]
        total, count = _PRIOR_VOTES * self.values[start].sum(axis=0), _PRIOR_VOTES * len(start)
        for _ in range(_ROUNDS):
            trials = [self._measure((total + values) / (count + 1), weights)[0] for values in self.values]
            total, count = total + self.values[int(np.nanargmax(trials))], count + 1
        return np.asarray(total / count)
