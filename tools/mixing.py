"""How the members of an ensemble become one prediction: the weighted mean, unless something else is better beyond luck.

Other means need no fitting, so out-of-fold predictions judge them as they are. A stacker is fitted on some folds and
judged on the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from state.candidate import Combination, Member
from state.task import Task
from tools.promotion import LEVEL, challenge
from tools.resampling import Array, Codes
from tools.selection import OutOfFold, blend, common_rows
from tools.stacking import can_stack, cross_fitted, fit_stack

_ABSOLUTE = frozenset({"mae", "median_ae", "wape", "pinball"})
_RELATIVE = frozenset({"mape", "rmsle", "smape"})


@dataclass(frozen=True)
class Mixed:
    """Members, how they are combined, and their out-of-fold predictions; those of a stacker are cross-fitted."""

    members: list[Member]
    combination: Combination
    part: OutOfFold


def means_for(task: Task, members: Sequence[Member], parts: Mapping[str, OutOfFold]) -> list[Combination]:
    """The means that suit the task beside the arithmetic one."""
    if task.is_classification:
        return [Combination(how="log odds")]
    if task.metric.name in _ABSOLUTE and len(members) > 2:
        return [Combination(how="median")]
    chosen = [parts[member.candidate].values for member in members]
    if task.metric.name in _RELATIVE and all(bool((values > 0).all()) for values in chosen):
        return [Combination(how="geometric")]
    return []


def choose_mix(
    task: Task,
    labels: Array,
    parts: Mapping[str, OutOfFold],
    members: list[Member],
    *,
    blocks: Codes,
    stackable: Sequence[str] = (),
    units: Codes | None = None,
    seed: int = 0,
) -> Mixed:
    """The weighted mean of `members`, or what beats it beyond luck: another mean of the same, or a stack.

    blocks: per position of `labels`, what a nested check leaves out together. stackable: candidates a stack may use
    beside the members; empty: no stack is tried. The chance a rival needs is divided by how many there are. The mean of
    log-odds needs no more than a gain: it is no choice among many, and the weights were chosen for the plain mean.
    """
    plain = Mixed(members, Combination(), blend(parts, members))
    rivals = [Mixed(members, one, blend(parts, members, one)) for one in means_for(task, members, parts)]
    rivals += _stack(task, labels, parts, members, stackable, blocks, seed)
    best = plain
    for rival in rivals:
        fitted = rival.combination.stacked or rival.combination.how != "log odds"
        found = challenge(task, labels, rival.part, best.part, units=units, seed=seed)
        if found["gain"] > 0 and (not fitted or found["chance"] <= LEVEL / len(rivals)):
            best = rival
    return best


def _stack(
    task: Task,
    labels: Array,
    parts: Mapping[str, OutOfFold],
    members: list[Member],
    stackable: Sequence[str],
    blocks: Codes,
    seed: int,
) -> list[Mixed]:
    names = dict.fromkeys([*(member.candidate for member in members), *stackable])
    chosen = {name: parts[name] for name in names}
    if not stackable or not can_stack(task, chosen):
        return []
    start = {member.candidate: member.weight for member in members}
    rows = common_rows(list(chosen.values()))
    crossed = cross_fitted(task, labels, chosen, start, blocks[rows], seed=seed)
    final, combination = fit_stack(task, labels, chosen, start, rows=rows, seed=seed)
    if crossed is None or not final or not np.isfinite(crossed.values).all():
        return []
    return [Mixed(final, combination, crossed)]
