"""Verifying a release: every change is refused by name, nothing runs before that, and what holds is run and rebuilt."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from state.errors import InputError, NotFound, SafetyRefused
from state.release import DataOrigin
from tests.release.making import BOOSTER, PIPELINE, Made, make_release
from tools.artifacts import open_artifacts
from tools.portable.reading import read_table
from tools.release.checking import MANIFEST, check_release, differences, manifest_hash, read_manifest
from tools.release.folder import publish
from tools.release.known import may_run_as_it_is, run_of_hash
from tools.release.manifest import json_text, sealed
from tools.store import Catalogue, RunRow
from tools.verifying import Verification, verify_release

PYTHON = Path(sys.executable)
PASSED = dict.fromkeys(("files", "manifest", "examples", "data", "rebuild"), "passed")
SAMPLE = '''"""The mean of a few rows, drawn by position."""

import numpy as np


def fit(X, y, *, task, seed, time_limit, n_jobs):
    effective = dict(task.get("effective") or {"rows": 50})
    drawn = np.random.default_rng(seed).choice(len(y), effective["rows"], replace=False)
    return {"mean": float(y.to_numpy()[drawn].mean()), "effective": effective}


def predict(model, X):
    return np.full(len(X), model["mean"])
'''
TRIALS = 800


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """A catalogue of its own."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("made"), "binary", {"i0-linear": PIPELINE, "i0-boosting": BOOSTER})


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A release that is quick to run: it needs no library but numpy and pandas."""
    return make_release(tmp_path_factory.mktemp("light"), "regression", {"sample": SAMPLE})


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """The release once more, to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "release"))


def statuses(found: Verification) -> dict[str, str]:
    return {proof.name: proof.status for proof in found.proofs}


def problems(found: Verification) -> list[str]:
    return [problem for proof in found.proofs for problem in proof.problems]


def row(made: Made, **changes: Any) -> RunRow:
    """What our catalogue has of the run that made it."""
    summary = {"folder": str(made.folder), "manifest": manifest_hash(made.folder)}
    facts = {"id": made.facts.run_id, "name": "calm-otter", "created": made.facts.created, "status": "done"}
    return RunRow.model_validate({**facts, "summary": summary, **changes})


def catalogued(made: Made, home: Path, **changes: Any) -> None:
    catalogue = Catalogue(home / "catalogue.db")
    catalogue.add_run(row(made, **changes))
    catalogue.close()


# ---- every change is seen -------------------------------------------------------------------------------------------


def _flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _truncate(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def _append(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + bytes([chance.randrange(256)]))


def _insert(path: Path, chance: random.Random) -> None:
    content, place = path.read_bytes(), chance.randrange(path.stat().st_size)
    path.write_bytes(content[:place] + b" " + content[place:])


def _delete(path: Path, _: random.Random) -> None:
    path.unlink()


def _rename(path: Path, chance: random.Random) -> None:
    path.rename(path.with_name(f"{path.name}{chance.randrange(10)}"))


def _add(path: Path, chance: random.Random) -> None:
    path.with_name(f"more{chance.randrange(100)}.py").write_bytes(b"")


def _link(path: Path, _: random.Random) -> None:
    target = next(parent for parent in path.parents if parent.name == "release").with_name("linked")
    shutil.copy(path, target)
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES: list[Callable[[Path, random.Random], None]] = [
    *[_flip] * 6,
    _truncate,
    _append,
    _insert,
    _delete,
    _rename,
    _add,
    _link,
    _pipe,
]


def _refusal(folder: Path) -> str:
    """What the check of a folder says, by manifest or in place of it; empty when it finds nothing."""
    try:
        return "\n".join(differences(folder, read_manifest(folder), strict=True))
    except Exception as error:  # noqa: BLE001 - whatever refuses it, the words are looked at
        return str(error)


def test_every_change_of_every_file_is_refused_and_the_file_named(made: Made, copy: Path) -> None:
    """Flipped, cut, longer, deleted, renamed, added, linked, replaced by a pipe: any file, any place, the manifest too."""
    chance = random.Random(0)
    names = sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file())
    chosen = [*names, *[MANIFEST] * len(names)]  # the manifest is half of all: nothing else vouches for it
    assert _refusal(copy) == ""
    for _ in range(TRIALS):
        name, change = chance.choice(chosen), chance.choice(CHANGES)
        original = (copy / name).read_bytes()
        change(copy / name, chance)
        said = _refusal(copy)
        assert said, f"{change.__name__} of {name} went unnoticed"
        assert (name if change is not _add else "more") in said, f"{change.__name__} of {name}: {said}"
        for path in (*copy.parent.glob("linked"), *copy.rglob("more*.py"), *copy.rglob(f"{Path(name).name}[0-9]")):
            path.unlink()
        (copy / name).unlink(missing_ok=True)
        (copy / name).write_bytes(original)
    assert _refusal(copy) == ""


