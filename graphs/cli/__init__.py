"""The command line. `main` is the entry point; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import difflib
import os
import sys
from typing import Any, NoReturn


def main() -> None:
    """Run the command line and exit with one of the documented codes. A person's mistake shows no traceback."""
    # A terminal or a pipe of another encoding shows a question mark instead of ending the build.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if sys.platform == "win32":
        _fail("modelwright does not run on Windows itself", "use WSL (the Windows Subsystem for Linux)", 2)
    sys.exit(_run())


def _run() -> int:
    from typer._click.exceptions import ClickException, NoArgsIsHelpError, NoSuchOption, UsageError

    from graphs.cli.app import app
    from state.errors import EXIT_PAUSED, ModelwrightError

    try:
        code = app(prog_name="modelwright", standalone_mode=False)
    except ModelwrightError as error:
        _fail(error.message, error.hint, error.exit_code)
    except NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except NoSuchOption as error:
        near = difflib.get_close_matches(error.option_name, error.possibilities or (), n=1, cutoff=0.0)
        _fail(f"there is no option {error.option_name}", _did_you_mean(near, error.ctx), error.exit_code)
    except UsageError as error:
        _fail(error.format_message(), _help_of(error.ctx), error.exit_code)
    except ClickException as error:
        _fail(error.format_message(), "", error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if code == EXIT_PAUSED:
        sys.stderr.write("\nstopped\n")
    return code if isinstance(code, int) else 0


def _did_you_mean(near: list[str], context: Any) -> str:
    return f"did you mean {near[0]}? {_help_of(context)}" if near else _help_of(context)


def _help_of(context: Any) -> str:
    return "" if context is None else f"`{context.command_path} --help` shows what there is"


def _fail(message: str, hint: str, code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    sys.exit(code)
