"""From the operations of a search policy to ideas: what the builtin expert makes of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from state.candidate import Candidate, Finding
from state.profile import Profile
from state.questions import PlanQuestion
from state.search import Operation
from state.task import Task
from tools.recipes.ablating import ABLATIONS, TOPIC, topic_of
from tools.recipes.catalogue import RECIPES
from tools.recipes.changes import CHANGES, Change
from tools.recipes.crossing import crossed
from tools.recipes.improving import (
    LONG,
    MOST_SEARCHED,
    Idea,
    changed,
    improvements,
    interleaved,
    milder,
    scored,
    searched,
    tried_marks,
    unused,
)
from tools.recipes.recipe import Variant
from tools.recipes.spaces import space
from tools.recipes.wishes import Wishes

MOST_DRAWN = 2
"""Places in the space of a recipe's settings that one round may try from one candidate."""
MOST_CROSSED = 5
"""The best candidates among which pairs are looked for."""


@dataclass(frozen=True)
class Room:
    """What nobody has tried yet. drafts: (recipe, parameters), best fitting first; ideas: candidate → changes left;
    pairs: candidates that can be crossed."""

    drafts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ideas: dict[str, int] = field(default_factory=dict)
    pairs: list[tuple[str, str]] = field(default_factory=list)


def fulfilled(question: PlanQuestion, wishes: Wishes) -> list[Idea]:
    """One idea for each operation, in their order; where one cannot be followed, the next best idea takes its place.

    Promotions are no ideas: `tools.recipes.promoting` makes their plans.
    """
    seen = tried_marks(question)
    ideas: list[Idea] = []
    for operation in question.operations:
        idea = next((one for one in _made(operation, question) if _is_new(one, operation, seen, wishes)), None)
        if idea is not None:
            seen.add(idea.mark)
            ideas.append(_reasoned(idea, operation))
    missing = len(question.operations) - len(ideas)
    spare = (idea for idea in improvements(question, wishes) if idea.mark not in seen) if missing else iter(())
    return [*ideas, *(idea for idea, _ in zip(spare, range(missing), strict=False))]


def room(question: PlanQuestion) -> Room:
    """What the builtin expert could still make of a question's candidates, for the search to choose from."""
    seen, best = tried_marks(question), scored(question)
    fresh: dict[str, Idea] = {}
    for idea in unused(question):
        if idea.mark not in seen:
            fresh.setdefault(idea.mark, idea)
    plain = question.model_copy(update={"findings": []})  # what is found names reasons, and adds no change
    ideas = {str(one["id"]): len({idea.mark for idea in _changes_of(one, plain, [])} - seen) for one in best}
    for one in best[:MOST_SEARCHED]:
        if space(RECIPES[str(one["recipe"])], question.task, question.profile):
            ideas[str(one["id"])] += MOST_DRAWN
    pairs = [
        (str(one["id"]), str(other["id"]))
        for one in best[:MOST_CROSSED]
        for other in best[:MOST_CROSSED]
        if one["recipe"] != other["recipe"] and any(idea.mark not in seen for idea in _crossings(one, other, question))
    ]
    return Room([(idea.recipe.name, idea.variant.params) for idea in fresh.values()], ideas, pairs)


def parts_left(task: Task, profile: Profile, candidates: Sequence[Candidate], name: str) -> list[str]:
    """The parts of a candidate whose absence was not tried yet."""
    briefs = [{"id": one.id, "recipe": one.plan.recipe, "params": one.plan.params} for one in candidates]
    question = PlanQuestion(task=task, profile=profile, iteration=1, count=1, seconds_left=0.0, jobs=1, tried=briefs)
    seen = tried_marks(question)
    mine = next((one for one in briefs if one["id"] == name and one["recipe"] in RECIPES), None)
    return [] if mine is None else [idea.without for idea in _ablations(mine, question) if idea.mark not in seen]


def _is_new(idea: Idea, operation: Operation, seen: set[str], wishes: Wishes) -> bool:
    return idea.mark not in seen and (operation.aim == "ablation" or not wishes.refuses(idea.recipe))


