"""`modelwright predict`: new rows through a released model."""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

from state.errors import NotFound


def predict_command(reference: str, data: Path, out: Path | None) -> None:
    """Predict the rows of a file with the release of a run, or with a release folder."""
    from tools.release.predicting import predict_with_release

    if not data.is_file():
        raise NotFound(f"there is no file {str(data)!r}", hint="name a file with the columns the model was built on")
    release = _release(reference)
    if out is not None:
        predict_with_release(release, data, output=out)
        sys.stderr.write(f"{_rows(out)} predictions written to {out}\n")
        return
    with tempfile.TemporaryDirectory(prefix="modelwright-") as scratch:
        written = Path(scratch) / "predictions.csv"
        predict_with_release(release, data, output=written)
        with written.open(encoding="utf-8", newline="") as file:
            for line in file:
                sys.stdout.write(line)


def _rows(path: Path) -> int:
    """Rows below the header; a label may hold a line break."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _release(reference: str) -> Path:
    folder = Path(reference)
    if (folder / "manifest.json").is_file():
        return folder
    from graphs.api import open_run

    run = open_run(reference)
    if run.release is None:
        raise NotFound(
            f"run {run.name!r} has no release: it is {run.status}", hint=f"`modelwright show {run.name}` tells more"
        )
    return run.release
