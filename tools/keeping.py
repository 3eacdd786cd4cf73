"""Release and report of a run for machines that share a database: kept as artifacts, brought where somebody needs them.

A run's folder lies on the disk of whoever drove the run. With a shared store the publisher puts each file of the release,
and the report, into the artifact store, and the run's summary names the list of them. Another machine, or the same one
after its folder was emptied, brings them back on demand: files of the release into a folder beside, whose manifest must
have the recorded hash, and then into place by a rename.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from state.errors import StoreError
from tools.artifacts import ArtifactStore, open_artifacts
from tools.catalogue import RunRow
from tools.database import sync_folder
from tools.home import private_folder, run_folder
from tools.places import store_url

KEPT = "kept"
"""Key of the summary that names the list."""


def keep_files(artifacts: ArtifactStore, release: Path | None, report: Path) -> dict[str, str]:
    """Put release and report into a shared store. Returns what the summary says of it; nothing without such a store."""
    if store_url() is None:
        return {}
    files = sorted(path for path in release.rglob("*") if path.is_file()) if release is not None else []
    listed = {path.relative_to(release).as_posix(): artifacts.put(path) for path in files if release is not None}
    return {KEPT: artifacts.put_json({"release": listed, "report": artifacts.put(report)})}


def release_of(run: RunRow) -> Path | None:
    """The run's release folder on this machine, brought here when it is not; None when the run has none.

    Writes `release/` in the run's folder. Raises ArtifactMissing or ArtifactDamaged, naming the artifact, and StoreError
    when what was kept is not what was published.
    """
    recorded = run.summary.get("folder")
    if not recorded or _is_here(run, recorded):
        return Path(recorded) if recorded else None
    target = run_folder(run.id) / "release"
    if not target.is_dir():
        _bring_release(run, target)
    return target


def report_of(run: RunRow) -> Path | None:
    """The run's report on this machine, brought here when it is not; None when the run has none."""
    recorded = run.summary.get("report")
    if not recorded or _is_here(run, recorded):
        return Path(recorded) if recorded else None
    target = run_folder(run.id) / "report.html"
    if not target.is_file():
        artifacts = open_artifacts()
        artifacts.export(artifacts.get_json(run.summary[KEPT])["report"], target)
    return target


def at_hand(run: RunRow) -> RunRow:
    """The run with the paths its release and report have on this machine, or will have when somebody asks for them."""
    names = {"folder": "release", "report": "report.html"}
    told = {
        key: str(run_folder(run.id) / name)
        for key, name in names.items()
        if run.summary.get(key) and not _is_here(run, run.summary[key])
    }
    return run.but(summary={**run.summary, **told}) if told else run


def _is_here(run: RunRow, recorded: str) -> bool:
    """Whether the recorded path is the one to use: it exists, or there is nothing to bring in its stead."""
    return Path(recorded).exists() or not run.summary.get(KEPT) or store_url() is None


def _bring_release(run: RunRow, target: Path) -> None:
    from tools.release.checking import manifest_hash

    artifacts = open_artifacts()
    listed: dict[str, Any] = artifacts.get_json(run.summary[KEPT])["release"]
    building = private_folder(target.parent) / f".release.new-{uuid4().hex[:8]}"
    try:
        for name, reference in listed.items():
            parts = PurePosixPath(name).parts
            if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
                raise StoreError(f"{name!r} is no path inside a release", hint="the run's record was changed")
            artifacts.export(reference, building.joinpath(*parts))
            building.joinpath(*parts).chmod(0o644)
        if manifest_hash(building) != run.summary.get("manifest"):
            raise StoreError(
                f"what the store keeps as the release of run {run.name!r} is not what was published",
                hint="copy the release from the machine that built it; `modelwright verify` checks it",
            )
        building.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)
