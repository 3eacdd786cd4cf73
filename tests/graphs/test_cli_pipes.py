"""Output into a pipe whose reader leaves early, as `head` does."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import Built
from tests.support.command import ROOT, environment

PROGRAM = """
import sys
from graphs.cli.progress import PlainProgress
shown = PlainProgress()
sys.stdin.readline()
for number in range(3):
    shown({"kind": "note", "role": "", "text": f"line {number}", "data": {}})
print("still at work")
"""


def test_a_run_goes_on_when_nobody_reads_its_progress() -> None:
    """The reader of stderr has gone before the first line: nothing is raised, and the result is told."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        out, _ = process.communicate("\n")
    assert out == "still at work\n"
    assert process.returncode == 0


def test_looking_ends_quietly_when_its_reader_has_gone(built: Built) -> None:
    """`modelwright ls` into a closed pipe says nothing and ends well."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "modelwright", "ls"],
            cwd=ROOT,
            env=environment(built.home),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 0
    assert done.stderr == ""
