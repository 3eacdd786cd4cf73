"""Where output goes: results on stdout, progress and problems on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: Any) -> None:
    """One JSON document on stdout. Never through rich, which would wrap and interpret it."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def results() -> Console:
    """The console for results. Wide enough not to cut tables when the output is no terminal."""
    return _console(sys.stdout)


def progress() -> Console:
    """The console for progress and problems."""
    return _console(sys.stderr)


def _console(stream: Any) -> Console:
    from rich.console import Console

    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return Console(file=stream, highlight=False, emoji=False, width=width)


def number(value: float | None) -> str:
    """Four significant digits, or a dash."""
    if value is None:
        return "–"
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"


def spread(low: float | None, high: float | None) -> str:
    """An interval in brackets."""
    return "" if low is None or high is None else f"[{number(low)}, {number(high)}]"


def duration(seconds: float) -> str:
    """90 → 1:30."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
