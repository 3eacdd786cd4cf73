"""Plans by rule for programs that follow no recipe: where the builtin expert plans, and a language model writes.

No rule knows what to change in such a program. The plan says what the search asks for and which findings are open; the
writer, who is shown the programs, finds the change.
"""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.questions import PlanQuestion
from state.search import Operation
from tools.recipes.catalogue import RECIPES
from tools.recipes.promoting import fold_seconds

_WORDS = {
    "improve": ("changed once more", "Change one thing that is likely to make it better."),
    "crossover": ("crossed", "Read columns and target as the first, with the model family of the second."),
    "repair": ("kept simple", "Keep its idea, with fewer features and nothing fancy."),
}


def freely(question: PlanQuestion) -> list[Plan]:
    """A plan for each operation that builds on a program without a recipe, in their order."""
    known = {str(one.get("id")): one for one in question.tried}
    plans = []
    for number, operation in enumerate(question.operations, start=1):
        parents = [known[name] for name in operation.parents if name in known]
        complete = bool(parents) and len(parents) == len(operation.parents)
        if complete and operation.operator in _WORDS and any(one.get("recipe") not in RECIPES for one in parents):
            plans.append(_plan(parents, operation, question, number))
    return plans


def _plan(parents: list[dict[str, Any]], operation: Operation, question: PlanQuestion, number: int) -> Plan:
    """The first parent's way with the columns and the last one's model: for a single parent all its own."""
    first, last = parents[0], parents[-1]
    title, task = _WORDS[operation.operator]
    said = f"{operation.reason.rstrip('.')}. " if operation.reason else ""
    improves = operation.operator == "improve"
    general = [finding.id for finding in question.findings if improves and finding.severity != "error"]
    return Plan(
        id=f"i{question.iteration}-{operation.operator}-{number}-written",
        title=f"{' and '.join(str(one.get('title') or one['id']).split(' · ')[0] for one in parents)} · {title}",
        rationale=f"{said}{task}",
        params=last.get("params") or {},
        operator=operation.operator,
        parent=str(first["id"]),
        other=str(last["id"]) if len(parents) > 1 else None,
        cites=operation.cites or general[-1:],
        representation=str(first.get("representation") or ""),
        architecture=str(last.get("architecture") or ""),
        training=str(last.get("training") or ""),
        estimate_seconds=round(fold_seconds(last, question) * question.task.split.folds, 1),
    )
