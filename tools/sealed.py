"""The sealed test set: opened once, by the framework, with a receipt. After it no route leads back to training."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from state.candidate import Candidate, Combination, Score
from state.records import content_key
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.crash import crash_point
from tools.expectation import expect_sealed
from tools.labels import labels_in
from tools.memberjobs import combined, predict_members
from tools.portable.combining import weighed
from tools.receipts import Number, number_id, record_numbers
from tools.scoring import check_predictions, interval, score, several_of
from tools.units import drawn, units_of
from tools.workbench import Workbench


async def open_sealed_test(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    members: list[ReleaseMember],
    candidate: str,
    candidates: Mapping[str, Candidate] | None = None,
    expected: list[Number] | None = None,
) -> tuple[Score | None, dict[str, Any], np.ndarray]:
    """Write down what is expected, record the opening, let the fitted members predict the sealed rows, score them here.

    candidates: those the state knows, which the choice was among; all of the log when None. expected: what `expect_sealed`
    says of them, when that is known already; it comes before the opening in the log, which shows that it came first. Returns score (None when a
    prediction was invalid), the opening's receipt, and the predictions. Writes one row in the catalogue's openings, and
    the receipts of the numbers into the run's log; opening again for the same run and code is the same opening.
    """
    if expected is None:
        expected = await asyncio.to_thread(expect_sealed, desk, task, prepared, candidate, candidates)
    record_numbers(desk, "reviewer", expected)
    opening = desk.catalogue.open_test(
        prepared.sealed_key,
        run_id=desk.run_id,
        candidate=candidate,
        code_hash=content_key([member.program for member in members]),
        data_hash=prepared.source,
    )
    crash_point("after-opening")
    receipts = await predict_members(desk, task, members, prepared.sealed_features, label="sealed test")
    sealed = desk.artifacts.get_frame(prepared.sealed_labels)
    known = desk.log.candidates() if candidates is None else candidates
    combination = known[candidate].combination if candidate in known else Combination()
    predictions = combined(desk, task, len(sealed), members, receipts, combination)
    labels = labels_in(sealed)
    if check_predictions(predictions, len(labels), task.classes, several=several_of(task)):
        return None, opening, predictions
    judged = task.metric, labels, weighed(predictions, combination.decision), task.classes, task.positive
    low, high = interval(*judged, seed=desk.settings.seed, groups=units_of(task, sealed))
    found = Score(value=score(*judged), folds=[], low=low, high=high, rows=len(labels))
    number = Number(
        id=number_id("test", task.metric.name),
        title="sealed test score",
        **{name: getattr(found, name) for name in ("value", "low", "high", "rows")},
        metric=task.metric.name,
        rows_are="sealed test rows",
        method=f"the metric over all sealed rows, opened once by this run; 95 % interval by bootstrap of {drawn(task)}, "
        "or the metric's own",
        candidate=candidate,
        inputs={"labels": prepared.sealed_labels, "predictions": desk.artifacts.put_array(predictions)},
        jobs=[receipt.key for receipt in receipts],
        facts={"opening": opening, "decision": combination.decision},
        seed=desk.settings.seed,
    )
    record_numbers(desk, "reviewer", [number])
    return found, opening, predictions
