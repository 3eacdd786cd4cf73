"""The Python call: what a person has in hand after `modelwright.build`, in a script and inside a running loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import modelwright
from tests.conftest import Built
from tests.support.command import environment
from tests.support.tables import houses, loans

SMALL = {"time_limit": 600, "iterations": 1, "candidates": 2, "folds": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[modelwright.Run]:
    """A build from a DataFrame, called inside a running event loop as in a notebook."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELWRIGHT_HOME", str(tmp_path_factory.mktemp("api") / "home"))

        async def cell() -> modelwright.Run:
            return modelwright.build(houses(), "price", intent="Estimate the price of a house.", name="houses", **SMALL)

        yield asyncio.run(cell())


def test_a_frame_built_in_a_running_loop(run: modelwright.Run) -> None:
    """Status, score, metric, settings, paths: all there, and what `open_run` finds is the same run."""
    assert run.status == "done"
    assert run.metric == run.summary["metric"]
    assert run.score == run.summary["test"]["value"]
    assert run.settings.target == "price"
    assert run.release is not None
    assert (run.release / "manifest.json").is_file()
    assert run.report is not None
    assert run.report.is_file()
    assert modelwright.open_run("houses").id == run.id == modelwright.open_run(run.id[:6]).id
    assert [one.id for one in modelwright.runs()] == [run.id]
    assert repr(run).startswith("<Run houses (")


def test_candidates_are_a_leaderboard(run: modelwright.Run) -> None:
    """A DataFrame, best first, one of them marked as the best."""
    table = run.candidates
    assert isinstance(table, pd.DataFrame)
    assert {"id", "title", "status", "score", "low", "high", "seconds", "best"} <= set(table.columns)
    scores = table["score"].dropna()
    assert scores.is_monotonic_increasing if run.summary["direction"] == "lower" else scores.is_monotonic_decreasing
    assert table["best"].sum() == 1


def test_predictions_keep_the_index(run: modelwright.Run) -> None:
    """One row per row, under the index of the frame that was given; the target column may be there or not."""
    rows = houses(7, seed=11).set_index(pd.Index(list("gfedcba")))
    predicted = run.predict(rows)
    assert list(predicted.index) == list("gfedcba")
    assert (predicted["prediction"] > 0).all()
    pd.testing.assert_frame_equal(predicted, run.predict(rows.drop(columns="price")))


def test_predictions_from_a_file(run: modelwright.Run, tmp_path: Path) -> None:
    """A path gives the same numbers as the frame that was written to it."""
    rows = houses(5, seed=12)
    rows.to_csv(tmp_path / "new.csv", index=False)
    pd.testing.assert_frame_equal(run.predict(tmp_path / "new.csv"), run.predict(rows))


def test_rows_that_do_not_fit_are_refused(run: modelwright.Run) -> None:
    """A missing column is named."""
    with pytest.raises(modelwright.InputError, match="area"):
        run.predict(houses(3).drop(columns="area"))


def test_the_log_tells_what_happened(run: modelwright.Run) -> None:
    """Events in order, from the first phase to the end."""
    kinds = [event["kind"] for event in run.log()]
    assert kinds.index("profile") < kinds.index("task") < kinds.index("plans") < kinds.index("verdict")
    assert kinds[-1] == "finished"


def test_the_card_needs_no_network(run: modelwright.Run) -> None:
    """What a notebook shows: name, score and tree as HTML, with nothing to fetch and nothing that runs."""
    card = run._repr_html_()
    assert "houses" in card
    assert "<svg" in card
    assert "<script" not in card
    for word in ("src=", "@import", "url(http"):
        assert word not in card


def test_resuming_a_finished_run_changes_nothing(run: modelwright.Run) -> None:
    """The same run comes back; the sealed test set is not opened again."""
    again = modelwright.resume(run)
    assert again.id == run.id
    assert again.summary == run.summary


def test_a_run_of_the_command_line_opens_in_python(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal and notebook share the home: what one built, the other opens."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(built.home))
    run = modelwright.open_run("shared")
    assert run.score == built.summary["test"]["value"]
    predicted = run.predict(loans(4))
    assert list(predicted.columns) == ["prediction", "proba_no", "proba_yes"]


# ---- bad input ------------------------------------------------------------------------------------------------------


def test_every_problem_is_told_at_once(home: Path, tmp_path: Path) -> None:
    """Settings, data and target are refused together, before anything is written."""
    loans().to_csv(tmp_path / "loans.csv", index=False)
    with pytest.raises(modelwright.InputError) as caught:
        modelwright.build(tmp_path / "loans.csv", "defualt", time_limit="soon", folds=1, candidats=3)
    told = str(caught.value)
    for part in ("'soon'", "folds", "candidats", "'defualt'", "default"):
        assert part in told
    assert len(caught.value.problems) == 4
    assert modelwright.runs() == []


@pytest.mark.parametrize(("data", "told"), [([1, 2], "list"), (None, "NoneType"), (loans()["debt"], "Series")])
def test_what_is_no_table_is_refused(data: object, told: str, home: Path) -> None:
    """Neither a list nor a Series is a table, and the way out is said."""
    with pytest.raises(modelwright.InputError, match=f"a {told} is no table"):
        modelwright.build(data, "x")  # type: ignore[arg-type]


def test_an_unknown_run_and_an_impossible_override(run: modelwright.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are answered with the nearest; what finished work depends on cannot be changed."""
    with pytest.raises(modelwright.ModelwrightError, match="did you mean 'houses'"):
        modelwright.open_run("huoses")
    with pytest.raises(modelwright.ModelwrightError, match="no open question"):
        run.approve()


# ---- a person's word ------------------------------------------------------------------------------------------------


def test_waiting_rejecting_approving(home: Path) -> None:
    """The build returns at the question; reject plans anew with the reason; approve finishes with what was kept."""
    run = modelwright.build(loans(), "default", review=["plan"], **SMALL)
    assert run.status == "waiting"
    assert run.waiting[0]["gate"] == "plan"
    with pytest.raises(modelwright.ModelwrightError, match="has no release"):
        run.predict(loans(3))
    with pytest.raises(modelwright.ModelwrightError, match="cannot change folds"):
        run.resume(folds=4)
    first = [plan["recipe"] for plan in run.waiting[0]["plans"]]
    run.reject(f"no {first[0]}")
    assert run.status == "waiting"
    plans = run.waiting[0]["plans"]
    assert first[0] not in [plan["recipe"] for plan in plans]
    run.approve(keep=[plans[0]["id"]])
    assert run.status == "done"
    assert list(run.candidates["id"]) == [plans[0]["id"]]
    assert run.waiting == []


# ---- in a script ----------------------------------------------------------------------------------------------------


def test_interrupting_a_notebook_cell_pauses_the_run(home: Path, tmp_path: Path) -> None:
    """The interrupt reaches the main thread while a build works in another: the run is paused."""
    loans().to_csv(tmp_path / "loans.csv", index=False)
    code = (
        "import asyncio, modelwright\n"
        "async def cell():\n"
        f"    return modelwright.build('loans.csv', 'default', progress=True, **{SMALL!r})\n"
        "print(asyncio.run(cell()).status)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "researcher" in line:
            os.kill(process.pid, signal.SIGINT)
            break
    out, err = process.communicate()
    assert out.strip() == "paused", "".join(lines) + err
    assert modelwright.open_run().status == "paused"
