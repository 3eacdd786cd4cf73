"""Training jobs of a candidate: folds, their pooled out-of-fold predictions, and the score the framework gives them."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate, Score
from state.jobs import Job, Receipt
from state.task import Prepared, Task
from tools.blocking import in_thread, together
from tools.costs import folds_in_time, refit_seconds, wall_seconds
from tools.decisions import decide, decided, time_left
from tools.measuring import score
from tools.portable.saving import FORMAT
from tools.preloading import FOR_SCORES, FOR_THE_REST, preload
from tools.scoring import check_predictions, make_score, several_of
from tools.selection import OutOfFold
from tools.units import at, units_of
from tools.workbench import Workbench

LIKELY_MEMBERS = 3
"""Members an ensemble usually has."""
GRANTED = 1.5
"""Times as long as predicted that a fold may take before its even share of the time counts."""
SAVING = 0.8
"""Seconds that starting a job and saving its model add to a fit."""
PATIENCE = 0.5
"""Share of the limit a fold may take, whatever is left of the search, while there is nothing to release yet."""
MOST_RESERVED = 0.4
"""Share of the limit that is kept back at most for final fits, …"""
RESERVED_FOR_LOOKS = 0.15
"""… and while there are but first looks."""


@dataclass
class FoldRun:
    """What came of a program's folds. `problem` is empty when every started fold gave valid predictions."""

    receipts: list[Receipt] = field(default_factory=list)
    predictions: dict[int, np.ndarray] = field(default_factory=dict)
    outcome: str = "done"
    problem: str = ""
    out_of_time: bool = False
    stopped: str = ""
    """Why it was stopped after its first fold, with a chance of winning too small; empty otherwise."""
    expected: float = 0.0
    """Seconds a fold was predicted to take."""
    _numbers: list[int] = field(default_factory=list)

    def add(self, fold: int, receipt: Receipt) -> None:
        """Receipts lie by fold, not by which ended first: nothing computed from them may depend on the clock."""
        place = bisect(self._numbers, fold)
        self._numbers.insert(place, fold)
        self.receipts.insert(place, receipt)


Glance = Callable[[np.ndarray], str]
"""Looks at the predictions of the first fold: why to stop, or nothing."""


async def run_folds(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    program: str,
    *,
    label: str,
    share: float,
    count: int = 0,
    expected: float = 0.0,
    glance: Glance | None = None,
) -> FoldRun:
    """Run the first fold, and when it is good, promising and the time allows, the others side by side.

    share: wall seconds of the search this program may use. count: folds wanted, 0 for all. expected: predicted seconds
    of one fold, 0 when nothing is known. Stops at the first failure.
    """
    run = FoldRun(expected=expected)
    count = min(count or len(prepared.train_files), len(prepared.train_files))
    each = share / max(1.0, count / desk.slots)
    # What was let begin because its prediction fits may take as long as predicted, and some more.
    each = max(each, min(GRANTED * expected, 0.8 * desk.budget.search_left() / wall_seconds(1.0, count, desk.slots)))
    desk.promises.promise(label, expected)
    desk.standing.begin(label)
    try:
        await together(_fold(desk, task, prepared, program, 0, run, label, each), in_thread(preload, FOR_SCORES))
        if run.problem or not run.predictions:
            return run
        run.stopped = glance(run.predictions[0]) if glance is not None and count > 1 else ""
        if run.stopped:
            return run
        rest = await _others(desk, task, prepared, program, label, run, count - 1)
        run.out_of_time = len(rest) < count - 1
        await together(
            *(_fold(desk, task, prepared, program, fold, run, label, each) for fold in rest),
            in_thread(preload, FOR_THE_REST),
        )
        return run
    finally:
        desk.standing.end(label)
        desk.promises.end(label)


async def _others(
    desk: Workbench, task: Task, prepared: Prepared, program: str, label: str, run: FoldRun, others: int
) -> list[int]:
    """The folds to run after the first one, judged by its seconds. A reused receipt costs nothing. Decided once."""
    first = run.receipts[0]
    subject = {"candidate": label, "program": program, "folds": prepared.train_files}

    def affordable() -> dict[str, Any]:
        if first.reused:
            return {"folds": list(range(1, 1 + others))}
        found = folds_in_time(
            first.seconds,
            others,
            left=desk.budget.search_left(),
            slots=desk.slots,
            promised=desk.promises.ahead(label),
            needed=not _anything_on_record(desk),
        )
        return {"folds": list(range(1, 1 + found))}

    if others and not first.reused and decided(desk, "folds", subject) is None:
        gain = _first_gain(desk, task, prepared, run.predictions[0])
        room = desk.budget.search_left() * desk.slots - desk.promises.ahead(label)
        await desk.standing.turn(label, first.seconds, gain, 1 + others, room)
    folds: list[int] = decide(desk, "folds", subject, affordable)["folds"]
    desk.promises.promise(label, len(folds) * first.seconds)
    desk.standing.end(label)
    return folds


