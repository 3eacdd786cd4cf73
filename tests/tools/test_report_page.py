"""The report of a run, read as a person or a browser would."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from state.candidate import Check, Finding
from state.profile import ColumnProfile
from state.settings import Settings
from state.task import TaskKind
from tests.tools.report_cases import NASTY, case, nasty
from tools.report.facts import ReportFacts, summarise_exchanges
from tools.report.page import render, write_report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags, text and attributes of a page; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action", "data", "poster", "srcset"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        # A browser closes rows, cells and list items by itself; the templates still close all of theirs.
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["title"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def binary() -> ReportFacts:
    return case("binary")


def test_the_verdict_box_says_how_good_it_is_and_whether_it_is_safe(binary: ReportFacts) -> None:
    """Score, interval, rows, baseline, lift, and one sentence of advice."""
    text = Page(render(binary)).text
    assert "released 0.8741 ROC AUC (higher is better), 95 % interval 0.8301 to 0.9181, on 225 sealed test rows" in text
    assert "best baseline 0.8604 boosted" in text
    assert "error removed 75 % compared with constant" in text
    assert "Safe to use? Yes. It passed 4 checks. Not made: group overlap (no group column)." in text
    assert "Weighted blend, a weighted mean of 2 models" in text


def test_how_sure_the_numbers_are(binary: ReportFacts) -> None:
    """Expectation and outcome, luck in choosing, calibration and parts of the data: one sentence each."""
    text = Page(render(binary)).text
    assert "a score between 0.8146 and 0.9466 was expected of it; it came out at 0.8741 , as expected." in text
    assert "Taking the best of 5 fully scored candidates flatters its out-of-fold score by about 0.0022" in text
    assert "the predicted chance of survived = 1 is off by" in text
    assert "1 of 3 parts of the data is worse than the whole beyond luck: deck=missing ( 0.7902 )" in text
    assert "drawing rows with replacement" in text
    assert "drawing blocks of time with replacement" in Page(render(case("regression", forecast=True))).text


def test_a_test_score_beyond_what_was_expected_is_said(binary: ReportFacts) -> None:
    """Worse is a doubt, better is none; both are told."""
    assert binary.verdict is not None
    assert binary.verdict.test is not None
    for value, words in ((0.71, "worse than expected"), (0.99, "better than expected")):
        test = binary.verdict.test.but(value=value, low=value - 0.01, high=min(1.0, value + 0.01))
        text = Page(render(replace(binary, verdict=binary.verdict.but(test=test.plain())))).text
        assert words in text
        assert ("more than chance explains" in text) == (value < 0.8)


def test_numbers_lead_to_their_receipts(binary: ReportFacts) -> None:
    """Each link's row is on the page; without receipts the numbers stand as they are."""
    html = render(binary)
    links = set(re.findall(r'<a class="n" href="#(n[0-9]+)"', html))
    assert links
    assert links <= set(Page(html).ids)
    assert 'title="test.roc_auc: ' in html
    assert "modelwright why brisk-otter ID" in Page(html).text
    bare = render(replace(binary, numbers={}))
    assert "0.8741" in Page(bare).text
    assert "No receipts were kept." in Page(bare).text
    assert '<a class="n"' not in bare


def test_every_score_of_the_page_has_an_interval(binary: ReportFacts) -> None:
    """Headline, candidates, baselines, classes and parts."""
    text = Page(render(binary)).text
    assert "0.8741 ROC AUC (higher is better), 95 % interval 0.8301 to 0.9181" in text
    assert "constant the same answer for every row 0.5000 0.4780 to 0.5220" in text
    assert "sex = male 577 0.8655 0.8435 to 0.8875" in text
    classes = Page(render(case("multiclass"))).text
    assert re.search(r"class 00 [0-9]+ 0\.[0-9]{3} 0\.[0-9]{2} to 0\.[0-9]{2} 0\.", classes)


