"""Best-first search with a chance of repair.

Jiang, Schmidt, Srikanth, Xu, Kaplan, Jacenko, Wu: AIDE: AI-Driven Exploration in the Space of Code, arXiv 2502.13138,
2025: a number of first drafts, then with some probability a failed leaf is repaired (of a chain of repairs a bounded
number), else the best program is improved.
"""

from __future__ import annotations

from state.search import Operation
from tools.search.taking import SearchBudget, Taking
from tools.search.tree import Tree

FIRST_DRAFTS = 4
"""Drafts before anything is improved."""
REPAIR_CHANCE = 0.5
"""With which a failed program is repaired when there is one."""


def best_first(tree: Tree, budget: SearchBudget) -> list[Operation]:
    """Several nodes of the open list are expanded in one round, the best first and each once before any twice."""
    taking, rng = Taking(tree, budget), budget.random("best-first")
    chosen: list[Operation] = []
    expanded: dict[str, int] = {}
    started = len(tree.children(None))
    while len(chosen) < budget.count:
        failed, drafts = taking.repairable(), taking.drafts()
        nodes = sorted(taking.improvable(), key=lambda node: expanded.get(node.id, 0))
        if drafts and (started < FIRST_DRAFTS or not nodes):
            chosen.append(taking.draft(drafts[0], "another first draft before the best are improved"))
            started += 1
        elif failed and (rng.random() < REPAIR_CHANCE or not nodes):
            node = failed[rng.randrange(len(failed))]
            chosen.append(taking.repair(node, f"{node.id} failed, and nobody has tried to mend it"))
        elif nodes:
            node = nodes[0]
            expanded[node.id] = expanded.get(node.id, 0) + 1
            chosen.append(taking.improve(node, f"{node.id} is the most promising that has an untried change"))
        else:
            break
    return chosen
