"""The journal: finished effects are not made again, whatever dies, fails, waits or asks at the same time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tools.catalogue import Catalogue
from tools.crash import CRASH_POINTS
from tools.journal import Journal

ROOT = Path(__file__).parents[2]


class Effect:
    """An effect that counts how often it was made, and can be told to fail."""

    def __init__(self, *failures: BaseException | None, seconds: float = 0.0) -> None:
        self.count = 0
        self.failures = list(failures)
        self.seconds = seconds
        self.lock = threading.Lock()

    def now(self) -> dict[str, Any]:
        with self.lock:
            self.count += 1
            failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return {"made": self.count, "pair": (1, 2), "none": float("nan")}

    async def later(self) -> dict[str, Any]:
        await asyncio.sleep(self.seconds)
        return self.now()


def test_a_finished_effect_is_answered_from_the_journal(catalogue: Catalogue) -> None:
    """The second caller gets the same plain data as the first, and is told that nothing was made."""
    effect = Effect()
    journal = Journal(catalogue, "run")
    first = asyncio.run(journal.effect("key", "fold", effect.later))
    again = asyncio.run(Journal(catalogue, "run").effect("key", "fold", effect.later))
    now = journal.effect_now("key", "fold", effect.now)
    assert first == ({"made": 1, "pair": [1, 2], "none": None}, False)
    assert again == now == (first[0], True)
    assert effect.count == 1
    assert [(row["key"], row["kind"], row["state"], row["attempt"]) for row in journal.entries()] == [
        ("key", "fold", "done", 1)
    ]


def test_other_keys_are_other_effects(catalogue: Catalogue) -> None:
    """A key is the effect's content: a different one is made."""
    effect = Effect()
    journal = Journal(catalogue, "run")
    assert [journal.effect_now(key, "fold", effect.now)[0]["made"] for key in ("a", "b", "a")] == [1, 2, 1]


def test_other_runs_share_results_unless_one_wants_fresh_ones(catalogue: Catalogue) -> None:
    """A repeated build reuses what an earlier one made; a fresh one makes its own and, resumed, reuses those."""
    effect = Effect()
    assert Journal(catalogue, "one").effect_now("key", "fold", effect.now)[0]["made"] == 1
    assert Journal(catalogue, "two").effect_now("key", "fold", effect.now)[1] is True
    assert Journal(catalogue, "three", fresh=True).effect_now("key", "fold", effect.now)[0]["made"] == 2
    resumed, reused = Journal(catalogue, "three", fresh=True).effect_now("key", "fold", effect.now)
    assert (resumed["made"], reused) == (2, True)
    assert Journal(catalogue, "three").effect_now("key", "fold", effect.now)[0]["made"] == 2, "its own goes first"
    assert Journal(catalogue, "two").effect_now("key", "fold", effect.now)[0]["made"] == 1, "then the oldest"


def test_a_failed_effect_is_raised_remembered_and_made_again(catalogue: Catalogue) -> None:
    """The exception travels; the row names it; the next call tries again."""
    effect = Effect(ValueError("no luck"), KeyboardInterrupt())
    journal = Journal(catalogue, "run")
    with pytest.raises(ValueError, match="no luck"):
        journal.effect_now("key", "call", effect.now)
    assert journal.entries()[0]["error"] == "ValueError: no luck"
    with pytest.raises(KeyboardInterrupt):
        journal.effect_now("key", "call", effect.now)
    assert journal.effect_now("key", "call", effect.now)[0]["made"] == 3
    assert [(row["state"], row["attempt"], row["error"]) for row in journal.entries()] == [("done", 3, None)]


def test_a_result_that_is_no_plain_mapping_is_refused(catalogue: Catalogue) -> None:
    """What cannot be stored is an error of the effect, and the row says so."""
    journal = Journal(catalogue, "run")
    for result in (object(), [1, 2]):
        with pytest.raises(TypeError):
            journal.effect_now("key", "call", lambda result=result: result)
    assert journal.entries()[0]["state"] == "failed"


def test_a_result_not_kept_is_returned_and_made_again(catalogue: Catalogue) -> None:
    """An end that says nothing about the effect, such as this run's time limit, binds nobody later."""
    effect = Effect()
    journal = Journal(catalogue, "run")

    def keep(result: dict[str, Any]) -> bool:
        return result["made"] > 1

    assert journal.effect_now("key", "fold", effect.now, keep=keep)[0]["made"] == 1
    assert asyncio.run(journal.effect("key", "fold", effect.later, keep=keep)) == (
        {"made": 2, "pair": [1, 2], "none": None},
        False,
    )
    assert journal.effect_now("key", "fold", effect.now, keep=keep)[1] is True


