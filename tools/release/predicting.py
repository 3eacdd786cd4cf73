"""Predicting with a release: its own inference program, in a process of its own. No code of it runs in ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from state.errors import ArtifactDamaged, InputError, ModelwrightError, NotFound, Problem
from tools.release.folder import check_release, read_manifest
from tools.sandbox import environment, library_paths

if TYPE_CHECKING:
    import pandas as pd

_INPUT_TO_BLAME = 2
_FOLDER_TO_BLAME = 1


@overload
def predict_with_release(folder: Path, data: Path | pd.DataFrame, *, output: Path, threads: int = 1) -> None: ...
@overload
def predict_with_release(
    folder: Path, data: Path | pd.DataFrame, *, output: None = None, threads: int = 1
) -> pd.DataFrame: ...
def predict_with_release(
    folder: Path, data: Path | pd.DataFrame, *, output: Path | None = None, threads: int = 1
) -> pd.DataFrame | None:
    """Predict every row of a file or a frame; one row or line each, in the same order.

    Returns the predictions, with the index of `data` when that is a frame; or, with `output`, writes them there as CSV
    and returns None. The release is checked file by file first. A note of the release's program becomes a warning.
    Raises InputError when the rows do not fit the model, NotFound, ArtifactDamaged when the folder does not hold what
    was released, ModelwrightError when its program fails.
    """
    folder = Path(folder).resolve()
    check_release(folder)
    with tempfile.TemporaryDirectory(prefix="modelwright-") as scratch:
        place = Path(scratch)
        source = _given(data, place) if isinstance(data, str | os.PathLike) else _stored(data, folder, place)
        target = Path(output).resolve() if output is not None else place / "predictions.csv"
        _run(folder, source, target, place, threads)
        if output is not None:
            return None
        table = _read(target, read_manifest(folder)["outputs"])
    return table if isinstance(data, str | os.PathLike) else table.set_axis(data.index, axis=0)


def _given(path: str | os.PathLike[str], _: Path) -> Path:
    source = Path(path).resolve()
    if not source.is_file():
        raise NotFound(
            f"{str(path)!r} does not exist", hint="name a CSV, Parquet or Excel file with the rows to predict"
        )
    return source


def _stored(frame: pd.DataFrame, folder: Path, scratch: Path) -> Path:
    """Write the columns of a frame that the model needs to a file which the release reads."""
    from tools.portable.reading import conform

    manifest = read_manifest(folder)
    wanted = {column["name"]: column["read"] for column in manifest["inputs"]}
    try:
        table = conform(
            frame.set_axis([str(column) for column in frame.columns], axis=1),
            {
                **manifest["reading"],
                "columns": wanted,
            },
        )
    except ValueError as error:
        raise InputError(Problem(str(error), where="the frame")) from error
    path = scratch / "rows.parquet"
    table[list(wanted)].to_parquet(path, index=False)
    return path


def _run(folder: Path, source: Path, target: Path, scratch: Path, threads: int) -> None:
    """Run inference.py; raise what its exit code and last words mean."""
    surroundings = environment(scratch, threads)
    if paths := library_paths():
        surroundings["PYTHONPATH"] = os.pathsep.join(paths)
    program = folder / "model_inference" / "inference.py"
    done = subprocess.run(
        [sys.executable, "-B", "-P", str(program), "--input", str(source), "--output", str(target)],
        cwd=scratch,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    words = done.stderr.strip().splitlines()
    if done.returncode == 0:
        for note in (line.removeprefix("note: ") for line in words if line.startswith("note: ")):
            warnings.warn(note, stacklevel=3)
        return
    last = words[-1] if words else f"it ended with {done.returncode}"
    if last.startswith("error: "):
        message = last.removeprefix("error: ")
        if done.returncode == _INPUT_TO_BLAME:
            raise InputError(Problem(message.replace(f"{scratch}{os.sep}rows.parquet", "the frame")))
        if done.returncode == _FOLDER_TO_BLAME:
            raise ArtifactDamaged(message, hint="copy the release folder again, whole")
    raise ModelwrightError(
        f"the inference program of {str(folder)!r} failed: " + "\n".join(words[-12:] or [last]),
        hint=f"run it by hand to see more: python {program} --input {source.name} --output predictions.csv",
    )


_DTYPES: dict[Literal["integer", "number", "text"], Any] = {"integer": "int64", "number": "float64", "text": "object"}


def _read(path: Path, outputs: list[dict[str, Any]]) -> pd.DataFrame:
    """The output table with the types its manifest promises; a class label stays the text it is."""
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    kinds = {column["name"]: column["type"] for column in outputs}
    if list(table.columns) != list(kinds):
        raise ModelwrightError(
            f"the inference program wrote the columns {list(table.columns)!r}, the manifest promises {list(kinds)!r}",
            hint="release the model again",
        )
    return table.astype({name: _DTYPES[kind] for name, kind in kinds.items()})
