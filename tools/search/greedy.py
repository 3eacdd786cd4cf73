"""Greedy: hill climbing, always from the best."""

from __future__ import annotations

from state.search import Operation
from tools.search.taking import SearchBudget, Taking
from tools.search.tree import Tree


def greedy(tree: Tree, budget: SearchBudget) -> list[Operation]:
    """Improve the best candidate while it has ideas left, then the next best; drafts where nothing is finished."""
    taking = Taking(tree, budget)
    chosen: list[Operation] = []
    while len(chosen) < budget.count:
        nodes, drafts = taking.improvable(), taking.drafts()
        if nodes:
            best = tree.best()
            place = "the best so far" if best and nodes[0].id == best.id else "the best with an untried change"
            chosen.append(taking.improve(nodes[0], f"{nodes[0].id} is {place}"))
        elif drafts:
            chosen.append(taking.draft(drafts[0], "nothing that is finished has an untried change left"))
        else:
            break
    return chosen
