"""A whole build from the command line: what a person gets, and what the release does on its own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from tests.conftest import Built
from tests.support.inprocess import command_here


def test_a_build_ends_with_score_interval_and_paths(built: Built) -> None:
    """The result names metric, score, interval, sealed test, baselines and where everything lies."""
    one = built.summary
    assert one["status"] == "done"
    assert one["low"] <= one["score"] <= one["high"]
    assert one["test"]["low"] <= one["test"]["value"] <= one["test"]["high"]
    assert one["ladder"][0]["name"] == "constant"
    assert one["opening"]["number"] == 1
    assert built.release.is_dir()


def test_progress_goes_to_stderr_and_results_to_stdout(built: Built) -> None:
    """With --json stdout is one JSON document; the phases are told on stderr in plain lines."""
    assert built.finished.out.lstrip().startswith("{")
    for phase in ("analyst", "examiner", "researcher", "strategist", "operations", "reviewer", "publisher"):
        assert f"{phase}:" in built.finished.err
    assert "\x1b" not in built.finished.err


def test_the_identifier_is_left_out_and_said(built: Built) -> None:
    """An id-like column is no feature, and a person is told."""
    events = command_here("log", "shared", "--json", home=built.home).json()
    task = next(event["data"] for event in events if event["kind"] == "task")
    assert "loan_id" in task["excluded"]
    assert "loan_id" in built.finished.err


def test_the_release_holds_everything_it_needs(built: Built) -> None:
    """Training and inference programs, manifest, requirements, card, report, examples."""
    names = {str(path.relative_to(built.release)) for path in built.release.rglob("*") if path.is_file()}
    for wanted in (
        "model_training/train.py",
        "model_inference/inference.py",
        "manifest.json",
        "requirements.txt",
        "MODEL_CARD.md",
        "report.html",
        "examples/input.csv",
        "examples/predictions.csv",
    ):
        assert wanted in names
    manifest = json.loads((built.release / "manifest.json").read_text())
    assert "modelwright" not in (built.release / "requirements.txt").read_text()
    assert manifest["format_version"] == 2


def test_predict_writes_one_line_per_row_in_order(built: Built, tmp_path) -> None:
    """Predictions follow the input rows, with a probability per class that adds up to one."""
    out = tmp_path / "predictions.csv"
    done = command_here("predict", "shared", built.data, "--out", out, home=built.home)
    assert done.code == 0, done.err
    table = pd.read_csv(out)
    assert list(table.columns) == ["prediction", "proba_no", "proba_yes"]
    assert len(table) == len(built.frame())
    assert np.allclose(table["proba_no"] + table["proba_yes"], 1.0)
    agreement = (table["prediction"] == built.frame()["default"]).mean()
    assert agreement > 0.75


def test_columns_may_be_reordered_and_added(built: Built, tmp_path) -> None:
    """Columns are found by name; others are left out."""
    rows = built.frame().head(20)
    odd = rows[rows.columns[::-1]].assign(extra="x").drop(columns="default")
    odd.to_csv(tmp_path / "odd.csv", index=False)
    rows.to_csv(tmp_path / "plain.csv", index=False)
    one = command_here("predict", "shared", tmp_path / "plain.csv", home=built.home)
    other = command_here("predict", "shared", tmp_path / "odd.csv", home=built.home)
    assert one.code == other.code == 0, other.err
    assert one.out == other.out


def test_a_missing_column_is_named(built: Built, tmp_path) -> None:
    """Rows that do not fit the model are refused without a traceback, naming the column."""
    built.frame().drop(columns="income").to_csv(tmp_path / "short.csv", index=False)
    done = command_here("predict", "shared", tmp_path / "short.csv", home=built.home)
    assert done.code == 5
    assert "income" in done.err
    assert "Traceback" not in done.err


def test_listing_showing_and_ranking(built: Built) -> None:
    """ls, show and leaderboard tell the same run by name, id prefix and 'last'."""
    assert "shared" in command_here("ls", home=built.home).out
    by_prefix = command_here("show", built.summary["run_id"][:8], "--json", home=built.home).json()
    assert by_prefix == command_here("show", "last", "--json", home=built.home).json()
    rows = command_here("leaderboard", "shared", "--json", home=built.home).json()
    assert sum(row["best"] for row in rows) == 1
    scores = [row["score"] for row in rows if row["score"] is not None]
    assert scores == sorted(scores, reverse=by_prefix["summary"]["direction"] == "higher")
    text = command_here("leaderboard", "shared", home=built.home).out
    assert rows[0]["id"] in text


def test_the_test_set_is_opened_once_and_counted(built: Built) -> None:
    """Resuming a finished run opens nothing again."""
    again = command_here("resume", "shared", "--json", home=built.home).json()
    assert again["opening"]["number"] == 1
    assert again["test"] == built.summary["test"]


def test_an_unknown_run_is_named_with_the_nearest(built: Built) -> None:
    """A mistyped name is answered with what there is."""
    done = command_here("show", "sharde", home=built.home)
    assert done.code == 5
    assert "shared" in done.err
