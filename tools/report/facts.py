"""What a report is made of: everything one run knows about itself, gathered for the page. Never persisted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from state.candidate import Candidate, Decision, Finding, IterationPlan, Verdict
from state.profile import Profile
from state.task import Prepared, Task
from tools.calibration import Calibration
from tools.receipts import Number
from tools.segments import Segment


@dataclass(frozen=True)
class ReportFacts:
    """The facts of one run. Only the first three fields are needed; the page says plainly what is missing."""

    run: Mapping[str, Any]
    """{id, name, created, finished (ISO text), seconds, status, settings, versions, tier, command}; each may be absent."""
    task: Task
    profile: Profile
    prepared: Prepared | None = None
    """Row counts, data hash and the key of the sealed rows."""
    iteration_plans: list[IterationPlan] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    """All of them, the latest record of each, in the order they were started."""
    best: str | None = None
    """Id of the candidate that is (or would have been) released."""
    decisions: list[Decision] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    verdict: Verdict | None = None

    oof_labels: np.ndarray | None = None
    """Canonical labels (n,) of the rows that have an out-of-fold prediction of the best candidate."""
    oof_predictions: np.ndarray | None = None
    """(n,) values, or (n, classes) probabilities in the order of `task.classes`. Rows with NaN are left out."""
    oof_times: np.ndarray | None = None
    """Forecasts: the time column of the same rows, datetime64 or numbers."""
    test_labels: np.ndarray | None = None
    """The same three for the sealed test rows; None when the seal was never broken."""
    test_predictions: np.ndarray | None = None
    test_times: np.ndarray | None = None
    oof_decided: np.ndarray | None = None
    """Classifiers that decide with class weights: the predictions times those weights, whose largest is the answer."""
    test_decided: np.ndarray | None = None

    importance: list[tuple[str, float, float]] = field(default_factory=list)
    """(column, drop in score when it is permuted, standard deviation), positive when the column helps."""
    baselines: list[dict[str, Any]] = field(default_factory=list)
    """{name, value, low, high, note}: constant, linear, boosted, seasonal naive. `value` in the task's metric, or None."""
    segments: list[Segment] = field(default_factory=list)
    """Scores of the best candidate on parts of the data."""
    calibrations: list[tuple[str, Calibration]] = field(default_factory=list)
    """Classifiers: `oof` or `test`, and the calibration on those rows."""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    """The receipt of every number of the run, by id."""
    worst_rows: list[dict[str, Any]] = field(default_factory=list)
    """{row, actual, predicted, error, values: {column: value}}: the rows with the largest errors."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    """What people decided: {gate, time, text}."""
    release_folder: str | None = None
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    """Per role and expert, see `summarise_exchanges`."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """The run's event log: {seq, time, kind, role, text, data}."""
    graph: str | None = None
    """Mermaid text of the main graph, or a ready `<svg …>` made by tools/drawing.py."""
    programs: dict[str, str] = field(default_factory=dict)
    """Candidate id → text of its program."""
    notes: list[str] = field(default_factory=list)
    """Sentences beside the task's own decisions: how the file was read, what was degraded, skipped or overridden."""
    cautions: list[str] = field(default_factory=list)
    """Reasons to use the model with care, beside those the page finds itself; they turn "Yes." into "Yes, with care."."""

    def candidate(self, identity: str | None) -> Candidate | None:
        """The candidate of this id, or None."""
        return next((candidate for candidate in self.candidates if candidate.id == identity), None)


def summarise_exchanges(exchanges: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sum the records of `RunLog.exchanges()` per role and expert, in order of first appearance.

    Returns {role, expert, count, tokens_in, tokens_out, cost, seconds, cached, errors}; `cost` is None as soon as one
    exchange has an unknown price, since a sum with a gap would read as a total.
    """
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for exchange in exchanges:
        key = (str(exchange.get("role", "")), str(exchange.get("expert", "")))
        total = sums.setdefault(
            key,
            {"role": key[0], "expert": key[1], "count": 0, "tokens_in": 0, "tokens_out": 0, "cost": 0.0}
            | {"seconds": 0.0, "cached": 0, "errors": 0},
        )
        total["count"] += 1
        total["tokens_in"] += exchange.get("tokens_in") or 0
        total["tokens_out"] += exchange.get("tokens_out") or 0
        cost = exchange.get("cost")
        total["cost"] = None if cost is None or total["cost"] is None else total["cost"] + cost
        total["seconds"] += exchange.get("seconds") or 0.0
        total["cached"] += bool(exchange.get("cached"))
        total["errors"] += bool(exchange.get("error"))
    return list(sums.values())
