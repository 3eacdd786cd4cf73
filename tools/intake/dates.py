"""Dates written as text: which format a column follows, and whether the day or the month comes first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tools.portable import reading

_NAMES = (
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun "
    "am pm t z utc gmt q w"
)
_WORDS = frozenset(_NAMES.split(" "))
_ISO = re.compile(
    r"\d{4}-\d{2}(-\d{2})?([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})?)?", re.ASCII | re.IGNORECASE
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_NUMERIC = ("%Y-%m-%d", "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y")
_NAMED = (
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %b %y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%B %d %Y",
    "%d/%b/%Y", "%a %d %b %Y", "%a, %d %b %Y", "%A, %B %d, %Y", "%Y %b %d", "%Y-%b-%d", "%d%b%Y",
)  # fmt: skip
_PERIODS = (
    "%Y %b", "%Y %B", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %y", "%Y-%b", "%b, %Y", "%B, %Y", "%Y/%m", "%m/%Y",
    "%Y.%m", "%m.%Y", "%m-%Y", "%Y Q%q", "%G W%V", "%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S%z", "%Y%m%dT%H%M%S",
)  # fmt: skip
_DATE_NAME = re.compile(r"date|day|time|period|month|yyyymm|dt\b|_dt|ymd", re.IGNORECASE)


@dataclass(frozen=True)
class Guess:
    """A date format with the share of cells that follow it, and what a person should know about it."""

    format: str
    share: float
    remark: str = ""


def looks_like_date(text: str) -> bool:
    """A quick look: digits and separators, and no words but those of dates."""
    if not 5 <= len(text) <= 40 or not any(map(str.isdigit, text)):
        return False
    words = re.findall(r"[^\W\d_]+", text.lower())
    if any(word not in _WORDS for word in words):
        return False
    groups = len(re.findall(r"\d+", text))
    return bool(words) or (groups in (2, 3, 5, 6, 7, 8) and re.fullmatch(r"[\d\s./:,+-]+", text) is not None)


def says_date(name: str) -> bool:
    """Whether a column's name speaks of dates or periods."""
    return _DATE_NAME.search(name) is not None


def packed_format(name: str, low: int, high: int) -> str | None:
    """The format of whole numbers that may be dates (20240131, 202401), when the column's name says date as well."""
    if not says_date(name):
        return None
    if 19000101 <= low <= high <= 21001231:
        return "%Y%m%d"
    return "%Y%m" if 190001 <= low <= high <= 210012 else None


def share(texts: Iterable[str], form: str) -> float:
    """Share of texts that follow a format."""
    stamps = reading.parse_datetimes(list(texts), form)
    return float((~np.isnat(stamps)).mean()) if len(stamps) else 0.0


def guess_format(
    texts: list[str], weights: Any, enough: float, in_order: Callable[[], list[str]] = list
) -> Guess | None:
    """The format that at least `enough` of the cells follow; None when there is none.

    texts: distinct values; weights: (n,) how often each occurs (0: not to be counted). Where day and month could be
    either way, the format more cells follow wins, then the one under which the column (`in_order`) runs in order of
    time, then month first for "/" and day first otherwise; the remark says so.
    """
    counted = [text for text, weight in zip(texts, weights, strict=True) if weight > 0]
    if not counted:
        return None
    sample = counted[:: max(1, len(counted) // 60)]
    scores = []
    for form in _candidates(sample):
        if share(sample, form) < 0.9:
            continue
        good = ~np.isnat(reading.parse_datetimes(texts, form))
        full = float(weights[good].sum() / weights.sum())
        if full >= enough:
            scores.append((full, form))
        if full == 1.0 and not _is_day_or_month_first(form):
            break
    if not scores:
        return None
    top = max(full for full, _ in scores)
    best = [form for full, form in scores if full == top]
    form, remark = _choose(best, in_order)
    return Guess(form, top, remark or _remark(form, counted))


def _candidates(sample: list[str]) -> list[str]:
    if sum(_ISO.fullmatch(text) is not None for text in sample) >= 0.9 * len(sample):
        return ["ISO8601"]
    if any(re.search(r"[^\W\d_]{3}", text) for text in sample):
        forms: Iterable[str] = _NAMED
    else:
        sign = next((mark for mark in sample[0] if not mark.isdigit()), "-")
        forms = [form.replace("-", sign) for form in _NUMERIC]
    times = _TIMES if any(":" in text for text in sample) else ("",)
    periods = [form for form in _PERIODS if len(times) > 1 or ":" not in form]
    return [*periods, *(form + time for form, time in product(forms, times))]


def _is_day_or_month_first(form: str) -> bool:
    return form.startswith(("%d", "%m")) and "%b" not in form and "%d" in form


def _choose(forms: list[str], in_order: Callable[[], list[str]]) -> tuple[str, str]:
    """One of the formats that fit equally well, and a sentence when that took a decision."""
    day = next((form for form in forms if form.startswith("%d") and _is_day_or_month_first(form)), None)
    month = next((form for form in forms if form.startswith("%m") and _is_day_or_month_first(form)), None)
    if day is None or month is None:
        return forms[0], ""
    column = in_order()
    steps = {form: _disorder(column, form) for form in (day, month)}
    if min(steps.values()) < 0.5 * max(steps.values()):
        form = min(steps, key=lambda item: steps[item])
        why = "which puts the rows in order of time"
    else:
        form = month if "/" in month else day
        why = "the data does not tell; write dates as yyyy-mm-dd to be sure"
    first = "day" if form == day else "month"
    return form, f"Dates were read with the {first} first, {why}"


def _disorder(texts: list[str], form: str) -> float:
    """Share of steps backwards in time (or forwards, if fewer) over a column in file order."""
    stamps = reading.parse_datetimes(texts, form)
    steps = np.diff(stamps[~np.isnat(stamps)].astype("int64"))
    return min(float((steps < 0).mean()), float((steps > 0).mean())) if len(steps) else 0.0


def _remark(form: str, texts: list[str]) -> str:
    if form == "ISO8601" and any(re.search(r"(Z|UTC|\d[+-]\d{2}:?\d{2})$", text) for text in texts[:1000]):
        return "Times were converted to UTC"
    if "%y" in form:
        return f"Dates with two-digit years were read as {form} (69–99 are 1969–1999)"
    return ""
