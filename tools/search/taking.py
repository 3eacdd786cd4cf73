"""What a round may still take: untried ideas of candidates, drafts and pairs, each once, and only what can end in time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from state.search import Operation
from tools.search.tree import Draft, Node, Tree

MOST_REPAIRS = 3
"""Repairs in a row of one program before it is left alone."""


@dataclass(frozen=True)
class SearchBudget:
    """What one round of operations may use."""

    count: int
    """Operations wanted."""
    seconds: float
    """Wall seconds the search has left."""
    slots: int = 1
    iteration: int = 1
    """Number of the iteration to come."""
    seed: int = 0

    def random(self, policy: str) -> random.Random:
        """The same numbers for the same run, iteration and policy."""
        return random.Random(f"{policy} {self.seed} {self.iteration}")  # noqa: S311 - a search, no secret


Policy = Callable[[Tree, SearchBudget], list[Operation]]
"""A search policy: pure, and the same for the same tree and budget. Each operation it gives is valid: its parents are in
the tree, usable (a repair's has failed), have ideas left, and it can end within the budget's seconds."""


class Taking:
    """Counts what the operations of this round have used up."""

    def __init__(self, tree: Tree, budget: SearchBudget) -> None:
        self.tree = tree
        self.budget = budget
        self._improved: Counter[str] = Counter()
        self._begun: set[str] = set()
        self._drafted: set[int] = set()
        self._crossed = {
            node.parents[:2] for node in tree.nodes if node.operator == "crossover" and len(node.parents) > 1
        }
        self._cited = {cite for node in tree.nodes for cite in node.cites}

    # ---- what there is ----------------------------------------------------------------------------------------------

    def improvable(self) -> list[Node]:
        """Finished candidates with an idea left, best first."""
        return [node for node in self.tree.usable() if self.can_improve(node)]

    def can_improve(self, node: Node) -> bool:
        return node.usable and node.whole and node.wall <= self.budget.seconds and self._improved[node.id] < node.ideas

    def drafts(self) -> list[Draft]:
        """Untried drafts, best fitting first."""
        return [
            draft
            for place, draft in enumerate(self.tree.drafts)
            if place not in self._drafted and draft.wall <= self.budget.seconds
        ]

    def repairable(self) -> list[Node]:
        """Failed programs nobody has tried to repair, unless several repairs in a row failed."""
        leaves = {node.id for node in self.tree.leaves()} - self._begun
        return [
            node
            for node in self.tree.nodes
            if node.id in leaves
            and node.status == "failed"
            and node.wall <= self.budget.seconds
            and self._repairs(node) < MOST_REPAIRS
        ]

    def partners(self, node: Node) -> list[Node]:
        """Finished candidates of another recipe it can be crossed with, best first."""
        return [
            other
            for other in self.tree.usable()
            if other.id != node.id
            and other.recipe != node.recipe
            and (node.id, other.id) in self.tree.pairs
            and (node.id, other.id) not in self._crossed
            and other.wall <= self.budget.seconds
        ]

    def open_findings(self) -> list[str]:
        """Ids of findings no plan has answered, the newest first."""
        return [one.id for one in reversed(self.tree.findings) if one.id not in self._cited]

    def _repairs(self, node: Node) -> int:
        path = self.tree.path(node.id)
        count = 0
        for one in reversed(path):
            if one.operator != "repair":
                break
            count += 1
        return count

    # ---- taking it --------------------------------------------------------------------------------------------------

    def draft(self, draft: Draft, reason: str) -> Operation:
        place = next(place for place, one in enumerate(self.tree.drafts) if one == draft and place not in self._drafted)
        self._drafted.add(place)
        return Operation(operator="draft", recipe=draft.recipe, reason=reason)

    def improve(self, node: Node, reason: str, cites: list[str] | None = None) -> Operation:
        self._improved[node.id] += 1
        self._cited.update(cites or [])
        return Operation(operator="improve", parents=[node.id], reason=reason, cites=cites or [])

    def repair(self, node: Node, reason: str) -> Operation:
        self._begun.add(node.id)
        return Operation(operator="repair", parents=[node.id], reason=reason)

    def cross(self, node: Node, other: Node, reason: str) -> Operation:
        self._crossed.add((node.id, other.id))
        return Operation(operator="crossover", parents=[node.id, other.id], reason=reason)
