"""Thresholds, sizes, latencies and preferences, from the command to the release folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.inprocess import command_here
from tests.support.sharing import once
from tests.support.tables import loans
from tools import bagging

SMALL = ["--time-limit", "600", "--iterations", "1", "--candidates", "2", "--folds", "2", "--json"]


def rare(rows: int = 600) -> pd.DataFrame:
    """A binary task with a rare class that is hard to see."""
    rng = np.random.default_rng(11)
    x, z = rng.normal(size=rows), rng.normal(size=rows)
    chance = 1 / (1 + np.exp(-(1.3 * x + 0.8 * z - 2.6)))
    return pd.DataFrame({"x": x.round(4), "z": z.round(4), "bad": np.where(rng.random(rows) < chance, "yes", "no")})


class Quick:
    """A finished build with a metric of labels that prefers speed."""

    def __init__(self, folder: Path) -> None:
        self.home, self.data = folder / "home", folder / "rare.csv"
        self.summary: dict[str, Any] = json.loads((folder / "finished.json").read_text())
        self.release = Path(self.summary["folder"])
        self.manifest: dict[str, Any] = json.loads((self.release / "manifest.json").read_text())


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Quick:
    def build(folder: Path) -> None:
        rare().to_csv(folder / "rare.csv", index=False)
        arguments = ["--target", "bad", "--positive", "yes", "--metric", "f1", "--prefer", "speed", "--name", "quick"]
        done = command_here("build", folder / "rare.csv", *arguments, *SMALL, home=folder / "home")
        assert done.code == 0, done.err
        (folder / "finished.json").write_text(done.out)

    return Quick(once(tmp_path_factory, "quick", build))


def test_the_release_decides_with_the_threshold_that_was_scored(quick: Quick) -> None:
    """One threshold in the manifest, the schema and the card; the predict command answers by it."""
    weights = quick.manifest["combination"]["decision"]
    assert len(weights) == 2
    threshold = weights[0]
    assert threshold < 0.5
    out = quick.home.parent / "predictions.csv"
    done = command_here("predict", "quick", quick.data, "--out", out, home=quick.home)
    assert done.code == 0, done.err
    table = pd.read_csv(out)
    assert (table["prediction"] == np.where(table["proba_yes"] > threshold, "yes", "no")).all()
    assert ((table["proba_yes"] > threshold) & (table["proba_yes"] < 0.5)).any()
    assert "is answered from a probability of" in (quick.release / "MODEL_CARD.md").read_text()


def test_speed_releases_one_small_model(quick: Quick) -> None:
    """No ensemble, one program, and its figures in the manifest."""
    assert [member["weight"] for member in quick.manifest["members"]] == [1.0]
    assert quick.manifest["prefer"] == "speed"
    assert quick.manifest["speed"]["model_bytes"] > 0
    milliseconds = quick.manifest["speed"]["milliseconds"]
    assert 0 < milliseconds["1 row"] < milliseconds["first call"]


def test_latency_and_size_are_in_the_leaderboard(quick: Quick) -> None:
    """Measured for every candidate that finished, shown in JSON, in the terminal and in the report."""
    rows = command_here("leaderboard", "quick", "--json", home=quick.home).json()
    assert all(row["predict_ms"] > 0 and row["model_bytes"] > 0 for row in rows if row["status"] == "done")
    text = command_here("leaderboard", "quick", home=quick.home).out
    assert "ms/1k" in text
    assert "kB" in text or "MB" in text
    assert "1,000 rows" in Path(quick.summary["report"]).read_text()


def test_the_release_verifies(quick: Quick) -> None:
    """Hashes, example rows and the model built again."""
    done = command_here("verify", quick.release, "--json", home=quick.home)
    assert done.code == 0, done.out + done.err


@pytest.mark.campaign
def test_fold_models_are_released_where_quality_is_preferred(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough rows the models of the folds are the release; it predicts, and verify builds them again."""
    monkeypatch.setattr(bagging, "LEAST_ROWS", 100)
    loans().to_csv(tmp_path / "loans.csv", index=False)
    arguments = ["--target", "default", "--prefer", "quality", "--name", "bagged"]
    # Two candidates: the forest's models are too large to be kept of so small a table.
    done = command_here("build", tmp_path / "loans.csv", *arguments, *SMALL, "--folds", "3", home=home)
    assert done.code == 0, done.err
    manifest = json.loads((Path(done.json()["folder"]) / "manifest.json").read_text())
    assert {member["fold"] for member in manifest["members"]} == {0, 1, 2}
    assert any(check["name"] == bagging.AS_IN_TRAINING for check in manifest["checks"])
    again = command_here("verify", Path(done.json()["folder"]), "--json", home=home)
    assert again.code == 0, again.out + again.err
