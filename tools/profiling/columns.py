"""One column: its kind, and the numbers a person wants to see of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.task import FeatureKind
from tools.portable.images import PREFIX
from tools.timeline import infer_step

SAMPLE = 20_000
"""Rows that costly statistics look at; distinct and missing values are counted over all rows."""
_TEXTS = 1_000
"""Distinct texts whose words and letters are counted."""
_BINS = 20
_GIGANTIC = 1e150

_BASES = re.compile(r"[ACGTU]")
_NUCLEIC = re.compile(r"[ACGTUNXRYSWKMBDHV\-]+")
"""Bases with the codes for uncertain and unknown ones."""
_PROTEIN = re.compile(r"[ACDEFGHIKLMNPQRSTVWYX*\-]+")


@dataclass(frozen=True)
class Column:
    """A column with what every later question needs once: its values as numbers and its distinct values."""

    name: str
    series: pd.Series[Any]
    codes: NDArray[np.int32]
    """Number of each row's value among `values`; −1 where missing."""
    values: NDArray[Any]
    """The distinct values."""

    @cached_property
    def numeric(self) -> bool:
        return pd.api.types.is_numeric_dtype(self.series.dtype) and not pd.api.types.is_bool_dtype(self.series.dtype)

    @cached_property
    def datetime(self) -> bool:
        return pd.api.types.is_datetime64_any_dtype(self.series.dtype)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        return self.codes >= 0

    @property
    def missing(self) -> int:
        return int((~self.known).sum())

    @property
    def distinct(self) -> int:
        return len(self.values)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Values as floats, NaN where missing; datetimes as nanoseconds. Only for numeric and datetime columns.

        Infinite and gigantic values are cut at ±1e150, so that squares and sums stay finite. Made anew at each call: kept
        for all columns they would double the table.
        """
        if self.datetime:
            numbers = self.series.to_numpy(dtype="datetime64[ns]").astype(np.int64).astype(np.float64)
            return np.asarray(np.where(self.known, numbers, np.nan))
        return np.clip(self.raw, -_GIGANTIC, _GIGANTIC)

    @property
    def raw(self) -> NDArray[np.float64]:
        """The values of a numeric column as they are."""
        return self.series.to_numpy(dtype=np.float64, na_value=np.nan)

    @cached_property
    def integral(self) -> bool:
        """Whether every value is a whole number."""
        if not self.numeric or not self.distinct:
            return False
        values = self.values.astype(np.float64)
        return bool(np.isfinite(values).all() and (values == np.rint(values)).all())

    @cached_property
    def texts(self) -> list[str]:
        """A sample of the distinct texts."""
        step = max(1, self.distinct // _TEXTS)
        return [str(value) for value in self.values[::step][:_TEXTS]]

    @cached_property
    def mean_words(self) -> float:
        return float(np.mean([len(text.split()) for text in self.texts])) if self.texts else 0.0

    @cached_property
    def mean_chars(self) -> float:
        return float(np.mean([len(text) for text in self.texts])) if self.texts else 0.0

    @cached_property
    def kind(self) -> FeatureKind:
        if self.numeric:
            return "numeric"
        if self.datetime:
            return "datetime"
        if self.pictures:
            return "image"
        if self.alphabet:
            return "sequence"
        return "text" if self._is_text() else "category"

    def _is_text(self) -> bool:
        known = int(self.known.sum())
        mostly_different = self.distinct > max(15, 0.5 * known)
        wordy = self.mean_words >= 3 or self.mean_chars >= 30
        return mostly_different or (wordy and self.distinct >= 100 and self.distinct >= 0.05 * known)

    @cached_property
    def pictures(self) -> bool:
        """Whether the texts are pictures."""
        return bool(self.texts) and all(text.startswith(PREFIX) for text in self.texts)

    @cached_property
    def alphabet(self) -> str:
        """dna, rna or protein when the texts are such sequences, else empty.

        Proteins use nearly the letters of English, so more is asked of them: many different ones, many letters.
        """
        if self.numeric or self.datetime or self.distinct < 5:
            return ""
        texts = [text.strip() for text in self.texts]
        lengths = np.array([len(text) for text in texts])
        if np.median(lengths) < 8:
            return ""
        if np.mean([bool(_NUCLEIC.fullmatch(text.upper())) for text in texts]) >= 0.98:
            joined = "".join(texts).upper()
            if len(_BASES.findall(joined)) >= 0.9 * len(joined):
                return "rna" if joined.count("U") > joined.count("T") else "dna"
        letters = set("".join(texts))
        whole = np.mean([bool(_PROTEIN.fullmatch(text)) for text in texts]) >= 0.98
        return "protein" if whole and self.distinct >= 20 and len(letters - set("-*X")) >= 15 else ""


def encode(name: str, series: pd.Series[Any]) -> Column:
    """Number the distinct values of a column."""
    if pd.api.types.is_bool_dtype(series.dtype):
        series = series.astype(object).map({True: "True", False: "False"})
    codes, values = pd.factorize(series.to_numpy(), sort=False)
    return Column(name, series, np.asarray(codes, dtype=np.int32), np.asarray(values))


def examples_of(column: Column) -> list[str]:
    """Up to five different values, cut to 60 characters."""
    if column.datetime:
        return [_date_text(value) for value in column.values[:5]]
    if column.kind == "image":
        return [f"picture of {str(value)[len(PREFIX) :].partition(':')[0]}" for value in column.values[:5]]
    shown = [f"{value:g}" if column.numeric else str(value) for value in column.values[:5]]
    return [text if len(text) <= 60 else text[:59] + "…" for text in shown]


def describe(column: Column, rows: NDArray[np.int64]) -> tuple[dict[str, Any], list[list[float]]]:
    """Statistics (see ColumnProfile.stats) and histogram of a column; `rows` are looked at where it is costly."""
    if not column.distinct:
        return {}, []
    if column.kind == "numeric":
        return number_stats(column.raw, column.integral), histogram(column.numbers)
    if column.kind == "datetime":
        return _date_stats(column, rows), histogram(column.numbers / 1e9)
    if column.kind == "category":
        counts = np.bincount(column.codes[column.known], minlength=column.distinct)
        top = np.argsort(-counts, kind="stable")[:10]
        return {"top": {str(column.values[place])[:60]: int(counts[place]) for place in top}}, []
    if column.kind == "image":
        sides = {text[len(PREFIX) :].partition("x")[0] for text in column.texts}
        grey = np.mean(["x1:" in text[:24] for text in column.texts])
        return {"side": int(max(sides, key=len)), "grey": round(float(grey), 4)}, []
    if column.kind == "sequence":
        return {"alphabet": column.alphabet, "mean_length": round(column.mean_chars, 1)}, []
    longest = max(len(text) for text in column.texts)
    return {
        "mean_words": round(column.mean_words, 2),
        "mean_chars": round(column.mean_chars, 1),
        "max_chars": longest,
    }, []


def number_stats(numbers: NDArray[np.float64], integral: bool) -> dict[str, Any]:
    """Moments, quartiles, share of zeros and count of outliers (beyond 3 interquartile ranges) of the finite values."""
    values = np.sort(numbers[np.isfinite(numbers)])
    if not len(values):
        return {}
    q25, median, q75 = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    unit = max(1.0, float(np.abs(values).max()))  # the squares of gigantic values would overflow
    mean, std = float((values / unit).mean()) * unit, float((values / unit).std()) * unit
    skew = float((((values / unit - mean / unit) / (std / unit)) ** 3).mean()) if std > 0 else 0.0
    reach = 3 * (q75 - q25)
    outliers = int(((values < q25 - reach) | (values > q75 + reach)).sum()) if reach > 0 else 0
    stats = {"mean": mean, "std": std, "min": values[0], "q25": q25, "median": median, "q75": q75, "max": values[-1]}
    rounded = {name: float(f"{value:.6g}") for name, value in stats.items()}
    return {
        **rounded,
        "skew": round(skew, 3),
        "zeros": round(float((values == 0).mean()), 4),
        "outliers": outliers,
        "integer": integral,
    }


def histogram(numbers: NDArray[np.float64]) -> list[list[float]]:
    """[left edge, count] of up to 20 equal bins over the finite values; empty for fewer than two distinct ones."""
    values = numbers[np.isfinite(numbers)]
    if len(values) < 2 or np.ptp(values) == 0:
        return []
    counts, edges = np.histogram(values, bins=_BINS)
    return [[float(f"{edge:.6g}"), int(count)] for edge, count in zip(edges[:-1], counts, strict=True)]


def _date_stats(column: Column, rows: NDArray[np.int64]) -> dict[str, Any]:
    known = column.series[column.known]
    step = infer_step(column.series.iloc[rows] if len(rows) < len(column.series) else known)
    return {
        "first": _date_text(known.min()),
        "last": _date_text(known.max()),
        "step": str(step) if step is not None else None,
    }


def _date_text(value: Any) -> str:
    text = pd.Timestamp(value).isoformat(sep=" ")
    return text.removesuffix(" 00:00:00")
