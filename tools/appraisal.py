"""Appraising the chosen model for its report: calibration, segments, classes and the gain over the ladder, with receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from state.candidate import Candidate, Score
from state.task import Prepared, Task
from tools.appraised import (
    Rows,
    calibration_numbers,
    class_numbers,
    curve_numbers,
    importance_number,
    lift_number,
    segment_number,
)
from tools.calibration import Calibration, calibrate
from tools.expectation import choice_numbers
from tools.labels import labels_in
from tools.portable.combining import weighed
from tools.receipts import number_id, record_numbers
from tools.segments import Segment, score_segments
from tools.tracing import stored_numbers
from tools.training import load_oof, load_scored, units_at
from tools.units import at, units_of
from tools.workbench import Workbench

OUT_OF_FOLD, SEALED = "rows, out of fold", "sealed test rows"


@dataclass(frozen=True)
class Appraisal:
    """What the report shows of the chosen model beside its scores."""

    calibrations: list[tuple[str, Calibration]] = field(default_factory=list)
    """Which rows (`oof` or `test`), and their calibration; out of fold first."""
    segments: list[Segment] = field(default_factory=list)


def appraise(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    best: str,
    candidates: Mapping[str, Candidate],
    *,
    ladder: list[dict[str, Any]],
    test: Score | None,
    test_predictions: str | None,
    importance: list[tuple[str, float, float]],
) -> Appraisal:
    """Measure the chosen candidate and write the receipts of every number into the run's log.

    The optimism of the choice is measured here when no opening has asked for it before. Nothing is trained; rows and
    resamples are bounded.
    """
    chosen, seed = candidates[best], desk.settings.seed
    sets = _sets(desk, task, prepared, chosen, test_predictions)
    found = [(one, calibrate(task, one.labels, one.values, units=one.units, seed=seed)) for one in sets]
    calibrations = [(one, measured) for one, measured in found if measured is not None]
    segments = _segments(desk, task, prepared, sets[0])
    numbers = [number for one, measured in calibrations for number in calibration_numbers(one, measured)]
    numbers += [number for one in sets for number in curve_numbers(task, one, seed)]
    numbers += class_numbers(task, sets[-1])
    numbers += [segment_number(task, sets[0], one) for one in segments]
    numbers += lift_number(task, chosen, ladder, test)
    numbers += [importance_number(task, *one) for one in importance]
    numbers = [number.but(candidate=best, seed=seed) for number in numbers]
    told = stored_numbers(desk.log.events()).get("optimism")
    if told is None or told.candidate != best:
        numbers += choice_numbers(desk, task, prepared, best, candidates)
    record_numbers(desk, "publisher", numbers)
    return Appraisal([(one.short, measured) for one, measured in calibrations], segments)


def _sets(
    desk: Workbench, task: Task, prepared: Prepared, chosen: Candidate, test_predictions: str | None
) -> list[Rows]:
    """The out-of-fold rows, then the sealed ones when they were opened."""
    part = load_oof(desk, str(chosen.oof))
    labels, units = desk.labels(prepared)[part.rows], at(units_at(desk, task, prepared), part.rows)
    inputs = {"predictions": str(chosen.oof), "labels": prepared.labels}
    decided = load_scored(desk, chosen).values if chosen.decided else None
    sets = [Rows("oof", OUT_OF_FOLD, part.rows, labels, part.values, units, inputs, decided)]
    if test_predictions:
        values = desk.artifacts.get_array(test_predictions)
        sealed = desk.artifacts.get_frame(prepared.sealed_labels)
        if len(values) == len(sealed):
            inputs = {"predictions": test_predictions, "labels": prepared.sealed_labels}
            labels, places = labels_in(sealed), np.arange(len(sealed))
            told = stored_numbers(desk.log.events()).get(number_id("test", task.metric.name))
            jobs = told.jobs if told else []
            weights = chosen.combination.decision
            decided = weighed(values, weights) if weights else None
            sets.append(Rows("test", SEALED, places, labels, values, units_of(task, sealed), inputs, decided, jobs))
    return sets


def _segments(desk: Workbench, task: Task, prepared: Prepared, one: Rows) -> list[Segment]:
    known = desk.artifacts.get_frame(prepared.labels)
    return score_segments(
        task,
        one.labels,
        one.judged,
        desk.features(prepared).iloc[one.places].reset_index(drop=True),
        groups=known["group"].iloc[one.places].reset_index(drop=True) if "group" in known else None,
        units=one.units,
        seed=desk.settings.seed,
    )
