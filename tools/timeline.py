"""Time steps: how far apart the rows of a series are, which season that suggests, and where a time lies in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Unit = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year", "number"]

_DAY = 86_400_000_000_000
_NANOSECONDS: dict[Unit, int] = {
    "second": 1_000_000_000,
    "minute": 60_000_000_000,
    "hour": 3_600_000_000_000,
    "day": _DAY,
    "week": 7 * _DAY,
}
_MONTHS: dict[Unit, int] = {"month": 1, "quarter": 3, "year": 12}
_PER_YEAR: dict[Unit, float] = {
    "second": 31_557_600,
    "minute": 525_960,
    "hour": 8766,
    "day": 365.25,
    "week": 52.18,
    "month": 12,
    "quarter": 4,
    "year": 1,
    "number": 1,
}


@dataclass(frozen=True)
class Step:
    """The usual distance between neighbouring times of a series: `count` units (15 minutes, 1 month)."""

    unit: Unit
    count: float
    origin: float
    """The first time, in nanoseconds, months or plain numbers: position 0."""

    def __str__(self) -> str:
        return f"{self.count:g} {self.unit}{'' if self.count == 1 else 's'}"

    def positions(self, times: ArrayLike | pd.Series) -> NDArray[np.int64]:
        """Times as whole numbers of steps after the first time. Missing times raise ValueError."""
        if self.unit == "number":
            values = np.asarray(times, dtype=np.float64)
            if not np.isfinite(values).all():
                raise ValueError("a time is missing; rows without a time cannot be placed in a series")
            return np.asarray(np.rint((values - self.origin) / self.count), dtype=np.int64)
        stamps = pd.DatetimeIndex(np.asarray(times, dtype="datetime64[ns]"))
        if stamps.hasnans:
            raise ValueError("a time is missing; rows without a time cannot be placed in a series")
        if self.unit in _MONTHS:
            months = _month_numbers(stamps) - self.origin
            return np.asarray(np.rint(months / (_MONTHS[self.unit] * self.count)), dtype=np.int64)
        passed = stamps.to_numpy().astype("datetime64[ns]").astype(np.int64) - self.origin
        return np.asarray(np.rint(passed / (_NANOSECONDS[self.unit] * self.count)), dtype=np.int64)

    @property
    def per_year(self) -> float:
        """Steps in a year."""
        return _PER_YEAR[self.unit] / self.count

    def season(self, span: int) -> int:
        """Steps after which a series of `span` steps usually repeats; 1 when nothing is known.

        A year where two of them are covered, else a week (days) or a day (hours and less).
        """
        year = round(self.per_year)
        if self.unit in {"week", "month", "quarter"}:
            return max(1, year)
        if self.unit == "day":
            return year if span >= 2 * year else max(1, round(7 / self.count))
        if self.unit in {"hour", "minute", "second"}:
            day = _DAY / (_NANOSECONDS[self.unit] * self.count)
            return max(1, round(7 * day if span >= 14 * day else day))
        return 1


def _month_numbers(stamps: pd.DatetimeIndex) -> NDArray[np.float64]:
    return np.asarray(stamps.year * 12 + stamps.month - 1, dtype=np.float64)


def infer_step(times: ArrayLike | pd.Series) -> Step | None:
    """The step of a column of datetimes or numbers, from its distinct values; None with fewer than three."""
    series = (times if isinstance(times, pd.Series) else pd.Series(np.asarray(times))).dropna()
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.to_numpy(dtype=np.float64)
        return _number_step(np.unique(numbers[np.isfinite(numbers)]).astype(np.float64))
    stamps = pd.DatetimeIndex(np.unique(series.to_numpy(dtype="datetime64[ns]")))
    if len(stamps) < 3:
        return None
    months = np.unique(_month_numbers(stamps))
    first_or_last = stamps.is_month_end.all() or (np.asarray(stamps.day) == stamps[0].day).all()
    if len(months) == len(stamps) and (first_or_last or np.median(np.diff(months)) >= 3):
        distance = int(np.median(np.diff(months)))
        unit: Unit = "year" if distance % 12 == 0 else "quarter" if distance % 3 == 0 else "month"
        return Step(unit, distance / _MONTHS[unit], float(months[0]))
    gap = float(np.median(np.diff(stamps.to_numpy().astype(np.int64))))
    for unit in ("week", "day", "hour", "minute", "second"):
        count = gap / _NANOSECONDS[unit]
        if count >= 0.999 and (abs(count - round(count)) < 0.02 or unit == "second"):
            return Step(unit, float(round(count)), float(stamps.to_numpy().astype(np.int64)[0]))
    return Step("second", gap / _NANOSECONDS["second"], float(stamps.to_numpy().astype(np.int64)[0]))


def _number_step(values: NDArray[np.float64]) -> Step | None:
    if len(values) < 3:
        return None
    gap = float(np.median(np.diff(values)))
    return Step("number", gap, float(values[0]))
