"""Where output goes: results on stdout, progress and problems on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns of output that goes to a file or another program: one table row is one line there."""


def print_json(value: Any) -> None:
    """One JSON document on stdout. Never through rich, which would wrap and interpret it."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def results() -> Console:
    """The console for results."""
    return _console(sys.stdout)


def progress() -> Console:
    """The console for progress and problems."""
    return _console(sys.stderr)


def _console(stream: Any) -> Console:
    """A console that falls silent when its reader has gone (`2>&1 | head`): what it tells of goes on all the same.

    Rich's own ends the thread that happens to print, in the middle of a role.
    """
    from rich.console import Console

    class Lasting(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

    width = None if stream.isatty() else PIPED_WIDTH
    # In a notebook rich would show every line as a block of HTML of its own.
    return Lasting(file=stream, highlight=False, emoji=False, width=width, force_jupyter=False)


def say(console: Console, text: str, *, indent: int = 0, style: str = "") -> None:
    """Print a line as it is (no markup). On a terminal it is wrapped between words, under its own beginning.

    indent: cells by which the lines after the first are moved to the right.
    """
    from rich.text import Text

    if not console.is_terminal:
        console.print(Text(text, style=style), soft_wrap=True)
        return
    indent = min(indent, console.width // 3)
    head, rest = text[:indent], text[indent:]
    for line in Text(rest, style=style).wrap(console, max(10, console.width - indent)):
        line.rstrip()
        console.print(Text(head, style=style) + line, soft_wrap=True)
        head = " " * indent


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


def version() -> str:
    """Version of modelwright, also in a checkout that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("modelwright")
    except metadata.PackageNotFoundError:
        return "(checkout)"
