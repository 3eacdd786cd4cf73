"""What is beyond luck: when a candidate may be called a new best, and which ones are hard to tell from the best.

Paired tests on stored out-of-fold predictions, so nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from state.candidate import Candidate
from state.task import Task
from tools.intervals import compare
from tools.selection import OutOfFold, at_rows, beats, best_of, common_rows
from tools.units import at

LEVEL = 0.05
"""Chance of calling a candidate a new best that is no better."""

FARTHEST = 1.2
"""Times the best one's loss at which numbers are no near guess any more, however little a test of few rows can tell."""

PERHAPS = 0.1
"""Chance above which a lead says too little; that of a lead by a single row is 0.16."""


def challenge(
    task: Task,
    labels: np.ndarray,
    challenger: OutOfFold,
    champion: OutOfFold,
    *,
    units: np.ndarray | None = None,
    rivals: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """The paired comparison of a challenger with the best so far, on the rows both predicted.

    units: what a bootstrap draws together, per position of `labels` (`tools.training.units_at`). rivals: among how many
    the challenger was the best; the best of many needs a smaller chance (Bonferroni). Returns what `compare` does, with
    `sure`: whether the gain is beyond luck. A challenger that is not sure may still be taken for its score; it is not
    called better.
    """
    rows = common_rows([challenger, champion])
    if not rows.size:
        return {"gain": 0.0, "low": 0.0, "high": 0.0, "better_share": 0.5, "chance": 1.0, "sure": False}
    found = compare(
        task.metric,
        labels[rows],
        at_rows(challenger, rows),
        at_rows(champion, rows),
        task.classes,
        task.positive,
        seed=seed,
        groups=at(units, rows),
    )
    return {**found, "sure": found["chance"] <= LEVEL / max(1, rivals)}


def near_best(
    task: Task,
    labels: np.ndarray,
    parts: Mapping[str, OutOfFold],
    candidates: Sequence[Candidate],
    best: Candidate,
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
    most: int = 5,
) -> list[str]:
    """The best candidate of each recipe that is hard to tell from the best of all, best first.

    Hard to tell: the best one's lead is not beyond luck. Few rows make scores of whole steps (one row right or wrong),
    whose distance says little, while the two may be wrong on other rows. Of numbers no loss may be FARTHEST times the
    best one's. labels and units: per position, as `challenge` takes them.
    """
    found: dict[str, Candidate] = {}
    for one in candidates:
        family = one.plan.recipe or one.id
        if one.score is not None and (family not in found or beats(task, one, found[family])):
            found[family] = one
    ranked = sorted(found.values(), key=lambda one: -task.metric.gain(one.score.value if one.score else 0.0, 0.0))
    near = [one.id for one in candidates if one.id == best.id]
    for one in ranked:
        other = one.id != best.id and (one.plan.recipe or one.id) != best.plan.recipe
        if len(near) < most and other and _comparable(task, one, best):
            lead = challenge(task, labels, parts[best.id], parts[one.id], units=units, seed=seed)
            near += [one.id] if lead["chance"] > LEVEL else []
    return near


def settled(
    task: Task,
    labels: np.ndarray,
    parts: Mapping[str, OutOfFold],
    candidates: Sequence[Candidate],
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> list[Candidate]:
    """The candidates without the variants whose lead over the draft they come from may be luck.

    For forecasts of series, whose few validation windows hold few independent errors: of thirty variants of a program one
    fits them by luck, and would be taken for it. A draft is what its recipe knows beforehand, so a variant takes its place
    only beyond luck, counted among all variants of that recipe. labels and units: per position, as `challenge` takes them.
    """
    of = {one.id: one for one in candidates}
    families: dict[str, list[Candidate]] = {}
    for one in candidates:
        families.setdefault(_family(one, of), []).append(one)
    kept = set()
    for family in families.values():
        drafts = [one for one in family if one.plan.operator == "draft"]
        variants = [one for one in family if one.plan.operator != "draft"]
        kept |= {one.id for one in drafts}
        draft = best_of(task, drafts)
        for one in variants:
            if draft is None or _fewer_rows(draft, one):
                kept.add(one.id)
            elif beats(task, one, draft):
                lead = challenge(
                    task, labels, parts[one.id], parts[draft.id], units=units, rivals=len(variants), seed=seed
                )
                kept |= {one.id} if lead["sure"] else set()
    return [one for one in candidates if one.id in kept]


def _family(one: Candidate, of: Mapping[str, Candidate]) -> str:
    """The recipe of a candidate. A program without one has that of the draft it comes from, over all its parents, or is of
    that draft's own; an ensemble stands for itself.
    """
    while (
        not one.plan.recipe
        and one.plan.operator not in ("draft", "ensemble")
        and (parent := of.get(one.plan.parent or ""))
    ):
        one = parent
    return one.plan.recipe or one.id


def _fewer_rows(one: Candidate, other: Candidate) -> bool:
    return one.score is None or (other.score is not None and one.score.rows < other.score.rows)


def _comparable(task: Task, one: Candidate, best: Candidate) -> bool:
    if task.metric.needs != "values" or one.score is None or best.score is None:
        return True
    losses = [each.score.value for each in (one, best) if each.score]
    if task.metric.direction == "higher":  # shares of what can be known, 1 for all of it
        losses = [1.0 - loss for loss in losses]
    return losses[0] <= FARTHEST * losses[1]
