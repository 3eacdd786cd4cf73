"""`modelwright review`, and what the reviewer does with a program that cheats."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.conftest import Built
from tests.support.copies import copy_of
from tests.support.inprocess import command_here
from tests.support.llm_server import LlmServer
from tests.support.scripted_team import scripted_team
from tests.tools.test_leaks_programs import ALL_ROWS


def digest(folder: Path) -> str:
    """A hash of every file of a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


def test_a_review_in_full_makes_every_check_and_changes_nothing(built: Built, tmp_path: Path) -> None:
    """All checks, each run or skipped with the reason; release, verdict and openings stay; again it comes from the journal."""
    home = copy_of(built, tmp_path)  # it drives the run and writes to its log, which others look at and copy meanwhile
    release = home / "runs" / built.summary["run_id"] / "release"
    shown = command_here("show", "shared", "--json", home=home).json()
    before = digest(release)
    done = command_here("review", "shared", "--full", "--json", home=home)
    assert done.code == 0, done.err
    one = done.json()
    checks = {check["name"]: check for check in one["checks"]}
    for name in ("duplicates across borders", "label-shuffle canary", "fit without the other validation rows"):
        assert (checks[name]["status"], checks[name]["extent"]) == ("passed", "run")
    assert all(check["detail"] for check in one["checks"] if check["extent"] == "skipped")
    assert "reduced" not in {check["extent"] for check in one["checks"]}
    assert (one["full"], one["run"]) == (True, "shared")
    assert digest(release) == before
    assert command_here("show", "shared", "--json", home=home).json() == shown
    told = command_here("log", "shared", "--json", home=home).json()
    assert [event["data"]["artifact"] for event in told if event["kind"] == "review"] == [one["artifact"]]
    printed = command_here("review", "shared", home=home)
    assert printed.code == 0
    assert "label-shuffle canary" in printed.out
    assert "full review" in printed.out


def test_without_full_the_reviewers_own_review_is_shown(built: Built, tmp_path: Path) -> None:
    """Every run has one; it says how to get the rest."""
    home = copy_of(built, tmp_path)
    (home / "artifacts").rename(home / "elsewhere")  # it is read from the run's log alone
    done = command_here("review", "shared", home=home)
    assert done.code == 0
    assert "columns that give the target away" in done.out
    gone = command_here("review", "shared", "--full", home=home)
    assert gone.code == 1
    assert "artifact" in gone.err
    assert "Traceback" not in gone.err


def test_reviews_that_cannot_be_made_are_refused(built: Built) -> None:
    """An unknown run is named with the nearest, a run without a model says what it is."""
    done = command_here("review", "sharde", "--full", home=built.home)
    assert done.code == 5
    assert "shared" in done.err


def test_a_program_that_uses_validation_rows_is_sent_back_and_never_released(loans_csv: Path, home: Path) -> None:
    """Its writer is told what was found; when it writes the same again, the model is rejected, the test set unopened."""
    program = ALL_ROWS.replace("X.to_numpy()", 'X[["debt"]].fillna(0).to_numpy()').replace(
        "[list(X.columns)]", '[["debt"]]'
    )
    with LlmServer(scripted_team(program)) as server:
        done = command_here(
            "build", loans_csv, "--target", "default", "--time-limit", "600", "--iterations", "1", "--folds", "2",
            "--candidates", "1", "--attempts", "1", "--expert", "openai:scripted", "--base-url", server.url,
            "--api-key-env", "TEAM_KEY", "--no-builtin-candidates", "--json", home=home, TEAM_KEY="k",
        )  # fmt: skip
    one = done.json()
    assert (one["status"], one["folder"], one["opening"]) == ("rejected", None, None)
    assert done.err.count("verdict: revise program: i0-loopback-0") == 2
    assert "sent back: i0-loopback-0 uses validation rows" in done.err
    assert "verdict: reject" in done.err