def test_every_section_is_there_and_linked(binary: ReportFacts) -> None:
    """Each link of the contents leads to a heading, and no id occurs twice."""
    page = Page(render(binary))
    sections = {address[1:] for address in page.addresses if address.startswith("#") and address[1:] in page.ids}
    assert sections >= {
        "verdict",
        "asked",
        "data",
        "split",
        "search",
        "plans",
        "baselines",
        "model",
        "review",
        "decisions",
    }
    assert sections >= {"cost", "use", "reproduce", "programs", "graph"}
    assert len(page.ids) == len(set(page.ids))


def test_plans_cite_the_findings_they_answer(binary: ReportFacts) -> None:
    """The reason of a plan and what came of it stand together."""
    text = Page(render(binary)).text
    assert "improve of i0-boosting · 0.8712 Residuals cluster by title in the name column." in text
    assert "Answers: Errors cluster by the title in the name." in text


def test_failed_dropped_and_blended_candidates_are_told_apart(binary: ReportFacts) -> None:
    """With the reason of each, in tree and table."""
    text = Page(render(binary)).text
    assert "failed: KeyError: 'age_bin' in each of 3 attempts" in text
    assert "dropped: dropped by a person" in text
    assert "70 % i1-leaves, 30 % i0-linear" in text


@pytest.mark.parametrize(
    ("kind", "forecast", "titles"),
    [
        (
            "binary",
            False,
            ["ROC curve", "Precision and recall", "Calibration", "Predicted chances by true class", "Confusion"],
        ),
        ("multiclass", False, ["Calibration", "Confidence", "Confusion", "Per class"]),
        ("regression", False, ["Predicted and actual", "Residuals", "Distribution of residuals"]),
        ("regression", True, ["Actual and predicted over time", "Predicted and actual", "Residuals"]),
    ],
)
def test_plots_fit_the_task(kind: TaskKind, forecast: bool, titles: list[str]) -> None:
    """Each kind of task gets its own plots and no other's."""
    html = render(case(kind, forecast=forecast))
    Page(html)
    for title in titles:
        assert f"<h3>{title}</h3>" in html
    assert ("ROC curve" in html) == (kind == "binary")
    assert ("over time" in html) == forecast


def test_the_page_needs_nothing_from_anywhere(binary: ReportFacts) -> None:
    """No script, no address but anchors and data, and a policy that forbids the rest."""
    html = render(binary)
    page = Page(html)
    assert "script" not in page.tags
    assert [address for address in page.addresses if not address.startswith(("#", "data:"))] == []
    assert re.findall(r"url\((?!#)", html) == []
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_hostile_names_stay_text(binary: ReportFacts) -> None:
    """Markup in columns, classes, plans, code, answers and paths is shown, never obeyed."""
    for facts in (nasty(binary), nasty(case("multiclass")), nasty(case("regression", forecast=True))):
        page = Page(render(facts))
        assert page.handlers == []
        assert {"script", "img", "iframe"} & set(page.tags) == set()
        assert NASTY in " ".join(page.words)
        assert "$x_1$" in page.text
        assert "49" not in page.text.split("{{ 7 * 7 }}")[0][-5:]


def test_a_rejected_run_has_a_report_too(binary: ReportFacts) -> None:
    """It says no, says why, and offers nothing to use."""
    assert binary.verdict is not None
    verdict = binary.verdict.but(
        decision="reject",
        reason="Column body encodes the target.",
        test=None,
        opening=None,
        findings=[Finding(id="r1", source="review", topic="leak", text="body is a leak", severity="error").plain()],
    )
    facts = replace(
        binary, verdict=verdict, release_folder=None, test_labels=None, test_predictions=None, importance=[]
    )
    text = Page(render(facts)).text
    assert "rejected 0.8806 ROC AUC" in text
    assert "Safe to use? No. The review ended with “reject”: Column body encodes the target." in text
    assert "body is a leak" in text
    assert "its 225 rows are still unseen" in text
    assert "There is no release, so there is nothing to use" in text
    assert "modelwright predict" not in text
    assert "importance of columns was not measured" in text


