"""A Hypothesis state machine over start, kill, resume, answer, fork, second driver, clock and disk.

The runs are those of the small team: real engine, real databases, real kill -9 of a forked process, cheap work. The
oracle is an append-only ledger of effects outside the home, and twins: runs with the same settings and answers, alone in
a home of their own, to which nothing happens.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.durability.forge import Forge, Reply
from tests.durability.watching import at_home, broken_databases, torn_artifacts
from tools.crash import CRASH_POINTS

if TYPE_CHECKING:
    from tests.durability.campaign import Campaign

Choices = tuple[int, tuple[str, ...], str, str]
"""How many candidates, at which gates it waits, and the words on plans and release."""

OFTEN = ("before-effect", "after-effect", "after-journal", "after-record", "mid-rename")
VERY_OFTEN = ("after-writes", "before-checkpoint", "after-checkpoint")
CRASHES = st.sampled_from(
    [None, None, None]
    + [f"{point}:1" for point in CRASH_POINTS]
    + [f"{point}:{number}" for point in (*OFTEN, *VERY_OFTEN) for number in (2, 3, 5)]
    + [f"{point}:{number}" for point in VERY_OFTEN for number in (8, 11, 14, 17)]
)
"""Where a command dies, if it comes there."""
CLOCKS = st.sampled_from([0, 0, 0, -3600, 86400, -86400 * 40, 86400 * 400])
"""Offsets of the wall clock in seconds: an hour back, a day ahead, weeks back, more than a year ahead."""
DISKS = st.sampled_from([0, 0, 0, 0, 2_000, 60_000, 120_000, 200_000])
"""Most bytes of one file before the system refuses to write more; 0: no limit."""
REVIEWS = st.sampled_from([(), ("plan",), ("release",), ("plan", "release")])
FORK_AT = ("analyst", "researcher", "approve_plan", "strategist", "reviewer", "publisher")
STORE_ERRORS = ("StoreError", "DiskFull")


@dataclass
class Known:
    """What the machine knows of a run."""

    name: str
    choices: Choices
    parent: str = ""


@dataclass
class Facts:
    """What a whole exploration counted."""

    histories: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)


FACTS = Facts()


class Histories(RuleBasedStateMachine):
    """One history in an empty home. `forge` is set by whoever runs it."""

    forge: Forge
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mw-history-", dir=_scratch()))
        self.home = self.folder / "home"
        self.known: dict[str, Known] = {}
        self.done_keys: set[str] = set()
        self.number = 0
        self.clock = 0
        FACTS.histories += 1

    # ---- what can happen ---------------------------------------------------------------------------------------

    @rule(target=runs, count=st.integers(1, 3), review=REVIEWS, plan=st.sampled_from(["approve", "drop"]),
          release=st.sampled_from(["approve", "reject"]), crash=CRASHES, disk=DISKS)  # fmt: skip
    def start(self, count: int, review: tuple[str, ...], plan: str, release: str, crash: str | None, disk: int) -> Any:
        """A new run; killed before it is registered, there is none."""
        self.number += 1
        name = f"run-{self.number}"
        self._ask("start", crash=crash, disk=disk, name=name, candidates=count, review=list(review))
        if name not in self._look()["runs"]:
            return multiple()
        self.known[name] = Known(
            name, (count, review, plan if "plan" in review else "", release if "release" in review else "")
        )
        return name

    @rule(name=runs, crash=CRASHES, disk=DISKS)
    def resume(self, name: str, crash: str | None, disk: int) -> None:
        """Go on without an answer: a run that waits still waits."""
        self._ask("resume", crash=crash, disk=disk, name=name)

    @rule(name=runs, crash=CRASHES, disk=DISKS)
    def answer(self, name: str, crash: str | None, disk: int) -> None:
        """Go on, and answer what is open as the run's choices say."""
        self._answer(name, crash, disk)

    @rule(target=runs, name=consumes(runs) | runs, at=st.sampled_from(FORK_AT), crash=CRASHES)
    def fork(self, name: str, at: str, crash: str | None) -> Any:
        """Fork at a step, once the run has come that far; the fork keeps the run's choices."""
        self.number += 1
        new, before = f"fork-{self.number}", self._look()["runs"]
        reply = self._ask(
            "fork", crash=crash, name=name, at=at, settings={}, fork=new, refusals=("NotFound", "UsageError")
        )
        runs = self._look()["runs"]
        if reply["end"] == "killed":
            assert runs.keys() == before.keys() or new in runs
        if new not in runs:
            return multiple()
        self.known[new] = Known(new, self.known[name].choices, name)
        return new

    @rule(name=runs)
    def second_driver(self, name: str) -> None:
        """While one process drives a run another is refused, unless the run is over."""
        reply = self._ask("held", name=name)
        is_over = self._look()["runs"][name]["status"] in ("done", "rejected")
        assert is_over or "is driven by process" in reply["refused"]

    @rule(offset=CLOCKS)
    def jump(self, offset: int) -> None:
        """From now on the wall clock is another one."""
        self.clock = offset

    # ---- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_torn(self) -> None:
        """Every artifact is what its name says, every database passes SQLite's own check."""
        if self.home.exists():
            with at_home(self.home):
                assert torn_artifacts() == []
                assert broken_databases() == []

    @invariant()
    def nothing_is_done_twice(self) -> None:
        """One training per run and key; a paid call once per attempt; nothing whose row said done before."""
        lines = self._ledger()
        counts = Counter(lines)
        attempts = {(row["run_id"], row["key"]): row["attempt"] for row in self._rows()}
        for (kind, run, key), count in counts.items():
            assert count <= (1 if kind == "job" else attempts.get((run, key), 1)), (kind, run, key, count)

    def teardown(self) -> None:
        """Drive every run to its end; each must be what its twin is, and its test set opened once."""
        try:
            for name, known in self.known.items():
                self._finish(name)
                found = self._look()["runs"][name]
                wanted = twin(self.forge, known.choices)
                told = {part: found[part] for part in ("status", "best", "candidates", "model")}
                assert told == wanted, (name, known, told, wanted)
            self.nothing_is_done_twice()
            self.nothing_is_torn()
            openings = Counter(run for run, _ in self._look().get("openings", []))
            assert all(count == 1 for count in openings.values()), openings
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- parts -------------------------------------------------------------------------------------------------

    def _finish(self, name: str) -> None:
        for _ in range(8):
            self._answer(name, None, 0)
            if self._look()["runs"][name]["status"] in ("done", "rejected"):
                return
        raise AssertionError(f"{name} never comes to an end")

    def _answer(self, name: str, crash: str | None, disk: int) -> None:
        _, _, plan, release = self.known[name].choices
        word = plan if self._answers(name).count("plan") == 0 and plan else release
        self._ask("resume", crash=crash, disk=disk, name=name, answer=word or "approve")

    def _answers(self, name: str) -> list[str]:
        return list(self._look()["runs"][name]["answers"])

    def _ask(self, do: str, refusals: tuple[str, ...] = (), **more: Any) -> Reply:
        done_before, lines_before = self._done(), len(self._ledger())
        reply = self.forge.ask(do, self.home, clock=self.clock, **more)
        FACTS.commands[do] += 1
        FACTS.ends[reply["end"] if reply["end"] == "killed" else f"code {reply['code']}"] += 1
        if reply["end"] == "killed":
            assert more.get("crash"), reply
            FACTS.crashes[more["crash"].partition(":")[0]] += 1
        elif reply["code"]:
            allowed = (*refusals, *(STORE_ERRORS if more.get("disk") else ()))
            assert reply["kind"] in allowed, reply
        again = [line for line in self._ledger()[lines_before:] if line[2] in done_before]
        assert again == [], f"finished before, and made again: {again}"
        return reply

    def _look(self) -> dict[str, Any]:
        return self.forge.ask("look", self.home)

    def _done(self) -> set[str]:
        return {row["key"] for row in self._rows() if row["state"] == "done"}

    def _rows(self) -> list[dict[str, Any]]:
        path = self.home / "catalogue.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=60.0)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT key, run_id, state, attempt FROM journal")]

    def _ledger(self) -> list[tuple[str, str, str]]:
        path = Path(f"{self.home}.ledger")
        lines = path.read_text().splitlines() if path.exists() else []
        return [(kind, run, key) for kind, run, key in (line.split() for line in lines)]


