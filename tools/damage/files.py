"""What lies in files: artifacts by their hashes, the data by the hash it had, release and report as they were published."""

from __future__ import annotations

from pathlib import Path

from state.errors import ArtifactDamaged, NotFound, VersionMismatch
from state.settings import Settings
from tools.artifacts import open_artifacts, refs_in
from tools.catalogue import Catalogue, RunRow
from tools.damage.artifacts import artifact_problem
from tools.damage.kinds import Damage, rebuild
from tools.home import run_folder
from tools.inputs import changed_files, recorded
from tools.journal import Journal
from tools.references import needs_of


def artifact_damage(catalogue: Catalogue, run: RunRow) -> list[Damage]:
    """Artifacts the run refers to that are gone, or hold something else than their name promises. Reads all of them.

    Raises StoreError when the run's database cannot be read: then nobody knows what it refers to.
    """
    artifacts = open_artifacts()
    others = [row.id for row in catalogue.runs() if row.id != run.id]
    needed = needs_of(catalogue, artifacts, without=others).references
    made = _made_by(catalogue, run)
    found = []
    for reference in sorted(needed):
        what = artifact_problem(artifacts, reference)
        if what:
            maker = made.get(reference, "")
            way_out = f"made again from the journal when it is needed ({maker})" if maker else rebuild(run)
            found.append(Damage(kind="artifact", what=what, where=reference, way_out=way_out, heals=bool(maker)))
    return found


def _made_by(catalogue: Catalogue, run: RunRow) -> dict[str, str]:
    """Reference → which effect of the run gave it."""
    journal = Journal(catalogue, run.id)
    found: dict[str, str] = {}
    for entry in journal.entries():
        result = journal.result(entry["key"]) if entry["state"] == "done" else None
        for reference in refs_in((result or {}).get("outputs", {})):
            found.setdefault(reference, f"{entry['kind']} {entry['key'][:16]}")
    return found


def input_damage(catalogue: Catalogue, run: RunRow) -> list[Damage]:
    """Data files that are no longer those the run began with."""
    known = recorded(Journal(catalogue, run.id))
    if known is None:
        return []
    way_out = (
        "the run itself needs the file no more; to rebuild it, or to run its train.py, put the original back. For the new "
        "data start a new run"
    )
    changed = changed_files(Settings.model_validate(run.settings), known)
    return [
        Damage(
            kind="input", what=f"changed since the run began: SHA-256 was {was}, is {now}", where=path, way_out=way_out
        )
        for path, was, now in changed
    ]


def published_damage(run: RunRow) -> list[Damage]:
    """Release and report that are not as they were published, in the run's folder."""
    from tools.release.checking import differences, manifest_hash, read_manifest

    folder = run_folder(run.id)
    release, report = folder / "release", folder / "report.html"
    found = []
    if run.summary.get("folder"):
        try:
            problems = differences(release, read_manifest(release), strict=True)
            if not problems and run.summary.get("manifest") not in (None, manifest_hash(release)):
                problems = ["manifest.json: its hash is not the one the catalogue has"]
        except (NotFound, ArtifactDamaged, VersionMismatch) as error:
            problems = [error.message]
        found += [Damage(kind="release", what=what, where=str(release), way_out=_publish(run)) for what in problems]
    if run.summary.get("report") and (what := _report_problem(report, release)):
        found.append(Damage(kind="report", what=what, where=str(report), way_out=_publish(run)))
    return found


def _report_problem(report: Path, release: Path) -> str:
    from tools.release.checking import hash_of

    if not report.is_file():
        return "is not there any more"
    copy = release / "report.html"
    if copy.is_file() and hash_of(copy) != hash_of(report):
        return "differs from the copy that was published with the release"
    return ""


def _publish(run: RunRow) -> str:
    return f"copy it again from where it is whole, or publish it again: {rebuild(run)}"
