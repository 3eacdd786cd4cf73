"""Where the search had time for first looks alone, the last fit sees as many rows as the time allows, or none is made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import modelwright
from nodes import operations
from tests.support.tables import loans
from tools.partfit import Part
from tools.search import sizing
from tools.search.looks import Sizing


@pytest.mark.parametrize(
    ("part", "file"), [(Part(150, 60.0), "rows_of_part_150.npy"), (None, "rows_of_fold_0_part_100.npy")]
)
def test_after_first_looks_alone(home: Path, monkeypatch: pytest.MonkeyPatch, part: Part | None, file: str) -> None:
    """The release holds what was fitted on a part, or a look's own model, says which rows those were, and predicts."""
    monkeypatch.setattr(sizing, "size_up", lambda *_, **__: Sizing(folds=2, rows=100))
    monkeypatch.setattr(operations, "part_to_fit", lambda *_: part)
    settings = {"time_limit": 900, "iterations": 1, "candidates": 1, "folds": 3}
    run = modelwright.build(loans(), "default", metric="roc_auc", **settings)
    assert run.status == "done"
    best = next(one for one in run.candidate_records() if one.id == run.summary["best"])
    assert best.plan.rows == 100
    training = Path(run.summary["folder"]) / "model_training"
    (member,) = json.loads((training / "members.json").read_text())
    assert run.summary["refit"] == "train"
    assert member["rows"] == file
    places = np.load(training / file)
    assert len(places) == (part.rows if part else 100)
    assert len(np.unique(places)) == len(places)
    card = (Path(run.summary["folder"]) / "MODEL_CARD.md").read_text()
    assert f"fitted on {len(places)} rows (those outside the test set that the time limit had room for)" in card
    caution = f"The model was fitted on {len(places)} of 192 rows: the time limit had no room for more."
    assert caution in card
    assert caution in Path(run.summary["report"]).read_text()
    notes = " ".join(str(event.get("text", "")) for event in run.log())
    told = "fitted on 150 of" if part else "no time to fit more rows than the first look had"
    assert told in notes
    assert len(run.predict(loans().drop(columns="default").head(7))) == 7


def test_with_time_for_all_rows_the_last_fit_is_the_model_released(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows outside the test set are fitted, by the clock; a further fit would replay what was right for the look's."""
    monkeypatch.setattr(sizing, "size_up", lambda *_, **__: Sizing(folds=2, rows=60))
    settings = {"time_limit": 900, "iterations": 1, "candidates": 1, "folds": 3}
    run = modelwright.build(loans(), "default", metric="roc_auc", **settings)
    assert run.summary["refit"] == "train"
    folder = Path(run.summary["folder"])
    (member,) = json.loads((folder / "model_training" / "members.json").read_text())
    assert (member["fold"], member["rows"]) == (None, None)
    assert "fitted on 192 rows (those outside the test set)" in (folder / "MODEL_CARD.md").read_text()
