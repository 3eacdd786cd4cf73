"""Whether the search goes on after an iteration, why, and with which operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from state.candidate import Candidate, Finding, StopReason
from state.profile import Profile
from state.search import Operation
from state.settings import Settings
from state.task import Task
from tools.recipes.fulfilling import parts_left
from tools.search.asking import tree_of
from tools.search.looks import promotions
from tools.search.policies import choose
from tools.search.taking import SearchBudget
from tools.search.tree import Tree

LEAST_CHANCE = 0.04
"""Chance that the next idea helps below which looking on is not worth the time."""
PRIOR_TRIES = 4.0
"""A priori one idea of five helps."""
OUT_OF_TIME = "the time for the search was used up"
"""Why a candidate was dropped before its first fold had ended."""
LEAST_SECONDS = 2.0
"""Wall seconds of search below which no iteration begins."""
PLENTY_SECONDS = 240.0
"""Limits from which on parts of the best program are tried out."""
ROUND_SECONDS = 8.0
"""Wall seconds a round is to last, about; planning and comparing take one or two."""
MOST_IN_ROUND = 10
MOST_ABLATIONS = 2
ABLATION_ITERATION = 1
"""After this iteration: the best is settled then, and later plans can heed what was found."""


@dataclass(frozen=True)
class Step:
    """What comes after an iteration."""

    action: Literal["iterate", "stop"]
    reason: StopReason
    detail: str = ""
    operations: list[Operation] = field(default_factory=list)


def chance_to_help(fruitless: int) -> float:
    """The chance that the next idea improves the best or its blend, after so many in a row that did not.

    The mean of a beta distribution that begins at one success in five and has seen only failures since.
    """
    return 1.0 / (1.0 + PRIOR_TRIES + fruitless)


def next_step(
    task: Task,
    profile: Profile,
    settings: Settings,
    candidates: Sequence[Candidate],
    findings: Sequence[Finding],
    *,
    iteration: int,
    improved: bool,
    fruitless: int,
    left: float,
    slots: int,
    folds: int,
    train_rows: int,
    lessons: Sequence[dict[str, Any]] = (),
    flexible: bool = False,
) -> Step:
    """Go on while iterations, time and promising ideas are left.

    improved: the iteration made a new best. fruitless: see `chance_to_help`. left: wall seconds of the search. folds: how
    many every candidate is run on. train_rows: training rows of the first fold. flexible: a round may have more than
    `settings.candidates` operations where they are quick. Pure: same facts, same step.
    """
    if iteration + 1 >= settings.iterations:
        return Step("stop", "iterations used up", f"{settings.iterations} at most")
    candidates = sorted(candidates, key=lambda one: (one.iteration, one.id))  # whichever ended first
    free = any(settings.expert_for(role) != "builtin" for role in ("researcher", "engineer"))
    tree = tree_of(task, profile, candidates, findings, folds=folds, slots=slots, lessons=lessons, free=free)
    looks = promotions(task.metric, candidates, train_rows)
    if looks and left > LEAST_SECONDS:
        return Step("iterate", "first looks taken: the best go on", operations=_fitting(tree, looks, left * slots))
    if left < LEAST_SECONDS:
        return Step("stop", "time used up", f"{left:.1f} s of search left")
    least = _least_wall(tree)
    if least is None and any(one.iteration == iteration and one.reason == OUT_OF_TIME for one in candidates):
        return Step("stop", "time used up", f"{left:.0f} s of search left, too few for what was planned last")
    if least is None:
        return Step("stop", "nothing left to try", "every recipe and every change of a candidate was tried")
    if left < least:
        return Step("stop", "time used up", f"{left:.0f} s of search left, the next idea needs about {least:.0f} s")
    chance = chance_to_help(fruitless)
    if chance < LEAST_CHANCE:
        said = f"the last {fruitless} ideas helped neither the best nor its blend: {chance:.0%} that the next one does"
        return Step("stop", "no improvement", said)
    count = round_size(tree, settings.candidates, left, slots) if flexible and not free else settings.candidates
    budget = SearchBudget(count, left, slots, iteration + 1, settings.seed)
    operations = choose(settings.policy, tree, budget)
    if not operations:
        return Step("stop", "nothing left to try", f"the policy {settings.policy} has no operation left")
    ablations = _ablations(task, profile, settings, tree, candidates, iteration)
    operations = [*operations[: count - len(ablations)], *ablations]
    return Step("iterate", _why_on(iteration, improved, findings), _told(operations), operations)


def round_size(tree: Tree, least: int, left: float, slots: int) -> int:
    """Operations of the next round: so many that it lasts, since between rounds no program runs.

    least: as many in any case. left: wall seconds of the search.
    """
    works = [node.work for node in tree.usable() if node.work > 0]
    if not works:
        return least
    fitting = min(ROUND_SECONDS, left) * slots / median(works)
    return max(least, min(MOST_IN_ROUND, int(fitting)))


def _why_on(iteration: int, improved: bool, findings: Sequence[Finding]) -> StopReason:
    if iteration == 0:
        return "findings to answer" if findings else "first iteration: more to try"
    return "improved, time left" if improved else "ideas left, time left"


def _told(operations: Sequence[Operation]) -> str:
    names = [operation.aim or operation.operator for operation in operations]
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))


def _least_wall(tree: Tree) -> float | None:
    """Wall seconds of the quickest idea there is; None when there is none."""
    walls = [draft.wall for draft in tree.drafts]
    walls += [node.wall for node in tree.usable() if node.ideas]
    walls += [0.0 for node in tree.leaves() if node.status == "failed" and not tree.usable()]
    return min(walls, default=None)


def _fitting(tree: Tree, operations: list[Operation], room: float) -> list[Operation]:
    """Promotions that end in so many slot seconds, one at least."""
    kept: list[Operation] = []
    for operation in operations:
        node = tree.node(operation.parents[0])
        room -= node.work if node else 0.0
        if room >= 0 or not kept:
            kept.append(operation)
    return kept


def _ablations(
    task: Task,
    profile: Profile,
    settings: Settings,
    tree: Tree,
    candidates: Sequence[Candidate],
    iteration: int,
) -> list[Operation]:
    """The best candidate without some of its parts, where time is plentiful; at most half of the iteration."""
    best = tree.best()
    if settings.time_limit < PLENTY_SECONDS or iteration != ABLATION_ITERATION or best is None:
        return []
    parts = parts_left(task, profile, candidates, best.id)[: min(MOST_ABLATIONS, settings.candidates // 2)]
    return [
        Operation(operator="improve", parents=[best.id], aim="ablation", reason=f"to learn what {part} are worth")
        for part in parts
    ]
