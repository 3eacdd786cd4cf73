"""A table for linear and kernel models: filled, scaled, one-hot, hashed words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, SplineTransformer, StandardScaler

from tools.recipes.parts.columns import hashing


def filled(add_indicator: bool = True) -> SimpleImputer:
    """Medians for missing numbers, with a column that says which were missing."""
    return SimpleImputer(strategy="median", add_indicator=add_indicator, keep_empty_features=True)


def scaled_numbers() -> Pipeline:
    """Numbers filled and brought to one scale."""
    return make_pipeline(filled(), StandardScaler())


def ranked_numbers(rows: int) -> Pipeline:
    """Numbers filled and brought to a normal distribution by rank, so that outliers do not pull."""
    return make_pipeline(
        filled(),
        QuantileTransformer(n_quantiles=min(rows, 500), output_distribution="normal", subsample=50_000, random_state=0),
        StandardScaler(),
    )


def curved_numbers(rows: int) -> Pipeline:
    """Numbers as smooth curves: splines over their ranks, which a linear model adds up."""
    ranks = QuantileTransformer(n_quantiles=min(rows, 500), subsample=50_000, random_state=0)
    return make_pipeline(filled(), ranks, SplineTransformer(n_knots=6, degree=3), StandardScaler())


def one_hot(rows: int) -> OneHotEncoder:
    """One column per category; rare and unseen ones share a column."""
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=max(2, min(20, rows // 200)), max_categories=100
    )


def hashed_terms(analyzer: str, ngrams: tuple[int, int]) -> Pipeline:
    """tf-idf of hashed n-grams."""
    return make_pipeline(hashing(analyzer, ngrams, 2**17), TfidfTransformer(sublinear_tf=True))


def try_settings(settings: list[Any], loss: Callable[[Any], float], seconds: float) -> Any:
    """The setting with the lowest loss among those that could be tried in time; the first one is always tried."""
    started, best, lowest = time.monotonic(), settings[0], np.inf
    for setting in settings:
        if (value := loss(setting)) < lowest:
            best, lowest = setting, value
        if time.monotonic() - started > seconds:
            break
    return best


def text_frame(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Text columns without missing values."""
    return X[columns].astype(object).where(X[columns].notna(), "").astype(str)
