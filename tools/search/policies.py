"""The search policies by name, and the one a run uses by default."""

from __future__ import annotations

from collections.abc import Iterator

from state.search import Operation, PolicyName
from tools.search.best_first import best_first
from tools.search.evolutionary import evolutionary
from tools.search.greedy import greedy
from tools.search.mcts import mcts
from tools.search.portfolio import portfolio
from tools.search.taking import Policy, SearchBudget
from tools.search.tree import Tree

PORTFOLIO_ROUNDS = 1
"""Iterations after the first drafts in which `auto` asks the portfolio alone."""


def auto(tree: Tree, budget: SearchBudget) -> list[Operation]:
    """Portfolio first; then in turn best-first and evolutionary, with the portfolio for what they leave open.

    Best-first climbs from the leaders, tournaments keep other families in play and cross them: an ensemble wants both.
    """
    if budget.iteration <= PORTFOLIO_ROUNDS:
        return portfolio(tree, budget)
    mixed = _in_turn(best_first(tree, budget), evolutionary(tree, budget), portfolio(tree, budget)[:1])
    return _distinct(tree, mixed)[: budget.count]


POLICIES: dict[PolicyName, Policy] = {
    "auto": auto,
    "greedy": greedy,
    "best-first": best_first,
    "mcts": mcts,
    "evolutionary": evolutionary,
    "portfolio": portfolio,
}


def choose(policy: PolicyName, tree: Tree, budget: SearchBudget) -> list[Operation]:
    """The policy's operations that fit the budget together: those that begin must be able to end beside the others."""
    room = budget.seconds * budget.slots
    chosen: list[Operation] = []
    for operation in POLICIES[policy](tree, budget):
        needed = _work(tree, operation)
        if needed <= room or not chosen:
            chosen.append(operation)
            room -= needed
    return chosen


def _work(tree: Tree, operation: Operation) -> float:
    """Slot seconds an operation is expected to take, at most."""
    work = [node.work for node in tree.nodes if node.id in operation.parents[-1:]]
    work += [draft.work for draft in tree.drafts if operation.operator == "draft" and draft.recipe == operation.recipe]
    return max(work, default=0.0)


def _in_turn(*sources: list[Operation]) -> Iterator[Operation]:
    for place in range(max((len(source) for source in sources), default=0)):
        for source in sources:
            yield from source[place : place + 1]


def _distinct(tree: Tree, operations: Iterator[Operation]) -> list[Operation]:
    """Each draft, repair and crossover once, and no candidate improved more often than it has ideas."""
    kept: list[Operation] = []
    drafts = [draft.recipe for draft in tree.drafts]
    for operation in operations:
        same = [
            one
            for one in kept
            if (one.operator, one.parents, one.recipe) == (operation.operator, operation.parents, operation.recipe)
        ]
        node = tree.node(operation.parents[0]) if operation.parents else None
        most = 1
        if operation.operator == "improve" and node is not None:
            most = node.ideas
        elif operation.operator == "draft":
            most = drafts.count(operation.recipe)
        if len(same) < most:
            kept.append(operation)
    return kept
