"""Later iterations: which changes answer which findings, and what to try when nothing was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from state.candidate import Finding, Operator
from state.questions import PlanQuestion
from state.records import canonical_json
from tools.costs import costs_of, guess_of, wall_seconds
from tools.recipes.ablating import TOPIC, topic_of
from tools.recipes.catalogue import RECIPES, applicable
from tools.recipes.changes import CHANGES, Change, conservative
from tools.recipes.recipe import Recipe, Variant
from tools.recipes.tuning import tuned
from tools.recipes.wishes import Wishes

Params = dict[str, Any]
LONG = 150.0
"""Search seconds left from which hyper-parameters are searched beside the named changes; else after them."""
MOST_SEARCHED = 4
"""Candidates whose settings are searched further."""


@dataclass(frozen=True)
class Idea:
    """A plan to be: what, why, from which candidate, answering which findings."""

    recipe: Recipe
    variant: Variant
    operator: Operator = "improve"
    parent: str | None = None
    cites: list[str] = field(default_factory=list)
    other: str | None = None
    without: str = ""

    @property
    def mark(self) -> str:
        """What tells two ideas apart: recipe and parameters."""
        return _print(self.recipe.name, self.variant.params)


def tried_marks(question: PlanQuestion) -> set[str]:
    """The marks of everything that was tried."""
    return {_print(str(one.get("recipe", "")), one.get("params") or {}) for one in question.tried}


def improvements(question: PlanQuestion, wishes: Wishes) -> list[Idea]:
    """Ideas for the next iteration, best first: answers to findings, recipes not used yet, refinements of the best.

    While findings are open each idea cites at least one of them; what was tried before is not proposed again.
    """
    best = scored(question)
    seen = tried_marks(question)
    ideas: list[Idea] = []
    sources = [_answers(question, best), unused(question), _refinements(question, best)]
    if question.seconds_left >= LONG:
        sources.append(searched(question, best))
    for idea in chain(interleaved(*sources), searched(question, best)):
        if idea.mark in seen or wishes.refuses(idea.recipe):
            continue
        seen.add(idea.mark)
        ideas.append(idea)
    ideas.sort(key=lambda idea: not wishes.wants(idea.recipe))
    return _affordable(ideas, question)


def interleaved(*sources: Iterator[Idea]) -> Iterator[Idea]:
    """One idea of each source in turn, so that neither findings nor diversity take everything."""
    waiting = list(sources)
    while waiting:
        for source in list(waiting):
            idea = next(source, None)
            if idea is None:
                waiting.remove(source)
            else:
                yield idea


def _affordable(ideas: list[Idea], question: PlanQuestion) -> list[Idea]:
    """Ideas whose folds fit in the time left, at least one."""
    costs = costs_of(question.task, question.profile, question.tried)
    folds = question.task.split.folds
    fitting: list[Idea] = []
    for idea in ideas:
        guess = guess_of(idea.recipe.name, idea.variant.params, question.task, question.profile)
        wall = wall_seconds(costs.of(idea.recipe.name, guess).seconds, folds, max(1, question.jobs))
        if wall <= question.seconds_left or not fitting:
            fitting.append(idea)
    return fitting


def _print(recipe: str, params: Params) -> str:
    return f"{recipe} {canonical_json(params)}"


def scored(question: PlanQuestion) -> list[dict[str, Any]]:
    """Scored candidates that followed a recipe, best first; first looks stand behind all others."""
    known = [one for one in question.tried if one.get("score") is not None and one.get("recipe") in RECIPES]
    whole = [one for one in known if not one.get("rows")] or known
    sign = -1.0 if question.task.metric.direction == "higher" else 1.0
    return sorted(whole, key=lambda one: sign * float(one["score"]))


def _cited(findings: list[Finding], topics: frozenset[str]) -> list[str]:
    """Ids of the newest findings with these topics, at most three."""
    return [finding.id for finding in findings if finding.topic in topics][-3:]


def _answers(question: PlanQuestion, best: list[dict[str, Any]]) -> Iterator[Idea]:
    """Changes of the best candidates that answer a finding: one for each finding in turn, newest findings first."""
    yield from interleaved(*(_answers_to(finding, question, best) for finding in reversed(question.findings)))


def _answers_to(finding: Finding, question: PlanQuestion, best: list[dict[str, Any]]) -> Iterator[Idea]:
    if finding.topic == "failure" and finding.data.get("recipe") in RECIPES:
        yield milder(RECIPES[finding.data["recipe"]], finding.text, finding.candidate, [finding.id], question)
    topic = topic_of(str(finding.data.get("part", ""))) if finding.topic == TOPIC else finding.topic
    for candidate in best[:3]:
        for change in CHANGES:
            if topic in change.topics:
                idea = changed(candidate, change, question, _cited(question.findings, frozenset({finding.topic})))
                if idea is not None:
                    yield idea


def milder(recipe: Recipe, problem: str, parent: str | None, cites: list[str], question: PlanQuestion) -> Idea:
    """A failed recipe once more, with its conservative parameters."""
    variant = recipe.variants(question.task, question.profile)[0]
    careful = Variant(
        key=f"{recipe.name}-careful",
        title=f"{variant.title}, kept simple",
        why=f"Answers: {problem}",
        params=conservative(variant.params),
        representation="fewer derived columns",
        architecture=variant.architecture,
        training=variant.training,
    )
    return Idea(recipe, careful, operator="repair", parent=parent, cites=cites)


def unused(question: PlanQuestion) -> Iterator[Idea]:
    """Recipes and first variants nobody tried: another kind of model errs on other rows."""
    tried = {one.get("recipe") for one in question.tried}
    cites = [finding.id for finding in question.findings if finding.source in ("predictions", "comparison")][-1:]
    cites = cites or [finding.id for finding in question.findings][-1:]
    for recipe, _ in applicable(question.task, question.profile):
        variants = recipe.variants(question.task, question.profile)
        for variant in variants[1:] if recipe.name in tried else variants:
            yield Idea(recipe, variant, operator="draft", cites=cites)


def _refinements(question: PlanQuestion, best: list[dict[str, Any]]) -> Iterator[Idea]:
    """Changes that often pay without a reason in the findings, on the best candidates first."""
    general = [finding.id for finding in question.findings if finding.severity != "error"][-1:]
    for candidate in best[:4]:
        for change in CHANGES:
            if "refine" in change.topics and (idea := changed(candidate, change, question, general)) is not None:
                yield idea


def searched(question: PlanQuestion, best: list[dict[str, Any]], *, count: int = 0) -> Iterator[Idea]:
    """Settings drawn from the spaces of the best candidates' recipes, `count` of each (0: as many as are wanted)."""
    cites = [finding.id for finding in question.findings if finding.severity != "error"][-1:]
    for number in range(count or question.count):
        for candidate in best[:MOST_SEARCHED]:
            recipe, parent = RECIPES[str(candidate["recipe"])], str(candidate["id"])
            variant = tuned(question, recipe, parent, number=number)
            if variant is not None:
                yield Idea(recipe, variant, parent=parent, cites=cites)


def changed(candidate: dict[str, Any], change: Change, question: PlanQuestion, cites: list[str]) -> Idea | None:
    recipe = RECIPES[str(candidate["recipe"])]
    base = recipe.variants(question.task, question.profile)[0]
    params = {**base.params, **(candidate.get("params") or {})}
    new = change.apply(params, question.task, question.profile)
    if new is None or new == params:
        return None
    texts = {finding.id: finding.text for finding in question.findings}
    reason = "; ".join(texts[cite] for cite in cites)
    title = str(candidate.get("title") or base.title).split(" · ")[0]
    variant = Variant(
        key=f"{recipe.name}-{change.key}",
        title=f"{title} · {change.title}",
        why=f"Builds on {candidate['id']}. Answers: {reason}."
        if reason
        else f"Builds on {candidate['id']}: {change.title}.",
        params=new,
        representation=base.representation,
        architecture=base.architecture,
        training=f"{base.training}; {change.title}",
    )
    return Idea(recipe, variant, parent=str(candidate["id"]), cites=cites)