def test_a_person_may_refuse_the_release(binary: ReportFacts) -> None:
    """The verdict stands, the person's word stands beside it."""
    facts = replace(binary, release_folder=None, answers=[{"gate": "release", "time": "", "text": "not before Monday"}])
    assert "accepted, not released" in (text := Page(render(facts)).text)
    assert "A person decided: not before Monday" in text


def test_nothing_survived(binary: ReportFacts) -> None:
    """No candidate, no predictions, no verdict: still a page that says so."""
    failed = [one.but(status="failed", score=None, oof=None) for one in binary.candidates if not one.members]
    facts = ReportFacts(run={}, task=binary.task, profile=binary.profile, candidates=failed)
    text = Page(render(facts)).text
    assert "no model – There is no score" in text
    assert "Safe to use? No. There is no model to use." in text
    assert "There are no predictions to draw" in text
    assert "No baseline was scored" in text
    Page(render(replace(facts, candidates=[])))


def test_doubts_are_not_hidden(binary: ReportFacts) -> None:
    """A gap, a small test set, earlier openings, a strong baseline and a person's caution each show in the box."""
    assert binary.verdict is not None
    test = binary.verdict.test
    assert test is not None
    worse = test.but(value=0.71, low=0.62, high=0.79, rows=62)
    opening = {"number": 2, "earlier": [{"run": "r1", "name": "calm-ibis", "when": "2026-11-20"}]}
    reduced = Check(name="duplicate rows", status="reduced", detail="checked on 500 of 900 rows")
    *others, best = binary.candidates
    assert best.score is not None
    facts = replace(
        binary,
        candidates=[*others, best.but(score=best.score.but(folds=[0.88, 0.89]).plain())],
        verdict=binary.verdict.but(test=worse.plain(), opening=opening, checks=[reduced.plain()]),
        cautions=["the refit ran out of time"],
    )
    text = Page(render(facts)).text
    assert "Yes, with care." in text
    assert "worse than the out-of-fold score (0.8806) by more than chance explains" in text
    assert "only 62 rows" in text
    assert "opened before by 1 earlier run" in text
    assert "not better than the boosted baseline (0.8604)" in text
    assert "the refit ran out of time" in text
    assert "duplicate rows: checked on 500 of 900 rows" in text
    assert "rests on 2 of 5 folds (900 rows)" in text
    assert "earlier calm-ibis" in text


def test_a_test_set_with_one_class_is_survived(binary: ReportFacts) -> None:
    """Curves that have no meaning are left out, the others are drawn."""
    assert binary.test_predictions is not None
    facts = replace(binary, test_labels=np.zeros(len(binary.test_predictions), dtype=int))
    assert "<h3>ROC curve</h3>" in render(facts)
    only = replace(facts, oof_labels=None, oof_predictions=None)
    html = render(only)
    assert "<h3>ROC curve</h3>" not in html
    assert "<h3>Confusion</h3>" in html


def test_rows_without_a_prediction_are_left_out(binary: ReportFacts) -> None:
    """Time folds predict no row of the first block; those rows hold NaN."""
    assert binary.oof_predictions is not None
    gaps = binary.oof_predictions.copy()
    gaps[:450] = np.nan
    assert "<h3>ROC curve</h3>" in render(replace(binary, oof_predictions=gaps))
    assert "<h3>ROC curve</h3>" in render(replace(binary, oof_predictions=np.full_like(gaps, np.nan)))


def test_a_thousand_columns_make_a_small_page(binary: ReportFacts, tmp_path: Path) -> None:
    """The table is cut, says so, and keeps what matters."""
    column = binary.profile.columns[1]
    columns = [column.but(name=f"feature {index}").plain() for index in range(1100)]
    columns += [
        ColumnProfile(name=f"id {index}", kind="numeric", missing=0, distinct=900, suspicion="identifier").plain()
        for index in range(8)
    ]
    facts = replace(
        binary,
        profile=binary.profile.but(columns=columns),
        task=binary.task.but(excluded={f"id {index}": "identifier" for index in range(8)}),
        importance=[(f"feature {index}", 0.1 if index == 1000 else 0.0001, 0.0) for index in range(1100)],
    )
    write_report(tmp_path / "report.html", facts)
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "… and 1,048 more columns" in text
    assert "feature 1000" in text
    assert "id 7" in text


