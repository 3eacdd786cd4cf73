"""Texts for linear models: presence of words and letter groups, and how strongly each speaks for a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from tools.recipes.parts.columns import hashing, texts_of


def term_presence(X: pd.DataFrame, columns: list[str]) -> sparse.csr_matrix:
    """Which words, word pairs and groups of two to five letters each text holds, hashed into columns."""
    blocks = []
    for name in columns:
        for analyzer, ngrams in (("word", (1, 2)), ("char_wb", (2, 5))):
            blocks.append(hashing(analyzer, ngrams, 2**17, binary=True).transform(texts_of(X, name)))
    return sparse.csr_matrix(sparse.hstack(blocks), dtype=np.float32)


def class_ratios(presence: Any, inside: np.ndarray) -> np.ndarray:
    """Log ratio of each term's share inside a class to its share outside, as naive Bayes weighs it."""
    share_in = (np.asarray(presence[inside].sum(axis=0)).ravel() + 1) / (inside.sum() + 1)
    share_out = (np.asarray(presence[~inside].sum(axis=0)).ravel() + 1) / ((~inside).sum() + 1)
    return np.asarray(np.log(share_in / share_out), dtype=np.float32)
