"""What happens when the system gives no process, file or thread: one job has bad luck, and everything else goes on."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from state.errors import ModelwrightError
from state.jobs import Receipt
from tests.conformance.executor import PATIENCE, is_running, run
from tests.support.programs import script_job
from tests.tools.test_zygote import Parent
from tools.artifacts import FolderArtifacts
from tools.executors.folders import is_in_use
from tools.executors.process import ProcessExecutor

# A process whose children would be born into a dead process namespace gets ENOMEM from fork, until it turns back.
WITHOUT_FORK = """
import ctypes, os, runpy, signal, sys

NEWPID, NEWUSER = 0x20000000, 0x10000000
libc = ctypes.CDLL(None, use_errno=True)
ours = os.open("/proc/self/ns/pid", os.O_RDONLY)

def refuse(*_):
    if libc.unshare(NEWPID):
        os._exit(3)
    first = os.fork()
    if first == 0:
        os._exit(0)
    os.waitpid(first, 0)
    print("forks are refused", file=sys.stderr, flush=True)

def allow(*_):
    if libc.setns(ours, NEWPID):
        os._exit(4)
    print("forks are allowed", file=sys.stderr, flush=True)

if os.geteuid() and libc.unshare(NEWUSER):
    os._exit(5)
signal.signal(signal.SIGUSR1, refuse)
signal.signal(signal.SIGUSR2, allow)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Refused(Parent):
    """A warm parent whose forks can be refused by the kernel."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "-c", WITHOUT_FORK, stderr=subprocess.PIPE)

    def tell(self, number: int, wanted: str) -> None:
        self.process.send_signal(number)
        assert self.process.stderr is not None
        while (line := self.process.stderr.readline()).strip() != wanted:
            assert line, f"the warm parent ended: {self.process.wait()}"


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Refused]:
    if subprocess.run(["unshare", "-rpf", "true"], capture_output=True).returncode:
        pytest.skip("no process namespaces of one's own here")
    made = Refused(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    for pipe in (made.process.stdin, made.process.stdout, made.process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_refused_fork_is_told_and_the_warm_parent_lives_on(parent: Refused) -> None:
    """The kernel has no memory for one more process: that job is refused, the one that runs ends well, the next one runs."""
    waits = "import time\nfrom pathlib import Path\nPath('mark').touch()\nwhile not Path('go').exists():\n    time.sleep(0.01)\n"
    folder = parent.start(1, waits)
    while not (folder / "out" / "mark").exists():
        pass
    parent.tell(signal.SIGUSR1, "forks are refused")
    parent.start(2, "print('never')")
    assert parent.hear() == {"event": "refused", "id": 2, "error": "Cannot allocate memory"}
    (folder / "out" / "go").touch()
    ended = parent.hear()
    assert (ended["event"], ended["id"], ended["receipt"]["status"]) == ("done", 1, "done")
    parent.tell(signal.SIGUSR2, "forks are allowed")
    parent.start(3, "print('again')")
    assert parent.hear()["receipt"]["status"] == "done"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> FolderArtifacts:
    return FolderArtifacts(tmp_path_factory.mktemp("store"))


@pytest.fixture
def executor(artifacts: FolderArtifacts, tmp_path: Path) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(artifacts, tmp_path / "jobs", slots=2, tier="T3")
    yield made
    made.close()


@contextmanager
def few_files(pid: int) -> Iterator[None]:
    """The kernel lets a process open no file more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_refused_job_is_tried_again(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """As soon as there is room again the job runs, from the same warm parent, and nothing of it is remembered."""
    assert run(executor, script_job(artifacts, "print(1)")).ok
    pid, told = executor.worker.facts["pid"], executor.worker._number
    receipts: list[Receipt] = []
    job = threading.Thread(target=lambda: receipts.append(run(executor, script_job(artifacts, "print(2)"))))
    with few_files(pid):
        job.start()
        while executor.worker._number < told + 2:  # refused once, and asked for again
            assert is_running(pid), "the warm parent ended"
    job.join(PATIENCE)
    assert [receipt.status for receipt in receipts] == ["done"]
    assert executor.worker.facts["pid"] == pid


def test_a_job_that_is_refused_for_good_has_a_receipt_that_says_why(
    executor: ProcessExecutor, artifacts: FolderArtifacts
) -> None:
    """It failed for want of room and not for what it is; the warm parent goes on with the next one."""
    assert run(executor, script_job(artifacts, "print(1)")).ok
    pid = executor.worker.facts["pid"]
    with few_files(pid):
        refused = run(executor, script_job(artifacts, "print(2)"), key="refused")
    assert (refused.status, refused.outputs) == ("signal", {})
    assert "could not be started: Too many open files" in refused.error
    assert "allows no more processes, open files or memory" in refused.error
    again = run(executor, script_job(artifacts, "print(2)"), key="refused")
    assert (again.status, executor.worker.facts["pid"]) == ("done", pid)


def test_an_executor_that_gets_no_thread_says_so(artifacts: FolderArtifacts, tmp_path: Path) -> None:
    """No slot, no waiting for ever: the job is refused with the reason, and can be submitted again."""
    made = ProcessExecutor(artifacts, tmp_path / "jobs", slots=2, tier="T3")
    size = threading.stack_size(1 << 46)  # no machine has room for such a stack
    try:
        with pytest.raises(ModelwrightError, match="no program can be started: can't start new thread"):
            asyncio.run(made.submit(script_job(artifacts, "print(1)"), "one"))
    finally:
        threading.stack_size(size)
    try:
        assert run(made, script_job(artifacts, "print(1)"), key="one").ok
    finally:
        made.close()


def test_closing_gives_up_ownership_whatever_became_of_the_folders(
    executor: ProcessExecutor, artifacts: FolderArtifacts, tmp_path: Path
) -> None:
    """The note of a failed job has gone with its folder: closing is no error, and nobody counts as its living owner."""
    assert run(executor, script_job(artifacts, "raise SystemExit(3)")).status == "error"
    for attempt in (tmp_path / "jobs").glob("*/*"):
        if attempt.is_dir() and attempt.parent.name != "cache":
            shutil.rmtree(attempt.parent)
    executor.close()
    assert not is_in_use(tmp_path / "jobs")
