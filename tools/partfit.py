"""A last fit on a part of the rows, where the search had time for first looks only.

The model of a look at two thousand rows is a poor thing to release when a few hundred thousand can be fitted in the seconds
kept back for it. So the last fit takes as many rows as its predicted seconds allow, and is told when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from state.candidate import Candidate
from state.profile import Profile
from state.task import Prepared, Task
from tools.costs import grown
from tools.decisions import decide
from tools.training import final_fit_seconds
from tools.workbench import Workbench

CAREFUL = 0.7
"""Share of the seconds there are that a fit is predicted to take, and told it has: what it does before its own clock
runs, it is not told."""
WORTH = 2
"""Times as many rows as the first look had that make a fit worth it."""


@dataclass(frozen=True)
class Part:
    """rows: how many the fit gets, 0 for all. seconds: what its program is told it has."""

    rows: int
    seconds: float


def part_to_fit(
    desk: Workbench,
    task: Task,
    profile: Profile,
    prepared: Prepared,
    best: str,
    chosen: Sequence[tuple[Candidate, float]],
) -> Part | None:
    """What a last fit of candidates that had but a first look is to see. Decided once.

    None where one of them had all rows, and where there is no time for clearly more than the looks had.
    """
    if not all(one.plan.rows for one, _ in chosen):
        return None

    def now() -> dict[str, Any]:
        room = desk.budget.left() - desk.budget.closing
        rows = prepared.rows
        while rows and _seconds(desk, task, profile, chosen, rows) > CAREFUL * room:
            rows //= 2
        return {"rows": rows, "seconds": max(1.0, CAREFUL * room)}

    told = decide(desk, "part to fit", {"best": best, "train": prepared.train_all}, now)
    if told["rows"] < WORTH * max(one.plan.rows for one, _ in chosen):
        return None
    return Part(0 if told["rows"] >= prepared.rows else told["rows"], told["seconds"])


def _seconds(
    desk: Workbench, task: Task, profile: Profile, chosen: Sequence[tuple[Candidate, float]], rows: int
) -> float:
    """Predicted wall seconds of fitting all of them on so many rows: what they took, in the relation of their formulas."""
    return final_fit_seconds(desk, [_measured(desk, one) * grown(one.plan, task, profile, rows) for one, _ in chosen])


def _measured(desk: Workbench, one: Candidate) -> float:
    """Seconds of the fit itself, in the first fold it had."""
    first = desk.journal.result(one.attempts[-1].receipts[0]) if one.attempts else None
    return float(((first or {}).get("result") or {}).get("fit_seconds") or one.fit_seconds)
