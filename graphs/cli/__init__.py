"""The command line. `main` is the entry point; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with one of the documented codes. A person's mistake shows no traceback."""
    from graphs.cli.app import app
    from state.errors import ModelwrightError

    if sys.platform == "win32":
        _fail("modelwright does not run on Windows itself", "use WSL (the Windows Subsystem for Linux)", 2)
    try:
        app()
    except ModelwrightError as error:
        _fail(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, hint: str, code: int) -> None:
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    sys.exit(code)
