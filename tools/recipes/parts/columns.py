"""Reading columns of a table: kinds, texts, categories, dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer


def columns_of(task: Mapping[str, Any], *kinds: str) -> list[str]:
    """Names of the feature columns of the given kinds, in table order."""
    return [name for name, kind in task["columns"].items() if kind in kinds]


def numbers(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Numeric columns; infinities count as missing."""
    return X[columns].astype("float64").replace([np.inf, -np.inf], np.nan)


def labels_of(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Category columns as texts; a missing value is a category of its own."""
    return X[columns].astype(object).where(X[columns].notna(), "(missing)").astype(str)


def texts_of(X: pd.DataFrame, column: str) -> list[str]:
    """One text column; a missing text is empty."""
    return ["" if pd.isna(text) else str(text) for text in X[column]]


def date_parts(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Calendar parts of datetime columns, and their position in time in days."""
    parts: dict[str, pd.Series] = {}
    for name in columns:
        moment = pd.to_datetime(X[name])
        parts[f"{name} year"] = moment.dt.year
        parts[f"{name} month"] = moment.dt.month
        parts[f"{name} day"] = moment.dt.day
        parts[f"{name} weekday"] = moment.dt.day_of_week
        parts[f"{name} day of year"] = moment.dt.day_of_year
        parts[f"{name} hour"] = moment.dt.hour + moment.dt.minute / 60
        parts[f"{name} days"] = (moment - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
    return pd.DataFrame(parts, index=X.index).astype("float64")


def date_waves(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Datetime columns for linear models: days as trend; year, week and day as sine and cosine waves."""
    parts: dict[str, Any] = {}
    for name in columns:
        moment = pd.to_datetime(X[name])
        parts[f"{name} days"] = (moment - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
        turns = {
            "year": (moment.dt.day_of_year - 1) / 365.25,
            "week": moment.dt.day_of_week / 7,
            "day": (moment.dt.hour + moment.dt.minute / 60) / 24,
        }
        for period, turn in turns.items():
            for wave in (1, 2, 3) if period == "year" else (1, 2):
                angle = (2 * np.pi * wave * turn).to_numpy(dtype=float)
                parts[f"{name} {period} sin {wave}"] = np.sin(angle)
                parts[f"{name} {period} cos {wave}"] = np.cos(angle)
    return pd.DataFrame(parts, index=X.index).astype("float64")


def date_gaps(X: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Days between each pair of datetime columns."""
    moments = {name: pd.to_datetime(X[name]) for name in columns}
    gaps = {
        f"{later} − {earlier}": (moments[later] - moments[earlier]) / pd.Timedelta(days=1)
        for place, earlier in enumerate(columns)
        for later in columns[place + 1 :]
    }
    return pd.DataFrame(gaps, index=X.index).astype("float64")


def hashing(analyzer: str, ngrams: tuple[int, int], size: int, binary: bool = False) -> HashingVectorizer:
    """Counts (or presence) of n-grams hashed into `size` columns. It needs no vocabulary, so the model stays small."""
    options: dict[str, Any] = {"norm": None, "alternate_sign": False, "dtype": np.float32, "binary": binary}
    return HashingVectorizer(n_features=size, analyzer=analyzer, ngram_range=ngrams, **options)
