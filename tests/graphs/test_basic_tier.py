"""A build in tier T3, where programs can read our files: nothing of ours lies in clear, and everything still works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import modelwright

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "2", "--folds", "2"]


@pytest.mark.campaign
def test_artifacts_of_the_basic_tier_are_veiled(loans_csv: Path, home: Path, tmp_path: Path) -> None:
    """Every artifact of the run is encrypted and no job folder is left; receipts, predictions and `verify` work."""
    key = {"MODELWRIGHT_KEY_FILE": str(tmp_path / "veil.key")}
    done = modelwright("build", loans_csv, *OPTIONS, "--sandbox", "T3", "--name", "basic", home=home, **key)
    assert done.code == 0, done.err
    assert "T3" in done.err
    artifacts = [path for path in (home / "artifacts").rglob("*") if path.is_file()]
    assert len(artifacts) > 20
    assert all(path.read_bytes().startswith(b"modelwright-veil") for path in artifacts)
    assert not list((home / "jobs").rglob("*.arrow"))
    assert modelwright("predict", "basic", loans_csv, "--out", tmp_path / "out.csv", home=home, **key).code == 0
    assert modelwright("verify", "basic", home=home, **key).code == 0
    assert modelwright("doctor", "basic", home=home, **key).code == 0
    (tmp_path / "veil.key").unlink()
    lost = modelwright("fork", "basic", "--at", "strategist", "--set", "refit=train", home=home, **key)
    assert lost.code != 0
    assert "key" in lost.err
    assert "Traceback" not in lost.err