def test_many_rows_classes_candidates_and_programs_make_a_small_page(tmp_path: Path) -> None:
    """Everything that can grow is cut with a word about the rest."""
    facts = case("multiclass", 20_000, classes=60)
    candidates = [
        one.but(id=f"{one.id}-{copy}", plan=one.plan.but(parent=None).plain())
        for copy in range(60)
        for one in facts.candidates
    ]
    programs = {one.id: next(iter(facts.programs.values())) * 8 for one in candidates}
    facts = replace(facts, candidates=[*facts.candidates, *candidates], programs=programs)
    write_report(tmp_path / "report.html", facts)
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert re.search(r"… and \d+ more candidates|… and \d+ more", text)
    assert re.search(r"\d+ more programs lie in the run", text)
    assert "Weighted blend" in text


def test_programs_of_the_release_come_first(binary: ReportFacts) -> None:
    """With the parameters found in training, and as the code that was written."""
    html = render(binary)
    first = html.index("i1-leaves, 16 lines, released")
    assert first < html.index("i0-boosting, 16 lines")
    assert "rounds = 212" in html
    assert '<i class="k">def</i> fit' in html


def test_the_same_facts_give_the_same_file_whole(binary: ReportFacts, tmp_path: Path) -> None:
    """Written under a temporary name and moved: nothing else is left in the folder, and a second writing is equal."""
    target = tmp_path / "new" / "report.html"
    write_report(target, binary)
    first = target.read_bytes()
    write_report(target, case("binary"))
    assert target.read_bytes() == first
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_an_old_report_survives_a_failed_writing(binary: ReportFacts, tmp_path: Path) -> None:
    """The new page is finished before the old one is touched."""
    target = tmp_path / "report.html"
    target.mkdir()
    (target / "keep").write_text("old")
    with pytest.raises(OSError, match="report"):
        write_report(target, binary)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_names_that_utf8_cannot_spell(binary: ReportFacts, tmp_path: Path) -> None:
    """A lone surrogate becomes a question mark, not a crash."""
    task = binary.task.but(decisions=["column caf\udce9 was read as text"])
    write_report(tmp_path / "report.html", replace(binary, task=task))
    assert "column caf? was read" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_costs_are_summed_per_role_and_expert() -> None:
    """An unknown price makes the sum unknown rather than too small."""
    shared = {
        "role": "engineer",
        "expert": "openai:x",
        "tokens_in": 10,
        "tokens_out": 5,
        "seconds": 1.0,
        "cached": False,
    }
    rows = summarise_exchanges([{**shared, "cost": 0.5, "error": ""}, {**shared, "cost": None, "error": "refused"}])
    assert rows == [
        {"role": "engineer", "expert": "openai:x", "count": 2, "tokens_in": 20, "tokens_out": 10, "cost": None}
        | {"seconds": 2.0, "cached": 0, "errors": 1}
    ]


def test_the_command_is_made_from_the_settings(binary: ReportFacts) -> None:
    """Whoever copies it starts the same build, guesses of the first one included."""
    settings = Settings(
        data="/data/my cars.csv",
        time_limit=60,
        seed=3,
        group_columns=["maker"],
        builtin_candidates=False,
        name="x",
        fresh=True,
    )
    facts = replace(binary, run={"settings": settings.model_dump(mode="json")})
    command = (
        "modelwright build &#39;my cars.csv&#39; --target survived --metric roc_auc --group maker --time-limit 60 --seed 3 "
        "--no-builtin-candidates"
    )
    assert f'<pre class="wrap">{command}</pre>' in render(facts)


def test_partial_scores_are_marked_in_the_tree(binary: ReportFacts) -> None:
    """A score of fewer folds than the others says so beside its name."""
    first, *others = binary.candidates
    assert first.score is not None
    facts = replace(binary, candidates=[first.but(score=first.score.but(folds=[0.9]).plain()), *others])
    assert "i0-linear · draft · only 1 of 5 folds" in render(facts)
