"""Verifying a release: its files by hash, its example rows, and its model, built again from its own training program.

The order is the safety: nothing of a release is run before every hash holds, and then only in the sandbox (or by an
interpreter the person names). Nothing of it is ever loaded by this process.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from state.errors import ArtifactDamaged, NotFound, SafetyRefused, VersionMismatch
from state.records import Record
from tools.release.checking import MANIFEST, differences, manifest_hash, read_manifest
from tools.release.known import needs_sandbox, run_of_folder, run_of_hash, sandbox_for
from tools.release.original import find_data
from tools.release.predicting import has_images, with_pictures
from tools.release.proofs import Proof, compared, differing_from, failed, passed, skipped, table_of
from tools.release.running import Interpreter, Ran, Runner, release_files
from tools.store import RunRow

COMPARED_ROWS = 5000
"""Rows of the data on which the model built again is compared."""
Data = Mapping[str, Path]

_INFERENCE = "release/model_inference/inference.py"
_TRAINING = "release/model_training/train.py"
_NEEDED = ("data", "inputs", "outputs", "reading", "members", "versions", "python", "machine", "unsafe")
"""Fields of the manifest that the checks after the hashes read."""


class Verification(Record):
    """Everything that was found about a release."""

    folder: str
    manifest_sha256: str
    run: str
    """Name of the run in our catalogue, or empty when it is not known here."""
    where: str = ""
    """What the release's programs ran in."""
    proofs: list[Proof]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(proof.status != "failed" for proof in self.proofs)

    @property
    def whole(self) -> bool:
        """Whether everything was checked and held."""
        return all(proof.status == "passed" for proof in self.proofs)


