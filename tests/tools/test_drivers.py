"""Who holds a run: told apart whatever they are called, and never two at once, neither drivers nor writers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from state.errors import RunHeld, UsageError
from tests.tools.test_skew import CONFIG, THREAD, graph
from tools import locks
from tools.checkpointrows import copy_thread, read_thread
from tools.checkpoints import open_saver
from tools.drivers import check_driver, drive_run, driver_of, write_beside
from tools.fingerprint import identity_of
from tools.home import run_folder
from tools.homesaver import HomeSaver
from tools.locks import LOCK_FILE, holder
from tools.places import run_place
from tools.runlog import RunLog
from tools.skew import Migration, RenameNode, migrate_thread

ROOT = Path(__file__).parents[2]
APART = ["unshare", "-rpf", "--mount-proc", "--kill-child"]
"""Runs a command as a container does: with process numbers of its own, from 1, and here the name of this host."""

DRIVER = """
import os, socket, sys
from tools.drivers import drive_run
with drive_run(sys.argv[1]):
    print(os.getpid(), socket.gethostname(), flush=True)
    sys.stdin.readline()
"""

WRITER = """
import asyncio, os, socket, sys
from langgraph.checkpoint.base import empty_checkpoint
from state.errors import RunHeld
from tools.drivers import check_driver
from tools.homesaver import HomeSaver

def attempt(work):
    try:
        work()
    except RunHeld as error:
        return error.message
    return "let through"

def write():
    place = {"configurable": {"thread_id": sys.argv[1], "checkpoint_ns": ""}}
    asyncio.run(HomeSaver().aput(place, empty_checkpoint(), {"source": "loop", "step": 1}, {}))

print(os.getpid(), socket.gethostname())
if "check" in sys.argv:
    print(attempt(lambda: check_driver(sys.argv[1])))
