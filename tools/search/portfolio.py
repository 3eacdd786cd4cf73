"""Portfolio: what the data's profile and earlier runs recommend, diversity first, then answers and refinements."""

from __future__ import annotations

from collections.abc import Callable

from state.search import Operation
from tools.search.taking import SearchBudget, Taking
from tools.search.tree import Node, Tree


def portfolio(tree: Tree, budget: SearchBudget) -> list[Operation]:
    """In turn: a draft of a recipe nobody tried, an answer to an open finding, a refinement of each recipe's best.

    The tree's drafts are ordered by fit and lessons. Families not seen yet come before everything else, up to half of
    the round, so that neither diversity nor refinement takes it all.
    """
    taking = Taking(tree, budget)
    chosen = _unseen(tree, taking, (budget.count + 1) // 2)
    ways: list[Callable[[], Operation | None]] = [
        lambda: _answer(taking),
        lambda: _draft(taking),
        lambda: _refine(tree, taking, chosen),
    ]
    while ways and len(chosen) < budget.count:
        for way in list(ways):
            operation = way() if len(chosen) < budget.count else None
            if operation is not None:
                chosen.append(operation)
            elif len(chosen) < budget.count:
                ways.remove(way)
    return chosen


def _unseen(tree: Tree, taking: Taking, most: int) -> list[Operation]:
    """Drafts of families that no candidate belongs to."""
    seen = {node.family for node in tree.nodes}
    chosen: list[Operation] = []
    for draft in taking.drafts():
        if draft.family not in seen and len(chosen) < most:
            seen.add(draft.family)
            chosen.append(taking.draft(draft, f"no {draft.family} model was tried, and it errs on other rows"))
    return chosen


def _answer(taking: Taking) -> Operation | None:
    """The best candidate once more, with a change that answers the newest open finding."""
    nodes, findings = taking.improvable(), taking.open_findings()
    if not nodes or not findings:
        return None
    return taking.improve(nodes[0], f"{nodes[0].id} is to answer finding {findings[0]}", [findings[0]])


def _draft(taking: Taking) -> Operation | None:
    drafts = taking.drafts()
    return taking.draft(drafts[0], "the next in order of fit and lessons") if drafts else None


def _refine(tree: Tree, taking: Taking, chosen: list[Operation]) -> Operation | None:
    """The best candidate of the recipe that had the fewest refinements in this round."""
    times = [parent for operation in chosen for parent in operation.parents[:1]]
    recipes = [node.recipe for parent in times if (node := tree.node(parent)) is not None]
    firsts: dict[str, Node] = {}
    for node in taking.improvable():
        firsts.setdefault(node.recipe, node)
    if not firsts:
        return None
    node = min(firsts.values(), key=lambda one: recipes.count(one.recipe))
    return taking.improve(node, f"{node.id} is the best of its kind")
