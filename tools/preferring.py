"""What `--prefer` changes: how many members a model may have, what may be tried for it, and how much quickness counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from state.candidate import Candidate, Plan


@dataclass(frozen=True)
class Preference:
    """The consequences of one word."""

    members: int
    """Most members of an ensemble; 1: none is made."""
    stack: bool
    """Whether a stacker may take the place of the weighted mean."""
    bag: bool
    """Whether fold models may be released although a fit on all rows would fit the time."""
    quickest: bool
    """Whether the quickest of those hard to tell from the best is taken, rather than the best."""
    trees: float
    """Factor on the number of trees of forests that are planned."""
    seeds: int | None
    """Most fits of one boosting that differ in their seed only; None for what the recipe says."""


PREFERENCES = {
    "speed": Preference(members=1, stack=False, bag=False, quickest=True, trees=0.4, seeds=1),
    "balanced": Preference(members=5, stack=True, bag=False, quickest=False, trees=1.0, seeds=None),
    "quality": Preference(members=8, stack=True, bag=True, quickest=False, trees=2.0, seeds=None),
}


def quickest_of(candidates: Sequence[Candidate]) -> Candidate:
    """The quickest to predict; of those within a factor of two of each other's time the smallest, then the first.

    Times are measured and vary; whole powers of two of them vary little. One that was not measured comes last.
    """

    def cost(one: Candidate) -> tuple[float, float]:
        return (round(math.log2(one.predict_ms)) if one.predict_ms > 0 else math.inf, one.model_bytes or math.inf)

    return min(candidates, key=cost)


def sized(plan: Plan, prefer: str) -> Plan:
    """A draft with the number of trees and of repeated fits that was preferred. What improves on it inherits them."""
    if plan.operator != "draft":
        return plan
    wanted = PREFERENCES[prefer]
    params: dict[str, Any] = dict(plan.params)
    if isinstance(params.get("trees"), int) and wanted.trees != 1.0:
        params["trees"] = max(20, round(params["trees"] * wanted.trees))
    if isinstance(params.get("members"), int) and wanted.seeds is not None:
        params["members"] = min(params["members"], wanted.seeds)
    return plan if params == plan.params else plan.but(params=params)
