"""`modelwright predict`: new rows through a released model."""

from __future__ import annotations

import sys
from pathlib import Path

from state.errors import NotFound


def predict_command(reference: str, data: Path, out: Path | None) -> None:
    """Predict the rows of a file with the release of a run, or with a release folder."""
    from tools.release.predicting import predict_with_release

    if not data.is_file():
        raise NotFound(f"there is no file {str(data)!r}", hint="name a file with the columns the model was built on")
    predictions = predict_with_release(_release(reference), data)
    if out is None:
        predictions.to_csv(sys.stdout, index=False)
        return
    predictions.to_csv(out, index=False)
    sys.stderr.write(f"{len(predictions)} predictions written to {out}\n")


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
