"""The numbers behind the plots: ROC, precision and recall, calibration, confusion. Plain numpy, no drawing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from state.task import Label
from tools.intervals import wilson


class Curve(NamedTuple):
    """Points of a curve and the area under it."""

    x: np.ndarray
    y: np.ndarray
    area: float


def label_indices(labels: np.ndarray, classes: list[Label]) -> np.ndarray:
    """Position of each label in `classes`, -1 for a label that is not among them. Shape (n,), int."""
    exact = {label: position for position, label in enumerate(classes)}
    spelled = {str(label): position for label, position in exact.items()}
    unique, inverse = np.unique(labels.astype(str), return_inverse=True)
    # Integral labels may arrive as floats (1.0) after a trip through an array with gaps.
    found = [spelled.get(text, spelled.get(text.removesuffix(".0"), -1)) for text in unique.tolist()]
    return np.asarray(found, dtype=int)[inverse.reshape(-1)]


def _steps(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cumulated true and false positives at each distinct score, highest score first."""
    order = np.argsort(-score, kind="stable")
    score, truth = score[order], truth[order]
    last = np.r_[np.flatnonzero(np.diff(score)), len(score) - 1]
    hits = np.cumsum(truth)[last].astype(float)
    return hits, last + 1 - hits


def roc(truth: np.ndarray, score: np.ndarray) -> Curve | None:
    """False positive rate against true positive rate; None when only one class is there."""
    hits, misses = _steps(truth.astype(bool), score)
    if not len(hits) or hits[-1] == 0 or misses[-1] == 0:
        return None
    x, y = np.r_[0, misses / misses[-1]], np.r_[0, hits / hits[-1]]
    return Curve(x, y, float(np.trapezoid(y, x)))


def precision_recall(truth: np.ndarray, score: np.ndarray) -> Curve | None:
    """Recall against precision, from recall 0 upwards; area = average precision. None without a positive row."""
    hits, misses = _steps(truth.astype(bool), score)
    if not len(hits) or hits[-1] == 0:
        return None
    precision, recall = hits / (hits + misses), hits / hits[-1]
    area = float(np.sum(np.diff(np.r_[0, recall]) * precision))
    return Curve(np.r_[0, recall], np.r_[1, precision], area)


def calibration(truth: np.ndarray, chance: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean predicted chance, observed share, and rows of up to `bins` groups of about equal size."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, bins + 1)))
    group = np.searchsorted(edges[1:-1], chance, side="left")
    rows = np.bincount(group)
    keep = rows > 0
    with np.errstate(invalid="ignore"):
        mean, seen = (np.bincount(group, weights=values.astype(float)) / rows for values in (chance, truth))
    return mean[keep], seen[keep], rows[keep]


def thin(curve: Curve, most: int = 250) -> Curve:
    """The same curve with at most `most` points, ends kept: an eye cannot tell, a file can."""
    if len(curve.x) <= most:
        return curve
    keep = np.unique(np.linspace(0, len(curve.x) - 1, most).round().astype(int))
    return Curve(curve.x[keep], curve.y[keep], curve.area)


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """Rows per (actual, predicted) class index, shape (classes, classes)."""
    known = truth >= 0
    flat = truth[known] * classes + guess[known]
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def fold_rare(matrix: np.ndarray, classes: list[Label], most: int = 10) -> tuple[np.ndarray, list[str]]:
    """Keep the `most` - 1 commonest classes of a large confusion matrix and sum the others under one name."""
    names = [str(label) for label in classes]
    if len(names) <= most:
        return matrix, names
    common = np.sort(np.argsort(-matrix.sum(axis=1), kind="stable")[: most - 1])
    place = np.full(len(names), most - 1)
    place[common] = np.arange(most - 1)
    folded = np.zeros((most, most), dtype=matrix.dtype)
    np.add.at(folded, (place[:, None], place[None, :]), matrix)
    return folded, [names[index] for index in common] + [f"{len(names) - most + 1} others"]


def per_class(matrix: np.ndarray, classes: list[Label]) -> list[dict[str, Any]]:
    """Per class {label, rows, precision, recall, f1} and the 95 % interval of each number as {name}_interval.

    A number that has no denominator is None, and so is its interval.
    """
    hits, actual, claimed = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    table = []
    for index, label in enumerate(classes):
        hit, real, said = int(hits[index]), int(actual[index]), int(claimed[index])
        table.append(
            {
                "label": str(label),
                "rows": real,
                "precision": hit / said if said else None,
                "recall": hit / real if real else None,
                "f1": 2 * hit / (real + said) if real + said else None,
                "precision_interval": wilson(hit, said) if said else None,
                "recall_interval": wilson(hit, real) if real else None,
                "f1_interval": _f1_interval(hit, real, said, int(matrix.sum())) if real + said else None,
            }
        )
    return table


def _f1_interval(hit: int, real: int, said: int, rows: int) -> tuple[float, float]:
    """95 % bootstrap interval of F1 from the counts it is made of: hits, misses, false alarms and the rest."""
    counts = np.array([hit, real - hit, said - hit, rows - real - said + hit], dtype=float)
    drawn = np.random.default_rng(0).multinomial(rows, counts / rows, size=500).astype(float)
    found = 2 * drawn[:, 0] / np.maximum(2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2], 1.0)
    value = 2 * hit / (real + said)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(min(low, value)), float(max(high, value))
