"""Columns that copy, encode or nearly predict the target: alone, by being missing, or as a pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from state.candidate import Finding
from state.task import Task
from tools.leaks.encoding import numbers_of
from tools.leaks.sides import SHOWN, Result, Sides, found, passed, skipped, spaced
from tools.profiling.columns import SAMPLE, encode
from tools.profiling.suspicion import NEARLY, target_suspicion

NAME = "columns that give the target away"
PAIRS = "pairs of columns that give the target away"
_CERTAIN = {"copy of the target", "encodes the target"}
_MOST_PAIRED = 300
_PAIRED_ROWS = 20_000
_EXACT = 1e-9
"""Share of the target's variance that a formula of two columns may leave: rounding, not noise."""


def check_columns(sides: Sides, task: Task) -> Result:
    """Columns that copy, encode or alone nearly predict the target, by their values or by which of them are missing."""
    target = encode("label", sides.known["label"])
    rows = np.unique(np.linspace(0, len(sides.known) - 1, min(len(sides.known), SAMPLE)).astype(np.int64))
    findings = []
    for feature in task.features:
        column = sides.features[feature.name]
        suspect = target_suspicion(encode(feature.name, column), target, task.dealt_as, rows)
        if suspect is None:
            gone = column.isna()
            if not gone.any() or gone.all():
                continue
            blank = encode(feature.name, gone.astype(np.float64))
            suspect = target_suspicion(blank, target, task.dealt_as, rows)
            if suspect is None:
                continue
            suspect = (suspect[0], f"whether it is missing tells: {suspect[1]}")
        findings.append(_finding(sides, feature.name, *suspect))
    if not findings:
        return passed(NAME, f"none of {len(task.features)} columns tells the target alone")
    listed = ", ".join(repr(str(finding.data["column"])) for finding in findings[:SHOWN])
    return found(NAME, f"suspiciously strong alone: {listed}", findings)


def _finding(sides: Sides, name: str, suspicion: str, why: str) -> Finding:
    certain = suspicion in _CERTAIN
    return Finding(
        id=f"leak-column-{name}",
        source="review",
        topic="leak",
        severity="error" if certain else "warning",
        route="fix" if certain else "ask",
        text=f"column {name!r}, {suspicion}: {why}",
        evidence=_examples(sides, [name]),
        data={"column": name, "suspicion": suspicion},
    )


def _examples(sides: Sides, columns: list[str]) -> list[str]:
    rows = np.argsort(sides.open_rows, kind="stable")[:SHOWN]
    return [
        f"row {sides.open_rows[row]}: "
        + ", ".join(repr(str(sides.features[name].iloc[row])[:40]) for name in columns)
        + f" with target {sides.labels[row]!r}"
        for row in rows
    ]


def check_pairs(sides: Sides, task: Task) -> Result:
    """Two numeric columns whose sum, difference, product or ratio is the target, up to scale and offset."""
    names = [feature.name for feature in task.features if feature.kind == "numeric"][:_MOST_PAIRED]
    if task.is_classification or len(names) < 2:
        return skipped(PAIRS, "only a regression on two or more numeric columns has such pairs")
    every = np.arange(len(sides.labels))
    rows = every if sides.full else spaced(every, _PAIRED_ROWS)
    reduced = "" if len(rows) == len(every) else f"{len(rows):,} of {len(every):,} rows looked at"
    y = sides.labels.astype(np.float64)[rows]
    matrix = np.column_stack([numbers_of(sides.features[name].iloc[rows]) for name in names])
    ways = {"sum or difference": _formulas(matrix, y)}
    with np.errstate(divide="ignore", invalid="ignore"):
        ways["product or ratio"] = _formulas(np.log(matrix), np.log(y)) if (y > 0).all() else []
    pairs = {pair: way for way, found_pairs in ways.items() for pair in found_pairs}
    if not pairs:
        return passed(PAIRS, f"no formula of two of {len(names)} columns is the target", reduced=reduced)
    findings = []
    for (one, other), way in list(pairs.items())[:SHOWN]:
        both = [names[one], names[other]]
        findings.append(
            Finding(
                id=f"leak-pair-{both[0]}-{both[1]}",
                source="review",
                topic="leak",
                severity="warning",
                route="ask",
                text=f"the target is a {way} of {both[0]!r} and {both[1]!r}: a formula, unless one of them is known only later",
                evidence=_examples(sides, both),
                data={"columns": both},
            )
        )
    return found(PAIRS, f"{len(pairs)} pairs of columns make up the target", findings, reduced=reduced)


def _formulas(matrix: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (positions) whose best linear combination leaves nothing of y, though neither column alone does.

    From the correlations alone: R² = (a² + b² − 2abc) / (1 − c²) for correlations a, b with y and c with each other.
    Columns with missing or infinite values in more than one row of twenty are left out.
    """
    known = np.isfinite(matrix)
    usable = np.flatnonzero((known.mean(axis=0) >= 0.95) & (np.ptp(np.where(known, matrix, 0.0), axis=0) > 0))
    rows = known[:, usable].all(axis=1) & np.isfinite(y)
    if len(usable) < 2 or rows.sum() < 30 or np.ptp(y[rows]) == 0:
        return []
    data = np.column_stack([matrix[np.ix_(rows, usable)], y[rows]])
    spread = data.std(axis=0)
    usable_here = spread > 0
    scaled = (data - data.mean(axis=0)) / np.where(usable_here, spread, 1.0)
    table = scaled.T @ scaled / len(scaled)
    a, c = table[:-1, -1], table[:-1, :-1]
    rest = 1.0 - c**2
    top = a[:, None] ** 2 + a[None, :] ** 2 - 2 * a[:, None] * a[None, :] * c
    fit = np.where(rest > 1e-6, top / np.where(rest > 1e-6, rest, 1.0), 0.0)
    strong = (fit > 1 - _EXACT) & (np.maximum(a[:, None] ** 2, a[None, :] ** 2) < NEARLY)
    return [(int(usable[i]), int(usable[j])) for i, j in zip(*np.nonzero(np.triu(strong, 1)), strict=True)]
