"""Comparing runs: plans, programs, scores with a paired test, and cost, in every form a person may want."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelwright
from graphs.forking import plan_fork
from state.candidate import Candidate
from tests.conftest import Built
from tests.support.copies import copy_of
from tests.support.inprocess import command_here
from tests.support.terminal import terminal
from tools.artifacts import open_artifacts
from tools.catalogue import Catalogue
from tools.comparison import Left, paired_test, read_run
from tools.forking import Edit, create_fork
from tools.home import run_folder
from tools.runlog import RunLog


@pytest.fixture(scope="module")
def home(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shared build with a fork, `other`, that has another winner, another program and another setting.

    It is made as forks are, and its state is edited as forks' states are; it need not be driven to be compared.
    """
    folder = copy_of(built, tmp_path_factory.mktemp("compared"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELWRIGHT_HOME", str(folder))
        planned = plan_fork("shared", "publisher", settings={"refit": "train"})
        singles = sorted(_singles(), key=lambda one: one.score.value if one.score else 0.0)
        catalogue, artifacts = Catalogue(folder / "catalogue.db"), open_artifacts()
        values = {"best": singles[0].id, "candidates_version": 10_000}
        edit = Edit(planned.edit.settings, {**planned.edit.values, **values})
        fork = create_fork(catalogue, artifacts, planned.origin, edit, name="other")
        catalogue.close()
        text = artifacts.get_text(str(singles[-1].program))
        log = RunLog(run_folder(fork.id) / "run.db")
        plan = singles[-1].plan.but(params={**singles[-1].plan.params, "extra": 1})
        program = artifacts.put_text(text + "\n# <another> line\n")
        log.put_candidate(singles[-1].but(program=program, plan=plan.plain()))
        log.close()
    return folder


def _singles() -> list[Candidate]:
    return [one for one in modelwright.open_run("shared").candidate_records() if one.usable and not one.members]


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWRIGHT_HOME", str(home))
    return home


def left(name: str) -> Left:
    return read_run(modelwright.open_run(name)._row, open_artifacts())


# ---- what is compared ---------------------------------------------------------------------------------------------


def test_the_paired_test_is_on_common_rows(here: Path) -> None:
    """The winners' out-of-fold predictions are compared row by row, from the other run's side, with an interval."""
    found = modelwright.compare("shared", "other")
    (test,) = found.scores
    first, other = left("shared"), left("other")
    assert first.best
    assert first.best.score
    assert other.best
    assert other.best.score
    assert test["rows"] == first.best.score.rows
    assert test["gain"] == pytest.approx(other.best.score.value - first.best.score.value)
    assert test["low"] <= test["gain"] <= test["high"]
    swapped = modelwright.compare("other", "shared").scores[0]
    assert swapped["gain"] == pytest.approx(-test["gain"])
    assert "shared" in test["says"]
    assert "other" in test["says"]
    assert "95 % interval" in test["says"]


def test_the_same_predictions_are_called_the_same(here: Path) -> None:
    """A fork that chose the same model differs by nothing, and the test says so instead of giving an interval."""
    same = left("shared")
    test = paired_test(same, same, open_artifacts())
    assert (test["gain"], test["low"], test["high"]) == (0.0, 0.0, 0.0)
    assert "row by row" in test["says"]


def _changed(
    one: Left, task: dict[str, Any] | None = None, prepared: dict[str, Any] | None = None, **more: Any
) -> Left:
    from dataclasses import replace

    assert one.task
    assert one.prepared
    return replace(one, task=one.task.but(**(task or {})), prepared=one.prepared.but(**(prepared or {})), **more)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prepared": {"source": "0" * 64}}, "different data"),
        ({"task": {"target": "income"}}, "different things: 'default' and 'income'"),
        ({"prepared": {"labels": "sha256:" + "0" * 64}}, "other rows are held back"),
        ({"prepared": {"valid_files": []}}, "validation folds are not the same"),
        ({"state": {}}, "has no scored winner"),
    ],
)
def test_what_cannot_be_compared_is_not(change: dict[str, Any], words: str, here: Path) -> None:
    """Where data, target, rows or folds differ there are no numbers, and the sentence says what differs."""
    test = paired_test(left("shared"), _changed(left("other"), **change), open_artifacts())
    assert words in test["why"]
    assert test["says"].startswith("not compared: ")
    assert "gain" not in test


def test_another_metric_is_not_compared(here: Path) -> None:
    """Scores by two metrics have no difference."""
    one = left("shared")
    assert one.task
    metric = one.task.metric.but(name="accuracy")
    test = paired_test(one, _changed(left("other"), task={"metric": metric.plain()}), open_artifacts())
    assert test["why"] == "they are measured by different metrics: roc_auc and accuracy"


