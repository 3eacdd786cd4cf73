"""What is told of earlier candidates when plans are asked for, and what a search policy is to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from state.candidate import Candidate, Finding
from state.profile import Profile
from state.questions import PlanQuestion
from state.task import Task
from tools.costs import Costs, costs_of, guess_of, wall_seconds
from tools.recipes.catalogue import RECIPES
from tools.recipes.changes import CHANGES
from tools.recipes.fulfilling import Room, room, topic_in
from tools.search.tree import MANY_IDEAS, Draft, Tree, build_tree

MOST_CHANGES = 3
"""Changes one after the other of one first draft. A list of changes has no end where they may be made again and again."""
_ANSWERED = frozenset(topic for change in CHANGES for topic in change.topics)
"""Topics that some change answers."""


def brief_of(candidate: Candidate) -> dict[str, Any]:
    """A candidate as `PlanQuestion.tried` tells it."""
    plan = candidate.plan
    return {
        "id": candidate.id,
        "title": plan.title,
        "recipe": plan.recipe,
        "params": plan.params,
        "operator": plan.operator,
        "parent": plan.parent,
        "status": candidate.status,
        "score": candidate.score.value if candidate.score else None,
        "seconds": candidate.seconds,
        "fit_seconds": candidate.fit_seconds,
        "error": candidate.reason,
        "rows": plan.rows,
        "cites": plan.cites,
        "representation": plan.representation,
        "architecture": plan.architecture,
        "training": plan.training,
    }


def tree_of(
    task: Task,
    profile: Profile,
    candidates: Sequence[Candidate],
    findings: Sequence[Finding],
    *,
    folds: int,
    slots: int,
    lessons: Sequence[dict[str, Any]] = (),
    free: bool = False,
) -> Tree:
    """The tree for the search policy, each idea with what it is expected to cost.

    folds: how many every candidate is run on. lessons: as the researcher was told them. free: plans come from a writer
    who is not bound to the builtin recipes, so that every candidate may be improved.
    """
    question = PlanQuestion(
        task=task,
        profile=profile,
        iteration=1,
        count=1,
        seconds_left=0.0,
        jobs=slots,
        tried=[brief_of(one) for one in candidates],
        findings=list(findings),
    )
    left, costs = room(question), costs_of(task, profile, question.tried)
    if free:
        left = _freed(left, candidates)
    else:
        deep = _deep(candidates)
        ideas = {name: 0 if name in deep else count for name, count in left.ideas.items()}
        left = Room(left.drafts, ideas, [pair for pair in left.pairs if not deep & set(pair)])
    prices = {
        one.id: _price(one.fit_seconds or costs.of(one.plan.recipe, 1.0).seconds, folds, slots) for one in candidates
    }
    return build_tree(
        task.metric,
        candidates,
        ideas=left.ideas,
        prices=prices,
        drafts=_drafts(left, task, profile, costs, folds, slots, lessons),
        findings=[one for one in findings if free or topic_in(one) in _ANSWERED],
        pairs=left.pairs,
    )


def _deep(candidates: Sequence[Candidate]) -> set[str]:
    """Candidates with so many changes behind them that further ones are left alone."""
    parents = {one.id: [name for name in (one.plan.parent, one.plan.other) if name] for one in candidates}

    def depth(name: str, above: frozenset[str]) -> int:
        over = [parent for parent in parents.get(name, []) if parent in parents and parent not in above]
        return max((1 + depth(parent, above | {name}) for parent in over), default=0)

    return {name for name in parents if depth(name, frozenset({name})) >= MOST_CHANGES}


def _freed(left: Room, candidates: Sequence[Candidate]) -> Room:
    """A free writer has ideas about everything, and may combine any two."""
    usable = [one.id for one in candidates if one.usable and not one.members]
    pairs = [(one, other) for one in usable for other in usable if one != other]
    return Room(left.drafts, dict.fromkeys(usable, MANY_IDEAS), pairs)


def _drafts(
    left: Room,
    task: Task,
    profile: Profile,
    costs: Costs,
    folds: int,
    slots: int,
    lessons: Sequence[dict[str, Any]],
) -> list[Draft]:
    """Untried drafts by fit, moved by lessons as first drafts are."""
    gains = {str(one.get("recipe")): float(one.get("gain") or 0.0) for one in lessons}
    names = [name for name, _ in left.drafts]
    order = sorted(
        range(len(names)),
        key=lambda place: -(RECIPES[names[place]].fits(task, profile) + 0.5 * gains.get(names[place], 0.0)),
    )
    drafts = []
    for place in order:
        name, params = left.drafts[place]
        fold = costs.of(name, guess_of(name, params, task, profile)).seconds
        drafts.append(Draft(name, RECIPES[name].family, *_price(fold, folds, slots)))
    return drafts


def _price(fold: float, folds: int, slots: int) -> tuple[float, float]:
    """Wall and slot seconds of a candidate whose folds take this long."""
    return wall_seconds(fold, folds, slots), fold * folds
