"""First looks: how many folds and rows the first candidates get where the time does not allow all, and who goes on.

Where even one fold of every first draft would take most of the time, all are trained on a part of the rows; the better
half goes on with three times as many, until what is left gets all rows: successive halving (Jamieson, Talwalkar:
Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016). Decided from predicted seconds,
once, before the first job; pure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from state.candidate import Candidate
from state.search import Operation
from state.task import Metric

DRAFTS_SHARE = 0.5
"""Part of the search's slot seconds that the first drafts may take."""
LOOK_SHARE = 0.2
"""The same for a first look at all of them."""
LEAST_LOOK = 2_000
"""Rows of a first look at least; a table must have several times as many."""
MORE_ROWS = 3
"""How many times as many rows the better half gets."""
ENOUGH_ROWS = 2_000
"""Validation rows that tell candidates apart; fewer folds than give these are run only when the time is far too short."""


@dataclass(frozen=True)
class Sizing:
    """What every candidate is run on. folds: how many, 0 for all. rows: training rows of a first look, 0 for none."""

    folds: int = 0
    rows: int = 0


def size_up(
    seconds: Sequence[float], *, folds: int, rows: int, left: float, slots: int, keep_folds: bool, divisible: bool
) -> Sizing:
    """How the first drafts fit the time.

    seconds: predicted, of one fold of each draft. rows: open rows. left: wall seconds of the search. keep_folds: the
    person asked for that number of folds. divisible: rows may be left out of training; in a time series they may not.
    """
    one = sum(seconds)
    room = left * max(1, slots)
    count = folds
    if not keep_folds:
        valid = rows / max(folds, 5 if folds == 1 else folds)
        while count > 1 and count * one > DRAFTS_SHARE * room:
            scarce = (count - 1) * valid < ENOUGH_ROWS
            if scarce and count * one <= 1.5 * room:
                break
            count -= 1
    share = LOOK_SHARE * room / max(one, 1e-9)
    train = rows * 0.8
    if divisible and count * one > DRAFTS_SHARE * room and share < 0.5 and train * 0.5 > LEAST_LOOK:
        return Sizing(0 if count == folds else count, max(LEAST_LOOK, int(train * share)))
    return Sizing(0 if count == folds else count)


def promotions(metric: Metric, candidates: Collection[Candidate], train_rows: int) -> list[Operation]:
    """Who of the last looks goes on, best first, and on how many rows; empty when there were no looks.

    train_rows: training rows of the first fold.
    """
    looks = [one for one in candidates if one.plan.rows and one.usable and one.score]
    if not looks:
        return []
    last = max(one.iteration for one in looks)
    if any(one.iteration > last for one in candidates):
        return []  # they have gone on
    ranked = [one for one in looks if one.iteration == last]
    ranked.sort(key=lambda one: -metric.gain(one.score.value if one.score else 0.0, 0.0))
    rows = max(one.plan.rows for one in ranked) * MORE_ROWS
    kept = ranked[: math.ceil(len(ranked) / 2)]
    everything = rows * 2 > train_rows or len(ranked) <= 2
    return [
        Operation(
            operator="improve",
            parents=[one.id],
            recipe=one.plan.recipe,
            aim="promote",
            rows=0 if everything else rows,
            reason=f"{one.id} is {_place(number)} of {len(ranked)} after a first look at {one.plan.rows:,} rows",
        )
        for number, one in enumerate(kept, start=1)
    ]


def _place(number: int) -> str:
    return {1: "the best", 2: "second", 3: "third"}.get(number, f"number {number}")
