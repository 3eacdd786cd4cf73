"""What a search policy asks for: the operations of the next iteration over the candidate tree."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from state.records import Record

SearchOperator = Literal["draft", "improve", "repair", "crossover"]
PolicyName = Literal["auto", "greedy", "best-first", "mcts", "evolutionary", "portfolio"]
Aim = Literal["", "promote", "ablation"]
"""promote: the same program on more rows, after a first look · ablation: without one of its parts, to learn what it is worth."""


class Operation(Record):
    """One thing to be tried. Who plans turns it into a plan; what it builds on is named by candidate ids."""

    operator: SearchOperator
    parents: list[str] = Field(default_factory=list)
    """draft: none · improve, repair: one · crossover: two, the better one first."""
    recipe: str = ""
    """Hint: the builtin recipe a draft is to follow; empty where any may."""
    reason: str = ""
    """One sentence: why this, and why now."""
    cites: list[str] = Field(default_factory=list)
    """Ids of the findings it is to answer."""
    aim: Aim = ""
    rows: int = 0
    """For a promotion: training rows of its fold; 0 is all."""
