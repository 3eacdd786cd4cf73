"""Commands for the store and the machine: prune, rm, studio, doctor.

Importing this must stay cheap: no pandas, no langgraph, no scikit-learn.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graphs.cli.root import JsonOption, app, option


@app.command()
def prune(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs (default: all)", metavar="[RUN…]")] = None,
    older_than: Annotated[str | None, option("Only runs untouched for so long: 30d, 12h, 2w", metavar="AGE")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be freed, and free nothing")] = False,
    output_json: JsonOption = False,
) -> None:
    """Free what no run needs to go on: old checkpoints, artifacts nothing refers to, leftovers."""
    from graphs.cli.housekeeping import prune_command

    prune_command(runs or [], older_than, dry_run=dry_run, output_json=output_json)


@app.command("rm")
def remove(
    runs: Annotated[list[str], typer.Argument(help="Runs: name, id prefix, or 'last'", metavar="RUN…")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    output_json: JsonOption = False,
) -> None:
    """Remove runs with everything only they need: log, checkpoints, report, release, artifacts. Forks keep working."""
    from graphs.cli.housekeeping import remove_command

    remove_command(runs, yes=yes, output_json=output_json)


@app.command()
def studio(
    port: Annotated[int | None, typer.Option(help="Port to listen on (default: 2024, or a free one)")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; only this machine's own")] = "127.0.0.1",
    hosted: Annotated[bool, typer.Option("--hosted", help="Let LangChain's hosted Studio page in")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open that page")] = False,
    output_json: JsonOption = False,
) -> None:
    """Serve all runs to LangGraph Studio and the LangGraph SDK, on this machine only and with a token."""
    from graphs.cli.studio import studio_command

    studio_command(host=host, port=port, hosted=hosted, browser=not no_browser, output_json=output_json)


@app.command()
def doctor(
    run: Annotated[
        str | None, typer.Argument(help="Look at all of this run instead: name, id prefix, or 'last'", metavar="[RUN]")
    ] = None,
    repair_catalogue: Annotated[
        bool,
        typer.Option("--repair-catalogue", help="Make a new catalogue in the place of a lost or damaged one"),
    ] = False,
    output_json: JsonOption = False,
) -> None:
    """Check what this machine offers: Python, libraries, sandbox, disk, keys; or whether a run is as it was written."""
    from graphs.cli.damage import damage_screen, repair_screen
    from graphs.cli.doctor import doctor_screen

    if repair_catalogue:
        repair_screen(output_json=output_json)
    elif run is not None:
        damage_screen(run, output_json=output_json)
    else:
        doctor_screen(output_json)
