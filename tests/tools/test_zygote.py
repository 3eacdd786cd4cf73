"""The warm parent as a process of its own: what it holds, what it says, when it goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.executor import PATIENCE, wait_until_gone
from tools.executors import zygote
from tools.sandbox import environment

SCRIPT = Path(zygote.__file__)


class Parent:
    """A warm parent driven by hand."""

    def __init__(self, folder: Path, *before: str, stderr: int | None = None) -> None:
        """before: arguments of Python before the script. stderr: as of Popen."""
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-B", *before, str(SCRIPT), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(folder, 1),
            cwd=folder,
            text=True,
            start_new_session=True,
        )
        self.ready = self.hear()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def say(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def start(self, number: int, text: str) -> Path:
        """Ask for a script job; returns its folder."""
        folder = self.folder / f"job{number}"
        for name in ("in", "out"):
            (folder / name).mkdir(parents=True)
        (folder / "in" / "main.py").write_text(text)
        limits = {"seconds": 600, "memory_mb": 1000, "disk_mb": 100, "output_kb": 64, "tasks": 50}
        description = {
            "key": f"key{number}", "boot": "b", "kind": "script", "folder": str(folder), "params": {"argv": ["main.py"]},
            "time_limit": None, "n_jobs": 1, "threads": 1, "tier": "T3", "limits": limits,
        }  # fmt: skip
        (folder / "job.json").write_text(json.dumps(description))
        self.say(do="run", id=number, folder=str(folder))
        return folder


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parent]:
    made = Parent(tmp_path_factory.mktemp("zygote"))
    yield made
    made.process.kill()
    made.process.wait()


def test_it_has_the_libraries_and_one_thread(parent: Parent) -> None:
    """When it says that it is ready, the core libraries are loaded and it has a single thread."""
    assert parent.ready["event"] == "ready"
    assert parent.ready["pid"] == parent.process.pid
    assert parent.ready["threads"] == 1
    assert {"pandas", "sklearn.ensemble", "lightgbm", "modelwright_portable.saving"} <= set(parent.ready["modules"])


def test_the_receipt_is_durable_before_it_is_reported(parent: Parent) -> None:
    """What is said on stdout lies in the job's folder already, and the log beside it."""
    folder = parent.start(1, "print('hello')")
    message = parent.hear()
    assert (message["event"], message["id"]) == ("done", 1)
    assert message["receipt"] == json.loads((folder / "receipt.json").read_text())
    assert message["receipt"]["status"] == "done"
    assert (folder / "log.txt").read_text() == "hello\n"


def test_a_job_inherits_no_file_and_does_not_see_ours(parent: Parent) -> None:
    """A job has stdin, stdout, stderr and nothing else open, leads its own session, and can have a module `harness`."""
    text = "import os, sys\nprint(sorted(set(os.listdir('/proc/self/fd')) - {'3'}), os.getsid(0) == os.getpid())\n"
    text += "print([name for name in ('harness', 'saving', 'tools', 'state') if name in sys.modules])\n"
    folder = parent.start(2, text)
    assert parent.hear()["receipt"]["status"] == "done"
    assert (folder / "log.txt").read_text() == "['0', '1', '2'] True\n[]\n"


def test_a_killed_job_has_no_receipt(parent: Parent) -> None:
    """A job ended by request is reported without a receipt, and none lies in its folder."""
    folder = parent.start(3, "import os, time\nopen('mark', 'w').close()\ntime.sleep(600)\n")
    while not (folder / "out" / "mark").exists():
        time.sleep(0.02)
    parent.say(do="kill", id=3)
    assert parent.hear() == {"event": "done", "id": 3, "receipt": None}
    assert not (folder / "receipt.json").exists()


def test_killing_a_keeper_kills_its_job(parent: Parent) -> None:
    """A program and its children do not outlive a keeper that is killed, and the death is reported."""
    text = "import os, time\npid = os.fork()\nif pid == 0:\n    os.setsid()\n    time.sleep(600)\n"
    text += "open('mark', 'w').write(f'{os.getppid()} {os.getpid()} {pid}\\n')\ntime.sleep(600)\n"
    mark = parent.start(4, text) / "out" / "mark"
    while not (mark.exists() and mark.read_text().endswith("\n")):
        time.sleep(0.02)
    keeper, program, child = map(int, mark.read_text().split())
    os.kill(keeper, 9)
    assert parent.hear() == {"event": "done", "id": 4, "receipt": None}
    wait_until_gone(program, child)


def test_it_kills_everything_when_its_stdin_ends(parent: Parent) -> None:
    """End of file on stdin ends running jobs and then the warm parent itself."""
    mark = (
        parent.start(5, "import os, time\nopen('mark', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(600)\n") / "out/mark"
    )
    while not (mark.exists() and mark.read_text().endswith("\n")):
        time.sleep(0.02)
    assert parent.process.stdin is not None
    parent.process.stdin.close()
    assert parent.process.wait(PATIENCE) == 0
    wait_until_gone(int(mark.read_text()))
