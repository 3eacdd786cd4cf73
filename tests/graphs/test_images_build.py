"""A build on images named in a column: from the files to a release that reads them itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.command import environment, modelwright

Image = pytest.importorskip("PIL.Image")


def _write(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """Images as PNG files beside a table that names them."""
    (folder / "digits").mkdir(parents=True)
    names = [f"digits/d{number:04d}.png" for number in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(np.asarray(image * 255 / 16, dtype=np.uint8)).save(folder / name)
    pd.DataFrame({"image": names, "digit": labels}).to_csv(folder / "digits.csv", index=False)
    return folder / "digits.csv"


@pytest.mark.campaign
def test_digits_from_image_files(tmp_path: Path) -> None:
    """Digits as PNG files are told by a release, through our command and by its own program, alike and well."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    table = _write(tmp_path / "known", digits.images[:1200], digits.target[:1200])
    home = tmp_path / "home"
    arguments = ["--target", "digit", "--intent", "Which digit is on the image?", "--metric", "accuracy", "--json"]
    built = modelwright("build", table, *arguments, "--iterations", "1", "--time-limit", "120", home=home)
    assert built.code == 0, built.err
    release = Path(built.json()["folder"])
    assert "pillow==" in (release / "requirements.txt").read_text()
    assert (release / "model_inference" / "images.py").is_file()
    manifest = json.loads((release / "manifest.json").read_text())
    assert [one["kind"] for one in manifest["inputs"]] == ["image"]

    new = _write(tmp_path / "new", digits.images[1200:], digits.target[1200:])
    ours = tmp_path / "ours.csv"
    assert modelwright("predict", release, new, "--out", ours, home=home).code == 0
    own = tmp_path / "own.csv"
    program = [sys.executable, release / "model_inference" / "inference.py", "--input", new, "--output", own]
    subprocess.run(program, check=True, env=environment(home, PYTHONPATH=""))
    assert ours.read_text() == own.read_text()
    told = pd.read_csv(own)["prediction"].to_numpy()
    assert (told == digits.target[1200:]).mean() > 0.93  # other writers than in the first 1,200

    (tmp_path / "new" / "digits" / "d0003.png").unlink()
    refused = modelwright("predict", release, new, "--out", ours, home=home)
    assert refused.code == 5
    assert "1 image file is not there: 'digits/d0003.png'" in refused.err
    proved = modelwright("verify", release, home=home)
    assert proved.code == 0, proved.out + proved.err
