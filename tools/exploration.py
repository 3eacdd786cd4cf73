"""Prediction exploration: where the best candidate is wrong, as findings that later plans answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate, Finding
from state.records import to_plain
from state.task import Task
from tools.selection import OutOfFold

Array = np.ndarray

MOST_ROWS = 50_000
"""Rows that findings are looked for in, evenly spaced."""
_MOST_SEGMENTS = 3
_LATE = 4
"""One part in so many, the last in time, is held against the rest, …"""
_LEAST_IN_TIME = 80
"""… from so many rows on."""


def explore_predictions(
    task: Task, candidate: Candidate, part: OutOfFold, labels: Array, features: pd.DataFrame, *, prefix: str
) -> list[Finding]:
    """Findings about errors of the out-of-fold predictions: bias, skew, spread, rare classes, confusions, drift in time, segments.

    `prefix` begins every finding's id, so that ids stay unique over iterations.
    """
    if len(part.rows) > MOST_ROWS:
        some = np.linspace(0, len(part.rows) - 1, MOST_ROWS).astype(np.int64)
        part = OutOfFold(part.rows[some], part.values[some])
    truth = labels[part.rows]
    if task.targets:
        facts = _weakest_target(task, truth, part.values)
    elif task.is_classification:
        facts = _classification_facts(task, truth, part.values)
    else:
        facts = _regression_facts(truth.astype(float), part.values)
    errors, seen = _row_errors(task, truth, part.values), features.iloc[part.rows]
    facts += _drift(task, errors, seen)
    facts += _segments(task, errors, seen)
    return [
        Finding(id=f"{prefix}{number}", source="predictions", candidate=candidate.id, **fact)
        for number, fact in enumerate(facts, start=1)
    ]


def worst_rows(
    task: Task, part: OutOfFold, labels: Array, features: pd.DataFrame, most: int = 8, *, decided: Array | None = None
) -> list[dict[str, Any]]:
    """The rows with the largest errors: {row, actual, predicted, error, values}, worst first; up to six columns each.

    decided: probabilities times the class weights that decide, where it is not the most probable class.
    """
    answers = part.values if decided is None else decided
    truth = labels[part.rows]
    errors = _row_errors(task, truth, part.values)
    shown = [feature.name for feature in task.features if feature.kind != "image"][:6]
    rows = []
    for place in np.argsort(-errors, kind="stable")[:most]:
        said: Any = task.classes[int(answers[place].argmax())] if task.is_classification else part.values[place]
        actual = truth[place]
        if task.targets:
            said, actual = (", ".join(f"{value:.4g}" for value in one[:6]) for one in (said, actual))
        position = int(part.rows[place])
        rows.append(
            {
                "row": position,
                "actual": to_plain(actual),
                "predicted": to_plain(said),
                "error": float(errors[place]),
                "values": {name: to_plain(features[name].iloc[position]) for name in shown},
            }
        )
    return rows


def _row_errors(task: Task, truth: Array, values: Array) -> Array:
    """Per row: absolute error (of several targets their mean, in standard deviations), or one minus the probability given
    to the true class."""
    if task.targets:
        spread = truth.std(axis=0)
        return np.asarray((np.abs(truth - values) / np.where(spread > 0, spread, 1.0)).mean(axis=1))
    if not task.is_classification:
        return np.asarray(np.abs(truth.astype(float) - values))
    column = {label: index for index, label in enumerate(task.classes)}
    index = np.array([column[label] for label in truth])
    return np.asarray(1.0 - values[np.arange(len(truth)), index])


def _weakest_target(task: Task, truth: Array, values: Array) -> list[dict[str, Any]]:
    """The target of which least is explained."""
    spread = truth.var(axis=0)
    explained = 1.0 - ((truth - values) ** 2).mean(axis=0) / np.where(spread > 0, spread, 1.0)
    place = int(np.argmin(explained))
    if explained[place] >= 0.3:
        return []
    share = max(float(explained[place]), 0.0)
    text = f"of {task.targets[place]!r} only {share:.0%} of the variance is explained, the least of all targets"
    return [{"topic": "underfit", "text": text, "data": {"target": task.targets[place], "explained": round(share, 3)}}]


def _regression_facts(truth: Array, values: Array) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    residual = truth - values
    spread = float(np.std(truth)) or 1.0
    skew = float(np.mean(((truth - truth.mean()) / spread) ** 3))
    if truth.min() > 0 and skew > 1.0:
        facts.append(
            {
                "topic": "skewed-target",
                "text": f"the target is positive with a long right tail (skewness {skew:.1f}): large values dominate the error",
                "data": {"skew": round(skew, 3)},
            }
        )
    bias = float(residual.mean())
    if abs(bias) > 0.1 * float(np.std(residual) or 1.0):
        facts.append(
            {
                "topic": "residuals",
                "text": f"predictions are {'too low' if bias > 0 else 'too high'} by {abs(bias):.4g} on average",
                "data": {"bias": bias},
            }
        )
    size = np.abs(residual)
    if np.std(values) > 0 and np.std(size) > 0:
        growth = float(np.corrcoef(values, size)[0, 1])
        if growth > 0.35:
            facts.append(
                {
                    "topic": "skewed-target" if truth.min() > 0 else "residuals",
                    "text": f"errors grow with the predicted value (correlation {growth:.2f})",
                    "data": {"correlation": round(growth, 3)},
                }
            )
    explained = 1.0 - float(np.var(residual)) / spread**2
    if explained < 0.3:
        facts.append(
            {
                "topic": "underfit",
                "text": f"only {max(explained, 0.0):.0%} of the target's variance is explained",
                "data": {"explained": round(explained, 3)},
            }
        )
    return facts


def _classification_facts(task: Task, truth: Array, values: Array) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    guess = np.array(task.classes, dtype=object)[values.argmax(axis=1)]
    shares = {label: float(np.mean(truth == label)) for label in task.classes}
    rare = min(shares, key=lambda label: shares[label])
    if shares[rare] < 0.2:
        hits = truth == rare
        recall = float(np.mean(guess[hits] == rare)) if hits.any() else 0.0
        facts.append(
            {
                "topic": "imbalance",
                "text": f"class {rare!r} is {shares[rare]:.1%} of the rows; {recall:.0%} of it is found at the usual threshold",
                "data": {"share": round(shares[rare], 4), "recall": round(recall, 4)},
            }
        )
    wrong = guess != truth
    if wrong.any():
        pairs = pd.Series(list(zip(truth[wrong], guess[wrong], strict=True))).value_counts()
        (actual, said), count = to_plain(pairs.index[0]), int(pairs.iloc[0])
        facts.append(
            {
                "topic": "confusion",
                "text": f"the most frequent mistake: {count} rows of {actual!r} taken for {said!r}, {count / len(truth):.1%} of all",
                "data": {"rows": count},
            }
        )
    confidence = values.max(axis=1)
    gap = float(confidence.mean() - np.mean(guess == truth))
    if gap > 0.05:
        facts.append(
            {
                "topic": "overfit",
                "text": f"probabilities are too sure of themselves: mean confidence {confidence.mean():.2f}, hit rate {np.mean(~wrong):.2f}",
                "data": {"gap": round(gap, 3)},
            }
        )
    return facts


def _drift(task: Task, errors: Array, features: pd.DataFrame) -> list[dict[str, Any]]:
    """Whether the latest rows, those most like the ones to come, are predicted clearly worse than the earlier ones."""
    if task.time_column is None or task.time_column not in features or len(errors) < _LEAST_IN_TIME:
        return []
    times = features[task.time_column]
    order = np.argsort(times.to_numpy(), kind="stable")[: int(times.notna().sum())]
    late, early = errors[order[-(len(order) // _LATE) :]], errors[order[: -(len(order) // _LATE)]]
    if not len(late) or early.mean() <= 0:
        return []
    z = (late.mean() - early.mean()) / (float(np.sqrt(late.var() / len(late) + early.var() / len(early))) + 1e-12)
    ratio = float(late.mean() / early.mean())
    if z < 4 or ratio < 1.2:
        return []
    text = f"the error is {ratio:.1f} times that of the earlier rows in the latest quarter by {task.time_column!r} ({len(late)} rows)"
    return [{"topic": "time-drift", "text": text, "data": {"ratio": round(ratio, 2), "rows": len(late)}}]


def _segments(task: Task, errors: Array, features: pd.DataFrame) -> list[dict[str, Any]]:
    """Values of single columns where the mean error is clearly above the rest (z > 4 and a third higher)."""
    overall, spread, found = float(errors.mean()), float(errors.std()), []
    for feature in task.features[:60]:
        column = features[feature.name]
        keys = _bins(column) if feature.kind == "numeric" else column if feature.kind == "category" else None
        if keys is None:
            continue
        groups = pd.Series(errors).groupby(keys.reset_index(drop=True), observed=True).agg(["mean", "count"])
        for value, row in groups[groups["count"] >= 30].iterrows():
            z = (row["mean"] - overall) / (spread / np.sqrt(row["count"]) + 1e-12)
            if z > 4 and row["mean"] > 1.33 * overall:
                found.append((float(z), feature.name, str(value), float(row["mean"]), int(row["count"])))
    found.sort(reverse=True)
    return [
        {
            "topic": "segment",
            "text": f"the error is {mean / overall:.1f} times the average where {name} is {value} ({count} rows)",
            "data": {"column": name, "value": value, "ratio": round(mean / overall, 2), "rows": count},
        }
        for _, name, value, mean, count in found[:_MOST_SEGMENTS]
    ]


def _bins(column: pd.Series) -> pd.Series | None:
    if column.nunique() < 8:
        return column
    parts = pd.qcut(column, 5, duplicates="drop")
    return parts.cat.rename_categories(list(map(str, parts.cat.categories)))
