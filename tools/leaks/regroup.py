"""Dealing the folds anew so that repeated rows lie on one side. The sealed rows stay what they are.

Open rows that repeat a sealed one cannot be moved away from it, so no fold learns or judges them, and the model that the
sealed test judges is not fitted on them. The release may be: it is fitted on all labelled rows after the test.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.task import Prepared, Task
from tools import folds as dealing
from tools.artifacts import ArtifactStore
from tools.folds import Fold, Rows
from tools.labels import label_columns
from tools.leaks.duplicates import row_hashes
from tools.leaks.encoding import points
from tools.leaks.near import FULL_COST, FULL_TEXTS, nearest_rows
from tools.leaks.sides import Sides, open_sides

_LEAST_LEFT = 0.3
"""Share of the open rows that must still be usable."""


def regroup(
    store: ArtifactStore, task: Task, prepared: Prepared, *, reach: float | None, seed: int
) -> tuple[Task, Prepared] | None:
    """Task and prepared data with new folds; None when that cannot be done. Writes the files of the new folds.

    reach: distance up to which rows count as near copies (from the finding); None for exact copies only. Only a random
    or stratified split is dealt anew: in the others a group or a time has the first word.
    """
    if task.split.kind not in {"random", "stratified"}:
        return None
    sides = open_sides(store, task, prepared, full=True)
    clusters = _clusters(sides, task, reach)
    opened, sealed = clusters[: len(sides.features)], clusters[len(sides.features) :]
    usable = np.flatnonzero(~np.isin(opened, sealed))
    codes = pd.factorize(opened[usable])[0].astype(np.int64)
    if len(usable) < _LEAST_LEFT * len(opened) or len(np.unique(codes)) < 2 * task.split.folds:
        return None
    folds = _deal(sides, task, usable, codes, seed)
    if len(folds) < task.split.folds:
        return None
    reason = f"{task.split.reason} Dealt anew by the review: rows that repeat each other lie on one side"
    left_out = len(opened) - len(usable)
    reason += f", and {left_out:,} rows that repeat a sealed one are not learnt from." if left_out else "."
    split = task.split.but(reason=reason)
    return task.but(split=split.plain()), _prepared(store, prepared, sides, folds, usable)


def _deal(sides: Sides, task: Task, usable: Rows, codes: Rows, seed: int) -> list[Fold]:
    labels = sides.labels[usable]
    strata: Rows = (
        pd.factorize(np.asarray(labels, dtype=object))[0].astype(np.int64)
        if task.is_classification
        else dealing.strata_of(labels.astype(np.float64))
    )
    parts = max(2, task.split.folds)
    rng = np.random.default_rng([seed, len(usable)])
    numbers = dealing.group_numbers(codes, strata, parts, rng, pin=task.is_classification)
    return [(usable[train], usable[valid]) for train, valid in dealing.folds_of(numbers, parts)][: task.split.folds]


def _prepared(store: ArtifactStore, prepared: Prepared, sides: Sides, folds: list[Fold], usable: Rows) -> Prepared:
    matrix = dealing.numbered(folds, len(sides.features))

    def learnt(rows: Rows) -> str:
        labels = {name: sides.known[name].to_numpy()[rows] for name in label_columns(sides.known)}
        return store.put_frame(pd.DataFrame({"row": rows, **labels}))

    return prepared.but(
        folds=store.put_frame(pd.DataFrame({f"fold_{i}": matrix[:, i] for i in range(matrix.shape[1])})),
        train_files=[learnt(train) for train, _ in folds],
        valid_files=[store.put_frame(pd.DataFrame({"row": valid})) for _, valid in folds],
        train_all=learnt(usable),
    )


def _clusters(sides: Sides, task: Task, reach: float | None) -> NDArray[np.int64]:
    """A number per row, open ones first, equal for rows that are copies of each other, also by way of others."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    hashes = np.concatenate(row_hashes(sides))
    codes = pd.factorize(hashes)[0].astype(np.int64)
    if reach is None:
        return codes
    _, first = np.unique(codes, return_index=True)
    both = pd.concat([sides.features, sides.sealed_features], ignore_index=True)
    near = nearest_rows(points(both, task.features, FULL_TEXTS)[first], FULL_COST)
    close = near.distance <= reach
    size = len(first)
    links = coo_matrix((np.ones(int(close.sum())), (near.rows[close], near.nearest[close])), shape=(size, size))
    components = connected_components(links, directed=False)[1]
    return np.asarray(components[codes], dtype=np.int64)