def test_every_byte_of_the_manifest_counts(made: Made, copy: Path) -> None:
    """Without a catalogue, without a hash from elsewhere: no single byte of the manifest can be another one."""
    path = copy / MANIFEST
    original = path.read_bytes()
    for place in range(0, len(original), 11):
        path.write_bytes(original[:place] + bytes([original[place] ^ 0x01]) + original[place + 1 :])
        found = verify_release(copy)
        assert not found.ok, original[max(0, place - 20) : place + 20]
        assert any(problem.startswith(MANIFEST) for problem in problems(found))
        assert statuses(found)["rebuild"] == "skipped"


def test_all_differences_are_named_at_once(copy: Path) -> None:
    """Missing, changed, added, linked, compiled and empty: one list has them all, and --json has it too."""
    (copy / "requirements.txt").write_text("numpy\n", "utf-8")
    (copy / "MODEL_CARD.md").unlink()
    (copy / "model_training" / "extra.py").write_text("", "utf-8")
    (copy / "model_inference" / "__pycache__").mkdir()
    (copy / "model_inference" / "__pycache__" / "inference.cpython-311.pyc").write_bytes(b"")
    (copy / "more").mkdir()
    (copy / "examples").rename(copy.parent / "examples")
    (copy / "examples").symlink_to(copy.parent / "examples")
    found = verify_release(copy)
    assert set(problems(found)) == {
        "requirements.txt: changed",
        "MODEL_CARD.md: missing",
        "model_training/extra.py: not part of the release",
        "model_inference/__pycache__: a folder that is not part of the release",
        "model_inference/__pycache__/inference.cpython-311.pyc: not part of the release",
        "more: a folder that is not part of the release",
        "examples: not part of the release",
        "examples/input.csv: missing",
        "examples/predictions.csv: missing",
    }
    assert problems(Verification.model_validate(json.loads(json.dumps(found.plain())))) == problems(found)


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../outside.txt", "model_training/../../outside.txt", "", "./a", MANIFEST]
)
def test_a_manifest_cannot_name_files_outside(copy: Path, name: str) -> None:
    """A manifest that is sealed all right, and names an absolute or climbing path, is refused by that name."""
    outside = copy.parent / "outside.txt"
    outside.write_text("not of the release", "utf-8")
    content = read_manifest(copy)
    content["files"][name] = {"sha256": "0" * 64, "size": 18}
    _write_manifest(copy, content)
    found = verify_release(copy)
    assert f"{name}: no path inside a release" in problems(found)
    assert statuses(found)["examples"] == "skipped"


@pytest.mark.parametrize(
    "entry", [None, "x", {"sha256": "0" * 64}, {"sha256": 7, "size": 1}, {"sha256": "Z" * 64, "size": -1}]
)
def test_an_entry_that_says_nothing_is_refused(copy: Path, entry: Any) -> None:
    """A file without a hash and a size is not taken as checked."""
    content = read_manifest(copy)
    content["files"]["requirements.txt"] = entry
    _write_manifest(copy, content)
    assert any(problem.startswith("requirements.txt: no hash") for problem in problems(verify_release(copy)))


def _write_manifest(folder: Path, content: dict[str, Any]) -> None:
    plain = {name: value for name, value in content.items() if name != "content_sha256"}
    (folder / MANIFEST).write_text(json_text(sealed(plain)), "utf-8")


