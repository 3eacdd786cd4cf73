"""Two and five processes on one run: the holder stopped and continued, and all at once after a kill."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.durability.killing import NAME, Command, Judge, Run

if TYPE_CHECKING:
    from tests.durability.campaign import Campaign

SOON = 1.0
"""CPU seconds after which a refused process must have gone; wall seconds depend on who else is at work."""
HELD = 7
PAST_LEASE = 45.0
"""Seconds for which the holder is stopped on a store that machines share, well past its lease."""


def drivers(campaign: Campaign) -> list[dict[str, Any]]:
    """Both ways, with two and with five processes."""
    campaign.measure()
    pieces: list[tuple[str, Callable[[Path], dict[str, Any]]]] = []
    for count in (2, 5):
        pieces.append((f"stopped-{count}", _work(campaign, _stopped, count)))
        pieces.append((f"at-once-{count}", _work(campaign, _at_once, count)))
    return [campaign.once(name, work) for name, work in pieces]


def _work(
    campaign: Campaign, part: Callable[[Run, Judge, int], list[dict[str, Any]]], count: int
) -> Callable[[Path], dict[str, Any]]:
    def work(folder: Path) -> dict[str, Any]:
        run = Run(folder, campaign.data, store=campaign.store)
        with Judge(run, campaign.wanted) as judge:
            refused = part(run, judge, count)
        return {"processes": count, "refused": refused, "found": judge.found}

    return work


def _stopped(run: Run, judge: Judge, count: int) -> list[dict[str, Any]]:
    """The holder is stopped in the middle of its trainings, the others come, the holder is continued."""
    holder = run.start()
    wait_for(holder, "plans of iteration 0")
    time.sleep(3.0)
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        time.sleep(PAST_LEASE if run.store else 0.0)
        others = _come(run, count - 1)
        refused = [] if run.store else [_refused(other, holder, judge) for other in others]
        time.sleep(PAST_LEASE / 3 if run.store else 0.0)
    finally:
        os.kill(holder.pid, signal.SIGCONT)
    _one_worked(run, judge, [holder, *others])
    return refused


def _at_once(run: Run, judge: Judge, count: int) -> list[dict[str, Any]]:
    """The run was interrupted, and all come to continue it at the same moment."""
    first = run.start()
    wait_for(first, "plans of iteration 0")
    time.sleep(3.0)
    first.kill()
    judge.between()
    time.sleep(PAST_LEASE if run.store else 0.0)
    _one_worked(run, judge, _come(run, count))
    return []


def _come(run: Run, count: int) -> list[Command]:
    """So many processes that would go on with the run; with a shared store each on a machine of its own."""
    homes = [run.folder / f"machine-{number}" if run.store else run.home for number in range(count)]
    return [run.command("resume", NAME, "--json", home=home) for home in homes]


def _one_worked(run: Run, judge: Judge, commands: list[Command]) -> None:
    codes = [command.end() for command in commands]
    if sorted(codes) != [0] + [HELD] * (len(codes) - 1):
        judge.found.append(f"exit codes {codes}: exactly one was to work, the others to leave with {HELD}")
    worked = commands[codes.index(0)] if 0 in codes else commands[0]
    judge.end(worked, 0 if 0 in codes else codes[0])


def _refused(command: Command, holder: Command, judge: Judge) -> dict[str, Any]:
    """What a refused process took and said. Taken by wait4, so that its CPU seconds are its own."""
    _, status, used = os.wait4(command.pid, 0)
    command.process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu, said = command.seconds(), used.ru_utime + used.ru_stime, command.err.read_text()
    if command.process.returncode != HELD or str(holder.pid) not in re.findall(r"\d+", said):
        judge.found.append(f"not refused by naming process {holder.pid}: {command.process.returncode} {said[-300:]}")
    if cpu > SOON:
        judge.found.append(f"a refused process took {cpu:.2f} s of CPU")
    return {"wall": round(wall, 2), "cpu": round(cpu, 2)}


def wait_for(command: Command, words: str, patience: float = 600.0) -> None:
    """Until the command has said so. Raises AssertionError when it ends before."""
    until = time.monotonic() + patience
    while words not in command.err.read_text(errors="replace"):
        if command.process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"it never said {words!r}:\n{command.err.read_text()}")
        time.sleep(0.05)
