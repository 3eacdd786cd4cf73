"""`modelwright why`: on a finished build every number leads back to program, data, execution and checkpoint."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from tests.conftest import Built
from tests.support.command import Finished
from tests.support.inprocess import command_here


def why(built: Built, *arguments: str) -> Finished:
    return command_here("why", "shared", *arguments, home=built.home)


def receipt(built: Built, name: str) -> dict[str, Any]:
    done = why(built, name, "--json")
    assert done.code == 0, done.err
    return dict(done.json())


def test_every_number_of_a_build_is_listed(built: Built) -> None:
    """Test, expectation, luck, baselines, candidates, folds, calibration and parts; each score with its interval."""
    numbers = {one["id"]: one for one in why(built, "--json").json()}
    kinds = {name.split(".")[0] for name in numbers}
    assert kinds >= {
        "test",
        "expected",
        "optimism",
        "corrected",
        "lift",
        "oof",
        "fold",
        "baseline",
        "calibration",
        "curve",
    }
    for name, one in numbers.items():
        if name.split(".")[0] in {
            "test",
            "expected",
            "corrected",
            "oof",
            "fold",
            "baseline",
            "segment",
            "curve",
            "gain",
        }:
            assert one["low"] <= one["value"] <= one["high"], name
    text = why(built).out
    assert all(name in text for name in numbers)


def test_numbers_of_the_manifest_lead_back(built: Built) -> None:
    """Score, test score and baselines name an id in the release's manifest, and the run knows it with the same value."""
    manifest = json.loads((built.release / "manifest.json").read_text())
    named = [(manifest["score"], "value"), (manifest["test"], "value")]
    named += [(one, "score") for one in manifest["baselines"]]
    assert len(named) >= 4
    for one, field in named:
        assert receipt(built, one["number"])["value"] == one[field], one["number"]


def test_the_test_score_leads_to_everything_behind_it(built: Built) -> None:
    """Data hash, programs, executions, opening, event and checkpoint, each of which is really there."""
    metric = built.summary["metric"]
    one = receipt(built, f"test.{metric}")
    assert one["value"] == built.summary["test"]["value"]
    assert one["data"]["sha256"] == hashlib.sha256(built.data.read_bytes()).hexdigest()
    assert one["facts"]["opening"]["number"] == 1
    assert sum(part["weight"] for part in one["programs"]) > 0.999
    assert one["executions"]
    assert {part["status"] for part in one["executions"]} == {"done"}
    folder = Path(built.summary["folder"]).parent
    with sqlite3.connect(folder / "run.db") as database:
        known = {row[0] for row in database.execute("SELECT checkpoint_id FROM checkpoints")}
        kind = database.execute("SELECT kind FROM events WHERE seq = ?", [one["event"]]).fetchone()
    assert one["checkpoint"]["id"] in known
    assert kind == ("numbers",)
    text = why(built, f"test.{metric}").out
    for wanted in ("sealed test rows", "sha256:", "no. 1 of these rows", "checkpoint", "modelwright log shared"):
        assert wanted in text


def test_what_was_expected_was_told_before_the_opening(built: Built) -> None:
    """Its event comes before that of the test score, and the opening's time is not earlier."""
    metric = built.summary["metric"]
    before, after = receipt(built, f"expected.{metric}"), receipt(built, f"test.{metric}")
    assert before["event"] < after["event"]
    assert before["time"] <= after["facts"]["opening"]["when"]
    assert built.summary["expected"] == {name: before[name] for name in ("value", "low", "high")}
    assert receipt(built, "optimism")["value"] == built.summary["optimism"]["value"] >= 0


def test_a_fold_leads_to_its_own_execution(built: Built) -> None:
    """One execution of that fold, whose stored predictions are among the run's artifacts."""
    best = next(one for one in why(built, "--json").json() if one["id"].startswith("oof.") and one["jobs"])
    one = receipt(built, f"fold.{best['candidate']}.2")
    assert [part["fold"] for part in one["executions"]] == [1]
    stored = one["executions"][0]["outputs"]["predictions.npy"].removeprefix("sha256:")
    assert list((built.home / "artifacts").rglob(stored))
    assert len(receipt(built, best["id"])["executions"]) == 3


def test_the_program_behind_a_number_is_printed(built: Built) -> None:
    """As it was run: its hash is the one the receipt names."""
    best = next(one for one in why(built, "--json").json() if one["id"].startswith("oof.") and one["jobs"])
    printed = why(built, best["id"], "--program").out
    assert "def fit(" in printed
    reference = receipt(built, best["id"])["programs"][0]["program"].removeprefix("sha256:")
    (stored,) = (built.home / "artifacts").rglob(reference)
    assert printed.strip() == stored.read_text().strip()


def test_a_wrong_id_gets_the_nearest_and_options_need_one(built: Built) -> None:
    """Exit codes as for every wrong name and every nonsense option; nothing is shown of an inside."""
    wrong = why(built, f"test.{built.summary['metric']}x")
    assert wrong.code == 5
    assert f"did you mean test.{built.summary['metric']}" in wrong.err
    assert why(built, "--program").code == 2
    silent = why(built, "optimism", "--log")
    assert silent.code == 5
    assert "optimism has no log" in silent.err
    assert "Traceback" not in wrong.err + silent.err


def test_show_names_the_same_numbers(built: Built) -> None:
    """`show --json` has every id with value and interval."""
    shown = command_here("show", "shared", "--json", home=built.home).json()["numbers"]
    listed = {one["id"]: {name: one[name] for name in ("value", "low", "high")} for one in why(built, "--json").json()}
    assert shown == listed
    text = command_here("show", "shared", home=built.home).out
    assert "was expected" in text


def test_the_report_links_its_numbers_to_their_receipts(built: Built) -> None:
    """Every link leads to a row of the page, the headline to the test score, and the sentences are there."""
    page = Path(built.summary["report"]).read_text(encoding="utf-8")
    links = re.findall(r'<a class="n" href="#(n\d+)" title="([^":]+)', page)
    assert len(links) > 20
    anchors = set(re.findall(r'<tr id="(n\d+)">', page))
    assert {anchor for anchor, _ in links} <= anchors
    names = {name for _, name in links}
    metric = built.summary["metric"]
    assert names >= {f"test.{metric}", f"expected.{metric}", "optimism", "lift", "baseline.constant"}
    for sentence in (
        "Before the sealed test was opened",
        "flatters its out-of-fold score",
        "is off by",
        "parts of the data",
    ):
        assert sentence in page
    assert "modelwright why shared ID" in page
