"""Every named crash point once, with the real build: killed there, resumed, and held against a calm run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.durability.killing import LEFT_SECONDS, NAME, Judge, Run
from tests.durability.outcome import differences, outcome
from tests.durability.processes import seconds_until_gone
from tests.durability.watching import at_home
from tools.crash import CRASH_POINTS, SUPERVISOR_POINTS

if TYPE_CHECKING:
    from tests.durability.campaign import Campaign

COUNTS = {
    "before-effect": 4, "before-receipt": 3, "after-receipt": 3, "before-collect": 3, "before-note": 4,
    "after-effect": 4, "after-journal": 4, "mid-rename": 30, "after-record": 5, "after-writes": 6,
    "before-checkpoint": 6, "after-checkpoint": 7,
}  # fmt: skip
"""At which passing the process dies; at the first where none is named."""
BEFORE = {"mid-publish": ["after-publish:1"]}
"""Deaths that must come first: only who publishes again has an earlier release to move out of the way."""


def named_points(campaign: Campaign) -> list[dict[str, Any]]:
    """One run per crash point."""
    return [campaign.once(f"named-{point}", _work(campaign, point)) for point in CRASH_POINTS]


def _work(campaign: Campaign, point: str) -> Callable[[Path], dict[str, Any]]:
    special = {"after-answer": _answered, "before-fork": _forked}.get(point, _killed)

    def work(folder: Path) -> dict[str, Any]:
        run = Run(folder, campaign.data, store=campaign.store)
        with Judge(run, campaign.wanted) as judge:
            special(run, judge, point)
        return {"point": point, "found": judge.found}

    return work


def _killed(run: Run, judge: Judge, point: str) -> None:
    """Die at the point, be resumed, and come to the same."""
    for crash in [*BEFORE.get(point, []), f"{point}:{COUNTS.get(point, 1)}"]:
        command = run.start(MODELWRIGHT_CRASH=crash)
        wanted = 0 if crash.partition(":")[0] in SUPERVISOR_POINTS else -9
        code = command.end()
        if code != wanted:
            judge.found.append(f"{crash}: ended with {code}, not {wanted}: {command.said()}")
        if code == 0:
            judge.end(command, code)
            return
        _gone(judge, command.pid)
        judge.between()
    command = run.start()
    judge.end(command, command.end())


def _answered(run: Run, judge: Judge, point: str) -> None:
    """Die right after a person's answer: it is not asked for again, and counts once."""
    run.options = (*run.options, "--review", "plan")
    command = run.start()
    if command.end() != 3:
        judge.found.append(f"the build did not wait: {command.said()}")
    command = run.command("approve", NAME, MODELWRIGHT_CRASH=f"{point}:1")
    if command.end() != -9:
        judge.found.append(f"did not die at {point}: {command.said()}")
    _gone(judge, command.pid)
    judge.between()
    command = run.start()
    judge.end(command, command.end())


def _forked(run: Run, judge: Judge, point: str) -> None:
    """Die between a fork's rows and its row in the catalogue: there is no fork, and the next attempt makes one."""
    command = run.start()
    judge.end(command, command.end())
    fork = ("fork", NAME, "--at", "strategist", "--name", "fork", "--json")
    command = run.command(*fork, MODELWRIGHT_CRASH=f"{point}:1")
    if command.end() != -9:
        judge.found.append(f"did not die at {point}: {command.said()}")
    with at_home(run.home, run.store):
        names = run.names()
    if names != [NAME]:
        judge.found.append(f"half a fork is known: {names}")
    command = run.command(*fork)
    if command.end() != 0:
        judge.found.append(f"the second attempt failed: {command.said()}")
    with at_home(run.home, run.store):
        again = outcome("fork")
    # The sealed rows were opened once by each of the two.
    told = {part: value for part, value in again.items() if part != "openings"}
    whole = {part: value for part, value in judge.wanted.items() if part != "openings"}
    judge.found += [f"the fork is different: {line}" for line in differences(whole, told)]


def _gone(judge: Judge, pid: int) -> None:
    seconds, left = seconds_until_gone(set(), pid)
    if left or seconds > LEFT_SECONDS:
        judge.found.append(f"processes outlived their driver by {seconds:.1f} s: {left}")
