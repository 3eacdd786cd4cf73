"""Looking is cheap: commands that only tell something import no data library and no graph."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import Built
from tests.support.command import ROOT, environment

HEAVY = [
    "pandas", "numpy", "sklearn", "scipy", "langgraph", "langchain_core", "matplotlib", "lightgbm", "skrub", "pyarrow",
    "skops", "jinja2",
]  # fmt: skip

COMMANDS = [
    "--help", "--version", "build --help", "ls", "ls --json", "show", "leaderboard", "log", "log --steps", "fork --help",
    "compare --help", "prune --help", "rm --help", "why", "why last optimism", "report", "approve --help",
]  # fmt: skip

PROGRAM = f"""
import sys
import modelwright
for words in {COMMANDS!r}:
    sys.argv = ["modelwright", *words.split()]
    try:
        modelwright.main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
    found = sorted(set({HEAVY!r}) & set(sys.modules))
    assert not found, f"{{words}} imported {{found}}"
"""


def test_no_heavy_import(built: Built) -> None:
    """A process that runs the commands one after another never has one of the heavy libraries among its modules."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(built.home),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_door_is_light() -> None:
    """`import modelwright` alone loads none of them either."""
    program = f"import sys, modelwright; found = set({HEAVY!r}) & set(sys.modules); assert not found, found"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
