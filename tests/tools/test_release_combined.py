"""Releases whose members are combined otherwise than by a mean, decide otherwise than by the most probable class, or are
fold models: each runs on its own and can be trained again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.candidate import Combination
from tests.release.making import BOOSTER, PIPELINE, Made, make_release, outputs
from tools.portable.combining import decide

ENSEMBLE = {"i0-linear": PIPELINE, "i0-boosting": BOOSTER}
RULE = Combination(how="log odds", scale=1.2, offsets=[0.1, -0.1], stacked=True, decision=[0.35, 0.65], source="tuned")


def run(made: Made, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program of the release in a process of its own that cannot see modelwright."""
    paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, "-P", str(made.folder / program), *map(str, arguments)],
        cwd=made.folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def predicted(made: Made, *more: object) -> pd.DataFrame:
    out = made.folder.parent / "predictions.csv"
    run(made, "model_inference/inference.py", "--input", made.data, "--output", out, *more)
    return pd.read_csv(out, keep_default_na=False).drop([3, 50])  # two rows have no target


@pytest.fixture(scope="module")
def bagged(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("bagged"), "binary", ENSEMBLE, [1.0, 3.0], combination=RULE, folds=3)


def test_a_release_decides_and_combines_as_the_framework_does(bagged: Made) -> None:
    """Probabilities to the last digits, labels by the tuned weights, and not those of the most probable class."""
    table = predicted(bagged)
    np.testing.assert_allclose(outputs(table, bagged.task), bagged.expected, rtol=0, atol=1e-9)
    labels = [bagged.task.classes[place] for place in decide(bagged.expected, RULE.rule())]
    assert table["prediction"].tolist() == labels
    assert labels != [bagged.task.classes[place] for place in bagged.expected.argmax(axis=1)]


def test_fold_models_are_averaged(tmp_path: Path) -> None:
    """The prediction of a bagged release is the mean of what its fold models predict one by one."""
    made = make_release(tmp_path, "regression", {"i0-boosting": BOOSTER}, folds=4)
    records = json.loads((made.folder / "model_training" / "members.json").read_text())
    assert [record["fold"] for record in records] == [0, 1, 2, 3]
    assert len({record["program"] for record in records}) == 1
    np.testing.assert_allclose(outputs(predicted(made), made.task), made.expected, rtol=0, atol=1e-9)


def test_fold_models_are_trained_again_on_their_rows(bagged: Made) -> None:
    """train.py finds the rows of each fold, and the new models predict the same; on other data it deals folds anew."""
    out = bagged.folder.parent / "again"
    said = run(bagged, "model_training/train.py", "--data", bagged.data, "--output", out).stdout
    assert "the same" in said
    table = predicted(bagged, "--models", out)
    np.testing.assert_allclose(outputs(table, bagged.task), bagged.expected, rtol=0, atol=1e-6)
    other = bagged.folder.parent / "other.csv"
    other.write_text("\n".join(bagged.data.read_text().splitlines()[:120]) + "\n")
    newer = bagged.folder.parent / "newer"
    run(bagged, "model_training/train.py", "--data", other, "--output", newer)
    assert len(json.loads((newer / "members.json").read_text())) == 6
    assert len(predicted(bagged, "--models", newer)) == len(table)


def test_what_was_fitted_on_a_part_is_trained_again_on_that_part(tmp_path: Path) -> None:
    """Where the time allowed a part of the rows: the same ones again, all rows of other data, and the card says so."""
    made = make_release(tmp_path, "regression", {"i0-boosting": BOOSTER}, part=90)
    again = tmp_path / "again"
    run(made, "model_training/train.py", "--data", made.data, "--output", again)
    np.testing.assert_allclose(outputs(predicted(made, "--models", again), made.task), made.expected, rtol=0, atol=1e-6)
    other = tmp_path / "other.csv"
    other.write_text("\n".join(made.data.read_text().splitlines()[:150]) + "\n")
    newer = tmp_path / "newer"
    said = run(made, "model_training/train.py", "--data", other, "--output", newer).stdout
    assert "using every row" in said
    assert "that the time limit had room for" in (made.folder / "MODEL_CARD.md").read_text()


def test_one_fold_model_is_trained_on_all_of_other_data(tmp_path: Path) -> None:
    """Where one fold's model is released alone, other data has no folds to deal it into: every row is used."""
    made = make_release(tmp_path, "regression", {"i0-boosting": BOOSTER}, folds=1, part=90)
    other = tmp_path / "other.csv"
    other.write_text("\n".join(made.data.read_text().splitlines()[:150]) + "\n")
    newer = tmp_path / "newer"
    run(made, "model_training/train.py", "--data", other, "--output", newer)
    (tmp_path / "whole").mkdir()
    whole = make_release(tmp_path / "whole", "regression", {"i0-boosting": BOOSTER})
    run(whole, "model_training/train.py", "--data", other, "--output", tmp_path / "reference")
    expected = predicted(whole, "--models", tmp_path / "reference")
    pd.testing.assert_frame_equal(predicted(made, "--models", newer), expected)


def test_the_card_says_how_the_model_is_made_and_decides(bagged: Made) -> None:
    """A reader learns that fold models are averaged, that a stack combines them, and where the decision is from."""
    card = (bagged.folder / "MODEL_CARD.md").read_text()
    assert "A stack of 2 programs" in card
    assert "models of the folds, averaged" in card
    assert "Decision: tuned" in card
    manifest = json.loads((bagged.folder / "manifest.json").read_text())
    assert manifest["combination"]["decision"] == [0.35, 0.65]
    assert json.loads((bagged.folder / "model_inference" / "schema.json").read_text())["combination"] == RULE.rule()
