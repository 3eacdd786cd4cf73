"""What runs and leaderboards show in a notebook."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.tools.report_cases import NASTY, case
from tools.report.cards import leaderboard_card, run_card


def test_a_run_shows_status_score_tree_and_places() -> None:
    """Everything a person asks first, in one card."""
    facts = case("binary")
    html = run_card(
        {
            "name": "brisk-otter", "id": "3f2a9d5c-0a3e", "status": "done", "target": "survived", "metric": "roc_auc",
            "direction": "higher", "score": 0.8806, "test": {"value": 0.8741, "low": 0.83, "high": 0.918}, "best": "i1-blend",
            "ladder": facts.baselines, "seconds": 178.2, "report": "/runs/b/report.html", "folder": "/runs/b/release",
        },
        facts.candidates,
    )  # fmt: skip
    for part in (
        "brisk-otter",
        "3f2a9d5c<",
        "done",
        "0.8741",
        "roc auc",
        "0.8300 to 0.9180 · sealed test",
        "2 min 58 s",
    ):
        assert part in html
    assert "<svg" in html
    assert 'href="file:///runs/b/report.html"' in html


def test_an_unfinished_run_has_a_card() -> None:
    """Nothing is required."""
    assert "no score yet" in run_card({"name": "calm-ibis", "status": "running"}, [])
    assert "running" in run_card({"status": "running", "score": None}, case("binary").candidates[:2])


def test_the_leaderboard_is_ranked() -> None:
    """Best first in either direction, failures last."""
    for facts in (case("binary"), case("regression")):
        html = leaderboard_card(facts.candidates, "i1-blend", facts.task.metric)
        ranked = re.findall(r">(i[01]-\w+)</span>", html)
        assert ranked[:3] == ["i1-blend", "i1-leaves", "i0-boosting"]
        assert set(ranked[-2:]) == {"i0-forest", "i1-bins"}


def test_cards_bring_no_style_sheet_script_or_address() -> None:
    """They must look right in any theme and leave no trace on the rest of the notebook."""
    facts = case("binary")
    html = run_card({"name": NASTY, "id": NASTY, "status": NASTY}, facts.candidates)
    html += leaderboard_card(
        [one.but(plan=one.plan.but(title=NASTY).plain(), reason=NASTY) for one in facts.candidates],
        None,
        facts.task.metric,
    )
    for forbidden in ("<style", "<script", "<img", "http://", "https://", "#fff"):
        assert forbidden not in html.replace("http://www.w3.org/2000/svg", "")


def test_a_card_costs_no_heavy_import() -> None:
    """Showing a run in a notebook or listing runs does not load the data libraries."""
    code = "import sys, tools.report.cards; print({'pandas', 'numpy', 'matplotlib', 'sklearn', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