def _first_gain(desk: Workbench, task: Task, prepared: Prepared, predictions: np.ndarray) -> float:
    """The score on the first fold's rows, higher being better; not a number where the metric is undefined for them."""
    truth = desk.labels(prepared)[fold_rows(desk, prepared, 0)]
    return task.metric.gain(score(task.metric, truth, predictions, task.classes, task.positive), 0.0)


async def _fold(
    desk: Workbench, task: Task, prepared: Prepared, program: str, fold: int, run: FoldRun, label: str, share: float
) -> None:
    def job() -> Job:
        # Asked for when a slot is free: waiting for one may have used the time up.
        left = max(1.0, desk.budget.search_left())
        made = Job(
            kind="fold",
            files={
                "program.py": program,
                "features.arrow": prepared.features,
                "train.arrow": prepared.train_files[fold],
                "valid.arrow": prepared.valid_files[fold],
            },
            # With the format of stored models a fold measures its model and may keep it (tools/bagging.py). It is part of
            # the key: a model stored in an earlier format is not to be found again.
            params={"task": task.for_program(), "seed": desk.settings.seed, "model_format": FORMAT},
            time_limit=max(1.0, min(share, left * 0.8)),
            fold=fold,
            limits=desk.limits(left + 1.0 if _anything_usable(desk) else max(left + 1.0, PATIENCE * desk.budget.total)),
            label=f"{label} fold {fold}",
        )
        if _too_late(desk, run, made):
            raise _OutOfTime
        desk.say("job", "runner", candidate=label, fold=fold, state="started")
        return made

    if run.problem:
        return
    try:
        receipt = await desk.start(job)
    except _OutOfTime:
        run.out_of_time = True
        return
    run.add(fold, receipt)
    desk.promises.used(label, run.receipts[0].seconds)
    desk.say(
        "job",
        "runner",
        candidate=label,
        fold=fold,
        state=receipt.status,
        seconds=receipt.seconds,
        reused=receipt.reused,
        key=receipt.key,
    )
    _take(desk, task, prepared, fold, receipt, run)


class _OutOfTime(Exception):
    """A fold's turn came when it could not end in the search time left."""


def _too_late(desk: Workbench, run: FoldRun, job: Job) -> bool:
    """Whether a fold must not start. What the journal knows costs nothing; something must be found, however late."""
    subject = {"fold": job.label, "files": job.files}
    if decided(desk, "too late", subject) is not None:
        return True
    late = _is_late(desk, run, job)
    if late:
        decide(desk, "too late", subject, lambda: {"late": True})
    return late


def _is_late(desk: Workbench, run: FoldRun, job: Job) -> bool:
    left = desk.budget.search_left()
    known = [receipt.seconds for receipt in run.receipts if not receipt.reused]
    if left > max(known, default=run.expected):
        return False
    if not known and not _anything_usable(desk):
        return False
    return desk.journal.result(job.key(desk.versions)) is None


def _anything_on_record(desk: Workbench) -> bool:
    return any(one.usable for one in desk.log.candidates().values())


def _anything_usable(desk: Workbench) -> bool:
    """Whether a candidate is usable, or will be as soon as its folds have ended."""
    return desk.promises.any_kept or _anything_on_record(desk)


def _take(desk: Workbench, task: Task, prepared: Prepared, fold: int, receipt: Receipt, run: FoldRun) -> None:
    """Validate what a fold returned; keep its predictions or its failure."""
    if not receipt.ok:
        if receipt.status == "timeout" and run.predictions and time_left(desk, "fold", receipt.key).search <= 0:
            run.out_of_time = True  # the search ended, not the program
            return
        run.outcome = receipt.status if receipt.status in {"timeout", "memory", "signal"} else "error"
        run.problem = receipt.error or f"the program ended: {receipt.status}"
        return
    predictions = desk.artifacts.get_array(receipt.outputs["predictions.npy"])
    rows = fold_rows(desk, prepared, fold)
    if problems := check_predictions(predictions, len(rows), task.classes, several=several_of(task)):
        run.outcome, run.problem = "bad predictions", "; ".join(problems)
        return
    run.predictions[fold] = predictions
    desk.promises.any_kept = True


def fold_rows(desk: Workbench, prepared: Prepared, fold: int) -> np.ndarray:
    """Positions of a fold's validation rows, in the order its predictions come."""
    return _rows_of(desk, prepared.valid_files[fold])


