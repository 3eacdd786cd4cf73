"""Similarity of rows that are lists of marks, such as molecular fingerprints."""

from __future__ import annotations

import numpy as np


def shared_share(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Tanimoto similarity of each row of `one` with each row of `other`: shared marks among all marks of the two."""
    shared = one @ other.T
    marks = one.sum(axis=1)[:, None] + other.sum(axis=1)[None, :] - shared
    return np.asarray((shared + 1e-9) / (marks + 1e-9))