def _reasoned(idea: Idea, operation: Operation) -> Idea:
    """The policy's reason in front of the idea's own."""
    said = f"{operation.reason.rstrip('.')}. " if operation.reason else ""
    return replace(idea, variant=replace(idea.variant, why=f"{said}{idea.variant.why}"))


def _made(operation: Operation, question: PlanQuestion) -> Iterator[Idea]:
    """Ideas that follow an operation, best first."""
    known = {str(one["id"]): one for one in question.tried if one.get("recipe") in RECIPES}
    parents = [known[name] for name in operation.parents if name in known]
    if len(parents) < len(operation.parents):
        return
    if operation.operator == "draft":
        yield from (idea for idea in unused(question) if operation.recipe in ("", idea.recipe.name))
    elif operation.operator == "repair":
        one = parents[0]
        why = str(one.get("error") or "the program failed").strip().splitlines()[-1]
        yield milder(RECIPES[str(one["recipe"])], why, str(one["id"]), operation.cites, question)
    elif operation.operator == "crossover":
        yield from _crossings(parents[0], parents[1], question)
    elif operation.aim == "ablation":
        yield from _ablations(parents[0], question)
    else:
        yield from _improvements_of(parents[0], question, operation.cites)


def _improvements_of(one: dict[str, Any], question: PlanQuestion, cites: list[str]) -> Iterator[Idea]:
    """Named changes, then places in the recipe's space; both in turn where there is time for many."""
    named, drawn = _changes_of(one, question, cites), searched(question, [one], count=MOST_DRAWN)
    yield from interleaved(named, drawn) if question.seconds_left >= LONG else chain(named, drawn)


def _changes_of(one: dict[str, Any], question: PlanQuestion, cites: list[str]) -> Iterator[Idea]:
    """Changes of a candidate: answers to the named findings, to the other open ones, refinements, then the rest."""
    wanted = [finding for finding in question.findings if finding.id in cites]
    cites = [finding.id for finding in wanted]
    others = [finding for finding in reversed(question.findings) if finding.id not in cites]
    for finding in [*wanted, *others]:
        for change in CHANGES:
            if topic_in(finding) in change.topics:
                yield from _with(one, change, question, [finding.id])
    general = [finding.id for finding in question.findings if finding.severity != "error"][-1:]
    for change in sorted(CHANGES, key=lambda change: "refine" not in change.topics):
        yield from _with(one, change, question, cites or general)


def topic_in(finding: Finding) -> str:
    """The topic changes answer; that of an ablation names its part."""
    return topic_of(str(finding.data.get("part", ""))) if finding.topic == TOPIC else finding.topic


def _with(one: dict[str, Any], change: Change, question: PlanQuestion, cites: list[str]) -> Iterator[Idea]:
    idea = changed(one, change, question, cites)
    if idea is not None:
        yield idea


def _ablations(one: dict[str, Any], question: PlanQuestion) -> Iterator[Idea]:
    """The candidate without each of its parts."""
    for part in ABLATIONS:
        idea = changed(one, part, question, [])
        if idea is not None:
            variant = replace(idea.variant, why=f"What {part.key} are worth: {one['id']} {part.title}.")
            yield replace(idea, variant=variant, without=part.key)


def _crossings(one: dict[str, Any], other: dict[str, Any], question: PlanQuestion) -> Iterator[Idea]:
    """The representation of `one` with the model family of `other`."""
    task, profile = question.task, question.profile
    givers, takers = RECIPES[str(one["recipe"])], RECIPES[str(other["recipe"])]
    given, base = givers.variants(task, profile)[0], takers.variants(task, profile)[0]
    params = crossed(
        {**given.params, **(one.get("params") or {})}, {**base.params, **(other.get("params") or {})}, task, profile
    )
    if params is None:
        return
    title = str(other.get("title") or base.title).split(" · ")[0]
    variant = Variant(
        key=f"{takers.name}-by-{givers.name}",
        title=f"{title} · columns as in {givers.name}",
        why=f"Crosses {one['id']} (columns and target) with {other['id']} (model).",
        params=params,
        representation=given.representation,
        architecture=base.architecture,
        training=base.training,
    )
    yield Idea(takers, variant, operator="crossover", parent=str(one["id"]), other=str(other["id"]))
