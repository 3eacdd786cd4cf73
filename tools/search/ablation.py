"""What the parts of a program are worth: the outcome of ablations as findings that later plans answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from state.candidate import Candidate, Finding
from state.task import Task
from tools.promotion import challenge
from tools.recipes.ablating import TOPIC
from tools.selection import OutOfFold


def ablation_findings(
    task: Task,
    labels: np.ndarray,
    parts: Mapping[str, OutOfFold],
    candidates: Sequence[Candidate],
    iteration: int,
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> list[Finding]:
    """One finding per ablation of this iteration: the candidate against its parent, paired on the rows both predicted."""
    tried = [one for one in candidates if one.iteration == iteration and one.plan.without and one.id in parts]
    found = []
    for number, one in enumerate(tried, start=1):
        parent = next((other for other in candidates if other.id == one.plan.parent and other.id in parts), None)
        if parent is None or one.score is None or parent.score is None:
            continue
        lost = challenge(task, labels, parts[parent.id], parts[one.id], units=units, seed=seed)
        sure = "beyond luck" if lost["sure"] else "which may be luck"
        part = one.plan.without
        told = f"without {part} {one.score.value:.4g}, with them {parent.score.value:.4g}, {sure}"
        found.append(
            Finding(
                id=f"i{iteration}-ablation{number}",
                source="comparison",
                topic=TOPIC,
                text=f"What {part} are worth to {parent.plan.title}: {task.metric.name} {told}",
                candidate=parent.id,
                data={"part": part if lost["gain"] > 0 else "", "gain": lost["gain"], "sure": lost["sure"]},
            )
        )
    return found
