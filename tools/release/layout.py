"""The files a release runs with: where each lies in the folder, and what members.json says of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from state.candidate import Combination
from state.errors import ArtifactDamaged
from state.release import ReleaseMember
from state.task import Task
from tools.artifacts import ArtifactStore
from tools.release import inference, requirements, training
from tools.release.manifest import bare_manifest, json_text
from tools.release.sources import portable, runtime_names

PROGRAM_MODULE = "program"
"""Name a program's module has while it runs here and in a release; pickled classes of its own are found by it."""
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def runtime_files(
    members: Sequence[ReleaseMember],
    *,
    task: Task,
    read_spec: dict[str, Any],
    inference_code: str,
    artifacts: ArtifactStore,
    seed: int = 0,
    n_jobs: int = 1,
    order: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    combination: Combination | None = None,
    parts: dict[tuple[int | None, int], np.ndarray] | None = None,
) -> dict[str, str]:
    """All files that prediction and training need: path in the release → artifact reference.

    inference_code: text of inference.py · seed, n_jobs: what the members were fitted with · order: positions, among the
    labelled rows of the data in the order of the file, of the rows the members were fitted on, in fitting order ·
    labels: canonical labels of all labelled rows in the order of the file. With order and labels, train.py recognises
    the data and repeats the released fit row by row; without them it uses every row it is given. combination: how the
    members are combined and how probabilities are decided. parts: for members that were not fitted on all rows, their (fold,
    rows) → positions among the rows of `order` that they were fitted on, in fitting order. The manifest among
    them holds their hashes and nothing else; `publish` replaces it.
    Writes the files that are new to the artifact store.
    """
    codes = {member.program: artifacts.get_text(member.program) for member in members}
    known = training.labels_hash(labels, task) if labels is not None else None
    schema = inference.schema(task, read_spec, seed=seed, n_jobs=n_jobs, labels=known, combination=combination)
    names = file_names(members)
    records = [
        _member_record(member, name, codes[member.program], artifacts)
        for member, name in zip(members, names, strict=True)
    ]
    texts = {
        "model_inference/inference.py": inference_code,
        **{f"model_inference/{name}": portable(name) for name in runtime_names(read_spec)},
        "model_inference/schema.json": json_text(schema),
        "model_training/train.py": training.training_program(task, members),
        "model_training/members.json": json_text(records),
        "requirements.txt": _requirements(members, codes, read_spec, inference_code),
    }
    files = {path: artifacts.put_text(text) for path, text in texts.items()}
    for member, name in zip(members, names, strict=True):
        files[_program_path(member)] = member.program
        files |= {f"model_training/training_artifacts/{name}/{file}": ref for file, ref in member.model.items()}
    if order is not None and known is not None:
        files["model_training/rows.npy"] = artifacts.put(_npy(np.asarray(order, dtype=np.int64)))
        for (fold, rows), places in (parts or {}).items():
            files[f"model_training/{_rows_file(fold, rows)}"] = artifacts.put(_npy(np.asarray(places, dtype=np.int64)))
    hashes = {path: reference.removeprefix("sha256:") for path, reference in files.items()}
    files["manifest.json"] = artifacts.put_text(json_text(bare_manifest(hashes)))
    return dict(sorted(files.items()))


def file_names(members: Sequence[ReleaseMember]) -> list[str]:
    """Names of the members' models: the candidates' ids, made safe for a file system where a person's id is not.

    That of a fold model ends with the number of its fold.
    """
    return [_safe_name(member) + ("" if member.fold is None else f".fold-{member.fold}") for member in members]


def _rows_file(fold: int | None, rows: int) -> str | None:
    """Name of the file with the positions that a member was fitted on; None where those are all."""
    words = [] if fold is None else [f"fold_{fold}"]
    words += [f"part_{rows}"] if rows else []
    return f"rows_of_{'_'.join(words)}.npy" if words else None


def _program_path(member: ReleaseMember) -> str:
    """Where the program lies; fold models share theirs."""
    return f"model_training/programs/{_safe_name(member)}.py"


def _safe_name(member: ReleaseMember) -> str:
    name = member.candidate
    if _SAFE_NAME.fullmatch(name) and not name.endswith("."):
        return name
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:60].strip('-') or 'member'}-{digest}"


def copy_checked(source: IO[bytes], reference: str, target: IO[bytes]) -> tuple[str, int]:
    """Copy an artifact's stream, hashing it on the way. Returns (sha256 hex, bytes).

    Raises ArtifactDamaged when the content is not what `reference` promises.
    """
    digest, size = hashlib.sha256(), 0
    while block := source.read(1 << 20):
        digest.update(block)
        size += len(block)
        target.write(block)
    if digest.hexdigest() != reference.removeprefix("sha256:"):
        raise ArtifactDamaged(
            f"artifact {reference!r} has other content than its name says",
            hint="`modelwright doctor` finds damaged artifacts; `modelwright build --fresh` makes them again",
        )
    return digest.hexdigest(), size


def _member_record(member: ReleaseMember, name: str, code: str, artifacts: ArtifactStore) -> dict[str, Any]:
    """One entry of members.json, all that inference.py and train.py need to know of a member."""
    return {
        "candidate": member.candidate,
        "weight": member.weight,
        "module": PROGRAM_MODULE,
        "program": _program_path(member).removeprefix("model_training/"),
        "program_sha256": hashlib.sha256(code.encode("utf-8")).hexdigest(),
        "effective": member.effective,
        "fold": member.fold,
        "rows": _rows_file(member.fold, member.rows),
        "model": f"training_artifacts/{name}",
        "files": {file: reference.removeprefix("sha256:") for file, reference in sorted(member.model.items())},
        "own_saving": member.own_saving,
        "unsafe": member.unsafe,
    }


def _requirements(
    members: Sequence[ReleaseMember], codes: dict[str, str], read_spec: dict[str, Any], inference_code: str
) -> str:
    runtime = [inference_code, *map(portable, runtime_names(read_spec))]
    saved = [file for member in members if not member.own_saving for file in member.model]
    return requirements.requirements(
        requirements.needed(
            codes.values(),
            runtime,
            saved,
            read_spec.get("format") or "csv",
            pictures=any(column["type"] == "image" for column in read_spec["columns"].values()),
        )
    )


def _npy(array: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
