"""Looking at process trees, in each of the ways a system may offer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.executors import proctree

FAMILY = """
import os, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
child = os.fork()
if child == 0:
    time.sleep(600)
held = b"x" * 50_000_000
print(child, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def family() -> Iterator[tuple[int, int]]:
    """A process with a child; ids of both."""
    parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    yield parent.pid, child
    os.kill(child, 9)
    parent.kill()
    parent.wait()


@pytest.mark.parametrize("way", ["children files", "scan of /proc", "ps"])
def test_a_tree_is_found_with_its_memory(family: tuple[int, int], way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children and grandchildren of this process are found, and the megabytes they hold."""
    if way == "ps":
        if not Path("/bin/ps").exists():
            pytest.skip("needs ps")
        monkeypatch.setattr(proctree, "LINUX", False)
    elif not proctree.LINUX:
        pytest.skip("needs /proc")
    elif way == "scan of /proc":
        monkeypatch.setattr(proctree, "_HAS_CHILDREN_FILE", False)
    used = proctree.usage(os.getpid())
    assert set(family) <= set(used.pids)
    assert set(family) <= set(proctree.descendants(os.getpid()))
    assert used.rss > 50_000_000
    assert used.tasks >= 2


@pytest.mark.skipif(not proctree.LINUX, reason="needs /proc")
def test_shared_pages_are_counted_once(family: tuple[int, int]) -> None:
    """The proportional size of a tree is below the sum of its resident sizes, and its threads are tasks."""
    used = proctree.usage(os.getpid())
    exact = proctree.proportional(list(family))
    assert exact is not None
    assert 50_000_000 < exact < used.rss
    assert used.tasks >= 3


def test_disk_use_counts_all_below_and_follows_no_link(tmp_path: Path) -> None:
    """Nested files count with their size on disk, a link with its own, and counting stops at the most files."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "large").write_bytes(os.urandom(2_000_000))
    (tmp_path / "link").symlink_to("/usr")
    size, count = proctree.disk_use(tmp_path, 1000)
    assert 2_000_000 <= size < 2_200_000
    assert count == 4
    assert proctree.disk_use(tmp_path, 1)[1] <= 4
    assert proctree.disk_use(tmp_path / "absent", 10) == (0, 0)
