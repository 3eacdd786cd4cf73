"""What our own catalogue knows of a release: which run made it, and so in what its programs may run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from state.errors import SafetyRefused
from state.settings import Settings
from tools.experts.provider import is_builtin
from tools.release.running import Interpreter, Runner, Sandboxed
from tools.sandbox import TIERS, choose_tier
from tools.store import RunRow, open_catalogue


def run_of_hash(sha256: str) -> RunRow | None:
    """The run whose build printed this hash of a manifest."""
    return next((row for row in _rows() if row.summary.get("manifest") == sha256), None)


def run_of_folder(folder: Path, run_id: str = "") -> RunRow | None:
    """The run that published to this folder, or else the one with this id."""
    rows = _rows()
    place = folder.resolve()
    for row in rows:
        if row.summary.get("folder") and Path(row.summary["folder"]).resolve() == place:
            return row
    return next((row for row in rows if row.id == run_id), None)


def may_run_as_it_is(manifest: dict[str, Any], sha256: str) -> bool:
    """Whether the programs of a release may run without a sandbox: its manifest is one our own catalogue has, all of
    its programs were written by the builtin expert, and loading its models runs no code.

    What the folder says of itself counts only when the catalogue knows the folder's hash.
    """
    run = run_of_hash(sha256)
    if run is None or needs_sandbox(manifest):
        return False
    settings = Settings.model_validate(run.settings)
    return all(is_builtin(settings.expert_for(role)) for role in ("engineer", "operations"))


def needs_sandbox(manifest: dict[str, Any]) -> str:
    """Why a release says of itself that it belongs into the sandbox; empty when it does not."""
    if manifest.get("unsafe") is not False:
        return "loading its models runs code from them"
    foreign = [member["candidate"] for member in manifest["members"] if not is_builtin(member["expert"])]
    return f"a language model wrote {foreign[0]!r}" if foreign else ""


def runner_for(manifest: dict[str, Any], sha256: str, *, threads: int = 1) -> Runner:
    """What runs a release's programs: a plain process for our own, the sandbox for all others. Raises as `sandbox_for`."""
    if may_run_as_it_is(manifest, sha256):
        return Interpreter(threads=threads)
    return sandbox_for(manifest, sha256, threads=threads)


def sandbox_for(manifest: dict[str, Any], sha256: str, *, threads: int = 1) -> Sandboxed:
    """The strongest sandbox of this machine, for a release's programs.

    Raises SafetyRefused where only the basic tier works and the release needs more, unless the run that made it was
    allowed to do without.
    """
    why = needs_sandbox(manifest)
    if why and choose_tier() == "T3":
        run = run_of_hash(sha256)
        if run is None or not Settings.model_validate(run.settings).allow_unsandboxed:
            raise SafetyRefused(
                f"this release may run in a sandbox only, for {why}; here there is but tier {TIERS['T3']}",
                hint="`modelwright doctor` says how to get a stronger tier; whoever trusts it may run its inference.py",
            )
    return Sandboxed(threads)


def _rows() -> list[RunRow]:
    catalogue = open_catalogue()
    try:
        return catalogue.runs()
    finally:
        catalogue.close()
