"""A warm parent that starts before its executor: taken when it fits, ended when nobody takes it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tools.artifacts import FolderArtifacts
from tools.executors.early import early_worker, take_worker
from tools.executors.process import ProcessExecutor


def _children() -> set[int]:
    """Warm parents this process has started and that live."""
    return {child.pid for child in psutil.Process().children() if _is_warm_parent(child)}


def _is_warm_parent(child: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # it ended while we looked, or is a zombie
        return any("zygote.py" in word for word in child.cmdline())
    return False


def test_the_executor_of_the_run_takes_it(home: Path, tmp_path: Path) -> None:
    """No second warm parent is started, and it lives on with the executor, not with the command's start."""
    before = _children()
    with early_worker():
        started = _children() - before
        assert len(started) == 1
        executor = ProcessExecutor(FolderArtifacts(tmp_path / "artifacts"), tmp_path / "jobs", 1, cache=home / "cache")
        try:
            executor.warm()
            assert _children() - before == started
        finally:
            executor.close()
    assert _children() <= before


@pytest.mark.parametrize("other", ["folder", "threads"])
def test_what_does_not_fit_is_ended(home: Path, tmp_path: Path, other: str) -> None:
    """Another folder or another number of threads needs a warm parent of its own; the early one ends with its start."""
    before = _children()
    with early_worker():
        worker = take_worker(tmp_path if other == "folder" else home / "cache", 2 if other == "threads" else 1)
        assert len(_children() - before) == 1
        worker.close()
    assert _children() <= before


def test_a_refused_command_leaves_none(home: Path) -> None:
    """An error on the way to the run ends it, too."""
    before = _children()

    def refuse() -> None:
        assert len(_children() - before) == 1
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"), early_worker():
        refuse()
    assert _children() <= before
