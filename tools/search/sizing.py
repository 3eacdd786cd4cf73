"""On how many folds and rows the plans of an iteration are run: the same for all candidates of a run."""

from __future__ import annotations

from collections.abc import Sequence

from state.candidate import Candidate, Plan
from state.task import Prepared, Task
from tools.decisions import decide
from tools.search.looks import Sizing, size_up
from tools.workbench import Workbench


def sizing_of(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    candidates: Sequence[Candidate],
    plans: Sequence[Plan],
    left: float,
) -> Sizing:
    """Decided from the first drafts' predicted seconds; later iterations keep the folds, and only promotions set rows.

    left: wall seconds of the search, as they were when the iteration was planned first.
    """
    if candidates:
        return Sizing(folds_of(candidates))
    folds = len(prepared.train_files)

    def decision() -> dict[str, int]:
        size = size_up(
            [plan.estimate_seconds / max(1, task.split.folds) for plan in plans],
            folds=folds,
            rows=prepared.rows,
            left=left,
            slots=desk.slots,
            keep_folds="folds" in desk.settings.model_fields_set and desk.settings.folds == folds,
            divisible=task.split.kind != "time",
        )
        return {"folds": size.folds, "rows": size.rows}

    # Whether the person named the number of folds is known only where the run began.
    return Sizing(**decide(desk, "folds and rows", {"plans": [plan.id for plan in plans]}, decision, for_good=True))


def folds_of(candidates: Sequence[Candidate]) -> int:
    """Folds the candidates of this run are run on; 0 is all."""
    return next((one.plan.folds for one in candidates if not one.members), 0)


def sized(plan: Plan, size: Sizing, task: Task, prepared: Prepared) -> Plan:
    """The plan with its folds and rows, and its estimate for them. A plan's own rows (a promotion's) are kept."""
    rows = size.rows or plan.rows
    if not rows and not size.folds:
        return plan
    fold = plan.estimate_seconds / max(1, task.split.folds)
    if rows:
        fold *= min(1.0, rows / max(1.0, 0.8 * prepared.rows))
    return plan.but(folds=size.folds, rows=rows, estimate_seconds=round(fold * (1 if rows else size.folds), 1))
