"""Rows that repeat across a border: the same features on the side that learns and on the side that is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Finding, Route
from tools.folds import Fold, Rows
from tools.leaks.sides import SHOWN, WORTH_A_WARNING, Result, Sides, found, passed

NAME = "duplicates across borders"
FIX_SHARE = 0.3
"""Share of validation rows that repeat a training row with its target from which the folds are dealt anew. Fewer may be
how such data come, and the next ones too; so many are a file put together from copies."""
_LEAST = 5
"""Fewer repeated rows flatter nothing, however small the table."""
_COMBINATIONS = 0.5
"""Where fewer rows than this share are different, rows repeat by nature: the columns allow few combinations."""

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def row_hashes(sides: Sides) -> tuple[Hashes, Hashes]:
    """One number per row, equal for rows with equal features: of the open rows and of the sealed ones."""
    opened, sealed = (
        np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)
        for frame in (sides.features, sides.sealed_features)
    )
    return opened, sealed


def few_combinations(hashes: Hashes) -> bool:
    """Whether rows repeat by nature."""
    return len(np.unique(hashes)) < _COMBINATIONS * len(hashes)


def check_duplicates(sides: Sides) -> Result:
    """Rows whose features equal those of a row on the other side of the sealed border or of a fold.

    Whether the target repeats too is asked of the folds alone.
    """
    opened, sealed = row_hashes(sides)
    pairs = _first_pairs(opened, sides.trained, sealed)
    inside, tested = _repeated_in_folds(opened, sides.folds)
    if not len(pairs) and not inside:
        return passed(NAME, "no row repeats across a border")
    detail = f"{len(pairs)} of {len(sealed)} sealed rows and {inside} of {tested} validation rows repeat a training row"
    if few_combinations(np.concatenate([opened, sealed])):
        return passed(NAME, f"{detail}; the columns allow few combinations, so they would")
    same, _ = _repeated_in_folds(_with_labels(opened, sides), sides.folds)
    share = same / max(1, tested)
    flattering = share >= WORTH_A_WARNING and same >= _LEAST
    route: Route = "fix" if flattering and share >= FIX_SHARE else "ask" if flattering else "report"
    detail += f"; {same} of the latter with the same target"
    finding = Finding(
        id="leak-duplicates",
        source="review",
        topic="leak",
        severity="warning" if flattering else "info",
        route=route,
        text=detail + (": scores are better than on rows nobody has seen" if flattering else ""),
        evidence=_evidence(sides, opened, pairs),
        data={
            "sealed": len(pairs),
            "validation": inside,
            "share_with_same_target": round(share, 5),
            **({"regroup": "repeated rows"} if route == "fix" else {}),
        },
    )
    return found(NAME, detail, [finding])


def _with_labels(hashes: Hashes, sides: Sides) -> Hashes:
    labels = sides.labels
    mixed = pd.util.hash_array(labels if labels.dtype.kind == "f" else np.asarray(labels, dtype=object).astype(str))
    return np.asarray(mixed + hashes * np.uint64(31), dtype=np.uint64)


def _evidence(sides: Sides, opened: Hashes, pairs: list[tuple[int, int]]) -> list[str]:
    lines = [f"row {sides.open_rows[a]} = sealed row {sides.sealed_rows[b]}" for a, b in pairs[:SHOWN]]
    for number, (train, valid) in enumerate(sides.folds):
        if len(lines) >= SHOWN:
            break
        for a, b in _first_pairs(opened, train, opened[valid])[: SHOWN - len(lines)]:
            lines.append(f"row {sides.open_rows[a]} = row {sides.open_rows[valid[b]]} of fold {number + 1}")
    return lines


def _repeated_in_folds(hashes: Hashes, folds: list[Fold]) -> tuple[int, int]:
    """Validation rows that repeat a training row of their fold, and validation rows in all."""
    repeated = sum(int(np.isin(hashes[valid], hashes[train]).sum()) for train, valid in folds)
    return repeated, sum(len(valid) for _, valid in folds)


def _first_pairs(opened: Hashes, trained: Rows, judged: Hashes) -> list[tuple[int, int]]:
    """For each judged row that repeats a training row: (position of the first such row, its own place)."""
    distinct, first = np.unique(opened[trained], return_index=True)
    if not len(distinct):
        return []
    place = np.minimum(np.searchsorted(distinct, judged), len(distinct) - 1)
    return [(int(trained[first[place[i]]]), int(i)) for i in np.flatnonzero(distinct[place] == judged)]
