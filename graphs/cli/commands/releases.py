"""Commands for releases: predict and verify.

Importing this must stay cheap: no pandas, no langgraph, no scikit-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphs.cli.root import JsonOption, app


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help="Run (name, id prefix, 'last') or a release folder", metavar="RUN")],
    data: Annotated[Path, typer.Argument(help="File with new rows")],
    out: Annotated[Path | None, typer.Option("--out", help="CSV to write [default: stdout]")] = None,
) -> None:
    """Predict new rows with a released model, in a process of its own."""
    from graphs.cli.predicting import predict_command

    predict_command(run, data, out)


@app.command()
def verify(
    release: Annotated[str, typer.Argument(help="Release folder, or run (name, id prefix, 'last')", metavar="RELEASE")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="The original data file, when it was moved; again for the test file", metavar="FILE"),
    ] = None,
    manifest_hash: Annotated[
        str, typer.Option(help="Hash the build printed (default: what the catalogue has)", metavar="SHA256")
    ] = "",
    python: Annotated[
        Path | None,
        typer.Option(help="Run its programs by this Python instead of the sandbox, with the libraries that one has"),
    ] = None,
    output_json: JsonOption = False,
) -> None:
    """Check a release: every file's hash, its example rows, and the model built again from its training program."""
    from graphs.cli.verify import verify_command

    verify_command(release, data=data or [], manifest_hash=manifest_hash, python=python, output_json=output_json)
