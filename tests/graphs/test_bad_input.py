"""Bad input over the real command line: refused before any work, every problem at once, naming place and cure."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Built
from tests.support.command import Finished, modelwright
from tests.support.inprocess import command_here
from tests.support.tables import loans

Writer = Callable[[Path], None]


def text(content: str) -> Writer:
    return lambda path: path.write_text(content) and None


def table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Writer:
    return lambda path: change(loans(60)).to_csv(path, index=False)


def csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


def too_many_fields(path: Path) -> None:
    """One row, the seventh line of the file, has a field more than there are columns."""
    lines = csv(loans(60)).splitlines()
    lines[6] += ",surplus"
    path.write_text("\n".join(lines))


def duplicate_names(path: Path) -> None:
    lines = csv(loans(60)).splitlines()
    lines[0] = lines[0].replace("debt", "income")
    path.write_text("\n".join(lines))


def truncated_gzip(path: Path) -> None:
    whole = gzip.compress(csv(loans(400)).encode())
    path.write_bytes(whole[: len(whole) // 2])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(loans(60)))


def parquet_cut_short(path: Path) -> None:
    buffer = io.BytesIO()
    loans(60).to_parquet(buffer)
    path.write_bytes(buffer.getvalue()[:-200])


REFUSED: list[tuple[str, Writer, list[str], list[str]]] = [
    # what it is, how it is written, options, what a person must read
    ("empty", text(""), [], ["empty"]),
    ("only newlines", text("\n\n\n"), [], ["empty"]),
    ("header only", text("a,b,default\n"), [], ["no row of data"]),
    ("too few rows", table(lambda frame: frame.head(12)), [], ["12 rows", "at least 20"]),
    ("target absent", table(lambda frame: frame), ["--target", "defualt"], ["'defualt'", "did you mean 'default'"]),
    ("target in other case", table(lambda frame: frame), ["--target", "Default"], ["written 'default'"]),
    ("target empty", table(lambda frame: frame.assign(default=None)), [], ["target 'default'", "missing"]),
    ("one class", table(lambda frame: frame.assign(default="no")), [], ["only one value, 'no'"]),
    ("infinite target", table(lambda frame: frame.assign(default=np.r_[np.inf, np.arange(59.0)])), [], ["infinite", "line 2"]),
    ("duplicate names", duplicate_names, [], ["'income'", "2"]),
    ("too many fields", too_many_fields, [], ["line 7", "7 fields"]),
    ("an HTML page", text("<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"), [], ["HTML"]),
    ("JSON", text('[{"a": 1, "default": "no"}]\n'), [], ["JSON"]),
    ("a pickle", pickled, [], ["pickle"]),
    ("a truncated gzip", truncated_gzip, [], ["gzip", "again"]),
    ("a cut parquet file", parquet_cut_short, [], ["arquet"]),
    ("regression metric for classes", table(lambda frame: frame), ["--metric", "rmse"], ["'rmse'"]),
    ("unknown metric", table(lambda frame: frame), ["--metric", "roc-acu"], ["'roc-acu'", "roc_auc"]),
    ("impossible kind", table(lambda frame: frame), ["--kind", "regression"], ["regression"]),
    ("kind that is none", table(lambda frame: frame), ["--kind", "clustering"], ["clustering", "--kind"]),
    ("absent group column", table(lambda frame: frame), ["--group", "pateint"], ["'pateint'", "--group"]),
    ("test file missing", table(lambda frame: frame), ["--test-data", "absent.csv"], ["absent.csv"]),
]  # fmt: skip


def refused(done: Finished, *told: str) -> None:
    """Exit code 5, the words a person needs, no traceback, nothing on stdout."""
    assert done.code == 5, done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("error: ")
    assert done.out == ""
    for words in told:
        assert words in done.err


@pytest.mark.parametrize(
    ("write", "options", "told"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused_before_any_work(write: Writer, options: list[str], told: list[str], tmp_path: Path) -> None:
    """File, place and cure are named, and no run is left behind."""
    home = tmp_path / "home"
    path = tmp_path / "data.csv"
    write(path)
    target = [] if "--target" in options else ["--target", "default"]
    done = command_here("build", path, *target, *options, home=home)
    refused(done, *told, "→")
    assert "data.csv" in done.err or any(option in done.err for option in options)
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--time-limit", "0"], "--time-limit"),
        (["--time-limit", "-5m"], "--time-limit"),
        (["--time-limit", "soon"], "'soon'"),
        (["--time-limit", "inf"], "--time-limit"),
        (["--candidates", "0"], "--candidates"),
        (["--candidates", "many"], "'many'"),
        (["--iterations", "-1"], "--iterations"),
        (["--attempts", "0"], "--attempts"),
        (["--folds", "1"], "--folds"),
        (["--jobs", "-2"], "--jobs"),
        (["--seed", "1.5"], "--seed"),
        (["--test-share", "1.5"], "--test-share"),
        (["--memory-mb", "1"], "--memory-mb"),
        (["--review", "everything"], "--review"),
        (["--name", "../x"], "--name"),
        (["--expert", "gpt"], "--expert"),
        (["--role-expert", "cook=builtin"], "'cook'"),
    ],
)
def test_nonsense_limits_are_refused(options: list[str], told: str, loans_csv: Path, home: Path) -> None:
    """Each names the option, the value, and what may stand there."""
    refused(command_here("build", loans_csv, "--target", "default", *options, home=home), told, "→")


def test_every_problem_is_told_at_once(loans_csv: Path, home: Path) -> None:
    """Nonsense options, a missing column and an impossible metric are three problems of one message, in a real process."""
    done = modelwright(
        "build", loans_csv, "--target", "defualt", "--candidates", "0", "--test-share", "1.5", "--metric", "nonsense",
        "--time-column", "when", home=home,
    )  # fmt: skip
    refused(done, "5 problems", "'defualt'", "--candidates", "--test-share", "'nonsense'", "'when'")


def test_a_missing_file_in_a_real_process(tmp_path: Path, home: Path) -> None:
    """The nearest file is named."""
    loans().to_csv(tmp_path / "loans.csv", index=False)
    refused(modelwright("build", tmp_path / "lones.csv", home=home), "lones.csv", "loans.csv")


def test_an_ugly_file_in_a_real_process(tmp_path: Path, home: Path) -> None:
    """A web page that was saved as a table."""
    (tmp_path / "data.csv").write_text("<html><head><title>Sign in</title></head></html>")
    refused(modelwright("build", tmp_path / "data.csv", "--json", home=home), "HTML", "data.csv")


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "nobody"], ["leaderboard", "nobody"], ["log", "nobody"], ["report", "nobody"], ["resume", "nobody"],
        ["approve", "nobody"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_an_unknown_run_is_refused(arguments: list[str], built: Built) -> None:
    """Whichever command is asked, with a hint where to look."""
    refused(command_here(*arguments, home=built.home), "there is no run 'nobody'", "hint:")


def test_no_run_at_all(home: Path) -> None:
    """Before the first build `last` names nothing, and `ls` says how to begin."""
    refused(command_here("show", home=home), "nothing was built yet")
    listed = command_here("ls", home=home)
    assert listed.code == 0
    assert "modelwright demo" in listed.out


def test_predicting_what_does_not_exist(built: Built, tmp_path: Path) -> None:
    """A missing file, a missing run and a folder that is no release."""
    refused(command_here("predict", "shared", tmp_path / "absent.csv", home=built.home), "absent.csv")
    refused(command_here("predict", "nobody", built.data, home=built.home), "'nobody'")
    refused(command_here("predict", str(tmp_path), built.data, home=built.home), str(tmp_path))


def test_predicting_other_columns_lists_all_missing_ones(built: Built, tmp_path: Path) -> None:
    """Every missing column is named, in a real process."""
    built.frame().drop(columns=["income", "debt"]).to_csv(tmp_path / "short.csv", index=False)
    refused(modelwright("predict", "shared", tmp_path / "short.csv", home=built.home), "income", "debt")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bulid", "data.csv"], "Did you mean 'build'"),
        (["build", "data.csv", "--taget", "default"], "did you mean --target"),
        (["build"], "DATA"),
        (["build", "one.csv", "two.csv"], "two.csv"),
        (["ls", "--limit", "few"], "--limit"),
        (["build", "data.csv", "--[red]", "x"], "--[red]"),
        (["approve", "--set", "nonsense"], "hint:"),
    ],
)
def test_usage_errors_end_with_two(arguments: list[str], told: str, built: Built) -> None:
    """Wrong words are answered with the nearest right ones."""
    done = command_here(*arguments, home=built.home)
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert "hint:" in done.err
    assert told in done.err


# ---- handled, said, and shown ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """A build from a table with gaps in the target, an identifier, a copy of the target, and ugly column names."""
    folder = tmp_path_factory.mktemp("handled")
    frame = loans(220).rename(columns={"loan_id": "[red]loan_id[/]", "purpose": "<b>purpose"})
    frame["outcome[/]"] = frame["default"].map({"yes": "bad", "no": "good"})
    frame.loc[[3, 50, 120], "default"] = None
    frame.to_csv(folder / "data.csv", index=False)
    options = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "1", "--folds", "2"]
    return modelwright("build", folder / "data.csv", *options, home=folder / "home"), folder


def test_gaps_identifiers_and_copies_are_handled_and_said(handled: tuple[Finished, Path]) -> None:
    """Rows without a target are left out, identifier and copy are no features, and stderr says so."""
    done, _ = handled
    assert done.code == 0, done.err
    assert "3 rows" in done.err
    assert "'[red]loan_id[/]' is not used" in done.err
    assert "'outcome[/]' is not used" in done.err
    shown = command_here("log", home=handled[1] / "home").out
    assert "'outcome[/]' is not used" in shown


def test_gaps_identifiers_and_copies_are_shown_in_the_report(handled: tuple[Finished, Path]) -> None:
    """The report names them too, and shows markup in names as text."""
    report = next((handled[1] / "home").glob("runs/*/report.html")).read_text()
    for words in ("[red]loan_id[/]", "outcome[/]", "3 rows", "&lt;b&gt;purpose"):
        assert words in report
    assert "<b>purpose" not in report