# ---- nothing runs before the hashes hold ----------------------------------------------------------------------------


def test_nothing_of_a_changed_release_is_run(copy: Path, made: Made) -> None:
    """Whichever program was changed, it leaves no trace: not in the sandbox, not by a named interpreter."""
    for name in ("model_inference/inference.py", "model_training/train.py", "model_training/programs/i0-linear.py"):
        path = copy / name
        original = path.read_text("utf-8")
        path.write_text(original + f"\nopen({str(copy.parent / 'ran')!r}, 'w').close()\n", "utf-8")
        found = verify_release(copy, data=[made.data], python=PYTHON)
        assert problems(found) == [f"{name}: changed"]
        assert found.where == ""
        path.write_text(original, "utf-8")
    assert not (copy.parent / "ran").exists()


def test_a_manifest_made_anew_is_refused_by_the_hash_from_elsewhere(made: Made, copy: Path, home: Path) -> None:
    """Whoever changes a file and its hash gets past the folder's own word, and not past the catalogue or the build's."""
    wanted = manifest_hash(made.folder)
    program = copy / "model_training" / "train.py"
    program.write_text(program.read_text("utf-8") + f"\nopen({str(copy.parent / 'ran')!r}, 'w').close()\n", "utf-8")
    _hashed_anew(copy, program)
    check_release(copy)
    given = verify_release(copy, wanted_hash=f"sha256:{wanted}")
    assert statuses(given)["manifest"] == "failed"
    catalogued(made, home)
    found = verify_release(copy)  # known by the run's id in the manifest
    assert (found.run, statuses(found)["manifest"]) == ("calm-otter", "failed")
    assert problems(found) == [f"{MANIFEST}: changed"]
    assert not (copy.parent / "ran").exists()


# ---- what holds is run and built again ------------------------------------------------------------------------------


def test_a_fresh_release_passes_in_the_sandbox(light: Made, home: Path) -> None:
    """Files, manifest, examples, data and the model built again all pass; the folder stays as it was."""
    catalogued(light, home)
    told: list[str] = []
    found = verify_release(light.folder, tell=told.append)
    assert statuses(found) == PASSED, found
    assert found.whole
    assert found.where.startswith("sandbox tier")
    assert found.manifest_sha256 == manifest_hash(light.folder)
    details = {proof.name: proof.detail for proof in found.proofs}
    assert details["examples"] == "5 example rows: predictions equal"
    assert details["rebuild"] == "160 rows, by the model built again: predictions equal"
    assert len(told) == 3
    assert differences(light.folder, read_manifest(light.folder), strict=True) == []


def test_a_release_that_does_not_do_what_it_says_fails(light: Made, tmp_path: Path) -> None:
    """Whole files with the right hashes are not enough: example rows answered otherwise, and training that gives another
    model, both fail on the machine that built it; elsewhere a difference of 1e-6 is let pass."""
    copy = Path(shutil.copytree(light.folder, tmp_path / "release"))
    examples, members = copy / "examples" / "predictions.csv", copy / "model_training" / "members.json"
    table = pd.read_csv(examples)
    table.assign(prediction=table["prediction"] * (1 + 1e-8)).to_csv(examples, index=False)
    content = _hashed_anew(copy, examples)
    found = verify_release(copy, python=PYTHON)
    assert statuses(found) == {**PASSED, "manifest": "skipped", "examples": "failed"}
    assert "1e-08, on the same machine with the same versions" in found.proofs[2].detail
    members.write_text(members.read_text("utf-8").replace('"rows": 50', '"rows": 51'), "utf-8")
    content = _hashed_anew(copy, members)
    _write_manifest(copy, {**content, "machine": "Linux riscv64"})
    found = verify_release(copy, python=PYTHON)
    assert statuses(found) == {**PASSED, "manifest": "skipped", "rebuild": "failed"}
    assert "another machine" in found.proofs[2].detail


def _hashed_anew(folder: Path, *paths: Path) -> dict[str, Any]:
    """Put the hashes of files into the manifest, as one who changes a release would."""
    content = read_manifest(folder)
    for path in paths:
        entry = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        content["files"][path.relative_to(folder).as_posix()] = entry
    _write_manifest(folder, content)
    return content


