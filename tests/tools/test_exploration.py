"""What the predictions of a candidate show, as findings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from state.candidate import Candidate, Plan
from state.task import Feature, SplitPlan, Task
from tests.support.command import ROOT
from tools.exploration import explore_predictions, worst_rows
from tools.metrics import metric
from tools.recipes.ablating import TOPIC
from tools.recipes.changes import CHANGES
from tools.selection import OutOfFold

CANDIDATE = Candidate(id="c", iteration=0, plan=Plan(id="c", title="c", rationale=""), status="done")


def task(kind: str = "regression") -> Task:
    return Task(
        kind=kind,  # type: ignore[arg-type]  # one of the three
        target="y",
        intent="",
        metric=metric("rmse" if kind == "regression" else "roc_auc"),
        classes=[] if kind == "regression" else ["no", "yes"],
        features=[Feature(name="region", kind="category"), Feature(name="x", kind="numeric")],
        split=SplitPlan(kind="random", folds=2, test_share=0.2, reason="test"),
    )


def features(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"region": ["north", "south"] * (rows // 2), "x": np.linspace(0, 1, rows)})


def topics(found: list) -> set[str]:
    return {finding.topic for finding in found}


def test_a_long_right_tail_is_found() -> None:
    """A skewed positive target is named with its skewness."""
    truth = np.random.default_rng(0).lognormal(0, 1.2, 400)
    found = explore_predictions(
        task(), CANDIDATE, OutOfFold(np.arange(400), np.full(400, truth.mean())), truth, features(400), prefix="i0-f"
    )
    assert "skewed-target" in topics(found)
    assert [finding.id for finding in found] == [f"i0-f{number}" for number in range(1, len(found) + 1)]


def test_a_bad_segment_is_named() -> None:
    """Where one value of a column holds most of the error, the finding says so."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    table = features(400)
    values = truth + np.where(table["region"] == "south", rng.normal(0, 3.0, 400), rng.normal(0, 0.1, 400))
    found = explore_predictions(task(), CANDIDATE, OutOfFold(np.arange(400), values), truth, table, prefix="f")
    segments = [finding for finding in found if finding.topic == "segment"]
    assert segments[0].data["column"] == "region"
    assert segments[0].data["value"] == "south"


def test_a_rare_class_and_the_usual_mistake_are_named() -> None:
    """A model that never says yes is told how much of the rare class it finds."""
    truth = np.array(["yes"] * 20 + ["no"] * 180, dtype=object)
    values = np.tile([0.9, 0.1], (200, 1))
    found = explore_predictions(
        task("binary"), CANDIDATE, OutOfFold(np.arange(200), values), truth, features(200), prefix="f"
    )
    rare = next(finding for finding in found if finding.topic == "imbalance")
    assert "0%" in rare.text
    assert any("'yes' taken for 'no'" in finding.text for finding in found)


def test_good_predictions_give_no_warning() -> None:
    """Nothing is found where there is nothing."""
    truth = np.random.default_rng(0).normal(size=400)
    values = truth + np.random.default_rng(1).normal(0, 0.1, 400)
    assert (
        explore_predictions(task(), CANDIDATE, OutOfFold(np.arange(400), values), truth, features(400), prefix="f")
        == []
    )


def test_the_worst_rows_come_first() -> None:
    """Rows are named by position with what was true and what was said."""
    truth = np.zeros(10)
    values = np.arange(10.0)
    rows = worst_rows(task(), OutOfFold(np.arange(10), values), truth, features(10), most=2)
    assert [row["row"] for row in rows] == [9, 8]
    assert rows[0]["predicted"] == 9.0


def test_the_latest_rows_predicted_worse_are_drift() -> None:
    """Where the last quarter in time has clearly larger errors, the finding says how much; elsewhere there is none."""
    rng = np.random.default_rng(0)
    table = features(400).assign(day=pd.date_range("2024-01-01", periods=400)[::-1])
    in_time = task().model_copy(update={"time_column": "day"})
    truth, late = rng.normal(size=400), np.arange(400) < 100
    values = truth + rng.normal(0, 1.0, 400) * np.where(late, 2.0, 0.5)
    found = explore_predictions(in_time, CANDIDATE, OutOfFold(np.arange(400), values), truth, table, prefix="f")
    drift = next(finding for finding in found if finding.topic == "time-drift")
    assert "'day'" in drift.text
    assert 3 < drift.data["ratio"] < 5
    even = truth + rng.normal(0, 1.0, 400)
    calm = explore_predictions(in_time, CANDIDATE, OutOfFold(np.arange(400), even), truth, table, prefix="f")
    assert "time-drift" not in topics(calm)


def test_whatever_a_change_answers_is_found_somewhere() -> None:
    """No change waits for a finding that nobody makes."""
    made = "".join(path.read_text() for folder in ("tools", "nodes") for path in (ROOT / folder).rglob("*.py"))
    named = {topic for change in CHANGES for topic in change.topics} - {"refine"}
    unmade = [topic for topic in named if f'"topic": "{topic}"' not in made and f'"{topic}" if' not in made]
    assert [topic for topic in unmade if not topic.startswith(TOPIC)] == []
