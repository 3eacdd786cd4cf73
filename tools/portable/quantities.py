"""Quantities written as text: durations ("3h 20min", "00:12:30") in seconds, and numbers with a unit ("12.5 kg")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

DURATION = "duration"
"""The unit of durations, which become seconds."""

_FAMILIES: tuple[dict[str, float], ...] = (
    {"kg": 1.0, "g": 1e-3, "mg": 1e-6, "t": 1e3, "lb": 0.45359237, "lbs": 0.45359237, "oz": 0.028349523125},
    {
        "m": 1.0,
        "cm": 1e-2,
        "mm": 1e-3,
        "km": 1e3,
        "in": 0.0254,
        "inch": 0.0254,
        "ft": 0.3048,
        "yd": 0.9144,
        "mi": 1609.344,
    },
    {"l": 1.0, "dl": 0.1, "cl": 0.01, "ml": 1e-3, "hl": 100.0},
    {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
    {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    {"m2": 1.0, "m²": 1.0, "km2": 1e6, "km²": 1e6, "ha": 1e4, "cm2": 1e-4, "cm²": 1e-4},
)
"""Units that may stand beside each other in one column, with their sizes in the first of them."""

_PARTS = (
    (604_800.0, r"weeks?|wks?|w"),
    (86_400.0, r"days?|d"),
    (3_600.0, r"hours?|hrs?|h"),
    (60.0, r"minutes?|mins?|m"),
    (1.0, r"seconds?|secs?|s"),
    (1e-3, r"milliseconds?|ms"),
)
_NUMBER = r"\d+(?:[.,]\d+)?"
_WORDS = re.compile(
    r"\s*,?\s*".join(rf"(?:({_NUMBER})\s*(?:{names})(?![a-z]))?" for _, names in _PARTS).join((r"([+-])?\s*", r"")),
    re.IGNORECASE,
)
_CLOCK = re.compile(r"([+-])?(?:(\d+)\s*days?,?\s+)?(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:[.,]\d+)?))?", re.IGNORECASE)
_ISO = re.compile(
    rf"([+-])?P(?:({_NUMBER})W)?(?:({_NUMBER})D)?(?:T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?",
    re.IGNORECASE,
)
_QUANTITY = re.compile(r"([+-]?\s?[\d.,'\s]*\d)\s*([^\d\s.,'+\-:()\[\]_#@=][^\d\s+\-:()\[\]_#@=]{0,11}[23]?)")

Array = np.ndarray[Any, np.dtype[Any]]


def parse_quantities(texts: Iterable[str], unit: str, number: Callable[[str], float]) -> Array:
    """Texts as float64 (n,) in `unit`; NaN for what is no such quantity. A plain number counts as being in the unit.

    number: reads a text without a unit.
    """
    read = duration if unit == DURATION else lambda text: _in_unit(text, unit, number)
    found = []
    for text in texts:
        plain = number(text)
        found.append(read(text) if np.isnan(plain) else plain)
    return np.array(found, dtype=float)


def duration(text: str) -> float:
    """A duration in seconds: 3h 20min, 1 day 4 hours, 00:12:30, 12:30 (hours and minutes), PT3H20M; NaN when it is none."""
    text = text.strip()
    if not any(map(str.isdigit, text)):
        return float("nan")
    parts: tuple[tuple[str | None, float], ...]
    if clock := _CLOCK.fullmatch(text):
        sign, days, hours, minutes, seconds = clock.groups()
        parts = (days, 86_400.0), (hours, 3_600.0), (minutes, 60.0), (seconds, 1.0)
    elif words := _WORDS.fullmatch(text):
        sign, *counts = words.groups()
        parts = tuple((count, size) for count, (size, _) in zip(counts, _PARTS, strict=True))
    elif iso := _ISO.fullmatch(text):
        sign, *counts = iso.groups()
        parts = tuple(zip(counts, (604_800.0, 86_400.0, 3_600.0, 60.0, 1.0), strict=True))
    else:
        return float("nan")
    total = sum(float(count.replace(",", ".")) * size for count, size in parts if count)
    return -total if sign == "-" else total


def split_unit(text: str) -> tuple[str, str] | None:
    """The number and the unit, in lower case, of a text such as 12.5 kg; None when it is none."""
    found = _QUANTITY.fullmatch(text.strip())
    return None if found is None else (found[1].strip(), found[2].strip().lower())


def same_family(units: Iterable[str]) -> bool:
    """Whether the units measure the same, so that one can be told in another."""
    wanted = set(units)
    return len(wanted) == 1 or any(wanted <= family.keys() for family in _FAMILIES)


def _in_unit(text: str, unit: str, number: Callable[[str], float]) -> float:
    parts = split_unit(text)
    if parts is None:
        return float("nan")
    if parts[1] == unit:
        return number(parts[0])
    family = next((one for one in _FAMILIES if unit in one and parts[1] in one), None)
    return float("nan") if family is None else number(parts[0]) * family[parts[1]] / family[unit]
