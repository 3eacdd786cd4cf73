"""What a nested check leaves out together: the folds of the split, or parts of the one hold-out there is."""

from __future__ import annotations

import numpy as np

from state.task import Prepared, Task
from tools.resampling import Codes
from tools.training import fold_rows, units_at
from tools.workbench import Workbench

PARTS = 5
"""Parts that the rows of a single hold-out are dealt into."""


def blocks_of(desk: Workbench, task: Task, prepared: Prepared, rows: np.ndarray) -> Codes:
    """A block number per row: its fold, so that groups stay together and blocks of time whole.

    rows: positions, ascending. Where all lie in one fold they are dealt into parts: by what a bootstrap draws together
    where rows belong together, in stretches where they follow each other in time, else in turn. Which rows went into one
    model's training does not matter here, since none of these did.
    """
    blocks = np.zeros(len(rows), dtype=np.int64)
    for fold in range(len(prepared.valid_files)):
        blocks[np.isin(rows, fold_rows(desk, prepared, fold))] = fold
    if len(np.unique(blocks)) > 1:
        return blocks
    units = units_at(desk, task, prepared)
    if units is not None:
        return np.asarray(np.unique(units[rows], return_inverse=True)[1] % PARTS, dtype=np.int64)
    return np.asarray(np.random.default_rng(desk.settings.seed).permutation(len(rows)) % PARTS, dtype=np.int64)
