"""Predicting with a release: its own inference program, in a process of its own. No code of it runs in ours."""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from state.errors import ArtifactDamaged, InputError, ModelwrightError, NotFound, Problem
from tools.release.checking import check_release, manifest_hash, read_manifest
from tools.release.known import runner_for
from tools.release.running import Ran, Runner, release_files

if TYPE_CHECKING:
    import pandas as pd

_INPUT_TO_BLAME = 2
_FOLDER_TO_BLAME = 1
_ROWS = "rows"
_PLACED = re.compile(rf"[^\s'\"]*/in/{_ROWS}/")
"""Where a program says its input lies."""


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
    and returns None. The release is checked file by file first. Its programs run in the sandbox, unless our own
    catalogue knows them for ours (see known.py). A note of the release's program becomes a warning.
    Raises InputError when the rows do not fit the model, NotFound, ArtifactDamaged when the folder does not hold what
    was released, ModelwrightError when its program fails.
    """
    folder = Path(folder).resolve()
    check_release(folder)
    manifest = read_manifest(folder)
    with tempfile.TemporaryDirectory(prefix="modelwright-") as scratch:
        given = isinstance(data, str | os.PathLike)
        source = _given(data) if isinstance(data, str | os.PathLike) else _stored(data, manifest, Path(scratch))
        if given and has_images(manifest):
            source = with_pictures(source, manifest, Path(scratch))
        with runner_for(manifest, manifest_hash(folder), threads=threads) as runner:
            written = _predicted(runner, folder, source)
            _check_columns(written, manifest["outputs"])
            if output is not None:
                _copy(written, Path(output))
                return None
            table = _read(written, manifest["outputs"])
    return table if isinstance(data, str | os.PathLike) else table.set_axis(data.index, axis=0)


def _given(path: str | os.PathLike[str]) -> Path:
    source = Path(path).resolve()
    if not source.is_file():
        raise NotFound(
            f"{str(path)!r} does not exist", hint="name a CSV, Parquet or Excel file with the rows to predict"
        )
    return source


def has_images(manifest: dict[str, Any]) -> bool:
    """Whether the model needs columns that name image files."""
    return any(column["read"]["type"] == "image" for column in manifest["inputs"])


def with_pictures(
    source: Path, manifest: dict[str, Any], scratch: Path, *, target: dict[str, Any] | None = None
) -> Path:
    """The rows of a file with pictures in place of the names of images, which a sandboxed program could not open.

    target: also keep this column, {name: how it is read}. Raises InputError naming images that cannot be read.
    """
    from tools.portable.reading import read_table

    wanted = {column["name"]: column["read"] for column in manifest["inputs"]} | (target or {})
    try:
        table = read_table(source, {**manifest["reading"], "columns": wanted})
    except ValueError as error:
        raise InputError(Problem(str(error).removeprefix(f"{source}: "), where=str(source))) from error
    path = scratch / f"{source.stem}-with-pictures.parquet"
    table[list(wanted)].to_parquet(path, index=False)
    return path


def _stored(frame: pd.DataFrame, manifest: dict[str, Any], scratch: Path) -> Path:
    """Write the columns of a frame that the model needs to a file which the release reads."""
    from tools.portable.reading import conform

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


def _predicted(runner: Runner, folder: Path, source: Path) -> Path:
    """Run inference.py; the file it wrote. Raises what its exit code and last words mean."""
    rows = f"{_ROWS}/{source.name}"
    ran = runner.run(
        ["release/model_inference/inference.py", "--input", f"in/{rows}", "--output", "out/predictions.csv"],
        {**release_files(folder), rows: source},
    )
    if ran.code == 0 and (ran.out / "predictions.csv").is_file():
        for note in (line.removeprefix("note: ") for line in ran.words if line.startswith("note: ")):
            warnings.warn(note, stacklevel=3)
        return ran.out / "predictions.csv"
    _raise(ran, folder, source)
    raise AssertionError("a failed run always raises")


def _raise(ran: Ran, folder: Path, source: Path) -> None:
    said = [line for line in ran.words if line.startswith("error: ")]
    if said and ran.code in (_INPUT_TO_BLAME, _FOLDER_TO_BLAME):
        message = _PLACED.sub("", said[-1].removeprefix("error: "))
        if ran.code == _INPUT_TO_BLAME:
            raise InputError(Problem(message.replace("rows.parquet", "the frame")))
        raise ArtifactDamaged(message, hint="copy the release folder again, whole")
    program = folder / "model_inference" / "inference.py"
    last = ran.words[-12:] or [f"it ended with {ran.code} and no predictions"]
    raise ModelwrightError(
        f"the inference program of {str(folder)!r} failed: " + "\n".join(last),
        hint=f"run it by hand to see more: python {program} --input {source.name} --output predictions.csv",
    )


def _copy(written: Path, output: Path) -> None:
    try:
        shutil.copyfile(written, output)
    except OSError as error:
        raise InputError(Problem(f"{output} cannot be written: {error.strerror or error}")) from error


_DTYPES: dict[Literal["integer", "number", "text"], Any] = {"integer": "int64", "number": "float64", "text": "object"}


def _check_columns(path: Path, outputs: list[dict[str, Any]]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        found = next(csv.reader(file), [])
    promised = [column["name"] for column in outputs]
    if found != promised:
        raise ModelwrightError(
            f"the inference program wrote the columns {found!r}, the manifest promises {promised!r}",
            hint="release the model again",
        )


def _read(path: Path, outputs: list[dict[str, Any]]) -> pd.DataFrame:
    """The output table with the types its manifest promises; a class label stays the text it is."""
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    return table.astype({column["name"]: _DTYPES[column["type"]] for column in outputs})
