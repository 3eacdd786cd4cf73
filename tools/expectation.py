"""What is expected of the sealed test, written down before it is opened: optimism of the choice, and an interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from state.candidate import Candidate, Score
from state.task import Metric, Prepared, Task
from tools.intervals import bounded, expected
from tools.measuring import score
from tools.optimism import Optimism, expected_optimism
from tools.receipts import Number, number_id
from tools.resampling import Codes
from tools.selection import OutOfFold
from tools.training import fold_rows, load_scored, units_at
from tools.units import at, drawn
from tools.workbench import Workbench

_FURTHER = (
    "; these rows reach {:.1f} times as far ahead as the folds did, and the worse end allows for errors that grow"
)


def expect_sealed(
    desk: Workbench, task: Task, prepared: Prepared, best: str, candidates: Mapping[str, Candidate] | None = None
) -> list[Number]:
    """The optimism of having chosen `best`, its corrected score, and the interval expected of the sealed test.

    candidates: those the state knows; all of the log when None. Computed from stored predictions, on a bounded number of
    rows and rounds. Writes nothing: `open_sealed_test` puts them on record.
    """
    known = desk.log.candidates() if candidates is None else candidates
    numbers = choice_numbers(desk, task, prepared, best, known)
    if prepared.sealed_rows and not looked(known, best):  # a score on few rows says little of a fit on many
        numbers += _expected_numbers(desk, task, prepared, known[best], numbers)
    return numbers


def looked(candidates: Mapping[str, Candidate], best: str) -> bool:
    """Whether the chosen one, or a member of it, was scored after a first look at a part of the rows."""
    members = [member.candidate for member in candidates[best].members] or [best]
    return any(candidates[name].plan.rows for name in members)


def choice_numbers(
    desk: Workbench, task: Task, prepared: Prepared, best: str, candidates: Mapping[str, Candidate]
) -> list[Number]:
    """The optimism of the choice among the usable candidates, and the chosen score without it."""
    chosen = candidates[best]
    stood = _stood(candidates, chosen)
    parts = {one.id: load_scored(desk, one) for one in stood}
    units = units_at(desk, task, prepared)
    seed = desk.settings.seed
    found = expected_optimism(
        task, desk.labels(prepared), parts, best, mixed=len(chosen.members) > 1, units=units, seed=seed
    )
    if found is None or chosen.score is None:
        return []
    among = [number_id("oof", one.id) for one in stood]
    return _choice(task, chosen, chosen.score, found, among, seed)


def _stood(candidates: Mapping[str, Candidate], chosen: Candidate) -> list[Candidate]:
    """Those the choice was among: scored on as many rows, not sent back since. The chosen one is among them."""
    rows = chosen.score.rows if chosen.score else 0
    usable = [one for one in candidates.values() if one.usable and one.score and one.score.rows >= rows]
    return usable if chosen in usable else [*usable, chosen]


def _choice(task: Task, chosen: Candidate, whole: Score, found: Optimism, among: list[str], seed: int) -> list[Number]:
    sign = 1.0 if task.metric.direction == "higher" else -1.0
    shared = {"metric": task.metric.name, "rows": found.rows, "rows_are": "rows, out of fold", "candidate": chosen.id}
    luck = Number(
        id="optimism",
        title=f"expected luck in choosing the best of {found.candidates}",
        value=found.value,
        method=f"the choice repeated on {found.rounds} bootstrap samples of {drawn(task)}: how much worse what is chosen "
        "there does on the rows left out than the really chosen one (Tsamardinos, Greasidou, Borboudakis 2018)",
        made_of=among,
        facts={"candidates": found.candidates, "rounds": found.rounds, "switched": found.switched},
        seed=seed,
        **shared,
    )
    corrected = Number(
        id=number_id("corrected", task.metric.name),
        title="the chosen score without the luck of the choice",
        value=found.corrected,
        low=whole.low - sign * found.value,
        high=whole.high - sign * found.value,
        method="out-of-fold score less the expected optimism; its interval moves along",
        made_of=[number_id("oof", chosen.id), "optimism"],
        **shared,
    )
    return [luck, corrected]


def _expected_numbers(
    desk: Workbench, task: Task, prepared: Prepared, chosen: Candidate, numbers: list[Number]
) -> list[Number]:
    """The interval of the score on as many new rows as are sealed."""
    part = load_scored(desk, chosen)
    luck = next((one.value or 0.0 for one in numbers if one.id == "optimism"), 0.0)
    reach = _reach(desk, task, prepared)
    centre, low, high = expected_score(
        task,
        desk.labels(prepared),
        part,
        prepared.sealed_rows,
        luck=luck,
        folds=chosen.score,
        units=units_at(desk, task, prepared),
        reach=reach,
        seed=desk.settings.seed,
    )
    if not np.isfinite([low, high]).all():
        return []
    return [
        Number(
            id=number_id("expected", task.metric.name),
            title="what the sealed test was expected to give, told before it was opened",
            value=centre,
            low=low,
            high=high,
            metric=task.metric.name,
            rows=prepared.sealed_rows,
            rows_are="new rows",
            method=f"95 % interval for the score on so many new rows: bootstrap of {drawn(task)} of the out-of-fold "
            "predictions, for the new sample and for the estimate itself, less the expected optimism on the worse side"
            + (_FURTHER.format(reach) if reach > 1.1 else ""),
            candidate=chosen.id,
            inputs={"predictions": str(chosen.scored_on), "labels": prepared.labels},
            made_of=[number_id("oof", chosen.id), "optimism"],
            seed=desk.settings.seed,
        )
    ]


def expected_score(
    task: Task,
    labels: np.ndarray,
    part: OutOfFold,
    size: int,
    *,
    luck: float = 0.0,
    folds: Score | None = None,
    units: Codes | None = None,
    reach: float = 1.0,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Centre, low and high of the score expected on `size` new rows, from out-of-fold predictions.

    luck: the optimism of the choice; the centre is without it, and the better end of the interval still with it, since
    the final model is fitted on more rows than those of the folds. folds: for a split in time, the scores of the
    windows; what they differ by beyond chance, the next stretch of time may differ by too. reach: how many times as far
    ahead the new rows reach as the windows did; the worse end then allows for errors that grow as a random walk's.
    """
    truth, metric = labels[part.rows], task.metric
    value = score(metric, truth, part.values, task.classes, task.positive)
    low, high = expected(
        metric, truth, part.values, size, task.classes, task.positive, seed=seed, groups=at(units, part.rows)
    )
    if task.split.kind == "time" and folds is not None:
        drift = _drift(folds)
        low, high = value - float(np.hypot(value - low, drift)), value + float(np.hypot(high - value, drift))
    low, high = _further(metric, low, high, reach)
    centre, low, high = (
        (value - luck, low - luck, high) if metric.direction == "higher" else (value + luck, low, high + luck)
    )
    return centre, *bounded(metric, centre, low, high)


