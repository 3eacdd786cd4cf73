"""The run lock: one driver, named to the others, and free as soon as its process is gone."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from state.errors import EXIT_HELD, RunHeld
from tools import locks
from tools.locks import hold_run, holder

ROOT = Path(__file__).parents[2]

DRIVER = """
import subprocess, sys, time
from pathlib import Path
from tools.locks import hold_run
with hold_run(Path(sys.argv[1])):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    print(child.pid, flush=True)
    time.sleep(600)
"""


def test_a_second_driver_is_told_who_holds_the_run(tmp_path: Path) -> None:
    """Another process is refused at once, with pid, host, time and what to do; kill -9 of the holder frees the run,
    also while a child it started lives on."""
    folder = tmp_path / "run-id"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    child = int(driver.stdout.readline())
    try:
        with pytest.raises(RunHeld) as refused, hold_run(folder):
            pass
        assert f"run 'run-id' is driven by process {driver.pid} on {socket.gethostname()} since 20" in str(
            refused.value
        )
        assert f"`kill {driver.pid}`" in refused.value.hint
        assert refused.value.exit_code == EXIT_HELD
        facts = holder(folder)
        assert facts is not None
        assert facts["pid"] == driver.pid
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    try:
        assert holder(folder) is None
        with hold_run(folder):
            os.kill(child, 0)  # the orphan lives, and does not matter
    finally:
        os.kill(child, signal.SIGKILL)


def test_the_same_process_cannot_drive_twice(tmp_path: Path) -> None:
    """A second driver in the same process is refused too, and the first keeps the run."""
    with hold_run(tmp_path):
        with pytest.raises(RunHeld, match="this very process"), hold_run(tmp_path):
            pass
        assert holder(tmp_path) is not None
    assert holder(tmp_path) is None
    with hold_run(tmp_path):
        pass


def test_an_exception_frees_the_run(tmp_path: Path) -> None:
    """Whatever ends the block, the lock goes with it."""

    def fail() -> None:
        with hold_run(tmp_path):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with hold_run(tmp_path):
        pass


def test_a_forked_child_neither_holds_nor_frees_the_run(tmp_path: Path) -> None:
    """A bare fork inside the block leaves the lock with the parent alone, whichever of the two ends first."""
    keep_reading, keep_writing = os.pipe()
    with hold_run(tmp_path):
        quick = os.fork()
        if quick == 0:
            os._exit(0)
        slow = os.fork()
        if slow == 0:
            os.close(keep_writing)
            os.read(keep_reading, 1)  # until the parent closes its end
            os._exit(0)
        os.waitpid(quick, 0)
        facts = holder(tmp_path)
        assert facts is not None, "the end of a child must not free the parent's lock"
        assert facts["pid"] == os.getpid()
    assert holder(tmp_path) is None, "a living child must not hold the run"
    os.close(keep_writing)
    os.waitpid(slow, 0)
    os.close(keep_reading)


def test_the_lock_file_is_private(tmp_path: Path) -> None:
    """The run's folder is made when it is not there, for its owner only; nobody drives an unknown run."""
    assert holder(tmp_path / "new") is None
    with hold_run(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "new" / "run.lock").stat().st_mode & 0o777 == 0o600


def test_the_lock_of_a_removed_run_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited for a lock whose file was removed meanwhile holds the one that is there now, as all others see it."""
    folder, lock, rounds = tmp_path / "run", locks._lock, []

    def lock_late(handle: int, path: Path) -> None:
        rounds.append(path)
        if len(rounds) == 1:
            shutil.rmtree(folder)
        lock(handle, path)

    monkeypatch.setattr(locks, "_lock", lock_late)
    with hold_run(folder):
        assert len(rounds) == 2
        assert holder(folder) is not None
        with pytest.raises(RunHeld), hold_run(folder):
            pass
    assert holder(folder) is None
