"""The process executor: the conformance suite, and what only an executor with processes of its own can show."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from state.errors import ModelwrightError
from state.jobs import Job, Receipt
from tests.conformance.executor import ExecutorConformance, is_running, run, wait_until_gone
from tests.support.programs import LOGISTIC, learning_job, limits, script_job
from tests.support.tiers import TIERS
from tools.artifacts import FolderArtifacts
from tools.executors import init, namespaces, privileges
from tools.executors.folders import JobFolders, _own, boot_id
from tools.executors.keeper import RECEIPT_VERSION, Keeper
from tools.executors.process import ProcessExecutor
from tools.executors.worker import Worker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> FolderArtifacts:
    return FolderArtifacts(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def executor(artifacts: FolderArtifacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    """Without a sandbox, so that programs here can leave marks where a test sees them while they run."""
    made = ProcessExecutor(artifacts, tmp_path_factory.mktemp("jobs"), slots=2, tier="T3")
    yield made
    made.close()


@pytest.fixture(scope="module", params=TIERS)
def in_every_tier(
    request: pytest.FixtureRequest, artifacts: FolderArtifacts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessExecutor]:
    os.environ["CANARY_API_KEY"] = "canary-5"
    made = ProcessExecutor(artifacts, tmp_path_factory.mktemp("jobs"), slots=2, tier=request.param)
    yield made
    made.close()
    del os.environ["CANARY_API_KEY"]


class TestConformance(ExecutorConformance):
    """The suite every executor passes, in every sandbox tier."""

    @pytest.fixture
    def executor(self, in_every_tier: ProcessExecutor) -> ProcessExecutor:
        return in_every_tier


def test_every_program_is_forked_from_the_warm_parent(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """Two jobs run in different processes that descend from one parent, which has the libraries and no threads."""
    text = "import os, sys\nprint(os.getpid(), 'sklearn.linear_model' in sys.modules, 'pandas' in sys.modules)\n"
    text += "pid = os.getppid()\nprint(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n"
    said = [artifacts.get_text(run(executor, script_job(artifacts, text)).log or "").split() for _ in range(2)]
    assert said[0][0] != said[1][0]
    assert said[0][1:] == said[1][1:] == ["True", "True", str(executor.worker.facts["pid"])]
    assert executor.worker.facts["threads"] == 1


def test_a_finished_job_leaves_no_files(artifacts: FolderArtifacts, tmp_path: Path) -> None:
    """Only small notes stay until the executor closes, and then of a failed job its log."""
    executor = ProcessExecutor(
        artifacts, tmp_path / "jobs", slots=1, tier="T3"
    )  # of its own: a closed one stays closed
    root = executor._folders.root
    run(executor, learning_job(artifacts, LOGISTIC), "tidy")
    run(executor, script_job(artifacts, "print('why'); 1/0"), "untidy")
    for key in ("tidy", "untidy"):
        assert {path.name for path in (root / key).rglob("*") if path.is_file()} <= {
            "collected.json", "receipt.json", "job.json", "log.txt",
        }  # fmt: skip
    executor.close()
    assert not (root / "tidy").exists()
    assert [path.name for path in (root / "untidy").rglob("*") if path.is_file()] == ["log.txt"]


def out_of_time(executor: ProcessExecutor, job: Job, told: Callable[[Receipt], bool]) -> Receipt:
    """The receipt of a job that was ended at its limit, and tells what is looked for.

    How far it comes until then, and in the moment it has for its last words, depends on what else the machine does. So one
    that came less far gets a longer limit.
    """
    for seconds in (0.5, 3.0, 15.0, 75.0):
        receipt = run(executor, job.but(limits=limits(seconds=seconds)))
        assert receipt.status == "timeout"
        if told(receipt):
            break
    return receipt


def test_daemons_end_with_their_job(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """A grandchild that left the session and lost its parent is killed when the job ends, well or at its limit."""

    def log_of(receipt: Receipt) -> str:
        return artifacts.get_text(receipt.log or "")

    text = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('daemon', 'w').write(str(os.getpid()))\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "while not os.path.exists('daemon') or not open('daemon').read():\n"
        "    time.sleep(0.01)\n"
        "print('begun', open('daemon').read(), flush=True)\n"
        "time.sleep(float(sys.argv[1]))\n"
    )
    well = run(executor, script_job(artifacts, text, "0"))
    assert well.status == "done"
    assert not is_running(int(log_of(well).split()[1]))
    late = out_of_time(executor, script_job(artifacts, text, "600"), lambda found: "begun" in log_of(found))
    assert not is_running(int(log_of(late).split()[1]))


def test_a_refused_fork_names_the_limit(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """Where the system refuses a process before the supervisor looks, the program's error says which limit it met."""
    text = "raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
    receipt = run(executor, script_job(artifacts, text, limits=limits(tasks=20)))
    assert receipt.status == "error"
    assert "the limit is 20" in receipt.error


