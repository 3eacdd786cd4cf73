"""What the quality benchmark says of measured cells: wins, ties, losses, failures, holes, and every loss in the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from benchmarks import publishing, sets
from benchmarks.chart import draw
from benchmarks.verdicts import Comparison, compare

ACCURACY = {"metric": "accuracy", "task": "binary", "target": "y"}
SETS = [
    {"name": "easy", **ACCURACY},
    {"name": "hard", **ACCURACY},
    {"name": "later", "metric": "mae", "task": "regression", "target": "y", "split": "time"},
]


def cell(name: str, tool: str, score: float | None, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A measured cell; a score of None is a failure."""
    trivial = 10.0 if name == "later" else 0.5
    return {
        "set": name,
        "tool": tool,
        "seed": seed,
        "limit": 60,
        "metric": "mae" if name == "later" else "accuracy",
        "time_ordered": name == "later",
        "trivial": trivial,
        "seasonal_naive": None,
        "score": score,
        "failed": None if score is not None else "fit ended with code 1: Traceback\nValueError: no | can do",
        "wall": 50.0,
        "cpu_seconds": 90.0,
        "peak_mb": 700.0,
        "memory_by": "pss",
        "date": "2026-11-21T10:00:00+0000",
        "machine": {"name": "here", "processor": "a processor", "cores": 2, "memory_gb": 24},
        "commit": "abc",
        "beside": "tree1",
        **more,
    }


def found(*cells: dict[str, Any]) -> Comparison:
    return compare(SETS, list(cells), limit=60)


def test_the_anchor_is_the_better_autogluon_preset_of_each_set() -> None:
    """Also where lower is better, and a preset that failed is no anchor."""
    rows = found(
        cell("easy", "autogluon_best", 0.8),
        cell("easy", "autogluon_medium", 0.9),
        cell("hard", "autogluon_best", None),
        cell("hard", "autogluon_medium", 0.6),
        cell("later", "autogluon_best", 4.0),
        cell("later", "autogluon_medium", 5.0),
    ).rows
    assert [row.anchor for row in rows] == ["autogluon_medium", "autogluon_medium", "autogluon_best"]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (0.91, 0.90, "win"),
        (0.9005, 0.90, "tie"),
        (0.8995, 0.90, "tie"),
        (0.89, 0.90, "loss"),
        (None, 0.90, "loss (failed)"),
        (0.6, None, "win (it failed)"),
        (None, None, ""),
        (1.0, 1.0, "tie"),
        (0.9, 1.0, "loss"),
    ],
)
def test_a_verdict_compares_errors_and_a_failure_loses(ours: float | None, theirs: float | None, verdict: str) -> None:
    """A tie is an error within one per cent; who failed loses to who did not; two failures say nothing."""
    row = found(cell("easy", "modelwright", ours), cell("easy", "autogluon_best", theirs)).rows[0]
    assert row.verdict("anchor") == verdict


def test_what_was_not_measured_gives_no_verdict() -> None:
    """A hole is no win and no loss, and is named."""
    said = found(cell("easy", "modelwright", 0.9), cell("easy", "flaml", 0.8))
    assert [said.rows[0].verdict(name) for name in ("anchor", "flaml", "boosting")] == ["", "win", ""]
    assert "easy 0 autogluon_best" in said.missing
    assert "easy 0 autogluon_series" not in said.missing
    assert said.statements()["normalised"] is None


def test_tools_are_compared_on_the_seeds_both_have() -> None:
    """A seed that only one tool has moves neither mean of a comparison."""
    row = found(
        cell("easy", "modelwright", 0.9),
        cell("easy", "modelwright", 0.1, seed=1),
        cell("easy", "flaml", 0.8),
    ).rows[0]
    assert row.ratio("flaml") == pytest.approx(0.5)


def test_normalised_scores_and_ratios_are_clipped() -> None:
    """1 is the anchor, 0 the constant; nothing below 0 or above 1.5, no ratio beyond three."""
    rows = found(
        cell("easy", "modelwright", 0.99),
        cell("easy", "autogluon_best", 0.7),
        cell("hard", "modelwright", 0.4),
        cell("hard", "autogluon_best", 0.7),
        cell("later", "modelwright", 4.0),
        cell("later", "autogluon_best", 5.0),
    ).rows
    assert [row.normalised for row in rows] == [1.5, 0.0, pytest.approx(1.2)]
    assert rows[0].ratio("autogluon_best") == pytest.approx(1 / 3)


def test_a_failed_build_is_worth_nothing_and_an_anchor_below_the_constant_does_not_turn_the_sign() -> None:
    """Failing gives 0; against an anchor that is worse than the constant only win, tie and loss count."""
    failed = found(cell("easy", "modelwright", None), cell("easy", "autogluon_best", 0.7)).rows[0]
    better = found(cell("easy", "modelwright", 0.48), cell("easy", "autogluon_best", 0.4)).rows[0]
    worse = found(cell("easy", "modelwright", 0.3), cell("easy", "autogluon_best", 0.4)).rows[0]
    assert (failed.normalised, better.normalised, worse.normalised) == (0.0, 1.5, 0.0)


