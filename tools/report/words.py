"""How numbers, times and names are written in reports and cards."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from state.task import Metric

NONE = "–"


def number(value: Any, digits: int = 4) -> str:
    """About `digits` significant digits, thousands separated, never an exponent below 10¹⁵. Not a number → a dash."""
    try:
        figure = float(value)
    except (TypeError, ValueError, OverflowError):
        return NONE
    if not math.isfinite(figure):
        return NONE
    if figure == 0:
        return "0"
    size = math.floor(math.log10(abs(figure)))
    if size >= 15 or size < -6:
        return f"{figure:.2e}"
    return decimals(figure, min(6, max(0, digits - 1 - size)))


def decimals(figure: float, places: int) -> str:
    """A fixed number of decimals, thousands separated, with a true minus sign."""
    return f"{figure:,.{places}f}".replace("-", "−")


def tidy(value: Any, digits: int = 4) -> str:
    """As `number`, without trailing zeros: for data values rather than scores."""
    text = number(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def count(value: Any) -> str:
    """A whole number with thousands separated."""
    return f"{int(value):,}" if isinstance(value, int | float) and math.isfinite(value) else NONE


def share(part: float, whole: float = 1.0) -> str:
    """A share as a percentage: 0 %, < 0.1 %, 3.4 %, 27 %."""
    if not whole or not math.isfinite(part):
        return NONE
    percent = 100 * part / whole
    if percent == 0:
        return "0 %"
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if abs(percent) < 10 else f"{percent:.0f} %"


def seconds(value: Any) -> str:
    """A duration: 0.4 s, 12 s, 2 min 05 s, 1 h 04 min."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NONE
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02d} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60:02d} min" if whole % 3600 >= 60 else "")


def weight(value: Any) -> str:
    """Bytes: 12 kB, 3.4 MB. None or nothing → a dash."""
    if not isinstance(value, int | float) or not value or not math.isfinite(value):
        return NONE
    return f"{max(1, round(value / 1e3)):,} kB" if value < 1e6 else f"{value / 1e6:,.1f} MB"


def moment(value: Any) -> str:
    """An ISO text or a POSIX time as `2026-11-21 07:30`; anything else as it is."""
    parsed = instant(value)
    return parsed.strftime("%Y-%m-%d %H:%M") if parsed else str(value or NONE)


def instant(value: Any) -> datetime | None:
    """Read an ISO text or a POSIX time."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value).astimezone()
        return datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None


def cut(text: Any, most: int = 32) -> Markup:
    """A name cut to `most` characters; the whole one is in the title attribute. Escaped."""
    whole = str(text)
    shown = whole if len(whole) <= most else whole[: most - 1] + "…"
    title = whole if len(whole) <= 500 else whole[:499] + "…"
    return Markup('<span class="name" title="{}">{}</span>').format(title, shown) if shown != whole else escape(shown)


def capitalize_first(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def metric_title(metric: Metric) -> str:
    """What a person calls the metric."""
    return metric.title or metric.name.replace("_", " ")


def lift(metric: Metric, value: float, base: float) -> float | None:
    """Share of the error of `base` that `value` removes; negative when it adds error. None where it has no meaning.

    The error is the value itself where lower is better, and the distance to 1 for scores that end at 1.
    """
    if metric.direction == "lower":
        return None if base <= 0 or value < 0 else 1 - value / base
    return None if base >= 1 or value > 1 else (value - base) / (1 - base)
