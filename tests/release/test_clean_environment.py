"""A release in an environment that has its requirements.txt and nothing else.

Takes about a minute: it makes a virtual environment and installs the pinned libraries from the configured index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.release.making import BOOSTER, PIPELINE, Kind, Made, make_release, outputs
from tests.support.sharing import once
from tools.release.folder import check_release, manifest_hash
from tools.verifying import verify_release

KINDS: list[Kind] = ["binary", "multiclass", "regression"]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Made]:
    """An ensemble of a scikit-learn pipeline and a LightGBM booster for each kind of task."""
    programs = {"i0-linear": PIPELINE, "i0-boosting": BOOSTER}
    return {kind: make_release(tmp_path_factory.mktemp(kind), kind, programs, [1.0, 2.0]) for kind in KINDS}


@pytest.fixture(scope="module")
def python(releases: dict[Kind, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the requirements of the releases, which are the same for all three."""
    texts = {(made.folder / "requirements.txt").read_text("utf-8") for made in releases.values()}
    assert len(texts) == 1
    text = texts.pop()
    return once(tmp_path_factory, "environment", lambda root: _install(root, text)) / "venv" / "bin" / "python"


def _install(root: Path, requirements: str) -> None:
    (root / "requirements.txt").write_text(requirements, "utf-8")
    subprocess.run([sys.executable, "-m", "venv", str(root / "venv")], check=True)
    python = root / "venv" / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-r", str(root / "requirements.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the requirements could not be installed:\n{done.stderr}"


@pytest.fixture
def release(request: pytest.FixtureRequest, releases: dict[Kind, Made], tmp_path: Path) -> tuple[Made, Path]:
    """The release as somebody else has it: copied elsewhere, read-only files and all."""
    made = releases[request.param]
    return made, Path(shutil.copytree(made.folder, tmp_path / "somewhere else" / "model"))


def run(python: Path, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as the README says it, without any variable of this process."""
    surroundings = {"PATH": os.defpath, "HOME": str(cwd), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(python), *map(str, arguments)], cwd=cwd, env=surroundings, capture_output=True, text=True, check=False
    )


def test_the_environment_has_nothing_of_ours(python: Path, tmp_path: Path) -> None:
    """Neither this project nor what it is built on can be imported there."""
    for name in ("modelwright", "tools", "state", "langgraph", "pydantic"):
        assert run(python, "-c", f"import {name}", cwd=tmp_path).returncode != 0


@pytest.mark.parametrize("release", KINDS, indirect=True)
def test_inference_gives_the_predictions_of_the_training_process(
    release: tuple[Made, Path], python: Path, tmp_path: Path
) -> None:
    """inference.py on a new file, run as the model card says, equals the fitted models to 1e-9, without a word."""
    made, folder = release
    shutil.copy(made.data, tmp_path / "new.csv")
    script = folder / "model_inference" / "inference.py"
    done = run(python, script, "--input", "new.csv", "--output", "predictions.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    check_release(folder)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert len(table) == len(made.features) + 2
    np.testing.assert_allclose(outputs(table.drop([3, 50]), made.task), made.expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "release", ["binary", *(pytest.param(kind, marks=pytest.mark.campaign) for kind in KINDS[1:])], indirect=True
)  # the multiclass one is trained again by the verification below
def test_training_gives_the_same_model_again(release: tuple[Made, Path], python: Path, tmp_path: Path) -> None:
    """train.py on the training data makes models whose predictions equal the released ones to 1e-9."""
    made, folder = release
    done = run(python, folder / "model_training" / "train.py", "--data", made.data, "--output", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the same 158 rows in the same order" in done.stdout
    script = folder / "model_inference" / "inference.py"
    rows = ("--input", made.data, "--output", "predictions.csv")
    done = run(python, script, "--models", "again", *rows, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    table = pd.read_csv(tmp_path / "predictions.csv")
    np.testing.assert_allclose(outputs(table.drop([3, 50]), made.task), made.expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("release", ["multiclass"], indirect=True)
def test_verify_passes_on_a_fresh_release(release: tuple[Made, Path], python: Path, home: Path) -> None:
    """Every file, the example rows and the model built again hold, run by an interpreter that has nothing of ours."""
    made, folder = release
    found = verify_release(folder, data=[made.data], wanted_hash=manifest_hash(made.folder), python=python)
    assert [(proof.name, proof.status) for proof in found.proofs] == [
        (name, "passed") for name in ("files", "manifest", "examples", "data", "rebuild")
    ], found
    assert found.proofs[-1].detail == "160 rows, by the model built again: predictions equal"
