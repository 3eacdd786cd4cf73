"""Monte Carlo tree search with upper confidence bounds.

Kocsis, Szepesvári: Bandit based Monte-Carlo Planning, ECML 2006 (UCT). Rewards are gains between the worst and the best
candidate, so that the constant of the bound fits every metric. A node has children while their number is below the root
of its visits (progressive widening: Coulom, Computing Elo Ratings of Move Patterns in the Game of Go, 2007). Several
operations of one round are drawn one after the other, each leaving a visit without a reward behind (Chaslot, Winands,
van den Herik: Parallel Monte-Carlo Tree Search, 2008), so that they spread.
"""

from __future__ import annotations

import math
from collections import Counter

from state.search import Operation
from tools.search.taking import SearchBudget, Taking
from tools.search.tree import Node, Tree

EXPLORATION = 0.7
WIDENING = 1.5
ROOT = ""


def mcts(tree: Tree, budget: SearchBudget) -> list[Operation]:
    """From the root (whose children are drafts) down to where a child is added: a draft at the root, else an improvement."""
    search = _Search(tree, budget)
    chosen: list[Operation] = []
    while len(chosen) < budget.count:
        operation = search.draw()
        if operation is None:
            break
        chosen.append(operation)
    return chosen


class _Search:
    """Visits and rewards of every subtree, and what this round adds to them."""

    def __init__(self, tree: Tree, budget: SearchBudget) -> None:
        self.tree = tree
        self.taking = Taking(tree, budget)
        self.visits: Counter[str] = Counter()
        self.rewards: dict[str, float] = {}
        self.added: Counter[str] = Counter()
        self.below: dict[str, list[Node]] = {ROOT: tree.children(None)}
        for node in tree.nodes:
            self.below[node.id] = tree.children(node.id)
            for name in [ROOT, *(one.id for one in tree.path(node.id))]:
                self.visits[name] += 1
                self.rewards[name] = self.rewards.get(name, 0.0) + tree.gain(node)

    def draw(self) -> Operation | None:
        """One operation, or None when nothing in the tree can grow. Leaves a virtual visit on its path."""
        place, path = ROOT, [ROOT]
        while True:
            if not self._grows(place):
                return None
            ways = [node for node in self.below[place] if self._grows(node.id)]
            if self._can_expand(place) and (not ways or self._is_narrow(place)):
                break
            place = max(ways, key=lambda node: self._bound(place, node)).id
            path.append(place)
        for name in path:
            self.visits[name] += 1
        self.added[place] += 1
        node = self.tree.node(place)
        if node is None:
            return self.taking.draft(
                self.taking.drafts()[0], "the root's other drafts have been looked at often enough"
            )
        why = f"its upper bound is the highest along {' → '.join(path[1:])}"
        return self.taking.improve(node, why)

    def _can_expand(self, place: str) -> bool:
        node = self.tree.node(place)
        return bool(self.taking.drafts()) if node is None else self.taking.can_improve(node)

    def _grows(self, place: str) -> bool:
        """Whether an operation can be drawn at this node or below it."""
        return self._can_expand(place) or any(self._grows(node.id) for node in self.below[place])

    def _is_narrow(self, place: str) -> bool:
        children = len(self.below[place]) + self.added[place]
        return children < WIDENING * math.sqrt(max(1, self.visits[place]))

    def _bound(self, place: str, node: Node) -> float:
        visits = max(1, self.visits[node.id])
        mean = self.rewards.get(node.id, 0.0) / visits
        return mean + EXPLORATION * math.sqrt(math.log(max(2, self.visits[place])) / visits)