def _drift(whole: Score) -> float:
    """95 % half width of what windows of time differ by, beyond what the bootstrap of each explains."""
    count = len(whole.folds)
    if count < 2 or len(whole.fold_intervals) != count:
        return 0.0
    from scipy.special import stdtrit

    by_chance = np.mean([((high - low) / 3.92) ** 2 for low, high in whole.fold_intervals])
    beyond = max(0.0, float(np.var(whole.folds, ddof=1) - by_chance))
    return float(stdtrit(max(2, count - 1), 0.975) * np.sqrt(beyond * (1 + 1 / count)))


def _further(metric: Metric, low: float, high: float, reach: float) -> tuple[float, float]:
    """The interval with its worse end moved to where errors grow with the root of the distance, squares with itself."""
    if metric.needs != "values" or reach <= 1:
        return low, high
    growth = reach if metric.name in {"mse", "r2", "explained_variance"} else float(np.sqrt(reach))
    return (low, high * growth) if metric.direction == "lower" else (1 - (1 - low) * growth, high)


def _reach(desk: Workbench, task: Task, prepared: Prepared) -> float:
    """The time the sealed rows span, in windows of the folds; 1 at least, and where nothing is ordered in time."""
    if task.split.kind != "time":
        return 1.0
    known = desk.artifacts.get_frame(prepared.labels)
    hidden = desk.artifacts.get_frame(prepared.sealed_labels)
    if "time" not in known or "time" not in hidden:
        return 1.0
    times = known["time"]
    spans = [_span(times.iloc[fold_rows(desk, prepared, fold)]) for fold in range(len(prepared.valid_files))]
    usual = float(np.median([span for span in spans if span > 0] or [0.0]))
    return max(1.0, _span(hidden["time"]) / usual) if usual > 0 else 1.0


def _span(times: pd.Series) -> float:
    """From the first to the last time, in days or in the column's own unit."""
    known = times.dropna()
    if known.empty:
        return 0.0
    length = known.max() - known.min()
    return length / pd.Timedelta(days=1) if isinstance(length, pd.Timedelta) else float(length)
