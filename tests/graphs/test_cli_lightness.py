"""Looking is cheap: commands that only tell something import no data library and no graph."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import Built
from tests.support.command import ROOT, environment

HEAVY = [
    "pandas", "numpy", "sklearn", "scipy", "langgraph", "langchain_core", "matplotlib", "lightgbm", "skrub", "pyarrow",
    "skops", "jinja2",
]  # fmt: skip

PROGRAM = f"""
import sys
sys.argv = ["modelwright", *sys.argv[1:]]
import modelwright
try:
    modelwright.main()
except SystemExit as end:
    assert not end.code, end.code
found = sorted(set({HEAVY!r}) & set(sys.modules))
assert not found, f"imported: {{found}}"
"""


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "--version",
        "build --help",
        "ls",
        "ls --json",
        "show",
        "leaderboard",
        "log",
        "log --steps",
        "fork --help",
        "compare --help",
        "prune --help",
        "rm --help",
        "why",
        "why last optimism",
        "report",
        "approve --help",
    ],
)
def test_no_heavy_import(arguments: str, built: Built) -> None:
    """A process that runs the command has none of the heavy libraries among its modules at the end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments.split()],
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
