"""One run under fire: started, killed again and again, resumed until it is done, and then held against a calm one.

Who is killed next and after how many seconds comes from a seed, and every kill is written down with what the run was
doing, so a failure can be looked at again with the same seed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.durability.outcome import differences, outcome
from tests.durability.processes import Kind, everyone, family, seconds_until_gone
from tests.durability.watching import Receipts, at_home, broken_databases, finished_jobs, journal_rows, torn_artifacts
from tests.support.command import environment

LIMIT = "6h"
"""A time limit that binds nothing."""
OPTIONS = ("--target", "default", "--iterations", "1", "--candidates", "3", "--folds", "3", "--time-limit", LIMIT)
WEIGHTS: Mapping[Kind, float] = {"orchestrator": 0.5, "warm parent": 0.1, "supervisor": 0.2, "training": 0.2}
NAME = "campaign"
LEFT_SECONDS = 2.0
"""After a driver's death its processes must be gone within this time."""


@dataclass(frozen=True)
class Kill:
    """One kill that took place."""

    kind: Kind
    command: int
    """Which start or resume it met, from 1."""
    seconds: float
    """After the beginning of that command."""
    meanwhile: str
    """The last line the command had said."""
    gone: float | None = None
    """Orchestrator: seconds until the last of its processes had ended."""


