"""What surrounds a program: environment, memory share, tier."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from tools import sandbox


def test_the_environment_is_an_allow_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets, proxies and Python's own variables of the parent are left behind; PATH and language are passed on."""
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("PYTHONPATH", "canary")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    found = sandbox.environment(tmp_path, threads=2)
    assert "canary" not in found.values()
    assert found["LC_ALL"] == "C.UTF-8"
    assert found["HOME"] == found["TMPDIR"] == str(tmp_path)
    assert (found["OMP_NUM_THREADS"], found["OPENBLAS_NUM_THREADS"]) == ("2", "1")
    assert found["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> float:
    """Megabytes free on the machine, as they are now: what other processes take or give back meanwhile changes nothing."""
    now = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: now)
    return float(now.available / 2**20)


def test_memory_is_shared_between_slots(free: float) -> None:
    """One program may use at most its share of what is free, never less than half a gigabyte."""
    one, four = sandbox.default_memory_mb(1), sandbox.default_memory_mb(4)
    assert 512 <= four <= one <= max(512, free)
    assert sandbox.default_memory_mb(10**6) == 512


def test_the_memory_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float) -> None:
    """Inside a container with 2 GB, 1.5 GB of it used and 0.5 GB of that only file cache, 80 % of 1 GB is shared."""
    (tmp_path / "memory.max").write_text(str(2 * 2**30))
    (tmp_path / "memory.current").write_text(str(3 * 2**29))
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {2**29}\n")
    monkeypatch.setattr(sandbox, "_CGROUPS", ((str(tmp_path), "memory.max", "memory.current", "inactive_file"),))
    assert sandbox.default_memory_mb(1) == max(512, min(819, int(free * 0.8)))


def test_library_folders_outside_the_environment_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user's site-packages is passed on to the warm parent; a checkout on the path is not."""
    extra = tmp_path / "site-packages"
    extra.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(extra), *sys.path])
    assert sandbox.library_paths() == [str(extra)]
