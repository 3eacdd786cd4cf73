"""The candidate tree as a search policy sees it: plain facts of every candidate, larger values always better."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from state.candidate import Candidate, Finding, Operator, Status
from state.task import Metric
from tools.recipes.catalogue import RECIPES

MANY_IDEAS = 99
"""Ideas of a writer who is not bound to a list of changes."""


@dataclass(frozen=True)
class Node:
    """One candidate. Values are uniform in direction: a larger one is better, whatever the metric."""

    id: str
    parents: tuple[str, ...] = ()
    operator: Operator = "draft"
    recipe: str = ""
    family: str = ""
    value: float | None = None
    folds: tuple[float, ...] = ()
    cost: float = 0.0
    """Seconds of one fold."""
    status: Status = "done"
    iteration: int = 0
    whole: bool = True
    """Scored on as many rows, and trained on all of its rows; False for first looks and for what time cut short."""
    rows: int = 0
    """Training rows of a first look; 0 is all."""
    cites: tuple[str, ...] = ()
    ideas: int = MANY_IDEAS
    """Changes of it that nobody has tried yet."""
    wall: float = 0.0
    """Wall seconds a child of it is expected to take, when it has the slots for itself."""
    work: float = 0.0
    """Slot seconds of the same."""

    @property
    def usable(self) -> bool:
        return self.status == "done" and self.value is not None


@dataclass(frozen=True)
class Draft:
    """A recipe's first draft that nobody has tried, best fitting first in the tree's list."""

    recipe: str
    family: str
    wall: float = 0.0
    work: float = 0.0


@dataclass(frozen=True)
class Tree:
    """All candidates of a run but ensembles, ordered by iteration and id, so that nothing depends on which ended first."""

    nodes: tuple[Node, ...] = ()
    drafts: tuple[Draft, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Open findings, oldest first."""
    pairs: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """Pairs of candidates that can be crossed, the representation of the first with the family of the second."""

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.id == name), None)

    def children(self, name: str | None) -> list[Node]:
        """Those built on it; of None the roots: candidates whose first parent is not in the tree."""
        if name is not None:
            return [node for node in self.nodes if node.parents and node.parents[0] == name]
        known = {node.id for node in self.nodes}
        return [node for node in self.nodes if not node.parents or node.parents[0] not in known]

    def leaves(self) -> list[Node]:
        """Those nobody built on."""
        inner = {parent for node in self.nodes for parent in node.parents}
        return [node for node in self.nodes if node.id not in inner]

    def usable(self) -> list[Node]:
        """Finished candidates, best first; of equals the quicker one, then the earlier one."""
        done = [node for node in self.nodes if node.usable and node.whole]
        return sorted(done, key=lambda node: (-_value(node), node.cost))

    def best(self) -> Node | None:
        return next(iter(self.usable()), None)

    def path(self, name: str) -> list[Node]:
        """From the root to this candidate, along first parents."""
        found: list[Node] = []
        node = self.node(name)
        while node is not None and node not in found:
            found.append(node)
            node = self.node(node.parents[0]) if node.parents else None
        return found[::-1]

    def best_path(self) -> list[Node]:
        best = self.best()
        return [] if best is None else self.path(best.id)

    def gain(self, node: Node) -> float:
        """Its value between the worst (0) and the best (1) of the usable ones; ½ where all are equal, 0 for a failure."""
        values = [_value(one) for one in self.usable()]
        if node.value is None or not node.usable or not values:
            return 0.0
        low, high = min(values), max(values)
        return 0.5 if high <= low else min(1.0, max(0.0, (node.value - low) / (high - low)))


def _value(node: Node) -> float:
    return node.value if node.value is not None else float("-inf")


def build_tree(
    metric: Metric,
    candidates: Collection[Candidate],
    *,
    ideas: Mapping[str, int],
    prices: Mapping[str, tuple[float, float]],
    drafts: Sequence[Draft] = (),
    findings: Sequence[Finding] = (),
    pairs: Collection[tuple[str, str]] = (),
) -> Tree:
    """The tree of a run's candidates.

    ideas: candidate → untried changes; prices: candidate → expected wall and slot seconds of a child; one that is
    missing has no ideas, and costs nothing.
    """
    most = max((one.score.rows for one in candidates if one.usable and one.score), default=0)
    nodes = [
        _node(metric, one, most, ideas.get(one.id, 0), prices.get(one.id, (0.0, 0.0)))
        for one in candidates
        if not one.members
    ]
    nodes.sort(key=lambda node: (node.iteration, node.id))
    return Tree(tuple(nodes), tuple(drafts), tuple(findings), frozenset(pairs))


def _node(metric: Metric, one: Candidate, most: int, ideas: int, price: tuple[float, float]) -> Node:
    plan = one.plan
    recipe: Any = RECIPES.get(plan.recipe)
    return Node(
        id=one.id,
        parents=tuple(name for name in (plan.parent, plan.other) if name),
        operator=plan.operator,
        recipe=plan.recipe or one.id,
        family=recipe.family if recipe else plan.recipe or one.id,
        value=metric.gain(one.score.value, 0.0) if one.score else None,
        folds=tuple(metric.gain(value, 0.0) for value in one.score.folds) if one.score else (),
        cost=one.fit_seconds,
        status=one.status,
        iteration=one.iteration,
        whole=one.score is not None and one.score.rows >= most and not plan.rows,
        rows=plan.rows,
        cites=tuple(plan.cites),
        ideas=ideas,
        wall=price[0],
        work=price[1],
    )
