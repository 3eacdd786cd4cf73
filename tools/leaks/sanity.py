"""Whether a score means anything: against a constant guess before the test, against the estimate after it.

What is seen here only after the sealed test was opened can be told, put to the person or end in reject; nothing leads
back to another try.
"""

from __future__ import annotations

import math

import numpy as np

from state.candidate import Candidate, Check, Finding, Route, Score
from state.task import Task
from tools.leaks.sides import SHOWN, Result, found, passed, skipped
from tools.scoring import compare, score
from tools.selection import OutOfFold, at_rows, common_rows
from tools.units import at

BASELINE = "better than a constant guess"
GAP = "sealed test near the out-of-fold score"
TEST_BASELINE = "better than a constant guess on the sealed test"
_NORMAL = 1.96
_FAR, _REJECT = 3.0, 5.0
"""Distance of test and estimate, in standard errors of both, from which it is told (two happen in one of twenty honest
runs), and from which a worthless model is refused."""
_RATE_FACTOR = 2.0
_RATE_GAP = 0.05


def check_baseline(
    task: Task,
    best: Candidate,
    part: OutOfFold,
    constant: OutOfFold,
    labels: np.ndarray,
    *,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> Result:
    """Out of fold the model must be better than the best constant, beyond chance; and it should not be one itself.

    labels, units (what a bootstrap draws together, see tools/units.py): of all open rows.
    """
    rows = common_rows([part, constant])
    values, guess, truth = at_rows(part, rows), at_rows(constant, rows), labels[rows]
    if np.ptp(values, axis=0).max() == 0:
        text = f"{best.id} predicts the same for every row: it is a constant itself"
        return found(BASELINE, text, [_baseline_finding(best, text, _rows(rows, values, truth))])
    paired = compare(task.metric, truth, values, guess, task.classes, task.positive, seed=seed, groups=at(units, rows))
    reached = score(task.metric, truth, values, task.classes, task.positive)
    plain = score(task.metric, truth, guess, task.classes, task.positive)
    detail = f"{task.metric.name} {reached:.4g} against {plain:.4g}"
    if paired["gain"] <= 0 or paired["low"] <= 0:
        text = (
            f"out of fold {best.id} ({reached:.4g}) is not better than a constant guess ({plain:.4g}) beyond chance: the "
            "columns may hold no signal"
        )
        return found(BASELINE, detail, [_baseline_finding(best, text, _rows(rows, values, truth))])
    return found(BASELINE, detail, off) if (off := _rates(task, best, values, truth)) else passed(BASELINE, detail)


def _baseline_finding(best: Candidate, text: str, evidence: list[str]) -> Finding:
    return Finding(
        id="review-baseline",
        source="review",
        topic="no signal",
        severity="warning",
        route="ask",
        candidate=best.id,
        text=text,
        evidence=evidence,
    )


def _rows(rows: np.ndarray, values: np.ndarray, truth: np.ndarray) -> list[str]:
    return [
        f"position {rows[place]}: predicted {np.round(np.atleast_1d(values[place]), 4).tolist()}, target {truth[place]!r}"
        for place in range(min(SHOWN, len(rows)))
    ]


def _rates(task: Task, best: Candidate, values: np.ndarray, truth: np.ndarray) -> list[Finding]:
    """Classes whose mean probability is far from how often they occur, where probabilities are what is asked for."""
    if (
        not task.is_classification
        or task.metric.needs != "probabilities"
        or task.metric.name not in {"log_loss", "brier"}
    ):
        return []
    lines = []
    for place, label in enumerate(task.classes):
        said, is_so = float(values[:, place].mean()), float((truth == label).mean())
        ratio = max(said, 1e-9) / max(is_so, 1e-9)
        if abs(said - is_so) > _RATE_GAP and not 1 / _RATE_FACTOR < ratio < _RATE_FACTOR:
            lines.append(f"class {label!r}: {said:.1%} predicted on average, {is_so:.1%} of the rows")
    if not lines:
        return []
    text = f"{best.id} gives classes other rates than they have, though probabilities are what is scored: {lines[0]}"
    return [
        Finding(
            id="review-rates",
            source="review",
            topic="calibration",
            severity="warning",
            candidate=best.id,
            text=text,
            evidence=lines[:SHOWN],
        )
    ]


# ---- after the sealed test was opened ---------------------------------------------------------------------------------


def check_after_test(
    task: Task, estimate: Score | None, test: Score, constant: float, *, looked: bool = False
) -> tuple[list[Check], list[Finding]]:
    """How far the test score lies from the estimate, and whether it beats the constant guess. Report, ask or reject.

    looked: the estimate is of a first look, and the tested model was fitted on more rows.
    """
    useless = not task.metric.better(test.value, constant)
    results = [
        _gap(task, estimate, test, useless=useless, looked=looked),
        _against_constant(test, constant, useless=useless),
    ]
    return [check for check, _ in results], [finding for _, findings in results for finding in findings]


def _gap(task: Task, estimate: Score | None, test: Score, *, useless: bool, looked: bool) -> Result:
    if estimate is None:
        return skipped(GAP, "there is no out-of-fold score")
    errors = [_standard_error(estimate), _standard_error(test)]
    size = math.hypot(*errors)
    if not math.isfinite(size):
        return skipped(GAP, "a score has no interval")
    distance = task.metric.gain(test.value, estimate.value)
    z = distance / size if size > 0 else 0.0 if distance == 0 else math.copysign(math.inf, distance)
    detail = (
        f"test {test.value:.4g} [{test.low:.4g}, {test.high:.4g}], out of fold {estimate.value:.4g} "
        f"[{estimate.low:.4g}, {estimate.high:.4g}]: {abs(z):.1f} standard errors {'better' if z > 0 else 'worse'}"
    )
    if looked:
        detail += "; the tested model saw more rows than the first look that was scored"
    if abs(z) < _FAR or (looked and z > 0):
        return passed(GAP, detail)
    route = _gap_route(task, z, useless=useless)
    finding = Finding(
        id="review-gap",
        source="review",
        topic="test gap",
        severity="error" if route == "reject" else "warning" if route == "ask" else "info",
        route=route,
        text=f"the sealed test score lies apart from the out-of-fold score: {detail}{_meaning(task, z)}",
        evidence=[f"standard error out of fold {errors[0]:.4g}, on the test {errors[1]:.4g}"],
        data={"z": round(float(np.clip(z, -999.0, 999.0)), 3)},
    )
    return found(GAP, detail, [finding])


def _gap_route(task: Task, z: float, *, useless: bool) -> Route:
    """A gap is no proof by itself: later times and given test files may differ. Worthless where the deal was ours is.

    A test that came out better promises less than it shows, which harms nobody who knows it.
    """
    ours = task.split.kind in {"random", "stratified"} and not task.split.test_given
    if z <= -_REJECT and useless and ours:
        return "reject"
    return "ask" if z < 0 else "report"


def _meaning(task: Task, z: float) -> str:
    if z > 0:
        return ""
    if task.split.kind == "time":
        return "; the later times differ from those before"
    if task.split.test_given:
        return "; the given test file differs from the training file"
    return "; the estimate was too good: many candidates were compared, or rows help each other"


def _standard_error(one: Score) -> float:
    return (one.high - one.low) / (2 * _NORMAL)


def _against_constant(test: Score, constant: float, *, useless: bool) -> Result:
    detail = f"{test.value:.4g} on the test, {constant:.4g} for a constant guess out of fold"
    if not useless:
        return passed(TEST_BASELINE, detail)
    finding = Finding(
        id="review-constant",
        source="review",
        topic="no signal",
        severity="warning",
        route="ask",
        text=f"on the sealed test the model is no better than a constant guess ({detail}): the columns may hold no signal",
    )
    return found(TEST_BASELINE, detail, [finding])