def _rows_of(desk: Workbench, file: str) -> np.ndarray:
    return desk.array(file, lambda frame: frame["row"].to_numpy().astype(int))


def pool(desk: Workbench, prepared: Prepared, predictions: dict[int, np.ndarray]) -> OutOfFold:
    """Out-of-fold predictions of all finished folds, by ascending position."""
    return pool_files(desk, {prepared.valid_files[fold]: predictions[fold] for fold in sorted(predictions)})


def pool_files(desk: Workbench, predictions: dict[str, np.ndarray]) -> OutOfFold:
    """Predictions of folds, by the reference of their validation rows, by ascending position."""
    rows = np.concatenate([_rows_of(desk, file) for file in predictions])
    values = np.concatenate(list(predictions.values()))
    order = np.argsort(rows, kind="stable")
    return OutOfFold(rows[order], values[order])


def score_of(desk: Workbench, task: Task, prepared: Prepared, part: OutOfFold, folds: list[int]) -> Score:
    """The framework's score of pooled predictions, with the scores of single folds and a bootstrap interval.

    Raises ValueError when the metric is undefined for these rows.
    """
    return make_score(
        task.metric,
        desk.labels(prepared)[part.rows],
        part.values,
        [np.flatnonzero(np.isin(part.rows, fold_rows(desk, prepared, fold))) for fold in folds],
        task.classes,
        task.positive,
        seed=desk.settings.seed,
        groups=at(units_at(desk, task, prepared), part.rows),
        numbers=folds,
    )


def units_at(desk: Workbench, task: Task, prepared: Prepared) -> np.ndarray | None:
    """What a bootstrap draws together, per position of the open rows; None where every row is drawn by itself."""
    if task.split.kind not in {"group", "time"}:
        return None
    return units_of(task, desk.artifacts.get_frame(prepared.labels))


def store_oof(desk: Workbench, part: OutOfFold) -> str:
    """Put out-of-fold predictions into the artifact store: columns `row`, `p0`, `p1`, …"""
    values = part.values.reshape(len(part.rows), -1)
    frame = pd.DataFrame({f"p{index}": values[:, index] for index in range(values.shape[1])})
    frame.insert(0, "row", part.rows.astype("float64"))
    return desk.artifacts.put_frame(frame)


def load_oof(desk: Workbench, reference: str) -> OutOfFold:
    """The predictions `store_oof` put."""
    frame = desk.artifacts.get_frame(reference)
    values = frame.drop(columns="row").to_numpy()
    return OutOfFold(frame["row"].to_numpy().astype(int), values[:, 0] if values.shape[1] == 1 else values)


def load_scored(desk: Workbench, candidate: Candidate) -> OutOfFold:
    """The predictions that a usable candidate's score is of: its own, or times the weights it decides with."""
    return load_oof(desk, str(candidate.scored_on))


def reserve_final_fits(desk: Workbench, candidates: dict[str, Candidate]) -> None:
    """Keep time for the fits after the search: the likely members, each fitted for the sealed test and for the release.

    After first looks alone it is one fit, as large as the time allows (tools/partfit.py), and less of it is kept: whoever
    goes on with all rows needs no further fit. Told after every scored candidate, so that the search ends while there is
    still time to release what it found.
    """
    able = [one for one in candidates.values() if one.usable and one.program]
    if able and all(one.plan.rows for one in able):
        seconds, most = final_fit_seconds(desk, [max(map(refit_seconds, able))]), RESERVED_FOR_LOOKS
    else:
        seconds, most = 2 * final_fit_seconds(desk, sorted(map(refit_seconds, able))[-LIKELY_MEMBERS:]), MOST_RESERVED
    desk.budget.reserve(min(seconds, most * desk.budget.total))


def final_fit_seconds(desk: Workbench, costs: list[float]) -> float:
    """Wall seconds one round of final fits takes; `costs` are the members' seconds (tools.costs.refit_seconds)."""
    return sum(cost + SAVING for cost in costs) / min(desk.slots, max(1, len(costs)))


def merge_effective(effectives: list[dict[str, Any]]) -> dict[str, Any]:
    """One set of effective parameters from those of the folds: medians of numbers, the most common of the rest."""
    merged: dict[str, Any] = {}
    for name in {name for effective in effectives for name in effective}:
        values = [effective[name] for effective in effectives if name in effective]
        if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            merged[name] = round(float(np.median(values)))
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            merged[name] = float(np.median(values))
        else:
            spellings = Counter(map(repr, values))
            merged[name] = max(values, key=lambda value: spellings[repr(value)])
    return dict(sorted(merged.items()))