def test_a_result_that_is_no_longer_whole_is_made_again(catalogue: Catalogue) -> None:
    """When what a result refers to is gone, the effect is made anew and the row replaced."""
    effect = Effect()
    there = {1, 2, 3}
    journal = Journal(catalogue, "run", intact=lambda result: result["made"] in there)
    journal.effect_now("key", "fold", effect.now)
    there.discard(1)
    assert journal.effect_now("key", "fold", effect.now)[0]["made"] == 2
    assert journal.effect_now("key", "fold", effect.now) == ({"made": 2, "pair": [1, 2], "none": None}, True)


def test_a_changed_row_is_noticed(catalogue: Catalogue, caplog: pytest.LogCaptureFixture) -> None:
    """A digit changed in a stored result is not believed: the effect is made again, and the log names the row."""
    effect = Effect()
    journal = Journal(catalogue, "run")
    journal.effect_now("key", "fold", effect.now)
    with catalogue.database.write() as db:
        db.execute("""UPDATE journal SET result = replace(result, '"made":1', '"made":7')""")
    assert journal.effect_now("key", "fold", effect.now)[0]["made"] == 2
    assert "row key of run run does not fit its digest" in caplog.text


def test_what_was_intended_is_decided_once_per_run(catalogue: Catalogue) -> None:
    """The time a job is granted is decided before it runs, survives a restart, and concerns its own run only."""
    seconds = iter([10.0, 20.0, 30.0])

    def decide() -> dict[str, Any]:
        return {"seconds": next(seconds)}

    assert Journal(catalogue, "one").intend("key", "fold", decide) == {"seconds": 10.0}
    assert Journal(catalogue, "one").entries()[0]["state"] == "intent"
    Journal(catalogue, "one").effect_now("key", "fold", Effect().now)
    assert Journal(catalogue, "one").intend("key", "fold", decide) == {"seconds": 10.0}
    assert Journal(catalogue, "two").intend("key", "fold", decide) == {"seconds": 20.0}


def test_deciding_holds_up_nobody_who_writes(catalogue: Catalogue) -> None:
    """While one thread decides, another one writes: a decision may wait for what that one holds."""
    written = threading.Event()
    other = Journal(catalogue, "other")

    def write() -> None:
        other.effect_now("beside", "fold", Effect().now)
        written.set()

    def decide() -> dict[str, Any]:
        threading.Thread(target=write).start()
        return {"waited": written.wait(30)}

    assert Journal(catalogue, "one").intend("key", "decision", decide) == {"waited": True}


# ---- at the same time ----------------------------------------------------------------------------------------


def test_threads_with_one_key_make_it_once(catalogue: Catalogue) -> None:
    """Blocking callers, and callers in event loops of other threads, share one making of one key."""
    effect = Effect(seconds=0.05)
    results: list[tuple[dict[str, Any], bool]] = []

    def blocking() -> None:
        results.append(Journal(catalogue, "run").effect_now("key", "fold", effect.now))

    def looping() -> None:
        results.append(asyncio.run(Journal(catalogue, "run").effect("key", "fold", effect.later)))

    threads = [threading.Thread(target=target) for target in (looping, blocking) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert effect.count == 1
    assert len(results) == 8
    assert sorted(reused for _, reused in results) == [False] + [True] * 7
    assert all(result == results[0][0] for result, _ in results)


def test_tasks_with_one_key_make_it_once_and_others_do_not_wait(catalogue: Catalogue) -> None:
    """Branches that ask for the same job in one event loop share it, while another job runs beside it."""
    effect = Effect()
    journal = Journal(catalogue, "run")

    async def scene() -> list[tuple[dict[str, Any], bool]]:
        other_is_done = asyncio.Event()

        async def shared() -> dict[str, Any]:
            await other_is_done.wait()
            return effect.now()

        tasks = [asyncio.create_task(journal.effect("shared", "fold", shared)) for _ in range(10)]
        await journal.effect("other", "fold", Effect().later)
        assert not any(task.done() for task in tasks)
        other_is_done.set()
        return await asyncio.gather(*tasks)

    results = asyncio.run(scene())
    assert effect.count == 1
    assert sum(reused for _, reused in results) == 9


def test_the_next_in_line_takes_over_when_the_first_fails(catalogue: Catalogue) -> None:
    """A caller that waited for a maker that failed makes the effect itself."""
    effect = Effect(ValueError("first"), seconds=0.02)
    journal = Journal(catalogue, "run")

    async def both() -> list[Any]:
        calls = (journal.effect("key", "fold", effect.later) for _ in range(2))
        return await asyncio.gather(*calls, return_exceptions=True)

    failed, made = asyncio.run(both())
    assert isinstance(failed, ValueError)
    assert made[0]["made"] == 2


def test_a_cancelled_waiter_harms_nobody(catalogue: Catalogue) -> None:
    """Cancelling one who waits leaves maker and other waiters alone; cancelling the maker lets the next one make it."""
    effect = Effect()
    journal = Journal(catalogue, "run")

    async def scene() -> list[Any]:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def make() -> dict[str, Any]:
            begun.set()
            await go_on.wait()
            return effect.now()

        tasks = [asyncio.create_task(journal.effect("key", "fold", make)) for _ in range(4)]
        await begun.wait()
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert journal.entries()[0]["state"] == "running"
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third, fourth = asyncio.run(scene())
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, asyncio.CancelledError)
    assert sorted([third[1], fourth[1]]) == [False, True]
    assert effect.count == 1
    assert [(row["state"], row["attempt"]) for row in journal.entries()] == [("done", 2)]


