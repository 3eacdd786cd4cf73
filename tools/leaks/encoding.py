"""Rows as points, so that two rows are as far apart as they differ: for near duplicates and for telling sides apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.task import Feature
from tools.leaks.shingles import near_codes, normalised

Points = NDArray[np.float64]
_DIRECTIONS = 3
"""Dimensions of the place a category gets: enough for thousands of them to lie apart."""
MOST_COLUMNS = 2_000


def points(frame: pd.DataFrame, features: list[Feature], texts: int) -> Points:
    """Rows (rows, dimensions) with distances: 1 is a spread of a number, or about another category.

    Numbers are centred at their median, scaled by their spread and compressed in the tails; a missing number is another
    category. Texts that are equal after normalising, or nearly the same, lie at one place; at most `texts` different
    ones of a column are compared for that.
    """
    parts = []
    for feature in features[:MOST_COLUMNS]:
        column = frame[feature.name]
        if feature.kind in {"numeric", "datetime"}:
            parts += _number_parts(column)
        else:
            parts.append(_places(_codes(column, feature.kind, texts)))
    return np.column_stack(parts) if parts else np.zeros((len(frame), 1))


def numbers_of(column: pd.Series[Any]) -> NDArray[np.float64]:
    """A numeric or datetime column as floats, NaN where missing or infinite."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        values = np.where(column.notna(), column.to_numpy(dtype="datetime64[ns]").astype(np.int64), np.nan)
        return np.asarray(values, dtype=np.float64)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), np.clip(values, -1e150, 1e150), np.nan)


def _number_parts(column: pd.Series[Any]) -> list[NDArray[np.float64]]:
    values = numbers_of(column)
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0:
        scaled = np.zeros(len(values))
    else:
        low, middle, high = np.quantile(values[known], [0.25, 0.5, 0.75])
        spread = (high - low) / 1.349 or float(values[known].std()) or 1.0
        scaled = np.where(known, np.arcsinh((np.where(known, values, middle) - middle) / spread), 0.0)
    return [scaled] if known.all() else [scaled, 2.0 * ~known]


def _codes(column: pd.Series[Any], kind: str, texts: int) -> NDArray[np.int64]:
    values = column.to_numpy(dtype=object)
    if kind == "image":  # the same picture is the same text
        return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.int64)
    codes, pool = pd.factorize(values, use_na_sentinel=False)
    plain = ["" if gone else str(value) for gone, value in zip(pd.isna(pool), pool, strict=True)]
    if kind == "category":
        # Categories are told apart by their spelling; only white space and case are no difference.
        spelt = pd.factorize(np.array([normalised(text, words=False) for text in plain], dtype=object))[0]
        return np.asarray(spelt[codes], dtype=np.int64)
    told = [normalised(text, words=kind == "text") for text in plain]
    return near_codes([told[code] for code in codes], texts)


def _places(codes: NDArray[np.int64]) -> Points:
    """A place for each code, about a spread away from the others; the same for the same codes."""
    places = np.random.default_rng(0).normal(size=(int(codes.max(initial=0)) + 1, _DIRECTIONS)) / np.sqrt(2.0)
    return np.asarray(places[codes])
