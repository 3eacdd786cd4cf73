"""Evolution by tournaments, with ageing and crossover.

Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search, AAAI 2019: parents are the
winners of small tournaments among the youngest candidates, so that one lucky score does not father everything. Who
shares a recipe family with parents of this round is handicapped (fitness sharing: Goldberg, Richardson, 1987).
"""

from __future__ import annotations

import random

from state.search import Operation
from tools.search.taking import SearchBudget, Taking
from tools.search.tree import Node, Tree

POPULATION = 12
TOURNAMENT = 3
"""Candidates of one tournament; two where there are few, or the best would win every time."""
CROSSOVER_CHANCE = 0.35
SHARING = 0.25
"""Fitness a candidate loses for each parent of its family chosen in this round."""


def evolutionary(tree: Tree, budget: SearchBudget) -> list[Operation]:
    """Mutation is an improvement of the winner; crossover takes a second winner of another recipe."""
    taking, rng = Taking(tree, budget), budget.random("evolutionary")
    chosen: list[Operation] = []
    families: list[str] = []
    while len(chosen) < budget.count:
        one = _winner(tree, _population(taking), families, rng)
        if one is None:
            drafts = taking.drafts()
            if not drafts:
                break
            chosen.append(taking.draft(drafts[0], "the population has no untried change, so a new one joins it"))
            continue
        families.append(one.family)
        partners = taking.partners(one)
        if partners and (rng.random() < CROSSOVER_CHANCE or not taking.can_improve(one)):
            other = _winner(tree, partners, families, rng)
            assert other is not None
            chosen.append(taking.cross(one, other, f"{one.id} and {other.id} won tournaments and differ in kind"))
        else:
            chosen.append(taking.improve(one, f"{one.id} won a tournament"))
    return chosen


def _population(taking: Taking) -> list[Node]:
    """The youngest finished candidates that may become parents; the best of all never grows too old."""
    able = [node for node in taking.tree.usable() if taking.can_improve(node) or taking.partners(node)]
    young = sorted(able[1:], key=lambda node: -node.iteration)[: POPULATION - 1]
    return able[:1] + young


def _winner(tree: Tree, nodes: list[Node], families: list[str], rng: random.Random) -> Node | None:
    """The fittest of a few drawn at random."""
    if not nodes:
        return None
    drawn = rng.sample(nodes, min(len(nodes), TOURNAMENT if len(nodes) > 2 * TOURNAMENT else 2))
    return max(drawn, key=lambda node: tree.gain(node) - SHARING * families.count(node.family))
