"""Whole builds of each kind of target on real data: what the release returns, and that it can be rebuilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine

from tests.support.command import ROOT, modelwright

pytestmark = pytest.mark.campaign
QUICK = ["--time-limit", "60", "--iterations", "1", "--candidates", "3", "--json"]


def _build(folder: Path, frame: pd.DataFrame, *arguments: str) -> tuple[dict, pd.DataFrame]:
    """Build, predict the same rows, verify the release. Returns the summary and the predictions."""
    home, data = folder / "home", folder / "data.csv"
    frame.to_csv(data, index=False)
    built = modelwright("build", data, *arguments, *QUICK, home=home)
    assert built.code == 0, built.err
    done = modelwright("predict", "last", data, "--out", folder / "out.csv", home=home)
    assert done.code == 0, done.err
    verified = modelwright("verify", "last", home=home)
    assert verified.code == 0, verified.out + verified.err
    report = modelwright("report", "last", home=home)
    assert report.code == 0, report.err
    return built.json(), pd.read_csv(folder / "out.csv")


def test_counts(tmp_path: Path) -> None:
    """Siblings aboard the Titanic by Poisson deviance: no prediction lies at or below 0, and it beats the mean."""
    frame = pd.read_csv(ROOT / "graphs" / "cli" / "titanic.csv").drop(
        columns=["PassengerId", "Name", "Ticket", "Cabin"]
    )
    summary, table = _build(
        tmp_path, frame, "--target", "SibSp", "--kind", "regression", "--metric", "poisson_deviance"
    )
    assert (table["prediction"] > 0).all()
    assert summary["score"] < summary["ladder"][0]["value"]


def test_ordered_classes(tmp_path: Path) -> None:
    """Progression of diabetes in four grades, judged by quadratic weighted kappa."""
    frame = load_diabetes(as_frame=True).frame
    grades = pd.qcut(frame.pop("target"), 4, labels=["low", "medium", "high", "very high"]).astype(str)
    frame = frame.assign(grade=grades)
    summary, table = _build(tmp_path, frame, "--target", "grade", "--metric", "quadratic_weighted_kappa")
    assert list(table.columns[1:]) == ["proba_low", "proba_medium", "proba_high", "proba_very high"]
    assert summary["score"] > 0.4


def test_several_numbers(tmp_path: Path) -> None:
    """Three measures of wine from the others: one column of predictions each."""
    frame = load_wine(as_frame=True).data
    summary, table = _build(tmp_path, frame, "--target", "alcohol,color_intensity,proline")
    assert list(table.columns) == ["prediction_alcohol", "prediction_color_intensity", "prediction_proline"]
    assert np.corrcoef(table["prediction_alcohol"], frame["alcohol"])[0, 1] > 0.7
    assert summary["score"] < summary["ladder"][0]["value"]


def test_labels_as_tags(tmp_path: Path) -> None:
    """Wines tagged by what they are high in: chances and answers per tag, and the tags again."""
    frame = load_wine(as_frame=True).data
    high = {name: frame.pop(name) for name in ("alcohol", "hue", "proline")}
    signs = {name: values > values.median() for name, values in high.items()}
    tags = [";".join(name for name in signs if signs[name][row]) or "alcohol" for row in range(len(frame))]
    frame = frame.assign(high=tags)
    _, table = _build(tmp_path, frame, "--target", "high", "--kind", "multilabel")
    assert list(table.columns[:4]) == ["prediction", "prediction_alcohol", "prediction_hue", "prediction_proline"]
    assert table["proba_proline"].between(0, 1).all()
    assert (table["prediction_proline"] == signs["proline"]).mean() > 0.8
