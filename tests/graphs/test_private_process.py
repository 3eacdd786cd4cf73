"""The command that drives a run is closed to other processes of the same user: no tier, no sandbox needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.lowering import NotPossible, become_ordinary

ROOT = Path(__file__).resolve().parents[2]
_VICTIM = """
import sys
if sys.argv[1] == "private":
    from graphs.cli.building import keep_private
    keep_private()
print("ready", flush=True)
sys.stdin.read()
"""
_THIEF = """
import sys
for name in ("environ", "mem", "maps"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb").read(1) if name != "mem" else open(f"/proc/{sys.argv[1]}/mem", "rb")
        print(name)
    except PermissionError:
        pass
"""


def stolen(privacy: str) -> list[str]:
    """What a process of the same ordinary user can open of one that is, or is not, private."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "SECRET"}
    with subprocess.Popen(
        [sys.executable, "-c", _VICTIM, privacy],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        thief = subprocess.run(
            [sys.executable, "-c", _THIEF, str(victim.pid)], capture_output=True, text=True, check=True
        )
        victim.communicate("")
    return thief.stdout.split()


def test_another_process_of_the_user_reads_neither_memory_nor_environment() -> None:
    """An ordinary process can be read by its user's other processes; the one that drives a run cannot."""
    child = os.fork() if os.getuid() == 0 else -1
    if child > 0:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 77:
            pytest.skip("this system lets root become no ordinary user that can read the interpreter")
        assert code == 0
        return
    code = 1
    try:
        if child == 0:
            become_ordinary(ROOT)
        assert stolen("open") == ["environ", "mem", "maps"]
        assert stolen("private") == []
        code = 0
    except NotPossible:
        code = 77
    finally:
        if child == 0:
            os._exit(code)
