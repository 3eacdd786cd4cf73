"""The release folder: published whole or not at all. What a folder holds is checked in checking.py."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from state.errors import NotFound, UsageError
from state.release import ReleaseFacts
from tools.artifacts import ArtifactStore
from tools.crash import crash_point
from tools.disk import writing
from tools.release import examples as example_files
from tools.release import manifest as facts_files
from tools.release.checking import MANIFEST, check_release, manifest_hash, read_manifest
from tools.release.layout import copy_checked, runtime_files

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, Any]


def publish(
    folder: Path,
    files: dict[str, str],
    facts: ReleaseFacts,
    *,
    artifacts: ArtifactStore,
    examples: pd.DataFrame | None = None,
    example_predictions: pd.DataFrame | None = None,
    report: Path | None = None,
) -> dict[str, Any]:
    """Write the release to `folder` and return its manifest.

    files: path in the release → reference, as `runtime_files` gives them · examples: a few rows with the feature
    columns · example_predictions: what inference.py answers for them · report: an HTML file to put beside the model.
    Everything is written to a folder beside it, synced, and renamed into place; an earlier release there is replaced.
    Publishing the same again gives the same files. Raises UsageError when `folder` is something else that holds files,
    ArtifactMissing or ArtifactDamaged naming the artifact, DiskFull or StoreError when the disk refuses it.
    """
    with writing(folder):
        return _publish(Path(os.path.abspath(folder)), files, facts, artifacts, examples, example_predictions, report)


def _publish(
    folder: Path,
    files: dict[str, str],
    facts: ReleaseFacts,
    artifacts: ArtifactStore,
    examples: pd.DataFrame | None,
    example_predictions: pd.DataFrame | None,
    report: Path | None,
) -> dict[str, Any]:
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    building = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    try:
        building.mkdir()
        # The manifest of the runtime files alone serves before there is a release; this one names all of them.
        placed = {path: reference for path, reference in files.items() if path != MANIFEST}
        entries = {path: _place(building, path, _from_store(artifacts, ref)) for path, ref in sorted(placed.items())}
        texts = {"MODEL_CARD.md": facts_files.model_card(facts).encode("utf-8")}
        if report is not None:
            texts["report.html"] = report.read_bytes()
        if examples is not None:
            texts["examples/input.csv"] = example_files.input_csv(examples, facts.read_spec)
        if example_predictions is not None:
            texts["examples/predictions.csv"] = example_files.predictions_csv(example_predictions)
        entries |= {path: _place(building, path, _from_bytes(content)) for path, content in texts.items()}
        content = facts_files.manifest(facts, entries)
        _place(building, MANIFEST, _from_bytes(facts_files.json_text(content).encode("utf-8")))
        for path in [building, *building.rglob("*")]:
            if path.is_dir():
                _sync(path)
        _swap(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return content


Writer = Callable[[IO[bytes]], tuple[str, int]]


def _from_store(artifacts: ArtifactStore, reference: str) -> Writer:
    def write(target: IO[bytes]) -> tuple[str, int]:
        with artifacts.get(reference) as source:
            return copy_checked(source, reference, target)

    return write


def _from_bytes(content: bytes) -> Writer:
    def write(target: IO[bytes]) -> tuple[str, int]:
        target.write(content)
        return hashlib.sha256(content).hexdigest(), len(content)

    return write


def _place(root: Path, path: str, write: Writer) -> Entry:
    """Write one file durably. Returns its entry of the manifest."""
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
        raise UsageError(f"{path!r} is no path inside a release", hint="file names of a model must stay in its folder")
    target = root.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        digest, size = write(file)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": digest, "size": size}


def _refuse_foreign(folder: Path) -> None:
    """Only an empty folder or an earlier release may be replaced: a person's other files never are."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{str(folder)!r} exists and is no folder", hint="name another place for the release")
    if folder.is_dir() and any(folder.iterdir()):
        try:
            read_manifest(folder)
        except NotFound as error:
            raise UsageError(
                f"{str(folder)!r} holds files that are no release", hint="name an empty or new folder for the release"
            ) from error


def _sweep(folder: Path) -> None:
    """Finish or clear what an earlier publication left when it was killed."""
    for path in sorted(folder.parent.glob(f".{_escaped(folder.name)}.old-*")):
        if not folder.exists():
            path.rename(folder)  # it died between the two renames; the earlier release is still whole
        else:
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.parent.glob(f".{_escaped(folder.name)}.new-*"):
        shutil.rmtree(path, ignore_errors=True)


def _escaped(name: str) -> str:
    import glob

    return glob.escape(name)


def _swap(building: Path, folder: Path) -> None:
    """Rename the finished folder into place, moving an earlier release out of the way first."""
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    crash_point("before-publish")
    if folder.exists():
        folder.rename(old)
        crash_point("mid-publish")
    building.rename(folder)
    _sync(folder.parent)
    crash_point("after-publish")
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["MANIFEST", "check_release", "manifest_hash", "publish", "read_manifest", "runtime_files"]