_TWINS: dict[Choices, dict[str, Any]] = {}


def twin(forge: Forge, choices: Choices) -> dict[str, Any]:
    """What a run of these choices comes to when nothing happens to it."""
    if choices not in _TWINS:
        count, review, plan, release = choices
        folder = Path(tempfile.mkdtemp(prefix="mw-twin-", dir=_scratch()))
        try:
            home = folder / "home"
            forge.ask("start", home, name="twin", candidates=count, review=list(review))
            for word in filter(None, (plan, release)):
                forge.ask("resume", home, name="twin", answer=word)
            found = forge.ask("look", home)["runs"]["twin"]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _TWINS[choices] = {part: found[part] for part in ("status", "best", "candidates", "model")}
        assert found["status"] in ("done", "rejected"), found
    return _TWINS[choices]


@cache
def _scratch() -> str | None:
    """Memory instead of a disk where there is some: these histories are about order, not about devices."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 2**30 else None


def play(histories: int, steps: int = 12, forge: Forge | None = None) -> None:
    """Play so many histories. Raises what broke a promise, with the shortest history that breaks it."""
    with ExitStack() as kept:
        Histories.forge = forge or kept.enter_context(Forge())
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=histories,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def explore(campaign: Campaign, histories: int, batch: int = 250) -> list[dict[str, Any]]:
    """Histories in batches, so that a campaign can be stopped and taken up."""

    def work(count: int) -> Callable[[Path], dict[str, Any]]:
        def played(_: Path) -> dict[str, Any]:
            global FACTS
            FACTS = Facts()
            began, found = time.monotonic(), []
            try:
                play(count)
            except AssertionError as broken:
                found = [f"{broken}\n{''.join(getattr(broken, '__notes__', []))}"[:6000]]
            seconds = round(time.monotonic() - began, 1)
            counted = json.loads(json.dumps(FACTS.__dict__))
            return {"seconds": seconds, "found": found, **counted}

        return played

    return [campaign.once(f"histories-{number}", work(batch)) for number in range(max(1, histories // batch))]
