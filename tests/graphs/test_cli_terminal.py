"""The command line at a real terminal: live progress, questions answered on the spot, Ctrl-C once and twice."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.conformance.executor import wait_until_gone
from tests.conftest import Built
from tests.durability.processes import family
from tests.support.inprocess import command_here
from tests.support.tables import loans
from tests.support.terminal import terminal

OPTIONS = ["--target", "default", "--time-limit", "600", "--iterations", "1", "--candidates", "2", "--folds", "3"]


@pytest.fixture
def odd_csv(tmp_path: Path) -> Path:
    """Column names that would be markup."""
    path = tmp_path / "odd.csv"
    loans().rename(columns={"debt": "[red]", "purpose": "[/]", "loan_id": "<b>id"}).to_csv(path, index=False)
    return path


def hold_a_training(driver: int) -> None:
    """Stop the programs that train now, so that none of them ends before it is ended."""
    while (now := family(driver))["orchestrator"]:
        held = [program for program in now["training"] if is_held(program)]
        if held:
            return
        time.sleep(0.01)
    raise AssertionError("the build ended before a program could be stopped")


def is_held(program: psutil.Process) -> bool:
    """Stops a program; False when it ended before."""
    with suppress(psutil.NoSuchProcess):
        program.suspend()
        while program.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
            time.sleep(0.01)
        return bool(program.status() == psutil.STATUS_STOPPED)
    return False


def test_a_build_answered_at_the_terminal(odd_csv: Path, home: Path) -> None:
    """Plans are asked about at once; nonsense is asked again; what is dropped does not run; waiting costs no time."""
    began = time.monotonic()
    with terminal("build", odd_csv, *OPTIONS, "--review", "plan", "--name", "asked", home=home) as person:
        person.wait_for("[l]ater")
        asked = time.monotonic()
        time.sleep(max(3.0, asked - began))  # long beside all that the machine takes for its own part, busy or not
        person.type("whatever\n")
        person.wait_for("is no answer")
        person.type("d 9\n")
        person.wait_for("no plan named '9'")
        waited = time.monotonic() - asked
        person.type("d 2\n")
        person.wait_for("fold 1 of 3")
        assert person.end() == 0
    assert "\x1b[?1049h" not in person.raw, "the alternate screen would take the result away"
    assert "left of 10:00" in person.text
    assert "'<b>id' is not used" in " ".join(person.text.split())
    final = person.text[person.text.rindex("done after") :]
    assert "best" in final
    assert "modelwright predict asked new.csv" in final
    rows = command_here("leaderboard", "asked", "--json", home=home).json()
    assert len(rows) == 1
    told = command_here("log", "asked", "--json", home=home).json()
    first, second = (event for event in told if event["kind"] == "session")
    assert first["data"]["spent"] == 0
    worked = (datetime.fromisoformat(told[-1]["time"]) - datetime.fromisoformat(second["time"])).total_seconds()
    counted = command_here("show", "asked", "--json", home=home).json()["active_seconds"] - second["data"]["spent"]
    assert counted < worked + 0.8 * waited, "the wait at the terminal counted as work"


def test_ctrl_c_twice_ends_the_programs_and_the_run_can_go_on(odd_csv: Path, home: Path) -> None:
    """The second Ctrl-C waits for no training: exit code 130, no process left, and resume finishes the run."""
    with terminal("build", odd_csv, *OPTIONS, "--name", "hit", home=home) as person:
        person.wait_for("fold 1 of 3")
        hold_a_training(person.pid)
        children = psutil.Process(person.pid).children(recursive=True)
        person.type("\x03")
        person.wait_for("pausing")
        person.type("\x03")
        person.wait_for("ending the running programs")
        assert person.end() == 130
    assert "Traceback" not in person.text
    assert "modelwright resume hit" in person.text
    wait_until_gone(*(child.pid for child in children))
    assert command_here("show", "hit", "--json", home=home).json()["status"] == "paused"
    with terminal("resume", "hit", home=home, NO_COLOR="1", columns=60) as person:
        assert person.end() == 0
    colours = [code for code in ("\x1b[31m", "\x1b[32m", "\x1b[36m") if code in person.raw]
    assert colours == []


def test_ctrl_c_before_the_run_begins(odd_csv: Path, home: Path) -> None:
    """Nothing was under way: exit code 130 and no traceback."""
    with terminal("build", odd_csv, *OPTIONS, home=home) as person:
        person.wait_for("starting")
        person.type("\x03")
        code = person.end()
    assert code == 130
    assert "Traceback" not in person.text


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_tables_fit_the_terminal(columns: int, built: Built) -> None:
    """No line is longer than the terminal is wide, but for paths and commands, which can be copied whole."""
    for command in ("ls", "leaderboard", "log"):
        with terminal(command, home=built.home, columns=columns) as person:
            assert person.end() == 0
        lines = [line.rstrip() for line in person.text.splitlines()]
        assert max(map(len, lines)) <= columns, command


def test_no_terminal_gets_plain_lines(built: Built) -> None:
    """Without a terminal there are no escape sequences, and results are one line per row."""
    done = command_here("leaderboard", home=built.home)
    assert "\x1b" not in done.out
    assert len(done.out.splitlines()) == len(command_here("leaderboard", "--json", home=built.home).json()) + 2


def test_colour_can_be_refused(built: Built) -> None:
    """NO_COLOR is honoured."""
    with terminal("show", home=built.home, NO_COLOR="1") as person:
        assert person.end() == 0
    assert "\x1b[3" not in person.raw
