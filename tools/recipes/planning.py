"""From a task, a profile and what was learned so far to an ordered list of solution plans."""

from __future__ import annotations

from typing import Any

from state.candidate import IterationPlan, Plan
from state.profile import Profile
from state.questions import PlanQuestion, Plans
from state.task import Task
from tools.costs import costs_of, guess_of
from tools.recipes.catalogue import applicable
from tools.recipes.fulfilling import fulfilled
from tools.recipes.improving import Idea, improvements
from tools.recipes.promoting import promoted
from tools.recipes.recipe import Recipe, Variant
from tools.recipes.several import one_question
from tools.recipes.wishes import Wishes, read_wishes


def propose(question: PlanQuestion) -> Plans:
    """The plans of one iteration. The first covers different families; later ones answer findings and refine."""
    asked, question = question, one_question(question)
    wishes = read_wishes(question.feedback)
    later = question.iteration > 0 and any(one.get("score") is not None for one in question.tried)
    plans = _later(question, wishes) if later else _drafts(question, wishes)
    if not plans:
        plans = _drafts(question, Wishes())
    return Plans(iteration_plan=_iteration_plan(asked, plans, later), plans=plans)


def _later(question: PlanQuestion, wishes: Wishes) -> list[Plan]:
    """What the operations ask for, promotions first; where none are asked for, what comes next by our own rules."""
    going_on, rest = promoted(question)
    if going_on and not rest.operations:
        return going_on[: question.count]
    ideas = (fulfilled if rest.operations else improvements)(rest, wishes)
    return [*going_on, *(_refined(idea, question) for idea in ideas[: rest.count])]


def ranked(question: PlanQuestion, wishes: Wishes) -> list[tuple[Recipe, float]]:
    """Applicable recipes by fit, moved by measured lessons of earlier runs and by what a person asked for."""
    lessons = {str(lesson.get("recipe", "")): lesson for lesson in question.lessons}
    scored = []
    for recipe, fit in applicable(question.task, question.profile):
        if wishes.refuses(recipe):
            continue
        lesson = lessons.get(recipe.name, {})
        uses = max(1.0, float(lesson.get("uses") or 1.0))
        # One earlier run moves a recipe by half its gain; many runs by nearly all of it.
        fit += float(lesson.get("gain") or 0.0) * uses / (uses + 1.0)
        scored.append((recipe, fit + (2.0 if wishes.wants(recipe) else 0.0)))
    return sorted(scored, key=lambda pair: -pair[1])


def _drafts(question: PlanQuestion, wishes: Wishes) -> list[Plan]:
    """First drafts: one plan per recipe, never without the specialist, a boosting and a linear plan; then variants."""
    order = [recipe for recipe, _ in ranked(question, wishes)]
    chosen = order[: question.count]
    needed = [family for family in ("linear", "boosting", "specialist") if question.count > 2 or family != "linear"]
    for family in needed:
        first = next((recipe for recipe in order if _belongs(recipe, family)), None)
        if first is None or first in chosen:
            continue
        spare = [
            one for one in reversed(chosen) if sum(_same(one, other) for other in chosen) > 1 or not _is_needed(one)
        ]
        if spare:
            chosen[chosen.index(spare[0])] = first
    chosen.sort(key=order.index)
    task, profile = question.task, question.profile
    pairs = [(recipe, recipe.variants(task, profile)) for recipe in chosen]
    drafts = [(recipe, variants[0]) for recipe, variants in pairs]
    drafts += [(recipe, variant) for recipe, variants in pairs for variant in variants[1:]]
    return [_drafted(recipe, variant, question) for recipe, variant in drafts[: question.count]]


def _belongs(recipe: Recipe, family: str) -> bool:
    return recipe.specialist if family == "specialist" else recipe.family == family


def _same(one: Recipe, other: Recipe) -> bool:
    return one.family == other.family and one.specialist == other.specialist


def _is_needed(recipe: Recipe) -> bool:
    return recipe.specialist or recipe.family in ("linear", "boosting")


def _drafted(recipe: Recipe, variant: Variant, question: PlanQuestion) -> Plan:
    return _plan(recipe, variant, question, f"i{question.iteration}-{variant.key}", _reasons(question.profile))


