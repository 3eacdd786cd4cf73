"""A table as a dense float matrix for trees: codes for categories, components for texts, parts for dates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

from tools.recipes.parts.columns import hashing, labels_of, texts_of


def narrow_numbers(X: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Numeric columns as float32, one by one, so that no wider copy of them is made; infinities count as missing."""
    matrix = np.empty((len(X), len(columns)), dtype=np.float32)
    with np.errstate(over="ignore"):
        for place, name in enumerate(columns):
            matrix[:, place] = X[name]
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def fit_codes(X: pd.DataFrame, columns: list[str]) -> OrdinalEncoder:
    """Codes for categories; one that was not seen in training is read as missing."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return encoder.fit(labels_of(X, columns))


def fit_target_means(
    X: pd.DataFrame, columns: list[str], target: np.ndarray, kind: str, seed: int
) -> tuple[TargetEncoder, np.ndarray]:
    """Mean target per category, and the columns for the training rows, where a row's own target is left out."""
    options: dict[str, Any] = {"target_type": {"regression": "continuous"}.get(kind, kind), "random_state": seed}
    encoder = TargetEncoder(**options)
    return encoder, encoder.fit_transform(labels_of(X, columns), target)


def fit_text_components(X: pd.DataFrame, column: str, count: int, seed: int) -> dict[str, Any] | None:
    """Main directions of a text column's character n-grams; None when the texts say too little.

    Of many rows 50,000 are looked at, evenly spaced.
    """
    counts: Any = hashing("char_wb", (2, 4), 2**14).transform(texts_of(X.iloc[:: -(-len(X) // 50_000)], column))
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    count = min(count, counts.shape[0] - 1, counts.shape[1] - 1)
    if count < 2 or counts.nnz == 0:
        return None
    reduce = TruncatedSVD(count, n_iter=3, random_state=seed).fit(weights.transform(counts))
    return {"column": column, "weights": weights, "reduce": reduce}


def text_components(X: pd.DataFrame, encoder: dict[str, Any]) -> np.ndarray:
    """The components of `fit_text_components` for each row, 50,000 rows at a time."""
    texts, parts = texts_of(X, encoder["column"]), []
    for start in range(0, len(texts), 50_000):
        counts: Any = hashing("char_wb", (2, 4), 2**14).transform(texts[start : start + 50_000])
        parts.append(encoder["reduce"].transform(encoder["weights"].transform(counts)))
    return np.concatenate(parts) if parts else np.zeros((0, encoder["reduce"].n_components))


def text_shape(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Plain facts of texts: length, words, digits, capitals, punctuation."""
    facts: dict[str, list[float]] = {}
    for name in columns:
        texts = texts_of(X, name)
        facts[f"{name} length"] = [len(text) for text in texts]
        facts[f"{name} words"] = [len(text.split()) for text in texts]
        facts[f"{name} digits"] = [sum(map(str.isdigit, text)) for text in texts]
        facts[f"{name} capitals"] = [sum(map(str.isupper, text)) for text in texts]
        facts[f"{name} marks"] = [sum(not (c.isalnum() or c.isspace()) for c in text) for text in texts]
    return pd.DataFrame(facts, index=X.index).astype("float64")
