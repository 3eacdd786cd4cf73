"""The label-shuffle canary: trained on shuffled labels a program knows nothing of the truth, so it may not score.

What is measured is how much of the truth comes through: the covariance of predictions and true labels of the validation
rows, as a share of the labels' variance. It is 1 for perfect predictions and 0 for constant ones. A rank metric would not
do: with one strong column even the faint slope that shuffled labels leave orders the rows, rightly or the wrong way round.

For an honest program the share lies around 0 with a variance of at most 1/n of the training rows (each shuffled label has
a weight of about 1/n in a prediction) plus that of the covariance over the validation rows. Whatever lies above goes on to
mirrored labels: an honest program then follows the mirror image, below 0. Only what stays above in all is a leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.candidate import Candidate, Finding
from state.task import Prepared, Task
from tools.leaks.entities import target_numbers
from tools.leaks.jobs import START, FirstFold, first_fold, predictions_of, run_fold
from tools.leaks.sides import Result, found, passed, skipped, spaced
from tools.scoring import interval, score
from tools.training import units_at
from tools.units import at
from tools.workbench import Workbench

NAME = "label-shuffle canary"
_SURE = 3.0
"""Standard deviations to which chance reaches."""
_LEAST_ROWS = 100
_STRONG = 0.5
"""Share of what the program carries with true labels from which it plainly has them from elsewhere."""
_TURNS = ("shuffled", "mirrored", "shuffled again")
_CLASS_FLOOR = 2
"""Rows of a class that a reduced training part keeps, where it has them."""


@dataclass(frozen=True)
class Carried:
    """What one fit on shuffled labels said about the true ones."""

    share: float
    margin: float
    """What chance reaches, both ways."""
    value: float
    low: float
    high: float
    """The task's metric on the true labels, with its interval."""

    @property
    def above(self) -> bool:
        return self.share > self.margin


async def check_canary(
    desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate, *, seconds: float, full: bool = False
) -> Result:
    """Fit a candidate's program on shuffled labels of the first fold and score it on the true validation labels.

    seconds: what the review may spend on it; a costlier fit gets fewer training rows, and none below 100 of them.
    Only a suspicious result costs more fits. Writes the shuffled labels as artifacts.
    """
    fold = first_fold(desk, prepared, candidate)
    rows = _affordable_rows(candidate, len(fold.train), seconds, full=full)
    if rows < min(_LEAST_ROWS, len(fold.train)):
        return skipped(NAME, f"a fit takes about {candidate.fit_seconds:.1f} s, more than is left for it")
    train = _subset(fold.train, rows, task)
    reduced = "" if len(train) == len(fold.train) else f"{len(train):,} of {len(fold.train):,} training rows"
    truth = desk.labels(prepared)[fold.valid]
    units = at(units_at(desk, task, prepared), fold.valid)
    turns: list[Carried] = []
    for turn in _TURNS:
        told = await _turn(desk, task, prepared, candidate, fold, shuffled(train, task, turn), truth, units, turn)
        if isinstance(told, str):
            return skipped(NAME, f"with {turn} labels {told}")
        turns.append(told)
        if not told.above:
            break
    known = carried(task, fold.recorded, truth, len(fold.train), units)
    if not all(turn.above for turn in turns):
        return passed(NAME, f"{candidate.id} {_detail(task, turns[0], known)}", reduced=reduced)
    detail = f"{candidate.id} {_detail(task, min(turns, key=lambda one: one.share), known)}"
    return found(NAME, detail, [_finding(task, candidate, turns, known, detail)], reduced=reduced)


async def _turn(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    candidate: Candidate,
    fold: FirstFold,
    train: pd.DataFrame,
    truth: NDArray[Any],
    units: NDArray[np.int64] | None,
    turn: str,
) -> Carried | str:
    receipt = await run_fold(
        desk,
        task,
        candidate,
        features=prepared.features,
        train=desk.artifacts.put_frame(train),
        valid=prepared.valid_files[0],
        effective=fold.effective,
        label=f"{turn} labels",
    )
    values = predictions_of(desk, task, receipt, len(fold.valid))
    if isinstance(values, str):
        return values
    share, margin = carried(task, values, truth, len(train), units)
    low, high = interval(task.metric, truth, values, task.classes, task.positive, seed=desk.settings.seed, groups=units)
    return Carried(share, margin, score(task.metric, truth, values, task.classes, task.positive), low, high)


def _detail(task: Task, turn: Carried, known: tuple[float, float]) -> str:
    return (
        f"trained on shuffled labels knows {turn.share:.1%} of the truth, where chance lies within ±{turn.margin:.1%} and true "
        f"labels give {known[0]:.1%}; {task.metric.name} on the true labels {turn.value:.4g} [{turn.low:.4g}, {turn.high:.4g}]"
    )