def test_a_job_out_of_time_says_where_it_was(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """The receipt of a job ended at its limit names the line that was running, and nothing of our machinery."""
    line = 'File "run/main.py", line 2'
    job = script_job(artifacts, "import time\ntime.sleep(600)\n")
    receipt = out_of_time(executor, job, lambda found: line in found.error)
    assert line in receipt.error
    assert "tools/executors" not in receipt.error


def test_a_crash_of_the_interpreter_is_told(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """A segmentation fault gives the signal's name and the program's line."""
    receipt = run(executor, script_job(artifacts, "import ctypes\nctypes.string_at(0)\n"))
    assert receipt.status == "signal"
    assert "SIGSEGV" in receipt.error
    assert 'File "run/main.py", line 2' in receipt.error
    assert "tools/executors" not in receipt.error


def test_a_job_may_use_the_threads_it_was_given(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """A job with n_jobs=2 has two BLAS and OpenMP threads after the fork, and they work; the next one has one again."""
    program = """
import numpy as np, threadpoolctl
from sklearn.ensemble import HistGradientBoostingClassifier

def fit(X, y, *, task, seed, time_limit, n_jobs):
    print(n_jobs, *{pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
    np.ones((500, 500)) @ np.ones((500, 500))
    return HistGradientBoostingClassifier(max_iter=5).fit(X[["height", "width"]], y)

def predict(model, X):
    return model.predict_proba(X[["height", "width"]])
"""
    for threads in (2, 1):
        receipt = run(executor, learning_job(artifacts, program, n_jobs=threads))
        assert receipt.ok, receipt.error
        assert artifacts.get_text(receipt.log or "").split() == [str(threads)] * 2


def test_shared_memory_is_cleaned_up_by_its_tracker(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """A program that forgets its shared memory leaves none: its resource tracker gets a moment to remove it."""
    text = "from multiprocessing.shared_memory import SharedMemory\n"
    text += "open('name', 'w').write(SharedMemory(create=True, size=1000).name)\n"
    receipt = run(executor, script_job(artifacts, text))
    assert receipt.ok
    assert not (Path("/dev/shm") / artifacts.get_text(receipt.outputs["name"])).exists()


def test_a_death_by_a_foreign_signal_is_repeated(
    executor: ProcessExecutor, artifacts: FolderArtifacts, tmp_path: Path
) -> None:
    """A job that is killed from outside runs again; one that always dies so ends with the signal's name."""
    text = "import os, sys\nopen(sys.argv[1], 'a').write('x')\n"
    text += "if len(open(sys.argv[1]).read()) < int(sys.argv[2]): os.kill(os.getpid(), 9)\n"
    once = run(executor, script_job(artifacts, text, str(tmp_path / "a"), "2"))
    assert once.ok
    assert (tmp_path / "a").read_text() == "xx"
    always = run(executor, script_job(artifacts, text, str(tmp_path / "b"), "99"))
    assert always.status == "signal"
    assert "SIGKILL" in always.error
    assert (tmp_path / "b").read_text() == 4 * "x"


def test_the_death_of_the_warm_parent_is_survived(
    executor: ProcessExecutor, artifacts: FolderArtifacts, tmp_path: Path
) -> None:
    """When the warm parent is killed under a running job, its processes end, and the job runs again under a new one."""
    mark = tmp_path / "pids"
    text = "import os, sys, time\nopen(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
    text += "if len(open(sys.argv[1]).readlines()) == 1: time.sleep(600)\n"
    run(executor, script_job(artifacts, "print(1)"))
    before = executor.worker.facts["pid"]

    async def kill_it() -> str:
        task = asyncio.create_task(executor.submit(script_job(artifacts, text, str(mark)), "orphaned"))
        while not (mark.exists() and mark.read_text().endswith("\n")):
            await asyncio.sleep(0.02)
        os.kill(before, signal.SIGKILL)
        return (await task).status

    assert asyncio.run(kill_it()) == "done"
    assert executor.worker.facts["pid"] != before
    wait_until_gone(int(mark.read_text().splitlines()[0]))


ORCHESTRATOR = """
import asyncio, sys
from pathlib import Path
from state.jobs import Job
from tools.artifacts import FolderArtifacts
from tools.executors.process import ProcessExecutor

async def main(tier, store, jobs, *described):
    executor = ProcessExecutor(FolderArtifacts(Path(store)), Path(jobs), slots=2, tier=tier)
    for text in described:
        key, _, job = text.partition(" ")
        print((await executor.submit(Job.model_validate_json(job), key)).model_dump_json(), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def orchestrate(
    store: Path, jobs: Path, *described: str, tier: str = "T3", **environment: str
) -> subprocess.Popen[str]:
    """A real orchestrating process that submits jobs one after another and prints their receipts."""
    return subprocess.Popen(
        [sys.executable, "-c", ORCHESTRATOR, tier, str(store), str(jobs), *described],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_kill_9_while_the_warm_parent_still_imports_leaves_no_process(tmp_path: Path) -> None:
    """A warm parent that is not ready yet notices all the same that nobody wants it any more."""
    store = FolderArtifacts(tmp_path / "store")
    job = script_job(store, "import time\ntime.sleep(600)\n")  # nothing of it has ended before it is looked for
    process = orchestrate(tmp_path / "store", tmp_path / "jobs", f"k {job.model_dump_json()}")
    while not (family := psutil.Process(process.pid).children(recursive=True)):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    wait_until_gone(*(one.pid for one in family), seconds=2.0)


NONCE = "import os\nopen('nonce', 'w').write(os.urandom(8).hex())\n"


@pytest.mark.parametrize("tier", TIERS)
def test_kill_9_of_the_orchestrator_leaves_no_process_and_loses_no_result(tmp_path: Path, tier: str) -> None:
    """In every tier all processes of a killed orchestrator end within two seconds; what had been handed out is not run again."""
    store = FolderArtifacts(tmp_path / "store")
    nonce = script_job(store, NONCE)
    daemon = "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\n"
    hang = script_job(store, daemon + "open('mark', 'w').close()\ntime.sleep(600)\n")
    process = orchestrate(
        tmp_path / "store",
        tmp_path / "jobs",
        f"nonce {nonce.model_dump_json()}",
        f"hang {hang.model_dump_json()}",
        tier=tier,
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    while not list((tmp_path / "jobs").glob("hang/*/out/mark")):
        time.sleep(0.02)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4
    process.kill()
    process.wait()
    wait_until_gone(*(one.pid for one in family), seconds=2.0)
    executor = ProcessExecutor(store, tmp_path / "jobs", slots=1, tier=tier)
    try:
        again = run(executor, nonce, "nonce")
        assert again.outputs == first["outputs"]
    finally:
        executor.close()
    assert list((tmp_path / "jobs").glob("nonce/*")) == []


def test_a_child_that_ended_before_its_orchestrator_was_killed_is_adopted(tmp_path: Path) -> None:
    """Killed while it took the outputs, the orchestrator leaves a durable receipt; the next one takes them instead."""
    store = FolderArtifacts(tmp_path / "store")
    job = script_job(store, NONCE)
    process = orchestrate(
        tmp_path / "store", tmp_path / "jobs", f"key {job.model_dump_json()}", MODELWRIGHT_CRASH="mid-rename:1"
    )
    assert process.communicate()[0] == ""
    assert process.returncode == -signal.SIGKILL
    (written,) = (tmp_path / "jobs" / "key").glob("*/out/nonce")
    nonce = written.read_text()
    executor = ProcessExecutor(store, tmp_path / "jobs", slots=1)
    try:
        receipt = run(executor, job, "key")
        assert receipt.ok
        assert store.get_text(receipt.outputs["nonce"]) == nonce
    finally:
        executor.close()


@pytest.mark.parametrize(("point", "executions"), [("before-receipt", 2), ("after-receipt", 1)])
def test_a_job_whose_keeper_is_killed_runs_again_only_without_a_receipt(
    artifacts: FolderArtifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, executions: int
) -> None:
    """A receipt that is durable counts, also when the keeper that wrote it dies before it tells anybody."""
    log = tmp_path / "executions"
    log.touch()
    log.chmod(0o666)
    monkeypatch.setenv("MODELWRIGHT_CRASH", f"{point}:1")
    executor = ProcessExecutor(artifacts, tmp_path / "jobs", slots=1, tier="T3")
    try:
        receipt = run(executor, script_job(artifacts, f"open({str(log)!r}, 'a').write('once ')\n"), "key")
    finally:
        executor.close()
    assert receipt.ok
    assert log.read_text().split() == ["once"] * executions


def test_a_failed_program_is_not_run_again_after_a_kill(tmp_path: Path) -> None:
    """The traceback of a program that failed is adopted as the predictions of one that did not are."""
    store = FolderArtifacts(tmp_path / "store")
    job = script_job(store, "import os\nraise ValueError(os.urandom(8).hex())\n")
    process = orchestrate(tmp_path / "store", tmp_path / "jobs", f"key {job.model_dump_json()}")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    process.kill()
    process.wait()
    executor = ProcessExecutor(store, tmp_path / "jobs", slots=1)
    try:
        again = run(executor, job, "key")
    finally:
        executor.close()
    assert (again.status, again.error) == ("error", first["error"])


def test_a_dead_owner_is_dead_however_many_look(tmp_path: Path) -> None:
    """A sweep that asks whether an owner lives is never taken for it by who asks at the same moment."""
    dead, one, another = (JobFolders(tmp_path) for _ in range(3))
    os.close(dead._lock)  # as the kernel does it for a process that was killed
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            another._is_owner_alive(dead.owner)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert not any(one._is_owner_alive(dead.owner) for _ in range(5_000))
    finally:
        stop.set()
        looking.join()
    assert one._is_owner_alive(another.owner)


def test_closing_ends_running_and_waiting_jobs(artifacts: FolderArtifacts, tmp_path: Path) -> None:
    """Whoever waits for a job when the executor closes hears so; later submissions are refused; closing twice is fine."""
    executor = ProcessExecutor(artifacts, tmp_path / "jobs", slots=1)
    job = script_job(artifacts, "import time\ntime.sleep(60)\n")

    async def close_under_them() -> list[object]:
        tasks = [asyncio.create_task(executor.submit(job, f"k{n}")) for n in range(3)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(executor.close)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    results = asyncio.run(close_under_them())
    assert all(isinstance(result, ModelwrightError | asyncio.CancelledError) for result in results)
    executor.close()
    with pytest.raises(ModelwrightError, match="closed"):
        run(executor, job)


def dead_owners_attempt(root: Path, key: str) -> Path:
    """An attempt whose owner was killed."""
    dead = JobFolders(root)
    folder = dead.create(key)
    os.close(dead._lock)  # as the kernel does it
    return folder


def write_receipt(folder: Path, key: str, **more: Any) -> None:
    """A usable receipt, as a keeper writes it."""
    facts = {"version": RECEIPT_VERSION, "key": key, "boot": boot_id(), "status": "done", "error": "", "exit": 0}
    (folder / "receipt.json").write_text(json.dumps({**facts, **more}))


def test_a_sweep_never_removes_the_lock_of_an_owner_that_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that locks its file just as a sweep removes it as nobody's makes another, and counts as living."""
    path, one = tmp_path / f"{'a' * 12}.lock", JobFolders(tmp_path)
    path.touch()  # made, and not locked yet
    held: list[int] = []
    locking = threading.Thread(target=lambda: held.append(_own(path)))
    same = os.path.samestat

    def same_while_it_locks(*facts: os.stat_result) -> bool:
        locking.start()
        time.sleep(0.2)
        return same(*facts)

    monkeypatch.setattr(os.path, "samestat", same_while_it_locks)
    one.sweep()
    locking.join()
    assert one._is_owner_alive("a" * 12)
    assert os.path.exists(path)
    os.close(held[0])
    one.close()


def test_a_receipt_that_comes_while_an_attempt_is_being_removed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a sweep nor a failing attempt removes what its keeper has just finished: it is found under its key."""
    swept, claim = dead_owners_attempt(tmp_path, "swept"), JobFolders.claim

    def claim_late(self: JobFolders, folder: Path) -> Path:
        if not (folder / "receipt.json").exists():
            write_receipt(folder, folder.parent.name)  # the keeper's last word, just before the folder is moved
        return claim(self, folder)

    monkeypatch.setattr(JobFolders, "claim", claim_late)
    one = JobFolders(tmp_path)
    one.sweep()
    assert (swept / "receipt.json").exists()
    own = one.create("own")
    one.discard(own, "own")
    one.close()
    another = JobFolders(tmp_path)
    assert [len(list(another.left_behind(key))) for key in ("swept", "own")] == [1, 1]
    another.close()


def test_outputs_that_were_on_their_way_out_are_not_taken_for_a_failure(
    artifacts: FolderArtifacts, executor: ProcessExecutor
) -> None:
    """A kill came while the files of a noted job were being removed, and the store has lost what the note names: the job
    is executed again, and its half-empty folder believed by nobody."""
    folder = dead_owners_attempt(executor._folders.root, "noted")
    write_receipt(folder, "noted")
    lost = {"key": "noted", "kind": "script", "status": "done", "outputs": {"mark": f"sha256:{'0' * 64}"}}
    (folder / "collected.json").write_text(json.dumps(lost))
    receipt = run(executor, script_job(artifacts, "open('mark', 'w').write('here')\n"), "noted")
    assert artifacts.get_text(receipt.outputs["mark"]) == "here"


def test_a_job_that_waits_for_a_slot_hears_that_the_executor_closed(artifacts: FolderArtifacts, tmp_path: Path) -> None:
    """Closing cancels no task: whoever waits gets the error that names it. A second close returns when the first is over."""
    executor = ProcessExecutor(artifacts, tmp_path / "jobs", slots=1)
    job = script_job(artifacts, "import time\ntime.sleep(60)\n")
    left: list[bool] = []

    def close_again() -> None:
        executor.close()
        left.append(any((tmp_path / "jobs").glob("*.lock")))

    async def close_under_them() -> list[object]:
        tasks = [asyncio.create_task(executor.submit(job, f"k{n}")) for n in range(3)]
        await asyncio.sleep(0.1)
        await asyncio.gather(*(asyncio.to_thread(close_again) for _ in range(2)))
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    results = asyncio.run(close_under_them())
    assert [type(result) for result in results] == [ModelwrightError] * 3
    assert left == [False, False]


def test_what_the_warm_parent_cannot_have_said_ends_it(
    artifacts: FolderArtifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is no message leaves nobody waiting for an answer that will not be heard: the job runs under a new one."""
    executor = ProcessExecutor(artifacts, tmp_path / "jobs", slots=1, tier="T3")
    settle, spoilt = Worker._settle, []

    def settle_once(self: Worker, number: int, receipt: dict[str, Any] | None) -> None:
        if not spoilt:
            spoilt.append(number)
            raise ValueError("no message")
        settle(self, number, receipt)

    monkeypatch.setattr(Worker, "_settle", settle_once)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    try:
        assert run(executor, script_job(artifacts, "print(1)"), "key").ok
    finally:
        executor.close()
    assert spoilt == [1]


def test_the_first_process_of_a_job_notices_that_its_keeper_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads nothing of what it tells itself, so with its keeper the last reader has gone."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    waiting, go = os.pipe()

    def live(request: Any, output: int, report: int, *_: Any) -> None:
        os.read(waiting, 1)
        os._exit(1 if init._is_deserted(report) else 0)

    monkeypatch.setattr(init, "live", live)
    monkeypatch.setattr(namespaces, "divide", lambda: None)
    monkeypatch.setattr(privileges, "spare_user", lambda: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = {"tier": "T1", "folder": str(tmp_path), "limits": {"output_kb": 1}}
        watcher = Keeper(request, theirs)
        watcher._fork(os.dup(2))
        assert watcher.report is not None
        os.close(watcher.report)  # as the kernel does it when the keeper is killed
        os.write(go, b"!")
        _, status = os.waitpid(watcher.child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
