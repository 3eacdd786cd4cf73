"""A fault of modelwright's own: told in two lines, with the whole report in a private file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT, environment

PROGRAM = """
import sys
sys.argv = ["modelwright", "ls"]
import graphs.cli, graphs.cli.screens
def broken(*arguments, **named):
    raise RuntimeError("postgresql://me:secret@host/db is\\nnot what was expected")
graphs.cli.screens.runs_screen = broken
import modelwright
modelwright.main()
"""


@pytest.mark.parametrize("home_is_a_file", [False, True])
def test_a_fault_is_told_and_its_report_kept(tmp_path: Path, home_is_a_file: bool) -> None:
    """No traceback on the screen unless it cannot be written down; no password anywhere."""
    home = tmp_path / "home"
    if home_is_a_file:
        home.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment(home, MODELWRIGHT_TRACEBACK=""),
        capture_output=True,
        text=True,
        check=False,
    )
    first, second = done.stderr.splitlines()[:2]
    assert done.returncode == 1
    assert first == "error: modelwright has a fault: RuntimeError: postgresql://me:***@host/db is"
    assert "`modelwright resume` goes on" in second
    assert "secret" not in done.stderr
    assert ("Traceback" in done.stderr) == home_is_a_file
    if not home_is_a_file:
        report = Path(second.rpartition(" ")[2])
        assert report.stat().st_mode & 0o777 == 0o600
        assert "not what was expected" in report.read_text()
        assert "secret" not in report.read_text()
