"""The command line's app, what its commands share, and the options before a command.

Importing this must stay cheap: no pandas, no langgraph, no scikit-learn.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="modelwright",
    help="An ML engineering team in one command: data and an intent in, a model folder and a report out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done · 1 failed · 2 usage · 3 waiting for approval · 4 budget spent without a model · "
    "5 bad input · 6 refused for safety · 7 run held by another process · 130 paused",
)

RunArgument = Annotated[str, typer.Argument(help="Name, id prefix, or 'last'", metavar="RUN")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout")]


def option(help_text: str, *names: str, metavar: str | None = None, panel: str | None = None) -> Any:
    """An option. Numbers are read as text here: the settings check them, and tell all problems at once."""
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=panel)


def _version(wanted: bool) -> None:
    if wanted:
        from graphs.cli.output import version

        sys.stdout.write(f"modelwright {version()}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
    store: Annotated[
        str,
        typer.Option(
            help="PostgreSQL database that holds everything, for several machines (default: MODELWRIGHT_STORE, else "
            "files); may also stand after the command",
            metavar="URL",
        ),
    ] = "",
) -> None:
    if store:
        from tools.places import use_store

        use_store(store)


def process_began() -> float:
    """Monotonic time at which the process started, so that imports count against the time limit."""
    import psutil

    return float(time.monotonic() - max(0.0, time.time() - psutil.Process().create_time()))


def listed(text: str | None) -> list[str] | None:
    """Words separated by commas; None for none given."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
