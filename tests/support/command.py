"""Running the command line as a person does: a real process, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment with a home of its own, and without anything that would name another."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELWRIGHT_")}
    own = {"MODELWRIGHT_HOME": str(home), "MODELWRIGHT_TRACEBACK": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return {**kept, **own, **more}


def modelwright(*arguments: object, home: Path, cwd: Path | None = None, **more: str) -> Finished:
    """Run `modelwright …` to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "modelwright", *map(str, arguments)],
        env=environment(home, **more),
        cwd=cwd or home.parent,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(*arguments: object, home: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start `modelwright …` and leave it running; whatever is left of it at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modelwright", *map(str, arguments)],
        env=environment(home, **more),
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def kill_when(process: subprocess.Popen[str], wanted: str, *, number: int = 1) -> list[str]:
    """Read progress until a line holds `wanted` for the `number`-th time, then kill -9. Returns the lines read."""
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if sum(wanted in one for one in lines) >= number:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return lines
    raise AssertionError(f"the command ended before it said {wanted!r}:\n{''.join(lines)}")
