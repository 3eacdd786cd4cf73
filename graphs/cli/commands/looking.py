"""Commands that look at runs and change nothing.

Importing this must stay cheap: no pandas, no langgraph, no scikit-learn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from graphs.cli.output import print_json
from graphs.cli.root import JsonOption, RunArgument, app, option


@app.command("ls")
def list_runs(
    output_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Most rows", min=1)] = 20,
) -> None:
    """List runs, newest first."""
    from graphs.cli.screens import runs_screen

    runs_screen(limit, output_json)


@app.command()
def show(run: RunArgument = "last", output_json: JsonOption = False) -> None:
    """Show one run: state, score, release, next commands."""
    from graphs.cli.screens import run_screen

    run_screen(run, output_json)


@app.command()
def leaderboard(run: RunArgument = "last", output_json: JsonOption = False) -> None:
    """Show the candidates of a run, best first."""
    from graphs.cli.screens import leaderboard_screen

    leaderboard_screen(run, output_json)


@app.command()
def review(
    run: RunArgument = "last",
    full: Annotated[bool, typer.Option("--full", help="Run every check, on all rows, on the finished run")] = False,
    output_json: JsonOption = False,
) -> None:
    """Show what the review of a run found, with evidence rows; --full runs all checks again."""
    from graphs.cli.review import review_command

    review_command(run, full=full, output_json=output_json)


@app.command()
def why(
    run: RunArgument = "last",
    number: Annotated[
        str | None, typer.Argument(help="Id of a number; all are listed without one", metavar="ID")
    ] = None,
    program: Annotated[bool, typer.Option("--program", help="Print the programs behind it")] = False,
    log: Annotated[bool, typer.Option("--log", help="Print what its executions printed")] = False,
    output_json: JsonOption = False,
) -> None:
    """Tell where a number came from: program, data, rows, seed, executions, logs, checkpoint."""
    from graphs.cli.why import why_screen

    why_screen(run, number, program=program, log=log, output_json=output_json)


@app.command("log")
def show_log(
    run: RunArgument = "last",
    steps: Annotated[bool, typer.Option("--steps", help="Only a line per step: number, role, time, cost")] = False,
    output_json: JsonOption = False,
) -> None:
    """Show everything that happened in a run, step by step; `fork --at` takes the steps' numbers."""
    from graphs.cli.history import log_screen

    log_screen(run, output_json, steps_only=steps)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more runs: name, id prefix, or 'last'", metavar="RUN RUN…")],
    html: Annotated[Path | None, option("Write the comparison as one HTML file", metavar="FILE")] = None,
    output_json: JsonOption = False,
) -> None:
    """Compare runs side by side: plans, programs, scores with a paired test, cost."""
    from graphs.cli.compare import compare_command

    compare_command(runs, html, output_json)


@app.command()
def report(
    run: RunArgument = "last", open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser")] = False
) -> None:
    """Print where a run's HTML report lies."""
    from graphs.cli.screens import report_screen

    report_screen(run, open_it)


@app.command("graph")
def show_graph(output_json: JsonOption = False) -> None:
    """Print the graph as Mermaid text, candidate branch included."""
    from graphs.modeling import graph_drawing

    text = graph_drawing()
    if output_json:
        print_json({"mermaid": text})
    else:
        sys.stdout.write(text)
