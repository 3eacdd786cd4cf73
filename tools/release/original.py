"""The data a release was built from: found where the manifest says, or given, and taken only when its hash is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from state.errors import ArtifactDamaged, ArtifactMissing, InputError, Problem
from tools.artifacts import open_artifacts
from tools.intake.sniff import file_hash
from tools.release.proofs import Proof, passed, skipped


def find_data(manifest: dict[str, Any], given: Sequence[Path], scratch: Path) -> tuple[list[Path], Proof]:
    """The files to train from, checked by hash; none, with the reason, when they are not at hand.

    Raises InputError when a given file is not the one that is recorded.
    """
    said = manifest["data"]
    wanted = [str(said["source"]).removeprefix("sha256:")]
    if said["test_source"]:
        wanted.append(str(said["test_source"]))
    if said["table"]:
        return _stored_table(said["table"], given, scratch)
    if given:
        return list(given), _given_data(given, wanted)
    paths = [Path(path) for path in (said["path"], said["test_path"])[: len(wanted)] if path]
    if len(paths) < len(wanted):
        return [], skipped("data", "no path is recorded; give the file with --data")
    for path, sha256 in zip(paths, wanted, strict=True):
        if not path.is_file():
            return [], skipped("data", f"{path} is not there any more; give the file with --data")
        if file_hash(path) != sha256:
            return [], skipped("data", f"{path} has other content now; give the original with --data")
    return paths, passed("data", f"{', '.join(map(str, paths))}: content as recorded")


def _given_data(given: Sequence[Path], wanted: list[str]) -> Proof:
    problems = []
    if len(given) != len(wanted):
        cure = "give the data file, and the test file after it when the model was built with one"
        problems.append(
            Problem(f"{len(given)} files were given, the model was built from {len(wanted)}", where="--data", cure=cure)
        )
    for path, sha256 in zip(given, wanted, strict=False):
        if not path.is_file():
            problems.append(
                Problem("there is no such file", where=str(path), cure="name the file the model was built from")
            )
        elif (found := file_hash(path)) != sha256:
            what = f"its content has the hash {found}; the model was built from {sha256}"
            problems.append(Problem(what, where=str(path), cure="give the original file, byte for byte"))
    if problems:
        raise InputError(problems)
    return passed("data", f"{', '.join(map(str, given))}: content as recorded")


def _stored_table(reference: str, given: Sequence[Path], scratch: Path) -> tuple[list[Path], Proof]:
    """The rows of a DataFrame the model was built from, out of the store of the machine that built it."""
    if given:
        raise InputError(
            Problem(
                "the model was built from a DataFrame, so there is no file to compare with",
                where="--data",
                cure="leave it out; on the machine that built it the rows are found in the store",
            )
        )
    try:
        frame = open_artifacts().get_frame(reference)
    except (ArtifactMissing, ArtifactDamaged):
        return [], skipped("data", "the DataFrame it was built from is not in the store of this machine")
    path = scratch / "rows.parquet"
    frame.to_parquet(path, index=False)
    return [path], passed("data", f"{len(frame)} rows of a DataFrame, from the store: content as recorded")
