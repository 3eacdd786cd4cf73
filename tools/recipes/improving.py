"""Later iterations: which changes answer which findings, and what to try when nothing was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from state.candidate import Finding, Operator
from state.profile import Profile
from state.questions import PlanQuestion
from state.records import canonical_json
from state.task import Task
from tools.recipes.catalogue import RECIPES, applicable
from tools.recipes.columns import columns_for
from tools.recipes.recipe import Recipe, Variant
from tools.recipes.wishes import Wishes

Params = dict[str, Any]


@dataclass(frozen=True)
class Idea:
    """A plan to be: what, why, from which candidate, answering which findings."""

    recipe: Recipe
    variant: Variant
    operator: Operator = "improve"
    parent: str | None = None
    cites: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A change of parameters that makes sense for some recipes. `apply` returns None where it does not."""

    key: str
    title: str
    topics: frozenset[str]
    """Topics of findings it answers."""
    apply: Callable[[Params, Task, Profile], Params | None]


def improvements(question: PlanQuestion, wishes: Wishes) -> list[Idea]:
    """Ideas for the next iteration, best first: answers to findings, recipes not used yet, refinements of the best.

    While findings are open each idea cites at least one of them; what was tried before is not proposed again.
    """
    best = _best(question)
    seen = {_print(str(one.get("recipe", "")), one.get("params") or {}) for one in question.tried}
    ideas: list[Idea] = []
    for idea in _interleaved(_answers(question, best), _unused(question), _refinements(question, best)):
        mark = _print(idea.recipe.name, idea.variant.params)
        if mark in seen or wishes.refuses(idea.recipe):
            continue
        seen.add(mark)
        ideas.append(idea)
    ideas.sort(key=lambda idea: not wishes.wants(idea.recipe))
    return _affordable(ideas, question)


def _interleaved(*sources: Iterator[Idea]) -> Iterator[Idea]:
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
    measured = {
        str(one["recipe"]): float(one["fit_seconds"])
        for one in question.tried
        if one.get("recipe") and one.get("fit_seconds")
    }
    room = question.seconds_left * max(1, question.jobs)
    fitting: list[Idea] = []
    for idea in ideas:
        guess = measured.get(idea.recipe.name, idea.recipe.seconds(question.task, question.profile))
        if guess * question.task.split.folds <= room or not fitting:
            fitting.append(idea)
    return fitting


def _print(recipe: str, params: Params) -> str:
    return f"{recipe} {canonical_json(params)}"


def _best(question: PlanQuestion) -> list[dict[str, Any]]:
    """Scored candidates that followed a recipe, best first."""
    scored = [one for one in question.tried if one.get("score") is not None and one.get("recipe") in RECIPES]
    sign = -1.0 if question.task.metric.direction == "higher" else 1.0
    return sorted(scored, key=lambda one: sign * float(one["score"]))


def _cited(findings: list[Finding], topics: frozenset[str]) -> list[str]:
    """Ids of the newest findings with these topics, at most three."""
    return [finding.id for finding in findings if finding.topic in topics][-3:]


def _answers(question: PlanQuestion, best: list[dict[str, Any]]) -> Iterator[Idea]:
    """Changes of the best candidates that answer a finding: one for each finding in turn, newest findings first."""
    yield from _interleaved(*(_answers_to(finding, question, best) for finding in reversed(question.findings)))


def _answers_to(finding: Finding, question: PlanQuestion, best: list[dict[str, Any]]) -> Iterator[Idea]:
    if finding.topic == "failure" and finding.data.get("recipe") in RECIPES:
        yield from _milder(RECIPES[finding.data["recipe"]], finding, question)
    for candidate in best[:3]:
        for change in CHANGES:
            if finding.topic in change.topics:
                idea = _changed(candidate, change, question, _cited(question.findings, frozenset({finding.topic})))
                if idea is not None:
                    yield idea


def _milder(recipe: Recipe, finding: Finding, question: PlanQuestion) -> Iterator[Idea]:
    """A failed recipe once more, with its conservative parameters."""
    variant = recipe.variants(question.task, question.profile)[0]
    params = conservative(variant.params)
    yield Idea(
        recipe,
        Variant(
            key=f"{recipe.name}-careful",
            title=f"{variant.title}, kept simple",
            why=f"Answers: {finding.text}",
            params=params,
            representation="fewer derived columns",
            architecture=variant.architecture,
            training=variant.training,
        ),
        operator="repair",
        parent=finding.candidate,
        cites=[finding.id],
    )


def _unused(question: PlanQuestion) -> Iterator[Idea]:
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
            if "refine" in change.topics and (idea := _changed(candidate, change, question, general)) is not None:
                yield idea


def _changed(candidate: dict[str, Any], change: Change, question: PlanQuestion, cites: list[str]) -> Idea | None:
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


