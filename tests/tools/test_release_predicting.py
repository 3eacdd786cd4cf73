"""Predicting with a release from outside: checked first, run in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.errors import ArtifactDamaged, InputError, ModelwrightError, NotFound
from tests.release.making import BOOSTER, ODD_LABELS, OWN_SAVING, PIPELINE, Made, make_release, outputs
from tools.release.predicting import predict_with_release

TELL_TALE = '''"""An inference program that looks around and then fails."""

import os
import sys

sys.stderr.write("saw " + os.environ.get("A_SECRET", "nothing") + "\\n")
raise ValueError("out of order")
'''


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """A catalogue that knows none of the releases here, so that all of them are run in the sandbox."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("made"), "multiclass", {"i0-linear": PIPELINE, "i0-boosting": BOOSTER})


def test_a_frame_is_answered_row_by_row(made: Made) -> None:
    """A frame with another column order, further columns and its own index comes back with labels and that index."""
    frame = made.features.iloc[:, ::-1].assign(more=1).set_index(made.features.index + 1000)
    table = predict_with_release(made.folder, frame)
    assert table.index.tolist() == frame.index.tolist()
    np.testing.assert_allclose(outputs(table, made.task), made.expected, rtol=0, atol=1e-9)
    assert set(table["prediction"]) <= set(ODD_LABELS)


def test_a_file_is_answered_into_a_file(made: Made, tmp_path: Path) -> None:
    """With an output the predictions are written as CSV, one line per input row."""
    assert predict_with_release(made.folder, made.data, output=tmp_path / "predictions.csv") is None
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert len(table) == 160
    np.testing.assert_allclose(outputs(table.drop([3, 50]), made.task), made.expected, rtol=0, atol=1e-9)


def test_rows_that_do_not_fit_are_refused(made: Made, tmp_path: Path) -> None:
    """Missing columns are named for a frame and for a file; a missing file is said to be missing."""
    with pytest.raises(InputError, match="'city'"):
        predict_with_release(made.folder, made.features.drop(columns="city"))
    (tmp_path / "new.csv").write_text("age;city\n1;x\n", "utf-8")
    with pytest.raises(InputError, match="'seen on'"):
        predict_with_release(made.folder, tmp_path / "new.csv")
    with pytest.raises(NotFound, match=r"absent\.csv"):
        predict_with_release(made.folder, tmp_path / "absent.csv")


def test_a_changed_release_does_not_run(made: Made, tmp_path: Path) -> None:
    """When a file differs from the manifest nothing of the release is executed."""
    copy = Path(shutil.copytree(made.folder, tmp_path / "release"))
    program = copy / "model_inference" / "inference.py"
    program.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()", "utf-8")
    with pytest.raises(ArtifactDamaged, match=r"inference\.py: changed"):
        predict_with_release(copy, made.features)
    assert not (tmp_path / "ran").exists()


def test_a_failing_program_is_reported_and_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program says when it fails is in the error; variables of ours are not in its environment."""
    monkeypatch.setenv("A_SECRET", "hunter2")
    made = make_release(tmp_path, "regression", {"own": OWN_SAVING}, inference_code=TELL_TALE)
    with pytest.raises(ModelwrightError, match="out of order") as caught:
        predict_with_release(made.folder, made.features)
    assert "saw nothing" in str(caught.value)


def test_predicting_leaves_the_release_as_it_was(made: Made) -> None:
    """Nothing is written into the folder, not even compiled Python."""
    before = sorted(made.folder.rglob("*"))
    predict_with_release(made.folder, made.features.head(2))
    assert sorted(made.folder.rglob("*")) == before
