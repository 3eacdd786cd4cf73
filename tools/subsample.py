"""The training rows of a first look: a part of the first fold's, the same every time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from state.task import Prepared
from tools.workbench import Workbench

LEAST_OF_CLASS = 2
"""Rows of each class that stay, where a class has them."""


def as_trained(desk: Workbench, prepared: Prepared, rows: int) -> Prepared:
    """The prepared data as a candidate of this many training rows saw it: its first training file cut to them.

    rows: 0 is all. Writes the cut file into the artifact store.
    """
    if not rows:
        return prepared
    train = desk.artifacts.get_frame(prepared.train_files[0])
    if rows >= len(train):
        return prepared
    cut = desk.artifacts.put_frame(part_of(train, rows))
    return prepared.but(train_files=[cut, *prepared.train_files[1:]])


def part_of(train: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Evenly spread rows of a training file (columns row, label), and some of every class of at most a hundred.

    Positions were shuffled when the rows were dealt, so that evenly spread is drawn at random. More than `rows` come
    back only for classes that would be missing.
    """
    chosen = np.unique(np.linspace(0, len(train) - 1, rows).astype(int))
    labels = train["label"]
    if labels.nunique() <= 100:
        firsts = labels.groupby(labels).cumcount().to_numpy() < LEAST_OF_CLASS
        chosen = np.union1d(chosen, np.flatnonzero(firsts))
    return train.iloc[chosen].reset_index(drop=True)
