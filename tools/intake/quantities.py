"""Columns of quantities: durations written out, and numbers that carry their unit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from tools.intake import dates
from tools.intake.column import ENOUGH, Cells, Column, is_special
from tools.intake.numbers import as_number
from tools.portable import quantities

_PLAINLY = re.compile(
    r"\d\s*(h|hrs?|hours?|min|mins|minutes?|secs?|seconds?|days?|weeks?|ms)\b|\d:\d\d:\d\d|^[+-]?PT?\d", re.I
)
"""Signs of a duration that are nothing else: 12 m may be metres, 12:30 the time of a day."""
_LEAST = 3
"""Distinct numbers below which texts with a number are rather names of kinds (2 doors, 4 doors)."""


def as_duration(cells: Cells) -> Column | None:
    """The finding when nearly all cells are durations, which become seconds."""
    sample = cells.sample()
    plainly = sum(_PLAINLY.search(text) is not None for text in sample)
    if not sample or plainly < 0.5 * len(sample):
        return None
    numbers = np.array([quantities.duration(text) for text in cells.texts])
    share = _share(cells, ~np.isnan(numbers))
    if share < ENOUGH or len(np.unique(numbers[~np.isnan(numbers)])) < _LEAST:
        return None
    remarks = [("Durations were turned into seconds", "")]
    return Column("number", decimal=None, unit=quantities.DURATION, share=share, remarks=remarks)


def as_unit(cells: Cells) -> Column | None:
    """The finding when nearly all cells are numbers with one unit, or with units that measure the same."""
    sample = cells.sample()
    if not sample or sum(quantities.split_unit(text) is not None for text in sample) < 0.9 * len(sample):
        return None
    parts = [quantities.split_unit(text) for text in cells.texts]
    units: Counter[str] = Counter()
    for part, count in zip(parts, cells.counts, strict=True):
        if part is not None:
            units[part[1]] += int(count)
    if not quantities.same_family(units) or any(dates.looks_like_date(f"2000 {unit}") for unit in units):
        return None
    bare = [part[0] if part is not None else text for part, text in zip(parts, cells.texts, strict=True)]
    found = as_number(replace(cells, name="", texts=bare))
    if found is None or found.type != "number" or len(set(bare)) < _LEAST:
        return None
    unit = units.most_common(1)[0][0]
    found.unit = unit
    found.remarks.append(("Units were taken off", f"numbers in {unit}"))
    return found


def _share(cells: Cells, readable: np.ndarray) -> float:
    """Share of the cells that could be read, words for "missing" left out."""
    counted = np.array([0 if is_special(text) else 1 for text in cells.texts]) * cells.counts
    return float(counted[readable].sum() / max(1, counted.sum()))
