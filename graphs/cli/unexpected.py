"""What a person sees when modelwright itself has a fault: what happened, what is kept, and where the whole report lies."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

VARIABLE = "MODELWRIGHT_TRACEBACK"
"""Set to 1, the whole report goes to stderr as well; for people who work on modelwright."""


def told_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception hook. Writes `errors/<time>-<process>.txt` under MODELWRIGHT_HOME, readable by its owner only."""
    if os.environ.get(VARIABLE) or not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    from tools.places import masked

    report = masked("".join(traceback.format_exception(kind, error, trace)))
    words = masked(f"{kind.__name__}: {error}".strip().partition("\n")[0])
    sys.stderr.write(f"error: modelwright has a fault: {words}\n")
    sys.stderr.write(f"hint: what was finished is kept, `modelwright resume` goes on; the report is {_kept(report)}\n")


def _kept(report: str) -> str:
    """Where the report was written; the report itself where nothing can be."""
    from datetime import UTC, datetime

    from state.errors import ModelwrightError
    from tools.home import home, private_folder

    try:
        folder = private_folder(home() / "errors")
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        path.touch(mode=0o600)
        path.write_text(report, encoding="utf-8", errors="replace")
    except (OSError, ModelwrightError):
        return f"this, since it could not be written down:\n{report}"
    return str(path)