def test_an_effect_that_asks_for_itself_is_refused(catalogue: Catalogue) -> None:
    """Waiting for oneself would never end; it is an error that names the key."""
    journal = Journal(catalogue, "run")

    async def inner() -> dict[str, Any]:
        return (await journal.effect("key", "fold", inner))[0]

    with pytest.raises(RuntimeError, match="'key' asks for itself"):
        asyncio.run(journal.effect("key", "fold", inner))
    with pytest.raises(RuntimeError, match="'key' asks for itself"):
        journal.effect_now("key", "fold", lambda: journal.effect_now("key", "fold", Effect().now)[0])
    assert journal.effect_now("key", "fold", Effect().now)[1] is False


# ---- kill -9 -------------------------------------------------------------------------------------------------

SCRIPT = """
import asyncio, sys
from pathlib import Path
from tools.catalogue import Catalogue
from tools.journal import Journal

folder = Path(sys.argv[1])
journal = Journal(Catalogue(folder / "catalogue.db"), "run")

def make(key):
    with (folder / "made.txt").open("a") as file:
        file.write(key + "\\n")
    return {"key": key}

async def later(key):
    return make(key)

async def main():
    for key in ("a", "b", "c"):
        result, reused = await journal.effect(key, "fold", lambda: later(key))
        print(key, reused, flush=True)
        result, reused = journal.effect_now(key + "now", "fold", lambda: make(key + "now"))
        print(key + "now", reused, flush=True)

asyncio.run(main())
"""


def _drive(folder: Path, crash: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MODELWRIGHT_CRASH": crash}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("point", "made", "repeated"),
    [("before-effect", ["a"], []), ("after-effect", ["a", "anow"], ["anow"]), ("after-journal", ["a", "anow"], [])],
)
def test_kill_at_every_point_of_an_effect(tmp_path: Path, point: str, made: list[str], repeated: list[str]) -> None:
    """Killed around the second of six effects: what was done stays done; only what had no row yet recurs."""
    killed = _drive(tmp_path, f"{point}:2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout == "a False\n"
    assert (tmp_path / "made.txt").read_text().split() == made
    state = "done" if point == "after-journal" else "running"
    entries = Journal(Catalogue(tmp_path / "catalogue.db"), "run").entries()
    assert [(row["key"], row["state"]) for row in entries] == [("a", "done"), ("anow", state)]
    resumed = _drive(tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    everything = (tmp_path / "made.txt").read_text().split()
    keys = ["a", "anow", "b", "bnow", "c", "cnow"]
    assert sorted(everything) == sorted(keys + repeated)
    assert resumed.stdout.splitlines()[0] == "a True"
    assert resumed.stdout.splitlines()[1] == f"anow {point == 'after-journal'}"
    assert {row["state"] for row in Journal(Catalogue(tmp_path / "catalogue.db"), "run").entries()} == {"done"}


def test_a_misspelt_crash_point_is_refused(tmp_path: Path) -> None:
    """A test that names no known point learns the known ones instead of passing for nothing."""
    done = _drive(tmp_path, "sometimes:1")
    assert done.returncode == 1
    assert all(name in done.stderr for name in CRASH_POINTS)


def test_of_two_attempts_the_first_to_finish_counts(catalogue: Catalogue) -> None:
    """An attempt that outlived its run's lock changes nothing of what the next driver has noted, however it ends."""
    late, next_one = Journal(catalogue, "run"), Journal(catalogue, "run")
    for key in ("finishes late", "fails late"):
        assert late._begin(key, "llm") is None
        assert next_one._begin(key, "llm") is None
        assert next_one._finish(key, {"reply": "first"}, None) == {"reply": "first"}
    assert late._finish("finishes late", {"reply": "second"}, None) == {"reply": "first"}
    late._fail("fails late", RuntimeError("closed"))
    assert [next_one.result(key) for key in ("finishes late", "fails late")] == [{"reply": "first"}] * 2
