"""Whether an iteration helped: a new best, or a candidate whose mean with the best is better than the best alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from state.candidate import Candidate, Member
from state.task import Task
from tools.promotion import PERHAPS, challenge
from tools.selection import OutOfFold, blend


def fruitless_after(
    before: int,
    task: Task,
    labels: np.ndarray,
    parts: Mapping[str, OutOfFold],
    candidates: Sequence[Candidate],
    best: Candidate,
    iteration: int,
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> int:
    """How many candidates in a row have not helped, after this iteration; 0 when one of it did.

    before: the same after the iteration before. A mean helps when its gain is hardly luck (paired, `PERHAPS`).
    """
    tried = [one for one in candidates if one.iteration == iteration and not one.members]
    if iteration == 0 or best.iteration == iteration:
        return 0
    for one in tried:
        if one.id not in parts or one.plan.rows:
            continue
        mixed = blend(parts, [Member(candidate=name, weight=0.5) for name in (best.id, one.id)])
        found = challenge(task, labels, mixed, parts[best.id], units=units, seed=seed)
        if found["gain"] > 0 and found["chance"] <= PERHAPS:
            return 0
    return before + len(tried)