def whole() -> Comparison:
    """All five tools on two sets, one loss, one failure; a forecast beside them."""
    account = {
        "expected": {"low": 0.8, "high": 0.95, "value": 0.9},
        "test": {"value": 0.85},
        "engine": {"share": 0.1, "seconds": 5.0},
    }
    missed = {**account, "test": {"value": 0.7}}
    return found(
        cell("easy", "modelwright", 0.95, account=account, latency=0.1),
        cell("easy", "autogluon_best", 0.90, latency=0.4),
        cell("easy", "autogluon_medium", 0.85),
        cell("easy", "flaml", 0.90),
        cell("easy", "boosting", 0.80),
        cell("hard", "modelwright", 0.60, account=missed, latency=0.5, wall=70.0),
        cell("hard", "autogluon_best", 0.70, latency=0.4),
        cell("hard", "autogluon_medium", 0.65),
        cell("hard", "flaml", None),
        cell("hard", "boosting", 0.61),
        cell("later", "modelwright", 4.0),
        cell("later", "autogluon_series", 3.0),
    )


def test_the_statements_count_what_happened() -> None:
    """Verdicts, ranks (equal errors share theirs, a failed tool is last), promises kept and broken."""
    says = whole().statements()
    assert says["verdicts"]["anchor"] == {"win": ["easy"], "tie": [], "loss": ["hard"]}
    assert says["verdicts"]["flaml"] == {"win": ["easy", "hard"], "tie": [], "loss": []}
    assert says["verdicts"]["boosting"]["loss"] == ["hard"]
    assert says["mean_rank"] == {
        "modelwright": 2.5,
        "autogluon_best": 1.75,
        "autogluon_medium": 3.0,
        "flaml": 3.75,
        "boosting": 4.0,
    }
    assert says["verdicts"]["autogluon_series"] == {"win": [], "tie": [], "loss": ["later"]}
    assert says["worst_set"] == "hard"
    assert says["error_ratio"]["anchor"] == pytest.approx(np.sqrt(0.5 * 0.4 / 0.3))
    assert says["within_limit"]["modelwright"] == {"within": 2, "of": 3, "longest": 70.0}
    assert says["coverage"] == {"independent": {"covered": 1, "of": 2}, "time_ordered": None}
    assert says["latency_below_autogluon_best"] == {"sets": 1, "of": 2}
    assert says["failed"]["flaml"] == 1


def test_the_text_shows_losses_and_failures_as_plainly_as_wins() -> None:
    """Counts, the name and size of each loss, a mark in the table, and why a cell failed, safe inside Markdown."""
    text = publishing.text_of(whole(), "quality.svg")
    assert "**1 wins, 0 ties, 1 losses**" in text
    assert "- Lost to the anchor: hard (error × 1.333)." in text
    assert "- Lost to FLAML: no set." in text
    assert "- Lost to AutoGluon's time series predictor: later (error × 1.333)." in text
    assert "| **loss** |" in text
    assert "- Failed: flaml on hard, seed 0: ValueError: no \\| can do" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in table if line.startswith("| easy")} == {table[0].count(" | ")}


def test_writing_replaces_what_stands_between_the_markers_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, JSON and a self-contained chart; a second writing changes nothing."""
    document = tmp_path / "benchmarks.md"
    document.write_text("before\n<!-- quality -->\nan earlier table\n<!-- /quality -->\nafter\n")
    monkeypatch.setattr(publishing, "DOCS", document)
    monkeypatch.setattr(publishing, "RESULTS", tmp_path / "results")
    publishing.publish(whole(), "quality", 60, write=True)
    content = document.read_text()
    assert content.startswith("before\n<!-- quality -->\n")
    assert content.endswith("<!-- /quality -->\nafter\n")
    assert "an earlier table" not in content
    drawn = (tmp_path / "quality.svg").read_bytes()
    assert b"hard" in drawn
    assert b'href="http' not in drawn
    assert len(json.loads((tmp_path / "results" / "quality.json").read_text())["rows"]) == 3
    draw(whole(), tmp_path / "again.svg")
    publishing.publish(whole(), "quality", 60, write=True)
    assert document.read_text() == content
    assert (tmp_path / "again.svg").read_bytes() == drawn


def test_scores_are_those_of_scikit_learn() -> None:
    """The metrics that take a table of predictions apart themselves."""
    truth = np.array(["0", "1", "2", "1"])
    shares = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.4, 0.5], [0.7, 0.2, 0.1]])
    table = pd.DataFrame(shares, columns=["proba_0", "proba_1", "proba_2"])
    table["prediction"] = ["0", "1", "2", "0"]
    assert sets.score({"metric": "log_loss"}, truth, table) == pytest.approx(metrics.log_loss(truth, shares))
    kappa = metrics.cohen_kappa_score(truth.astype(int), [0, 1, 2, 0], weights="quadratic")
    assert sets.score({"metric": "quadratic_kappa"}, truth, table) == pytest.approx(kappa)
    assert sets.error({"metric": "log_loss"}, 0.3) == 0.3
