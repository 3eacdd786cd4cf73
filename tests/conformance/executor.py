"""What every Executor does, whatever it runs jobs on. Subclass `ExecutorConformance` and give it an `executor` fixture."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import suppress

import numpy as np
import pytest

from state.jobs import Job, Receipt
from tests.support.programs import LOGISTIC, TASK, learning_job, limits, script_job, table
from tools.artifacts import ArtifactStore
from tools.executors import Executor


def run(executor: Executor, job: Job, key: str | None = None) -> Receipt:
    """Run one job to its end under a key of its own."""
    return asyncio.run(executor.submit(job, key or uuid.uuid4().hex))


class ExecutorConformance:
    """The suite. Needs fixtures `executor` (two slots) and `artifacts` (its store)."""

    def test_a_fold_gives_predictions_of_the_validation_rows(
        self, executor: Executor, artifacts: ArtifactStore
    ) -> None:
        """A fold's receipt leads to one probability row per validation row, in order, better than guessing."""
        receipt = run(executor, learning_job(artifacts, LOGISTIC))
        assert receipt.ok, receipt.error
        predictions = artifacts.get_array(receipt.outputs["predictions.npy"])
        truth = (table()[1].iloc[180:] == "yes").to_numpy()
        assert predictions.shape == (60, 2)
        assert ((predictions[:, 1] > 0.5) == truth).mean() > 0.8
        assert receipt.result["rows"] == 60
        assert receipt.result["effective"] == {"rounds": 200, "features": ["height", "width"]}
        assert receipt.seconds > 0
        assert receipt.cpu_seconds > 0
        assert receipt.peak_mb > 1

    def test_a_saved_model_predicts_what_its_trainer_predicted(
        self, executor: Executor, artifacts: ArtifactStore
    ) -> None:
        """The model of a fit, loaded by another process, gives the probe's predictions exactly."""
        fitted = run(executor, learning_job(artifacts, LOGISTIC, "fit"))
        assert fitted.ok, fitted.error
        assert fitted.result["unsafe"] is False
        assert fitted.result["own_saving"] is False
        frame = table()[0].iloc[180:].reset_index(drop=True)
        model = {name: ref for name, ref in fitted.outputs.items() if name.startswith("model/")}
        files = {
            "program.py": artifacts.put_text(LOGISTIC),
            "features.arrow": artifacts.put_frame(frame),
            **model,
        }
        job = Job(kind="predict", files=files, params={"task": TASK, "seed": 7}, limits=limits())
        predicted = run(executor, job)
        assert predicted.ok, predicted.error
        assert np.array_equal(
            artifacts.get_array(predicted.outputs["predictions.npy"]),
            artifacts.get_array(fitted.outputs["probe.npy"]),
        )

    def test_explaining_permutes_each_column_in_turn(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """Permuting a column the program uses changes its predictions; one it ignores does not."""
        params = {"task": TASK, "seed": 7, "columns": ["height", "colour"]}
        receipt = run(executor, learning_job(artifacts, LOGISTIC, "explain", params=params))
        assert receipt.ok, receipt.error
        plain = artifacts.get_array(receipt.outputs["predictions.npy"])
        with artifacts.get(receipt.outputs["permuted.npz"]) as file, np.load(file) as permuted:
            assert not np.allclose(permuted["p0"], plain)
            assert np.array_equal(permuted["p1"], plain)

    def test_a_script_gets_its_arguments_and_its_files_come_back(
        self, executor: Executor, artifacts: ArtifactStore
    ) -> None:
        """A script finds `in/` and `out/` in its arguments, its neighbours by import, and out/ as working folder."""
        text = """
            import json, os, sys, helper
            json.dump({"argv": [os.path.basename(a) for a in sys.argv[1:]], "help": helper.HELP}, open("said.json", "w"))
            os.makedirs("deep"); open(sys.argv[2], "w").write(open(sys.argv[1]).read().upper())
        """
        job = script_job(
            artifacts, "\n".join(line[12:] for line in text.splitlines()), "in/a.txt", "out/deep/b.txt", "--n"
        )
        files = {
            **job.files,
            "a.txt": artifacts.put_text("abc"),
            "run/helper.py": artifacts.put_text("HELP = 'here'"),
        }
        receipt = run(executor, job.but(files=files))
        assert receipt.ok, receipt.error
        assert artifacts.get_text(receipt.outputs["deep/b.txt"]) == "ABC"
        said = json.loads(artifacts.get_text(receipt.outputs["said.json"]))
        assert said == {"argv": ["a.txt", "b.txt", "--n"], "help": "here"}

    def test_a_failing_program_is_a_receipt_with_its_traceback(
        self, executor: Executor, artifacts: ArtifactStore
    ) -> None:
        """A program that raises gives a receipt that ends in its exception and shows only its own frames and below."""
        text = "def fit(X, y, **told):\n    return {}['colour of the sky']\n"
        receipt = run(executor, learning_job(artifacts, text))
        assert receipt.status == "error"
        assert receipt.error.splitlines()[-1] == "KeyError: 'colour of the sky'"
        assert 'File "program.py", line 2, in fit' in receipt.error
        assert "harness" not in receipt.error
        assert receipt.outputs == {}

    def test_a_program_that_ends_the_interpreter_has_failed(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """Leaving through sys.exit or os._exit is no way to be done without a prediction."""
        for leave, status in (("sys.exit(0)", "error"), ("os._exit(0)", "bad output")):
            text = f"import os, sys\ndef fit(X, y, **told):\n    {leave}\n"
            assert run(executor, learning_job(artifacts, text)).status == status

    def test_a_prediction_that_is_no_array_of_numbers_is_refused(
        self, executor: Executor, artifacts: ArtifactStore
    ) -> None:
        """Returning texts from predict says what was returned."""
        text = "def fit(X, y, **told):\n    return 1\ndef predict(model, X):\n    return ['a'] * len(X)\n"
        receipt = run(executor, learning_job(artifacts, text))
        assert receipt.status == "bad output"
        assert "no array of numbers" in receipt.error

    def test_time_is_limited(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """A program that ignores SIGTERM ends at its limit all the same."""
        text = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    time.sleep(0.1)\n"
        receipt = run(executor, script_job(artifacts, text, limits=limits(seconds=0.8)))
        assert receipt.status == "timeout"
        assert "0.8 s" in receipt.error

    def test_memory_of_the_whole_tree_is_limited(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """Three processes that each stay below the limit, but not together, are ended."""
        text = (
            "import os, time\n"
            "for _ in range(3):\n"
            "    if os.fork() == 0:\n"
            "        held = bytearray(os.urandom(1) * 250_000_000)\n"
            "        time.sleep(600)\n"
            "time.sleep(600)\n"
        )
        receipt = run(executor, script_job(artifacts, text, limits=limits(memory_mb=600)))
        assert receipt.status == "memory"
        assert "600 MB" in receipt.error
        assert receipt.peak_mb > 600

    def test_a_single_huge_allocation_is_refused(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """A program that asks for far more than its limit at once gets MemoryError, and the receipt says memory."""
        text = "import numpy as np\ndef fit(X, y, **told):\n    return np.ones(10**10)\n"
        receipt = run(executor, learning_job(artifacts, text, limits=limits(memory_mb=600)))
        assert receipt.status == "memory"

    def test_disk_is_limited(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """Many files that are too large together end the job."""
        text = (
            "import time\n"
            "for n in range(100):\n"
            "    with open(f'part{n}', 'wb') as file:\n"
            "        file.write(b'x' * 5_000_000)\n"
            "    time.sleep(0.05)\n"
            "time.sleep(600)\n"  # it never ends before somebody has looked
        )
        receipt = run(executor, script_job(artifacts, text, limits=limits(disk_mb=30)))
        assert receipt.status == "disk"

    def test_tasks_are_limited(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """A program that forks on and on is ended with all its children."""
        text = (
            "import os, time\nfor _ in range(60):\n    if os.fork() == 0:\n        time.sleep(600)\ntime.sleep(600)\n"
        )
        receipt = run(executor, script_job(artifacts, text, limits=limits(tasks=20)))
        assert receipt.status == "error"
        assert "the limit is 20" in receipt.error, receipt.error

    def test_a_flood_of_output_keeps_its_beginning_and_its_end(
        self, executor: Executor, artifacts: ArtifactStore
    ) -> None:
        """Of 20 MB of output the log keeps as much as it may, and what was said first and last."""
        text = "print('the first line')\nfor _ in range(20):\n    print('x' * 1_000_000)\nprint('the last line')\n"
        receipt = run(executor, script_job(artifacts, text, limits=limits(output_kb=64)))
        assert receipt.ok
        assert receipt.log is not None
        log = artifacts.get_text(receipt.log)
        assert log.startswith("the first line")
        assert log.endswith("the last line\n")
        assert len(log) < 66 * 1024
        assert "bytes left out" in log

    def test_no_secret_of_the_parent_is_in_the_environment(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """A program finds none of the parent's variables but those on the list."""
        receipt = run(
            executor, script_job(artifacts, "import os, json\njson.dump(dict(os.environ), open('e.json', 'w'))")
        )
        found = json.loads(artifacts.get_text(receipt.outputs["e.json"]))
        assert "CANARY_API_KEY" not in found
        assert not any("canary" in value for value in found.values())
        assert found["PYTHONHASHSEED"] == "0"
        assert found["HOME"] == found["TMPDIR"]

    def test_planted_links_are_not_taken(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """A link to another file among the outputs makes the job fail, naming it."""
        receipt = run(executor, script_job(artifacts, "import os\nos.symlink('/etc/passwd', 'model.bin')\n"))
        assert receipt.status == "bad output"
        assert "'model.bin'" in receipt.error
        assert receipt.outputs == {}

    def test_equal_jobs_give_equal_results(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """Random numbers and the order of sets are the same in every execution of a job."""
        text = (
            "import random\nimport numpy as np\n"
            "def fit(X, y, **told):\n"
            "    order = [ord(c[0]) for c in {'alpha', 'beta', 'gamma', 'delta'}]\n"
            "    return [random.random(), np.random.rand(), *order]\n"
            "def predict(model, X):\n"
            "    return np.resize(model, len(X))\n"
        )
        job = learning_job(artifacts, text)
        first, second = run(executor, job), run(executor, job)
        assert first.ok, first.error
        assert first.outputs == second.outputs

    def test_twenty_jobs_share_two_slots(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """All jobs end, never more than two at a time, and the first ones submitted are first."""
        text = "import time, sys\nprint(time.monotonic())\ntime.sleep(0.03)\nprint(time.monotonic())\n"
        job = script_job(artifacts, text)

        async def all_of_them() -> list[Receipt]:
            return list(await asyncio.gather(*(executor.submit(job, f"many-{n}") for n in range(20))))

        receipts = asyncio.run(all_of_them())
        assert [receipt.status for receipt in receipts] == ["done"] * 20
        spans = [[float(line) for line in artifacts.get_text(receipt.log or "").split()] for receipt in receipts]
        starts, ends = [begin for begin, _ in spans], [end for _, end in spans]
        assert max(sum(begin <= moment < end for begin, end in spans) for moment in starts) <= executor.slots == 2
        # Its turn comes when all before it have ended, but for the one in the other slot, however long that one takes.
        assert all(sum(end > start for end in ends[:15]) <= 1 for start in starts[15:])

    def test_cancelling_kills_the_program(self, executor: Executor, artifacts: ArtifactStore) -> None:
        """A cancelled job's program ends, and the slot is free for the next one."""
        assert run(executor, script_job(artifacts, "print('warm')")).ok

        async def start_and_cancel() -> int:
            before = _descendants()
            task = asyncio.create_task(executor.submit(script_job(artifacts, "while True:\n    pass\n"), "cancelled"))
            while not (busy := [pid for pid in _descendants() - before if _seconds_of(pid) > 0.2]):
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return busy[0]

        wait_until_gone(asyncio.run(start_and_cancel()))
        assert run(executor, script_job(artifacts, "print('next')")).ok


def _descendants() -> set[int]:
    import psutil

    return {process.pid for process in psutil.Process().children(recursive=True)}


def _seconds_of(pid: int) -> float:
    """Processor time of a process, 0 when it has ended."""
    import psutil

    try:
        return float(psutil.Process(pid).cpu_times().user)
    except psutil.Error:
        return 0.0


PATIENCE = 120.0
"""Seconds after which a test no longer believes that something comes; far more than a busy machine needs for it."""


def wait_until_gone(*pids: int, seconds: float = 10.0) -> None:
    """Wait until processes have ended (or are only waiting to be reaped); fail when one does not."""
    import psutil

    processes: list[psutil.Process] = []
    until = time.monotonic() + seconds
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))  # which knows its process from a later one of the same number
    while left := [one for one in processes if one.is_running() and is_running(one.pid)]:
        assert time.monotonic() < until, f"still running: {left}"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """False for a process that has ended, reaped or not."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