def verify_release(
    folder: Path,
    *,
    data: Sequence[Path] = (),
    wanted_hash: str = "",
    run: RunRow | None = None,
    python: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Verification:
    """Check a release folder; see the module's words for what and in which order.

    data: the original data file, and the test file when the person gave one; by default what the manifest names.
    wanted_hash: SHA-256 the manifest must have; by default what the catalogue says. run: the run it belongs to, when
    that is known already. python: an interpreter to run its programs with, instead of the sandbox. tell: hears what is
    being done.
    Raises NotFound when there is no release, InputError when `data` is not the data it was built from, SafetyRefused when
    its models may be loaded in the sandbox only and `python` is given. Everything else is a proof that failed.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise NotFound(f"there is no folder {str(folder)!r}", hint="name a release folder, or a run (`modelwright ls`)")
    tell("checking the hash of every file")
    manifest, files = _check_files(folder)
    sha256 = manifest_hash(folder) if manifest else ""
    known = run or (run_of_hash(sha256) if sha256 else None) or run_of_folder(folder, _run_id(manifest))
    proofs = [files, _check_manifest(sha256, wanted_hash, known)]
    found = Verification(
        folder=str(folder), manifest_sha256=sha256, run=known.name if known else "", proofs=[*proofs, *_unrun()]
    )
    if not found.ok:
        return found
    with tempfile.TemporaryDirectory(prefix="modelwright-") as scratch:
        sources, origin = find_data(manifest, data, Path(scratch))
        if has_images(manifest):
            schema = json.loads((folder / "model_inference" / "schema.json").read_text("utf-8"))
            target = {schema["target"]: schema["read"]["columns"][schema["target"]]}
            sources = [with_pictures(path, manifest, Path(scratch), target=target) for path in sources]
        with _runner(manifest, sha256, python) as runner:
            files_in = release_files(folder)
            tell("predicting the example rows")
            proofs += [_check_examples(runner, files_in, folder, manifest), origin]
            if sources:
                tell("building the model again from its training program")
                proofs.append(_rebuild(runner, files_in, manifest, sources, Path(scratch)))
            else:
                proofs.append(skipped("rebuild", "there is no data to build the model from again"))
            return found.but(proofs=proofs, where=runner.where)


# ---- hashes ---------------------------------------------------------------------------------------------------------


def _check_files(folder: Path) -> tuple[dict[str, Any], Proof]:
    """The manifest, empty when it cannot be used, and whether every file is the one it names."""
    try:
        manifest = read_manifest(folder)
    except NotFound:
        if not any((folder / part).exists() for part in ("model_inference", "model_training")):
            raise
        return {}, _files_failed([f"{MANIFEST}: missing"])
    except (ArtifactDamaged, VersionMismatch) as error:
        return {}, _files_failed([f"{MANIFEST}: {error.message}"])
    problems = differences(folder, manifest, strict=True)
    if problems:
        return manifest, _files_failed(problems)
    if lacking := [name for name in _NEEDED if name not in manifest]:
        return manifest, _files_failed([f"{MANIFEST}: lacks {', '.join(lacking)}"])
    count = len(manifest["files"])
    return manifest, passed("files", f"{count} files have the hashes of {MANIFEST}, no other is there")


def _files_failed(problems: list[str]) -> Proof:
    count = f"{len(problems)} difference" + ("" if len(problems) == 1 else "s")
    return failed("files", f"{count} from what was published", problems=problems)


def _check_manifest(sha256: str, wanted: str, known: RunRow | None) -> Proof:
    kept = str((known.summary.get("manifest") if known else "") or "")
    said = wanted.strip().lower().removeprefix("sha256:") or kept
    if not sha256:
        return failed("manifest", f"{MANIFEST} cannot be read")
    if not said:
        return skipped("manifest", f"its hash is {sha256}; compare it with what the build printed (--manifest-hash)")
    whose = "was asked for" if wanted or known is None else f"the catalogue has for run {known.name!r}"
    if said != sha256:
        return failed("manifest", f"its hash is {sha256}, and {said} {whose}", [f"{MANIFEST}: changed"])
    return passed("manifest", f"its hash {sha256[:16]}… is what {whose}")


def _run_id(manifest: dict[str, Any]) -> str:
    run = manifest.get("run")
    return str(run.get("id", "")) if isinstance(run, dict) else ""


def _unrun() -> list[Proof]:
    return [skipped(name, "not run: the hashes do not hold") for name in ("examples", "data", "rebuild")]


# ---- running --------------------------------------------------------------------------------------------------------


def _runner(manifest: dict[str, Any], sha256: str, python: Path | None) -> AbstractContextManager[Runner]:
    if python is None:
        return sandbox_for(manifest, sha256)
    if why := needs_sandbox(manifest):
        raise SafetyRefused(
            f"this release is run in the sandbox only: {why}",
            hint="leave --python out, or make a sandbox around it yourself",
        )
    return Interpreter(python)


def _check_examples(runner: Runner, files: Data, folder: Path, manifest: dict[str, Any]) -> Proof:
    rows, answers = folder / "examples" / "input.csv", folder / "examples" / "predictions.csv"
    if not rows.is_file() or not answers.is_file():
        return skipped("examples", "the release has no example rows with predictions")
    ran = runner.run(
        [_INFERENCE, "--input", "in/rows/input.csv", "--output", "out/predictions.csv"],
        {**files, "rows/input.csv": rows},
    )
    if problem := _failure(ran, "predictions.csv", "inference.py"):
        return failed("examples", problem)
    got, wanted = table_of(ran.out / "predictions.csv"), table_of(answers)
    return compared("examples", got, wanted, differing_from(manifest, runner), "example rows")


def _rebuild(runner: Runner, files: Data, manifest: dict[str, Any], sources: Sequence[Path], scratch: Path) -> Proof:
    """Train again, and predict real rows with the released models and with the new ones."""
    named = {f"data{number}/{path.name}": path for number, path in enumerate(sources)}
    ran = runner.run(
        [_TRAINING, "--data", *(f"in/{name}" for name in named), "--output", "out/models"], {**files, **named}
    )
    if problem := _failure(ran, "models/members.json", "train.py"):
        return failed("rebuild", problem)
    if not any("the same" in line and "rows in the same order" in line for line in ran.words):
        return failed("rebuild", "train.py did not find the rows of the released fit in this data")
    again = {f"again/{path.relative_to(ran.out / 'models')}": path for path in _files(ran.out / "models")}
    rows = {"rows/rows.csv": _some_rows(manifest, sources[0], scratch)}
    tables = []
    for extra, models in (({}, []), (again, ["--models", "in/again"])):
        ran = runner.run(
            [_INFERENCE, "--input", "in/rows/rows.csv", "--output", "out/predictions.csv", *models],
            {**files, **rows, **extra},
        )
        if problem := _failure(ran, "predictions.csv", "inference.py"):
            return failed("rebuild", problem)
        tables.append(table_of(ran.out / "predictions.csv"))
    return compared("rebuild", tables[1], tables[0], differing_from(manifest, runner), "rows, by the model built again")


def _failure(ran: Ran, name: str, program: str) -> str:
    """Why a program of the release gave nothing, or an empty text."""
    if ran.code == 0 and (ran.out / name).is_file():
        return ""
    said = [line for line in ran.words if line.startswith("error: ")] or ran.words[-1:] or ["it printed nothing"]
    return f"{program} ended with {ran.code}: {said[-1].removeprefix('error: ')}"


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _some_rows(manifest: dict[str, Any], source: Path, scratch: Path) -> Path:
    """The first rows of the data, features only, written as the example rows of a release are."""
    from tools.portable.reading import read_table
    from tools.release.examples import input_csv

    columns = {column["name"]: column["read"] for column in manifest["inputs"]}
    spec = {**manifest["reading"], "columns": columns}
    path = scratch / "compared.csv"
    path.write_bytes(input_csv(read_table(source, spec).head(COMPARED_ROWS)[list(columns)], spec))
    return path
