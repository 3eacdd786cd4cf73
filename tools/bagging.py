"""Releasing the models that the folds have fitted, in place of one more fit on all rows.

A fit on all rows sees more of them, which on small data is worth more than anything. The mean of fold models needs no
further fit, so it is there when the time is not, and it is what remains when a last fit fails. Breiman: Bagging
Predictors, Machine Learning 24, 1996; there the parts are drawn, here they are what cross-validation leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from state.candidate import Candidate, Check
from state.jobs import Receipt
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.costs import refit_seconds
from tools.decisions import decide
from tools.leaks.jobs import largest_gap
from tools.preferring import PREFERENCES
from tools.subsample import part_of
from tools.training import final_fit_seconds, fold_rows, load_oof
from tools.workbench import Workbench

AS_IN_TRAINING = "fold models as in training"
LEAST_ROWS = 5_000
"""Rows from which on fold models are released for quality: below, what a fit on all rows sees more of counts for more."""
LEAST_FOLDS = 3
_GAP = 1e-9


def bagged_members(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    chosen: Sequence[tuple[Candidate, float]],
    *,
    looks: bool = False,
) -> list[ReleaseMember]:
    """One member per fold model of the chosen candidates, with their weights; empty when a candidate has kept none.

    Of folds that go forward in time only the last one's model is taken: the others have not seen the newest rows.
    looks: models of first looks count, too, for where nothing else can be released.
    """
    members: list[ReleaseMember] = []
    for candidate, weight in chosen:
        models = _fold_models(desk, prepared, candidate, looks)
        models = models[-1:] if task.split.kind == "time" else models
        if not models:
            return []
        members += [_member(candidate, weight / len(models), fold, receipt) for fold, receipt in models]
    return members


def why_bagged(
    desk: Workbench, task: Task, prepared: Prepared, best: str, chosen: Sequence[tuple[Candidate, float]]
) -> str:
    """Why fold models are to be released rather than a fit on all rows; empty when they are not. Decided once."""

    def now() -> dict[str, Any]:
        fits = final_fit_seconds(desk, [refit_seconds(one) for one, _ in chosen])
        if desk.budget.left() < fits + desk.budget.closing:
            return {"why": f"a fit on all rows takes about {fits:.0f} s, more than is left"}
        enough = prepared.rows >= LEAST_ROWS and task.split.kind != "time"
        enough = enough and all(len(_fold_models(desk, prepared, one)) >= LEAST_FOLDS for one, _ in chosen)
        if PREFERENCES[desk.settings.prefer].bag and enough:
            return {"why": "quality is preferred, and there are enough rows for the mean of fold models to gain"}
        return {"why": ""}

    why: str = decide(
        desk, "bagging", {"best": best, "folds": prepared.train_files, "prefer": desk.settings.prefer}, now
    )["why"]
    return why


def rows_fitted_on(
    desk: Workbench, prepared: Prepared, members: Sequence[ReleaseMember]
) -> dict[tuple[int | None, int], np.ndarray]:
    """(fold, rows) of members that were not fitted on all rows → the positions they were, in fitting order."""
    found = {}
    for fold, rows in sorted({(one.fold, one.rows) for one in members if one.fold is not None or one.rows}, key=str):
        train = desk.artifacts.get_frame(prepared.train_all if fold is None else prepared.train_files[fold])
        seen = part_of(train, rows) if rows else train
        found[fold, rows] = seen["row"].to_numpy().astype(np.int64)
    return found


def check_fold_models(
    desk: Workbench,
    prepared: Prepared,
    members: Sequence[ReleaseMember],
    values: Sequence[np.ndarray],
    probe: np.ndarray,
) -> Check:
    """Whether the saved fold models predict, of the probed rows, those of their own folds as they did in training.

    values: what each member, loaded from where it was saved, predicts for the rows at the positions `probe`.
    """
    candidates, worst, looked = desk.log.candidates(), 0.0, 0
    for member, predicted in zip(members, values, strict=True):
        part = load_oof(desk, str(candidates[member.candidate].oof))
        mine = np.flatnonzero(np.isin(probe, fold_rows(desk, prepared, int(member.fold or 0))))
        mine = mine[np.isin(probe[mine], part.rows)]
        recorded = part.values[np.searchsorted(part.rows, probe[mine])]
        worst, looked = max(worst, largest_gap(predicted[mine], recorded)), looked + len(mine)
    detail = f"largest difference {worst:.2g} over {looked} rows"
    return Check(name=AS_IN_TRAINING, status="passed" if worst <= _GAP else "found", detail=detail)


def keeps_models(desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate) -> bool:
    """Whether a candidate's fold models can be released, so that it needs no further fit: after a first look, that model
    is what was scored."""
    return bool(bagged_members(desk, task, prepared, [(candidate, 1.0)], looks=True))


def _fold_models(
    desk: Workbench, prepared: Prepared, candidate: Candidate, looks: bool = False
) -> list[tuple[int, Receipt]]:
    """Fold numbers and receipts of the candidate's folds, when all that it was scored on have kept their models.

    None where a fold was fitted on fewer rows than it has, unless `looks`: no model to release while there is a better.
    """
    keys = candidate.attempts[-1].receipts if candidate.attempts else []
    known = [Receipt.model_validate(result) for key in keys if (result := desk.journal.result(key)) is not None]
    done = [receipt for receipt in known if receipt.ok]
    numbers = candidate.score.fold_numbers if candidate.score else []
    kept = all(_model(receipt) and desk.is_intact(receipt.plain()) for receipt in done)
    if not kept or len(done) != len(numbers):
        return []
    found = list(zip(numbers, done, strict=True))
    if looks:
        return found
    rows = {fold: len(desk.artifacts.get_frame(prepared.train_files[fold])) for fold in numbers}
    return found if all(receipt.result.get("train_rows") == rows[fold] for fold, receipt in found) else []


def _model(receipt: Receipt) -> dict[str, str]:
    return {name.removeprefix("model/"): ref for name, ref in receipt.outputs.items() if name.startswith("model/")}


def _member(one: Candidate, weight: float, fold: int, receipt: Receipt) -> ReleaseMember:
    return ReleaseMember(
        candidate=one.id,
        weight=weight,
        program=str(one.program),
        effective=receipt.result.get("effective") or {},
        model=_model(receipt),
        fold=fold,
        rows=one.plan.rows,
        own_saving=bool(receipt.result.get("own_saving")),
        unsafe=bool(receipt.result.get("unsafe")),
    )
