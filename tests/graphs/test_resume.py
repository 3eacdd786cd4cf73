"""kill -9 in the middle of a build, then resume: the same result, and no finished training executed again."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.command import Finished, kill_when, modelwright, running

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "3", "--folds", "3"]


def trainings(home: Path) -> dict[str, tuple[str, int, str]]:
    """Journal rows of trainings: key → (state, attempt, finished)."""
    with sqlite3.connect(home / "catalogue.db") as database:
        rows = database.execute("SELECT key, state, attempt, finished FROM journal WHERE kind IN ('fold', 'fit')")
        return {key: (state, attempt, finished) for key, state, attempt, finished in rows}


def result(finished: Finished, home: Path, tmp_path: Path) -> dict[str, Any]:
    """What must be equal: winner, scores, and the released model's predictions."""
    assert finished.code == 0, finished.err
    one = finished.json()
    out = tmp_path / "predictions.csv"
    assert modelwright("predict", "last", tmp_path / "loans.csv", "--out", out, home=home).code == 0
    told = ("best", "score", "low", "high", "members", "ladder")
    return {**{name: one[name] for name in told}, "test": one["test"], "predictions": pd.read_csv(out).to_dict("list")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the same build when nothing happens."""
    from tests.support.tables import loans

    folder = tmp_path_factory.mktemp("whole")
    loans().to_csv(folder / "loans.csv", index=False)
    finished = modelwright("build", folder / "loans.csv", *OPTIONS, "--json", home=folder / "home")
    return result(finished, folder / "home", folder)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("✔ i0-", 2),  # two candidates are finished, the third may be in training
        ("operations: fitting", 1),  # the fits after the search begin
        pytest.param("reviewer: ", 1, marks=pytest.mark.campaign),
        ("publisher: publishing", 1),  # refit and publishing begin
    ],
)
def test_a_killed_build_resumes_to_the_same_result(
    moment: str, number: int, uninterrupted: dict[str, Any], loans_csv: Path, home: Path, tmp_path: Path
) -> None:
    """Winner, scores and predictions equal those of an uninterrupted build; finished trainings stay finished."""
    with running("build", loans_csv, *OPTIONS, "--name", "hit", home=home) as process:
        kill_when(process, moment, number=number)
    before = {key: row for key, row in trainings(home).items() if row[0] == "done"}
    assert before, "the kill came before any training had finished"
    finished = modelwright("resume", "hit", "--json", home=home)
    assert result(finished, home, tmp_path) == uninterrupted
    after = trainings(home)
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("before-effect:4", marks=pytest.mark.campaign),
        "after-effect:4",
        pytest.param("after-journal:4", marks=pytest.mark.campaign),
        pytest.param("mid-rename:30", marks=pytest.mark.campaign),
    ],
)
def test_named_crash_points_lose_nothing(
    point: str, uninterrupted: dict[str, Any], loans_csv: Path, home: Path, tmp_path: Path
) -> None:
    """A kill right before or after an effect, its journal row, or in the middle of writing an artifact."""
    died = modelwright("build", loans_csv, *OPTIONS, "--name", "hit", home=home, MODELWRIGHT_CRASH=point)
    assert died.code == -9, died.err
    before = {key: row for key, row in trainings(home).items() if row[0] == "done"}
    finished = modelwright("resume", "hit", "--json", home=home)
    assert result(finished, home, tmp_path) == uninterrupted
    after = trainings(home)
    assert {key: after[key] for key in before} == before


def test_a_second_driver_is_told_who_holds_the_run(loans_csv: Path, home: Path) -> None:
    """While one process drives a run, another leaves with exit code 7 and the holder's pid."""
    with running("build", loans_csv, *OPTIONS, "--name", "held", home=home) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "researcher: planning" in line:
                break
        second = modelwright("resume", "held", home=home)
        assert second.code == 7, second.err
        assert str(process.pid) in second.err


def test_ctrl_c_pauses_and_resume_continues(loans_csv: Path, home: Path) -> None:
    """The first Ctrl-C lets running programs finish, exits with 130 and says how to go on."""
    import signal

    with running("build", loans_csv, *OPTIONS, "--name", "paused", home=home) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "plans of iteration 0" in line:
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "modelwright resume paused" in out
    assert modelwright("resume", "paused", home=home).code == 0