@dataclass
class Endured:
    """What a run went through, and what it came to."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    commands: int = 0
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)
    """Whatever broke a promise, in words; empty when all were kept."""
    outcome: dict[str, Any] = field(default_factory=dict)


class Run:
    """A build in a home of its own and the commands that drive it."""

    def __init__(
        self, folder: Path, data: Path, *, store: str | None = None, options: tuple[str, ...] = OPTIONS
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.data = data
        self.store = store
        self.options = options
        self.more: dict[str, str] = {"MODELWRIGHT_STORE": store} if store else {}
        folder.mkdir(parents=True, exist_ok=True)
        self._commands = 0

    def start(self, **more: str) -> Command:
        """Begin the build, or resume it when it is known already."""
        with at_home(self.home, self.store):
            is_known = NAME in self.names()
        if is_known:
            return self.command("resume", NAME, "--json", **more)
        return self.command("build", self.data, *self.options, "--name", NAME, "--json", **more)

    def names(self) -> list[str]:
        """Names of all runs of this home; to be called inside `at_home`."""
        return [row.name for row in _runs()]

    def command(self, *arguments: object, home: Path | None = None, **more: str) -> Command:
        """Any command of the command line in this home, or in that of another machine."""
        self._commands += 1
        stem = self.folder / f"command-{self._commands}"
        return Command(stem, home or self.home, arguments, {**self.more, **more})


class Command:
    """A running command whose output goes into files, so that nobody has to read it meanwhile."""

    def __init__(self, stem: Path, home: Path, arguments: tuple[object, ...], more: dict[str, str]) -> None:
        self.err = stem.with_suffix(".err")
        self.out = stem.with_suffix(".out")
        home.parent.mkdir(parents=True, exist_ok=True)
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelwright", *map(str, arguments)],
                env=environment(home, **more),
                cwd=home.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.began = time.monotonic()

    @property
    def pid(self) -> int:
        return self.process.pid

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def said(self) -> str:
        """The last line of progress."""
        lines = self.err.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip()[:160] if lines else ""

    def end(self, patience: float = 1800.0) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(patience)

    def kill(self) -> float:
        """kill -9; returns the seconds its processes outlived it by."""
        known = everyone(self.pid)
        self.process.kill()
        self.process.wait()
        seconds, left = seconds_until_gone(known, self.pid)
        if left:
            raise AssertionError(f"still there after {seconds:.0f} s: {left}")
        return seconds


def calm(run: Run) -> tuple[dict[str, Any], float]:
    """The outcome of the same build when nothing happens, and the seconds it took."""
    command = run.start()
    if command.end() != 0:
        raise AssertionError(f"the uninterrupted build failed:\n{command.err.read_text()}")
    with at_home(run.home, run.store):
        return outcome(NAME), command.seconds()


class Judge:
    """Watches one run from its beginning to its end and writes down whatever broke a promise."""

    def __init__(self, run: Run, wanted: dict[str, Any]) -> None:
        self.run = run
        self.wanted = wanted
        self.found: list[str] = []
        self.outcome: dict[str, Any] = {}
        self._receipts = Receipts(run.home / "jobs")
        self._done: dict[tuple[str, str], tuple[Any, ...]] = {}

    def __enter__(self) -> Judge:
        self._receipts.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._receipts.__exit__(*error)

    def between(self) -> None:
        """Look at the store while nobody drives the run, and remember which effects are done by now."""
        with at_home(self.run.home, self.run.store):
            self.found += [f"torn artifact {one}" for one in torn_artifacts()]
            self.found += [f"broken database {one}" for one in broken_databases()]
            rows = {(row["run_id"], row["key"]): row for row in journal_rows() if row["state"] == "done"}
        now = {place: (row["attempt"], row["digest"], row["finished"]) for place, row in rows.items()}
        self.found += [
            f"a finished effect was made again: {place[1]}"
            for place, before in self._done.items()
            if now.get(place) != before
        ]
        self._done.update(now)

    def end(self, command: Command, code: int | None, name: str = NAME) -> None:
        """Hold what the run has come to against the uninterrupted one."""
        self.between()
        if code != 0:
            self.found.append(f"the last command ended with {code}: {command.said()}")
        _, left = seconds_until_gone(set(), command.pid, LEFT_SECONDS)
        self.found += [f"left after the end: {one}" for one in left]
        with at_home(self.run.home, self.run.store):
            again = self._receipts.repeated(finished_jobs())
            self.outcome = outcome(name)
        self.found += [f"executed again although its receipt was durable: {key}" for key in again]
        self.found += [f"different: {line}" for line in differences(self.wanted, self.outcome)]


def endure(
    run: Run,
    seed: int,
    kills: int,
    wanted: dict[str, Any],
    pace: float,
    weights: Mapping[Kind, float] = WEIGHTS,
    between: Callable[[], object] = lambda: None,
) -> Endured:
    """Kill a run up to `kills` times at random moments and resume it until it is done. Checks every promise.

    wanted: outcome of the uninterrupted build. pace: seconds that one takes; moments are drawn in proportion.
    between: called after every death of the driver, before it is started again.
    """
    chance, told, began = random.Random(seed), Endured(seed), time.monotonic()
    with Judge(run, wanted) as judge:
        while told.commands <= 2 * kills + 3:
            command = run.start()
            told.commands += 1
            code = _under_fire(command, chance, kills, pace, weights, told)
            if code is not None:
                judge.end(command, code)
                break
            judge.between()
            between()
        else:
            judge.found.append("the run never came to an end")
    told.found += judge.found
    told.outcome = judge.outcome
    told.seconds = round(time.monotonic() - began, 1)
    return told


def _under_fire(
    command: Command, chance: random.Random, kills: int, pace: float, weights: Mapping[Kind, float], told: Endured
) -> int | None:
    """Kill parts of one command until its driver dies (None) or it ends by itself (its exit code)."""
    while len(told.kills) < kills:
        kind = chance.choices(list(weights), list(weights.values()))[0]
        until = time.monotonic() + chance.uniform(0.02, 0.25) * pace
        while time.monotonic() < until and command.process.poll() is None:
            time.sleep(0.01)
        victim = _victim(command, kind, chance)
        if victim is None:
            return command.end()
        said, seconds = command.said(), command.seconds()
        if kind == "orchestrator":
            gone = command.kill()
            told.kills.append(Kill(kind, told.commands, round(seconds, 2), said, round(gone, 2)))
            if gone > LEFT_SECONDS:
                told.found.append(f"processes outlived their driver by {gone:.1f} s after kill {len(told.kills)}")
            return None
        try:
            victim.kill()  # it refuses when the number has another owner
        except psutil.NoSuchProcess:
            continue  # it ended by itself meanwhile: not a kill
        told.kills.append(Kill(kind, told.commands, round(seconds, 2), said))
    return command.end()


def _victim(command: Command, kind: Kind, chance: random.Random) -> psutil.Process | None:
    """A living process of that kind, waited for; None when the command ended before there was one."""
    while command.process.poll() is None:
        if found := family(command.pid)[kind]:
            return chance.choice(found)
        time.sleep(0.005)
    return None


def _runs() -> list[Any]:
    from tools.store import open_catalogue

    catalogue = open_catalogue()
    try:
        return catalogue.runs()
    finally:
        catalogue.close()


def table(path: Path, rows: int = 120) -> Path:
    """The smallest table that still has numbers, categories, dates and gaps, as CSV."""
    from tests.support.tables import loans

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        new = path.with_suffix(".new")
        loans(rows).to_csv(new, index=False)
        os.replace(new, path)
    return path