def test_other_data_is_refused_and_lost_data_is_said(light: Made, tmp_path: Path) -> None:
    """A given file must be the original byte for byte; when there is none, the rest is checked and that is said."""
    other = tmp_path / "other.csv"
    other.write_bytes(light.data.read_bytes() + b"\n")
    with pytest.raises(InputError, match=r"other\.csv: its content has the hash"):
        verify_release(light.folder, data=[other], python=PYTHON)
    with pytest.raises(InputError, match="2 files were given, the model was built from 1"):
        verify_release(light.folder, data=[light.data, light.data], python=PYTHON)
    with pytest.raises(InputError, match="no such file"):
        verify_release(light.folder, data=[tmp_path / "none.csv"], python=PYTHON)
    moved = light.data.rename(tmp_path / "moved.csv")
    try:
        found = verify_release(light.folder, python=PYTHON)
    finally:
        moved.rename(light.data)
    assert found.ok
    assert not found.whole
    assert statuses(found)["data"] == statuses(found)["rebuild"] == "skipped"
    assert "give the file with --data" in next(proof.detail for proof in found.proofs if proof.name == "data")


def test_what_is_no_release_is_no_failure_but_a_mistake(tmp_path: Path) -> None:
    """A folder that never was a release, or none at all, is told as such; a lost manifest is a lost file."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotFound):
            verify_release(path)
    (tmp_path / "model_inference").mkdir()
    assert problems(verify_release(tmp_path)) == [f"{MANIFEST}: missing"]


def test_code_nobody_has_read_stays_in_the_sandbox(made: Made, tmp_path: Path) -> None:
    """A release with a pickle, or with a program a language model wrote, is not run by a named interpreter."""
    for number, change in enumerate(({"unsafe": True}, {"expert": "openai:some-model"})):
        members = [made.facts.members[0].but(**change), *made.facts.members[1:]]
        folder = tmp_path / str(number)
        publish(folder, made.files, made.facts.but(members=members), artifacts=made.artifacts)
        with pytest.raises(SafetyRefused, match="in the sandbox only"):
            verify_release(folder, data=[made.data], python=PYTHON)


def test_only_what_the_catalogue_knows_and_we_wrote_runs_as_it_is(made: Made, home: Path) -> None:
    """What a folder says of itself counts for nothing until its hash is in our catalogue."""
    manifest, sha256 = read_manifest(made.folder), manifest_hash(made.folder)
    assert run_of_hash(sha256) is None
    assert not may_run_as_it_is(manifest, sha256)
    catalogued(made, home)
    assert may_run_as_it_is(manifest, sha256)
    assert not may_run_as_it_is(manifest, "0" * 64)
    assert not may_run_as_it_is({**manifest, "unsafe": True}, sha256)
    foreign = [{**manifest["members"][0], "expert": "openai:some-model"}]
    assert not may_run_as_it_is({**manifest, "members": foreign}, sha256)
    catalogue = Catalogue(home / "catalogue.db")
    catalogue.update_run(made.facts.run_id, settings={"experts": {"operations": "openai:some-model"}})
    catalogue.close()
    assert not may_run_as_it_is(manifest, sha256)


def test_a_dataframes_rows_are_found_in_the_store(light: Made, tmp_path: Path) -> None:
    """A model built from a DataFrame is built again from the rows in the store; without them, that is said."""
    table = read_table(light.data, light.read_spec)
    reference = open_artifacts().put_frame(table)
    for number, name in enumerate((reference, "sha256:" + "0" * 64)):
        facts = light.facts.but(origin=DataOrigin(table=name).plain())
        publish(tmp_path / str(number), light.files, facts, artifacts=light.artifacts)
    known, lost = (verify_release(tmp_path / str(number), python=PYTHON) for number in range(2))
    assert statuses(known)["rebuild"] == "passed"
    assert "160 rows of a DataFrame" in next(proof.detail for proof in known.proofs if proof.name == "data")
    assert statuses(lost)["data"] == "skipped"
