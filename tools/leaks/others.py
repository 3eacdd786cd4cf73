"""Programs that use rows they are judged on: batch statistics, self-training, anything learnt from other validation rows.

A prediction of a row is the program's word on this row. So it may not change when other rows are taken away, replaced or
put in another order, neither when they are predicted together nor when the program could see them while it was fitted.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from state.candidate import Candidate, Check, Finding
from state.jobs import Receipt
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.blocking import together
from tools.leaks.jobs import first_fold, largest_gap, predict_rows, predictions_of, run_fold
from tools.leaks.sides import SHOWN, Result, found, passed, skipped, spaced
from tools.workbench import Workbench

TOGETHER = "predictions of a row without its neighbours"
REFIT = "fit without the other validation rows"
TOLERANCE = 1e-6
_ROWS, _FULL_ROWS = 120, 1_000
_KEPT = 5
"""One validation row of so many stays in the refit comparison; the others are gone."""


async def check_together(
    desk: Workbench, task: Task, prepared: Prepared, member: ReleaseMember, *, full: bool = False
) -> Result:
    """Let the fitted model predict rows all together, half of them among other rows in another order, and one alone."""
    features = desk.features(prepared)
    rows = spaced(np.arange(len(features)), _FULL_ROWS if full else _ROWS)
    if len(rows) < 4:
        return skipped(TOGETHER, "too few rows")
    half, others = rows[::2][::-1], spaced(np.setdiff1d(np.arange(len(features)), rows), len(rows) // 2)
    batches = {"all": rows, "half": np.concatenate([half, others]), "alone": half[:1]}
    receipts = await together(
        *(predict_rows(desk, task, member, features.iloc[batch], f"rows {name}") for name, batch in batches.items())
    )
    values = {}
    for (name, batch), receipt in zip(batches.items(), receipts, strict=True):
        told = predictions_of(desk, task, receipt, len(batch))
        if isinstance(told, str):
            return _unusable(TOGETHER, "together", member.candidate, told, receipt)
        values[name] = told
    place = {int(row): number for number, row in enumerate(rows)}
    expected = values["all"][[place[int(row)] for row in half]]
    got = {"half": values["half"][: len(half)], "alone": values["alone"]}
    gap = max(largest_gap(part, expected[: len(part)]) for part in got.values())
    detail = f"largest difference {gap:.2g} over {len(half)} rows predicted among others and alone"
    if gap <= TOLERANCE:
        return passed(TOGETHER, detail)
    source = desk.artifacts.get_frame(prepared.labels)["source_row"].to_numpy().astype(np.int64)
    return found(
        TOGETHER,
        detail,
        [
            _finding(
                "together",
                member.candidate,
                f"predictions of {member.candidate} change with the rows that are predicted beside them ({detail}): "
                "a score of many rows at once does not hold for one",
                _changed(source[half], got["half"], expected),
            )
        ],
    )


def _unusable(name: str, kind: str, candidate: str, why: str, receipt: Receipt) -> Result:
    """A limit or a signal says nothing about the program; its own failure does, since with all rows it did not fail."""
    if receipt.status not in {"error", "bad output", "done"}:
        return skipped(name, why)
    text = f"{candidate} gives no valid predictions when other rows are absent: {why}"
    return found(name, text, [_finding(kind, candidate, text, [])])


async def check_refit(desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate) -> tuple[Result, bool]:
    """Fit the first fold again where four of five of its validation rows are nowhere, and compare what it says of the rest.

    Returns the result, and whether the predictions came out as recorded: then the program is reproducible as well.
    """
    fold = first_fold(desk, prepared, candidate)
    kept = np.arange(0, len(fold.valid), _KEPT)
    train_rows = fold.train["row"].to_numpy().astype(np.int64)
    present = np.union1d(train_rows, fold.valid[kept])
    features = desk.features(prepared).iloc[present].reset_index(drop=True)
    store = desk.artifacts
    receipt = await run_fold(
        desk,
        task,
        candidate,
        features=store.put_frame(features),
        train=store.put_frame(fold.train.assign(row=np.searchsorted(present, train_rows))),
        valid=store.put_frame(pd.DataFrame({"row": np.searchsorted(present, fold.valid[kept])})),
        effective=fold.effective,
        label="without other rows",
    )
    values = predictions_of(desk, task, receipt, len(kept))
    if isinstance(values, str):
        return _unusable(REFIT, "refit", candidate.id, values, receipt), False
    gap = largest_gap(values, fold.recorded[kept])
    detail = (
        f"fold 1 of {candidate.id} fitted again with {len(kept)} of {len(fold.valid)} validation rows present: largest "
        f"difference {gap:.2g}"
    )
    if gap <= TOLERANCE:
        return passed(REFIT, detail), True
    source = store.get_frame(prepared.labels)["source_row"].to_numpy().astype(np.int64)
    finding = _finding(
        "refit",
        candidate.id,
        f"{candidate.id} uses validation rows: its predictions change when other validation rows are taken away ({detail})",
        _changed(source[fold.valid[kept]], values, fold.recorded[kept]),
    )
    return found(REFIT, detail, [finding]), False


def _finding(kind: str, candidate: str, text: str, evidence: list[str]) -> Finding:
    return Finding(
        id=f"leak-{kind}-{candidate}",
        source="review",
        topic="leak",
        severity="error",
        route="fix",
        text=text,
        candidate=candidate,
        evidence=evidence,
        data={"program": candidate},
    )


def _changed(rows: np.ndarray, now: np.ndarray, before: np.ndarray) -> list[str]:
    """The rows whose predictions differ most."""
    gaps = np.abs(now - before).reshape(len(rows), -1).max(axis=1)
    order = np.argsort(-gaps, kind="stable")[:SHOWN]
    return [f"row {rows[place]}: {_shown(before[place])} became {_shown(now[place])}" for place in order]


def _shown(value: np.ndarray) -> str:
    return ", ".join(f"{number:.6g}" for number in np.atleast_1d(value)[:4])


def not_reproducible(result: Result, reproducible: Check) -> Result:
    """A program that does not repeat itself differs anyway: then a difference says nothing about other rows."""
    if result[0].status == "found" and reproducible.status != "passed":
        return skipped(REFIT, f"cannot be told: {reproducible.detail}")
    return result