def conservative(params: Params) -> Params:
    """The same recipe with fewer features, fewer rounds and nothing fancy: what a repair falls back to."""
    careful = {
        "drop_texts": True,
        "many": "codes",
        "native": False,
        "balanced": False,
        "log": False,
        "members": 1,
        "numbers": "scaled",
        "single": True,
    }
    smaller = {**params, **{name: value for name, value in careful.items() if name in params}}
    for name, most in (("rounds", 200), ("trees", 60), ("components", 8), ("landmarks", 100)):
        if name in params:
            smaller[name] = min(int(params[name]), most)
    return smaller


def _log_target(params: Params, task: Task, profile: Profile) -> Params | None:
    low = profile.target.stats.get("min")
    if task.kind != "regression" or "log" not in params or params["log"] or low is None or float(low) < 0:
        return None
    return {**params, "log": True}


def _balanced(params: Params, task: Task, profile: Profile) -> Params | None:
    if not task.is_classification or task.metric.needs != "labels" or task.metric.name == "accuracy":
        return None
    return {**params, "balanced": True} if params.get("balanced") is False else None


def _lgb(params: Params, **changes: Any) -> Params | None:
    if "lgb" not in params:
        return None
    return {**params, "lgb": {**params["lgb"], **changes}}


def _slower(params: Params, task: Task, profile: Profile) -> Params | None:
    if "lgb" in params:
        rate = max(0.01, round(params["lgb"]["learning_rate"] / 2, 4))
        more = _lgb(params, learning_rate=rate, feature_fraction=0.5)
        return {**more, "rounds": min(2500, params["rounds"] * 2)} if more else None
    if "rate" in params:
        return {**params, "rate": max(0.015, round(params["rate"] / 2, 4)), "rounds": min(900, params["rounds"] * 2)}
    if "trees" in params and isinstance(params.get("leaf"), int):
        return {**params, "leaf": params["leaf"] + 2}
    return None


def _deeper(params: Params, task: Task, profile: Profile) -> Params | None:
    if "lgb" in params:
        return _lgb(params, num_leaves=min(255, params["lgb"]["num_leaves"] * 2))
    if "leaves" in params:
        return {**params, "leaves": min(255, params["leaves"] * 2)}
    if "trees" in params and params.get("leaf", 1) > 1:
        return {**params, "leaf": 1}
    return (
        {**params, "numbers": "curved"} if params.get("numbers") == "scaled" and params.get("family") != "pls" else None
    )


def _milder_fit(params: Params, task: Task, profile: Profile) -> Params | None:
    if "lgb" in params:
        lgb = params["lgb"]
        leaves, least = max(5, lgb["num_leaves"] // 2), lgb["min_data_in_leaf"] * 2
        return _lgb(params, num_leaves=leaves, min_data_in_leaf=least, lambda_l2=10.0, feature_fraction=0.5)
    if "leaves" in params:
        return {**params, "leaves": max(5, params["leaves"] // 2), "leaf": params["leaf"] * 2, "l2": 10.0}
    return {**params, "leaf": params["leaf"] + 3} if "trees" in params else None


def _native(params: Params, task: Task, profile: Profile) -> Params | None:
    if "native" not in params or params["native"] or not any(feature.kind == "category" for feature in task.features):
        return None
    return {**params, "native": True, "many": "codes"}


def _more_components(params: Params, task: Task, profile: Profile) -> Params | None:
    if "components" not in params or not columns_for(task, profile).texts:
        return None
    return {**params, "components": min(80, params["components"] * 2)}


def _ranked(params: Params, task: Task, profile: Profile) -> Params | None:
    if params.get("numbers") not in ("scaled", "curved") or all(feature.kind != "numeric" for feature in task.features):
        return None
    return {**params, "numbers": "ranked"}


def _other_forest(params: Params, task: Task, profile: Profile) -> Params | None:
    if params.get("kind") not in ("extra", "random") or params.get("sample"):
        return None
    return {**params, "kind": "random" if params["kind"] == "extra" else "extra"}


CHANGES = [
    Change("log", "logarithm of the target", frozenset({"skewed-target", "residuals"}), _log_target),
    Change("balanced", "rare classes weighted up", frozenset({"imbalance", "confusion"}), _balanced),
    Change(
        "native", "categories split as sets", frozenset({"segment", "high-cardinality", "residuals", "refine"}), _native
    ),
    Change(
        "milder",
        "simpler trees, stronger penalty",
        frozenset({"overfit", "time-drift", "confusion", "refine"}),
        _milder_fit,
    ),
    Change("deeper", "finer splits", frozenset({"underfit", "segment", "residuals"}), _deeper),
    Change(
        "slower",
        "slower learning on fewer columns at a time",
        frozenset({"refine", "overfit", "skewed-target"}),
        _slower,
    ),
    Change("other", "the other kind of forest", frozenset({"refine", "overfit", "underfit"}), _other_forest),
    Change("texts", "more text components", frozenset({"text", "underfit"}), _more_components),
    Change("ranked", "numbers by rank", frozenset({"residuals", "skewed-target", "imbalance", "refine"}), _ranked),
]
