"""Promotions: the program of a first look goes on as it is, on more rows. That needs no recipe, whoever wrote it."""

from __future__ import annotations

import re
from typing import Any

from state.candidate import Plan
from state.questions import PlanQuestion
from state.search import Operation
from tools.costs import costs_of, guess_of
from tools.recipes.catalogue import RECIPES


def promoted(question: PlanQuestion) -> tuple[list[Plan], PlanQuestion]:
    """The plans of the promotions a question asks for, in their order, and the question with its other operations."""
    known = {str(one.get("id")): one for one in question.tried}
    plans: list[Plan] = []
    others: list[Operation] = []
    for operation in question.operations:
        one = known.get(operation.parents[0]) if operation.aim == "promote" and operation.parents else None
        if one is None:
            others.append(operation)
        else:
            plans.append(_plan(one, operation, question))
    return plans, question.model_copy(update={"operations": others, "count": max(0, question.count - len(plans))})


def _plan(one: dict[str, Any], operation: Operation, question: PlanQuestion) -> Plan:
    """The plan of an earlier candidate once more: what it is made of is told by its own words, so it stays the same."""
    stem = re.sub(r"^i\d+-", "", str(one["id"])).removesuffix("-more")
    said = f"{operation.reason.rstrip('.')}. " if operation.reason else ""
    return Plan(
        id=f"i{question.iteration}-{stem}-{'more' if operation.rows else 'all'}",
        title=str(one.get("title") or one["id"]),
        rationale=f"{said}The same on {f'{operation.rows:,} rows' if operation.rows else 'all rows'}.",
        recipe=str(one.get("recipe") or ""),
        params=one.get("params") or {},
        operator="improve",
        parent=str(one["id"]),
        cites=operation.cites,
        rows=operation.rows,
        representation=str(one.get("representation") or ""),
        architecture=str(one.get("architecture") or ""),
        training=str(one.get("training") or ""),
        inference="as that of its parent",
        estimate_seconds=round(fold_seconds(one, question) * question.task.split.folds, 1),
    )


def fold_seconds(one: dict[str, Any], question: PlanQuestion) -> float:
    """Seconds of one fold on all rows: by the recipe's formula; of a program without one, what it took itself."""
    recipe, measured = str(one.get("recipe") or ""), float(one.get("fit_seconds") or 0.0)
    if measured and recipe not in RECIPES:
        return measured
    guess = guess_of(recipe, one.get("params") or {}, question.task, question.profile)
    return costs_of(question.task, question.profile, question.tried).of(recipe, guess).seconds
