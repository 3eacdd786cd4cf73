"""`modelwright verify` as a person meets it: on a fresh release, on a changed one, on what is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Built
from tests.support.command import modelwright
from tests.support.inprocess import command_here


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Path:
    """The release of the shared build once more, to be damaged."""
    return Path(shutil.copytree(built.release, tmp_path / "release"))


def test_a_fresh_release_passes_and_its_model_is_built_again(built: Built) -> None:
    """By the run's name: five checks, all passed, exit code 0; the build printed the hash that is held against."""
    done = modelwright("verify", "shared", "--json", home=built.home)
    assert done.code == 0, done.out + done.err
    found = done.json()
    assert found["ok"]
    assert found["whole"]
    assert found["run"] == "shared"
    assert found["manifest_sha256"] == built.summary["manifest"]
    proofs = {proof["name"]: proof for proof in found["proofs"]}
    assert list(proofs) == ["files", "manifest", "examples", "data", "rebuild"]
    assert {proof["status"] for proof in proofs.values()} == {"passed"}
    assert proofs["rebuild"]["detail"].endswith("by the model built again: predictions equal")
    assert done.err == ""


def test_the_hash_is_shown_with_the_run(built: Built) -> None:
    """`show` prints the manifest's hash beside the folder, so that it can be kept elsewhere."""
    assert built.summary["manifest"] in command_here("show", "shared", home=built.home).out


def test_a_changed_copy_is_refused_naming_the_files(built: Built, copy: Path) -> None:
    """One byte, one lost file and one file too many are all named; exit code 1, nothing run, no traceback."""
    model = next((copy / "model_training" / "training_artifacts").rglob("model.json"))
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    (copy / "MODEL_CARD.md").unlink()
    (copy / "model_inference" / "sitecustomize.py").write_text("", "utf-8")
    done = command_here("verify", copy, home=built.home)
    assert done.code == 1
    for line in (
        f"{model.relative_to(copy)}: changed",
        "MODEL_CARD.md: missing",
        "model_inference/sitecustomize.py: not part of the release",
        "The release is not what was published; nothing of it was run.",
    ):
        assert line in done.out
    assert "Traceback" not in done.out + done.err
    found = command_here("verify", copy, "--json", home=built.home)
    assert (found.code, found.json()["ok"]) == (1, False)
    assert len(found.json()["proofs"][0]["problems"]) == 3


def test_a_manifest_of_another_hash_is_refused(built: Built, copy: Path) -> None:
    """A manifest that differs from what the catalogue has, or from --manifest-hash, is refused, in whatever folder."""
    done = command_here("verify", copy, "--manifest-hash", "0" * 64, home=built.home)
    assert done.code == 1
    assert "manifest.json: changed" in done.out
    text = (copy / "manifest.json").read_text("utf-8")
    (copy / "manifest.json").write_text(text.replace('"seed": 0', '"seed": 1'), "utf-8")
    done = command_here("verify", copy, home=built.home)
    assert (done.code, json.loads(text)["seed"]) == (1, 0)
    assert "manifest.json: changed" in done.out


def test_mistakes_are_told_apart_from_failures(built: Built, copy: Path, tmp_path: Path) -> None:
    """No such run, no release in a folder, and data that is not the original end with 5 and say what to do."""
    assert command_here("verify", "sharde", home=built.home).code == 5
    (tmp_path / "empty").mkdir()
    done = command_here("verify", tmp_path / "empty", home=built.home)
    assert (done.code, "holds no release" in done.err) == (5, True)
    other = tmp_path / "loans.csv"
    other.write_text(built.data.read_text("utf-8") + "\n", "utf-8")
    done = command_here("verify", copy, "--data", other, home=built.home)
    assert done.code == 5
    assert "its content has the hash" in done.err
    assert "Traceback" not in done.err