print(attempt(write))
"""


@contextmanager
def process(script: str, *words: str, apart: bool = False, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ours, ended at the end of the block."""
    made = subprocess.Popen(
        [*(APART if apart else ()), sys.executable, "-c", script, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield made
    finally:
        made.kill()
        made.communicate()


def said(made: subprocess.Popen[str]) -> str:
    assert made.stdout is not None
    return made.stdout.readline().strip()


@pytest.fixture
def containers() -> None:
    tried = subprocess.run([*APART, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no process namespaces of one's own here: {tried.stderr.strip()}")


@pytest.mark.usefixtures("containers", "home")
def test_processes_of_one_number_and_host_are_told_apart() -> None:
    """Two containers on one store: both are process 1 on a host of the same name, and one does not write for the other."""
    name = f"1 {socket.gethostname()}"
    with process(DRIVER, THREAD, apart=True) as driver:
        assert said(driver) == name
        with process(WRITER, THREAD, "check", apart=True) as writer:
            assert said(writer) == name
            for told in (said(writer), said(writer)):
                assert f"run {THREAD!r} is driven by process 1 on {socket.gethostname()}" in told


@pytest.mark.usefixtures("containers")
def test_leases_of_one_number_and_host_are_told_apart(database_url: str, tmp_path: Path) -> None:
    """The same on a shared database, where each container has a disk of its own and only the lease is common."""
    name = f"1 {socket.gethostname()}"
    one, other = ({"MODELWRIGHT_HOME": str(tmp_path / each), "MODELWRIGHT_STORE": database_url} for each in "ab")
    with process(DRIVER, THREAD, apart=True, **one) as driver:
        assert said(driver) == name
        with process(WRITER, THREAD, "check", apart=True, **other) as writer:
            assert said(writer) == name
            for told in (said(writer), said(writer)):
                assert "is driven by process 1 on" in told
                assert "its lease lasts until" in told


@pytest.mark.usefixtures("home")
def test_a_lock_of_an_earlier_version_is_anothers() -> None:
    """What a lock file says is for people: one that names our own process and host, held elsewhere, is not ours."""
    folder = run_folder(THREAD)
    folder.mkdir(parents=True)
    path = folder / LOCK_FILE
    path.write_text(f'{{"pid": {os.getpid()}, "host": "{socket.gethostname()}", "since": "2026-11-01T00:00:00+00:00"}}')
    script = (
        "import fcntl, sys\nfile = open(sys.argv[1])\nfcntl.flock(file, fcntl.LOCK_EX)\nprint('has it', flush=True)\n"
    )
    with process(f"{script}sys.stdin.readline()\n", str(path)) as older:
        assert said(older) == "has it"
        with pytest.raises(RunHeld, match=f"driven by process {os.getpid()} on"):
            check_driver(THREAD)
        with pytest.raises(RunHeld) as refused, drive_run(THREAD):
            pass
        assert "this very process" not in refused.value.hint
    with drive_run(THREAD):
        check_driver(THREAD)


# ---- writes from beside ---------------------------------------------------------------------------------------------


def put(number: int = 0) -> None:
    """Store a checkpoint as the LangGraph server does."""
    asyncio.run(HomeSaver().aput(_at(), empty_checkpoint(), {"source": "loop", "step": number}, {}))


def _at() -> Any:
    return {"configurable": {"thread_id": THREAD, "checkpoint_ns": ""}}


@contextmanager
def stuck_writer() -> Iterator[tuple[subprocess.Popen[str], sqlite3.Connection]]:
    """A process that has begun to store a checkpoint and has to wait for another writer of the file."""
    put()
    path = run_place(THREAD)
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        with process(WRITER, THREAD) as writer:
            said(writer)
            files = Path(f"/proc/{writer.pid}/fd")
            while str(path) not in {os.readlink(one) for one in files.iterdir() if os.path.lexists(one)}:
                assert writer.poll() is None
            yield writer, busy


@pytest.mark.usefixtures("home")
def test_nobody_begins_to_drive_while_a_write_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that another process has begun to store is not stored beside a driver that came in between."""
    monkeypatch.setattr(locks, "BRIEF_SECONDS", 0.0)
    with stuck_writer() as (writer, busy):
        with pytest.raises(RunHeld, match=f"driven by process {writer.pid} on"), drive_run(THREAD):
            pass
        busy.execute("ROLLBACK")
        assert said(writer) == "let through"
        writer.wait()
        with drive_run(THREAD):
            pass


@pytest.mark.usefixtures("home")
def test_a_driver_waits_for_a_write_that_is_under_way() -> None:
    """Holding a run for a write takes a moment: who wants to drive it, or looks whether he may, waits instead of being refused."""
    order: list[str] = []

    def drive() -> None:
        check_driver(THREAD)
        with drive_run(THREAD):
            order.append("drives")

    with stuck_writer() as (writer, busy):
        thread = threading.Thread(target=drive)
        thread.start()
        thread.join(0.5)
        order.append("is written")
        busy.execute("ROLLBACK")
        assert said(writer) == "let through"
        thread.join()
    assert order == ["is written", "drives"]


@pytest.mark.usefixtures("home")
def test_a_driver_and_writers_of_one_process_share_the_run() -> None:
    """Writes join the driver and the driver the writes; the run is free when the last of them has ended."""
    folder = run_folder(THREAD)

    def facts() -> dict[str, Any]:
        found = driver_of(THREAD)
        assert found is not None
        return found

    with write_beside(THREAD):
        assert facts()["brief"]
        drive = drive_run(THREAD)
        drive.__enter__()
        assert "brief" not in facts()
        with pytest.raises(RunHeld) as refused, drive_run(THREAD):
            pass
        assert "this very process" in refused.value.hint
        with write_beside(THREAD):
            put()
        drive.__exit__(None, None, None)
        assert facts()["brief"]
    assert holder(folder) is None
    with drive_run(THREAD), write_beside(THREAD):
        assert "brief" not in facts()
    assert driver_of(THREAD) is None


@pytest.mark.usefixtures("home")
def test_a_write_that_is_cancelled_leaves_the_run_free() -> None:
    """Cancelled while it waits for the run's lock, it does not keep the lock that it gets a moment later."""
    put()
    folder = run_folder(THREAD)

    async def scene() -> None:
        with (folder / LOCK_FILE).open() as looking:
            fcntl.flock(looking, fcntl.LOCK_SH)
            task = asyncio.create_task(HomeSaver().aput(_at(), empty_checkpoint(), {"source": "update", "step": 1}, {}))
            while not locks._held:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
    assert holder(folder) is None


@pytest.mark.usefixtures("home")
def test_nothing_is_left_by_deleting_what_is_not_there() -> None:
    """Deleting and pruning an unknown thread makes neither a folder nor a lock."""
    asyncio.run(HomeSaver().adelete_thread(THREAD))
    asyncio.run(HomeSaver().aprune([THREAD]))
    assert not run_folder(THREAD).exists()


# ---- migrations and copies ------------------------------------------------------------------------------------------


def renamed() -> tuple[Any, tuple[Migration, ...]]:
    """A thread that waits in a node which today has another name; today's graph, and the way there."""

    async def begin() -> str:
        async with open_saver(run_place(THREAD)) as saver:
            compiled = graph().compile(checkpointer=saver)
            saver.bind(identity_of(compiled))
            await compiled.ainvoke({"trail": []}, CONFIG, durability="sync")
            return identity_of(compiled).version

    before = asyncio.run(begin())
    compiled = graph(second="other").compile(checkpointer=HomeSaver())
    identity = identity_of(compiled)
    steps = (Migration(1, before, identity.version, "renamed", (RenameNode("second", "other"),)),)
    compiled.checkpointer.bind(identity, steps)
    return compiled, steps


def migrations() -> int:
    log = RunLog(run_place(THREAD))
    try:
        return sum(event["kind"] == "migrated" for event in log.events())
    finally:
        log.close()


@pytest.mark.usefixtures("home")
def test_a_run_that_is_driven_elsewhere_is_not_migrated() -> None:
    """Going on with a newer graph is refused while another process drives the run, before its rows are touched."""
    compiled, _ = renamed()
    before = read_thread(run_place(THREAD), THREAD).checkpoints
    with process(DRIVER, THREAD) as driver:
        said(driver)
        with pytest.raises(RunHeld, match=f"driven by process {driver.pid} on"):
            asyncio.run(compiled.ainvoke(None, CONFIG, durability="sync"))
        assert read_thread(run_place(THREAD), THREAD).checkpoints == before
    asyncio.run(compiled.ainvoke(None, CONFIG, durability="sync"))
    assert migrations() == 1


@pytest.mark.usefixtures("home")
def test_a_migration_that_comes_late_changes_nothing() -> None:
    """Two that found the same old rows: the second one to write sees that they are new by now."""
    compiled, steps = renamed()
    identity = identity_of(compiled)
    for _ in range(2):
        migrate_thread(run_place(THREAD), THREAD, steps, identity)
    assert migrations() == 1
    rows = read_thread(run_place(THREAD), THREAD)
    assert {row["graph"] for row in rows.checkpoints.values()} == {identity.version}


@pytest.mark.usefixtures("home")
def test_of_two_copies_to_one_place_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that found its place free, and finds it taken when it writes, is refused and mixes nothing in."""
    put()
    other = "44444444-4444-4444-8444-444444444444"
    place, target = run_place(THREAD), run_place(other)
    real, rounds = read_thread, []

    def read_late(where: Any, thread: str) -> Any:
        rows = real(where, thread)
        rounds.append(thread)
        if len(rounds) == 1:
            copy_thread(place, THREAD, target, other)
        return rows

    monkeypatch.setattr("tools.checkpointrows.read_thread", read_late)
    with pytest.raises(UsageError, match="holds a run already"):
        copy_thread(place, THREAD, target, other)
    assert len(read_thread(target, other).checkpoints) == 1
