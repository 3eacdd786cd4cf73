"""The command line. `main` is the entry point; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import difflib
import io
import os
import sys
from typing import Any, NoReturn

from graphs.cli.unexpected import told_plainly


def main() -> None:
    """Run the command line and exit with one of the documented codes. Neither a mistake nor a fault shows a traceback."""
    # A terminal or a pipe of another encoding shows a question mark instead of ending the build.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.excepthook = told_plainly
    if sys.platform == "win32":
        _fail("modelwright does not run on Windows itself", "use WSL (the Windows Subsystem for Linux)", 2)
    sys.exit(_run())


def _run() -> int:
    from typer.exceptions import TyperException

    from graphs.cli.app import app
    from state.errors import EXIT_PAUSED, ModelwrightError

    try:
        code = app(_store_first(sys.argv[1:]), prog_name="modelwright", standalone_mode=False)
    except ModelwrightError as error:
        _fail(error.message, error.hint, error.exit_code)
    except TyperException as error:
        _refuse(error)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from tools.disk import is_about_disk, named

        if not is_about_disk(error):
            raise
        refused = named(error)
        _fail(refused.message, refused.hint, refused.exit_code)
    if code == EXIT_PAUSED:
        sys.stderr.write("\nstopped\n")
    return code if isinstance(code, int) else 0


def _store_first(words: list[str]) -> list[str]:
    """The command's words with `--store URL`, which every command takes, in front."""
    front: list[str] = []
    rest = list(words)
    end = rest.index("--") if "--" in rest else len(rest)
    for place in reversed(range(end)):
        if rest[place] == "--store" and place + 1 < end:
            front = rest[place : place + 2] + front
            del rest[place : place + 2]
        elif rest[place].startswith("--store="):
            front.insert(0, rest.pop(place))
        else:
            continue
        end = rest.index("--") if "--" in rest else len(rest)
    return [*front, *rest]


def _refuse(error: Any) -> NoReturn:
    """Say what is wrong with the command's words. Typer's exceptions are known by what they carry, not by class."""
    context = getattr(error, "ctx", None)
    hint = "" if context is None else f"`{context.command_path} --help` shows what there is"
    message = error.format_message()
    if wrong := getattr(error, "option_name", ""):
        possible = getattr(error, "possibilities", None) or ()
        message = f"there is no option {wrong}" if possible else message
        if near := difflib.get_close_matches(wrong, possible, n=1, cutoff=0.0):
            hint = f"did you mean {near[0]}? {hint}"
    if not message.strip():  # no words at all: the help is on the screen already
        sys.exit(error.exit_code)
    _fail(message, hint, error.exit_code)


def _fail(message: str, hint: str, code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    sys.exit(code)