def _refined(idea: Idea, question: PlanQuestion) -> Plan:
    plan = _plan(idea.recipe, idea.variant, question, f"i{question.iteration}-{idea.variant.key}", "")
    return plan.but(
        operator=idea.operator,
        parent=idea.parent,
        other=idea.other,
        cites=idea.cites,
        without=idea.without,
    )


def _plan(recipe: Recipe, variant: Variant, question: PlanQuestion, identity: str, reasons: str) -> Plan:
    return Plan(
        id=identity,
        title=variant.title,
        rationale=" ".join(part for part in (variant.why, reasons) if part),
        recipe=recipe.name,
        params=variant.params,
        representation=variant.representation,
        architecture=variant.architecture,
        training=variant.training,
        inference="the same encoding, row by row; unseen categories and missing values are expected",
        estimate_seconds=_estimate(recipe, variant, question),
    )


def _estimate(recipe: Recipe, variant: Variant, question: PlanQuestion) -> float:
    """Slot seconds of all folds, by the recipe's formula and what was measured in this run."""
    task, profile = question.task, question.profile
    costs = costs_of(task, profile, question.tried)
    guess = guess_of(recipe.name, variant.params, task, profile)
    return round(costs.of(recipe.name, guess).seconds * task.split.folds, 1)


_TRAIT_REASONS = {
    "small": "few rows, so variance is kept down",
    "large": "many rows, so the cost per row counts",
    "wide": "many columns for the rows there are",
    "text": "free text among the columns",
    "sequence": "biological sequences among the columns",
    "image": "images among the columns",
    "dates": "dates among the columns",
    "high-cardinality": "categories with many values",
    "missing": "missing values",
    "imbalanced": "a rare class",
    "skewed-target": "a skewed target",
    "forecast": "values of later times are asked for",
    "groups": "whole groups will be new",
    "many-classes": "many classes",
    "numeric-only": "numbers only",
}


def _reasons(profile: Profile) -> str:
    """What of this table the plan reckons with, as a sentence."""
    found = [_TRAIT_REASONS[trait] for trait in profile.traits if trait in _TRAIT_REASONS][:4]
    size = f"{profile.rows:,} rows and {len(profile.columns)} columns"
    return f"Here: {size}; {', '.join(found)}." if found else f"Here: {size}."


def _iteration_plan(question: PlanQuestion, plans: list[Plan], later: bool) -> IterationPlan:
    task = question.task
    answered = sorted({cite for plan in plans for cite in plan.cites})
    texts = {finding.id: finding.text for finding in question.findings}
    if later:
        goal = (
            "; ".join(texts[cite] for cite in answered[:4] if cite in texts) or "refine the best and try what is unused"
        )
    else:
        goal = "cover different model families, so that the ensemble has something to combine"
    return IterationPlan(
        iteration=question.iteration,
        mode="refine" if later else "explore",
        exploration=f"profile of {question.profile.rows:,} rows; traits: {', '.join(question.profile.traits) or 'none'}",
        split=f"{task.split.kind}, {task.split.folds} folds, unchanged over iterations; {task.split.reason}".rstrip(
            "; "
        ),
        representation=_joined(plan.representation for plan in plans),
        architecture=_joined(plan.architecture for plan in plans),
        training=_joined(plan.training for plan in plans),
        inference="one row at a time must give the same predictions as a whole table",
        prediction_exploration="segments, ranges and classes where the best candidate errs more than on average",
        evaluation=f"{task.metric.name} on out-of-fold rows, candidates compared pairwise on the same rows",
        rationale=f"{'Answers' if later and answered else 'Aim'}: {goal}",
    )


def _joined(parts: Any) -> str:
    return " | ".join(dict.fromkeys(part for part in parts if part))


def nearest_recipe(plan: Plan, task: Task, profile: Profile) -> Recipe:
    """The applicable recipe a plan without one speaks of most; the best fitting one when it speaks of none."""
    words = read_wishes([plan.title, plan.architecture, plan.representation])
    fitting = [recipe for recipe, _ in applicable(task, profile)]
    return next((recipe for recipe in fitting if words.wants(recipe)), fitting[0])