def test_a_paired_test_sees_a_real_difference(here: Path) -> None:
    """Against predictions that know the answer, the interval lies on one side, and the sentence says who is better."""
    from dataclasses import replace

    import pandas as pd

    artifacts, one = open_artifacts(), left("shared")
    assert one.prepared
    assert one.task
    assert one.best
    labels = artifacts.get_frame(one.prepared.labels)["label"].to_numpy()
    truth = (labels == one.task.classes[1]).astype(float)
    frame = pd.DataFrame({"row": np.arange(len(labels), dtype=float), "p0": 1 - truth, "p1": truth})
    perfect = one.best.but(id="oracle", oof=artifacts.put_frame(frame))
    better = replace(left("other"), candidates={"oracle": perfect}, state={**one.state, "best": "oracle"})
    test = paired_test(one, better, artifacts)
    assert test["low"] > 0
    assert test["says"].startswith("other is better than shared by ")
    assert paired_test(better, one, artifacts)["says"].startswith("other is better than shared by ")


def test_a_fork_is_not_charged_with_what_its_parent_did(here: Path) -> None:
    """Seconds, trainings and questions of a fork begin with the fork."""
    whole, fork = (run["cost"] for run in modelwright.compare("shared", "other").runs)
    assert whole["trainings"] > 0
    assert whole["questions"] > 0
    assert (fork["seconds"], fork["trainings"], fork["reused"], fork["questions"]) == (0, 0, 0, 0)


# ---- how it is shown ----------------------------------------------------------------------------------------------


def test_in_the_terminal(here: Path) -> None:
    """Plain lines in a pipe: facts side by side, settings that differ, candidates, the test, and a unified diff."""
    shown = command_here("compare", "shared", "other", home=here).out
    assert "\x1b" not in shown
    lines = shown.splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == ["shared", "other"]
    facts = {parts[0]: parts[1:] for line in lines if len(parts := re.split(r"\s{2,}", line.strip())) == 3}
    assert facts["refit"] == ["all", "train"]
    assert facts["state"][1].startswith("paused; fork of shared at step ")
    assert facts["model"][0].startswith("ensemble of")
    assert "the winners, on the rows both have out-of-fold predictions for" in shown
    assert "params.extra: not set → 1" in shown
    assert "  +# <another> line" in lines


def test_it_fits_a_terminal_of_100_columns(here: Path) -> None:
    """No line is longer than the terminal is wide."""
    with terminal("compare", "shared", "other", home=here, columns=100) as person:
        assert person.end() == 0
    assert "out of fold" in person.text
    assert max(len(line.rstrip()) for line in person.text.splitlines()) <= 100


def test_as_json(here: Path) -> None:
    """Everything as one document, the same that Python has."""
    told = command_here("compare", "shared", "other", "--json", home=here).json()
    assert set(told) == {"runs", "settings", "plans", "programs", "scores"}
    assert told["settings"] == [{"setting": "refit", "values": ["all", "train"]}]
    assert told == modelwright.compare("shared", modelwright.open_run("other")).plain()


class _Page(HTMLParser):
    """What a page refers to, and the text it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_as_a_page(here: Path, tmp_path: Path) -> None:
    """One HTML file that loads nothing and runs nothing, with the diff as text; told where it lies."""
    path = tmp_path / "deep" / "comparison.html"
    shown = command_here("compare", "shared", "other", "--html", path, home=here)
    assert f"written to {path}" in shown.out
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert all(reference.startswith(("#", "data:,")) for reference in page.references)
    assert "script" not in page.tags
    for words in ("shared and other", "Settings that differ", "+# <another> line", "params.extra: not set → 1"):
        assert words in page.text
    assert modelwright.compare("shared", "other").scores[0]["says"] in page.text
    refused = command_here("compare", "shared", "other", "--html", tmp_path, home=here)
    assert (refused.code, "is a folder" in refused.err) == (2, True)


def test_in_a_notebook(here: Path) -> None:
    """The object shows itself as a small table, says in a line what it found, and writes the page."""
    found = modelwright.open_run("shared").compare("other")
    card = found._repr_html_()
    assert "<script" not in card
    assert "refit" in card
    assert repr(found).startswith("<Comparison of shared and other: ")


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (["shared"], "two or more different runs"),
        (["shared", "shared"], "two or more different runs"),
        (["shared", "nobody"], "there is no run 'nobody'"),
    ],
)
def test_what_cannot_be_looked_at(runs: list[str], words: str, here: Path) -> None:
    """Too few runs, or one that is not there, are named."""
    refused = command_here("compare", *runs, home=here)
    assert refused.code in {2, 5}
    assert words in refused.err