def _finding(
    task: Task, candidate: Candidate, turns: list[Carried], known: tuple[float, float], detail: str
) -> Finding:
    strong = min(turn.share for turn in turns) >= _STRONG * max(known[0], 1e-9)
    what = (
        "it knows the truth without having learnt it, so it has labels from elsewhere"
        if strong
        else "part of its score is not learnt from the labels it is given, but from a rule of its own or from elsewhere"
    )
    return Finding(
        id=f"leak-canary-{candidate.id}",
        source="review",
        topic="leak",
        severity="error" if strong else "warning",
        route="fix" if strong else "ask",
        candidate=candidate.id,
        text=f"{detail}: {what}",
        evidence=[
            f"{name} labels: {turn.share:.1%} known (chance within ±{turn.margin:.1%}), {task.metric.name} "
            f"{turn.value:.4g} [{turn.low:.4g}, {turn.high:.4g}]"
            for name, turn in zip(_TURNS, turns, strict=True)
        ],
        data={"program": candidate.id, "shares": [round(turn.share, 4) for turn in turns]},
    )


def carried(
    task: Task,
    predictions: NDArray[np.float64],
    truth: NDArray[Any],
    trained: int,
    units: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """The share of the truth in predictions, and what chance reaches for a program fitted on so many shuffled labels.

    Numeric targets and predictions are cut at the 1 % and 99 % quantiles of the truth, so that one row decides nothing.
    Rows of one unit (a group, a stretch of time) are no independent witnesses, so that units are counted where there are.
    """
    y, p = target_numbers(truth, task), predictions.reshape(len(predictions), -1)
    if task.targets:
        scale = np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
        y, p = (y - y.mean(axis=0)) / scale, (p - y.mean(axis=0)) / scale
    if not task.is_classification:
        low, high = np.quantile(y, [0.01, 0.99])
        y, p = np.clip(y, low, high), np.clip(p, low, high)
    y, p = y - y.mean(axis=0), p - p.mean(axis=0)
    spread = float((y**2).sum())
    if spread == 0:
        return 0.0, float("inf")
    share = float((p * y).sum()) / spread
    noise = float((p**2).sum()) / spread
    judged = len(y) if units is None else len(np.unique(units))
    return share, _SURE * float(np.sqrt(1.0 / max(1, trained) + noise / judged))


def shuffled(train: pd.DataFrame, task: Task, turn: str) -> pd.DataFrame:
    """Training rows (row, label) with labels dealt anew, the same for the same turn.

    mirrored: of the first shuffle, turned round: the largest number for the smallest, each class for the next one.
    """
    rng = np.random.default_rng([20_240_229, len(train), int(turn == "shuffled again")])
    if task.targets:
        return _shuffled_together(train, rng, turn)
    labels = train["label"].to_numpy()[rng.permutation(len(train))]
    if turn == "mirrored":
        if task.is_classification:
            following = dict(zip(task.classes, [*task.classes[1:], task.classes[0]], strict=True))
            spelled = {str(label): str(other) for label, other in following.items()}
            mirrored = [spelled[_spelled(label)] for label in labels]
            labels = (
                np.array(mirrored, dtype=object) if labels.dtype == object else np.array(mirrored, dtype=labels.dtype)
            )
        else:
            order = np.argsort(labels, kind="stable")
            turned = np.empty_like(labels)
            turned[order] = labels[order][::-1]
            labels = turned
    return pd.DataFrame({"row": train["row"].to_numpy(), "label": labels})


def _shuffled_together(train: pd.DataFrame, rng: np.random.Generator, turn: str) -> pd.DataFrame:
    """Several targets of a row stay together; mirrored, the row with the highest mean gets those of the lowest."""
    labels = train.drop(columns="row").iloc[rng.permutation(len(train))].reset_index(drop=True)
    if turn == "mirrored":
        order = np.argsort(labels["label"].to_numpy(), kind="stable")
        turned = labels.to_numpy().copy()
        turned[order] = turned[order[::-1]]
        labels = pd.DataFrame(turned, columns=labels.columns)
    return pd.concat([train[["row"]].reset_index(drop=True), labels], axis=1)


def _spelled(label: Any) -> str:
    """A label as its class is spelled: a stored 1.0 is the class 1."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _affordable_rows(candidate: Candidate, rows: int, seconds: float, *, full: bool) -> int:
    """Training rows whose fit fits the time, taking cost as proportional to rows."""
    if full or candidate.fit_seconds + START <= seconds:
        return rows
    return int(rows * max(0.0, seconds - START) / max(candidate.fit_seconds, 0.01))


def _subset(train: pd.DataFrame, rows: int, task: Task) -> pd.DataFrame:
    """Evenly spaced training rows; of each class at least two, where there are so many."""
    if rows >= len(train):
        return train
    chosen = spaced(np.arange(len(train)), rows)
    if task.is_classification:
        labels = train["label"].to_numpy()
        rare = [np.flatnonzero(labels == label)[:_CLASS_FLOOR] for label in pd.unique(labels)]
        chosen = np.union1d(chosen, np.concatenate(rare))
    return train.iloc[chosen].reset_index(drop=True)
