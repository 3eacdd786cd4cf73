"""How much of a build's wall time no job ran in: a reader of the journal in the catalogue of a home.

    python -m benchmarks.engineshare HOME     the last run there, done in one go: the idle seconds by the role at work

The journal has one row per job with the moment it was finished, and the executor's receipt with the seconds it ran. A job's
stretch is [finished − seconds, finished], never before its row was begun; a row that has no receipt (cut short) counts from
begun to ended. What is left of the wall between the first instant and the last, outside the union of all stretches, is
the engine's share: starting, reading, profiling, planning, scoring, review, report, waiting for the warm parent.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

JOBS = ("fold", "fit", "predict", "explain", "script")
"""Kinds of jobs (state/jobs.py); other rows of the journal are no processes."""


def read_share(catalogue: Path, began: float, ended: float) -> dict[str, float]:
    """{share, seconds, jobs, job_seconds} of a wall from `began` to `ended`, both seconds since 1970.

    seconds: wall in which no job ran · share: of the whole wall · jobs: how many ran · job_seconds: the sum of theirs.
    """
    stretches = stretches_of(catalogue, began, ended)
    busy = covered(stretches)
    wall = ended - began
    return {
        "share": (wall - busy) / wall if wall > 0 else 0.0,
        "seconds": wall - busy,
        "jobs": len(stretches),
        "job_seconds": sum(end - start for start, end in stretches),
    }


def stretches_of(catalogue: Path, began: float, ended: float) -> list[tuple[float, float]]:
    """When jobs ran, all runs of the home together, within these seconds since 1970."""
    marks = ",".join("?" * len(JOBS))
    with closing(sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)) as database:
        rows = database.execute(
            f"SELECT started, finished, result FROM journal WHERE kind IN ({marks}) AND started IS NOT NULL", JOBS
        ).fetchall()
    return [one for row in rows if (one := _stretch(*row, began, ended))]


def idle_by_role(
    stretches: list[tuple[float, float]], phases: list[tuple[float, str]], began: float, ended: float
) -> dict[str, float]:
    """Seconds in which no job ran, by the role that began last before each of them; `start` before the first.

    phases: (when, role) in order of time.
    """
    found: Counter[str] = Counter()
    marks = [(began, "start"), *phases, (ended, "")]
    for (first, role), (last, _) in itertools.pairwise(marks):
        inside = [(max(one, first), min(other, last)) for one, other in stretches if one < last and other > first]
        found[role] += max(0.0, last - first - covered(inside))
    return dict(found)


def alone(stretches: list[tuple[float, float]]) -> float:
    """Seconds in which exactly one job ran."""
    total, running, since = 0.0, 0, 0.0
    for when, change in sorted([(first, 1) for first, _ in stretches] + [(last, -1) for _, last in stretches]):
        if running == 1:
            total += when - since
        running, since = running + change, when
    return total


def main() -> None:
    """Print the account of the last run of a home that holds no other run which ran at the same time."""
    home = Path(sys.argv[1])
    newest = max((home / "runs").glob("*/run.db"), key=lambda path: path.stat().st_mtime)
    with closing(sqlite3.connect(f"file:{newest}?mode=ro", uri=True)) as database:
        events = [
            (_seconds(when), kind, role)
            for when, kind, role in database.execute("SELECT time, kind, role FROM events ORDER BY seq")
        ]
    with closing(sqlite3.connect(f"file:{home / 'catalogue.db'}?mode=ro", uri=True)) as database:
        (spent,) = database.execute("SELECT active_seconds FROM runs WHERE id = ?", (newest.parent.name,)).fetchone()
    ended = events[-1][0]
    began = ended - spent
    stretches = stretches_of(home / "catalogue.db", began, ended)
    idle = idle_by_role(stretches, [(when, role) for when, kind, role in events if kind == "phase"], began, ended)
    for role, seconds in sorted(idle.items(), key=lambda one: -one[1]):
        print(f"{seconds:6.2f} s  {role}")
    print(f"{sum(idle.values()):6.2f} s  of {spent:.1f} s without a job, {alone(stretches):.1f} s with one job alone")


def _stretch(
    started: str, finished: str | None, result: str | None, began: float, ended: float
) -> tuple[float, float] | None:
    first, last = _seconds(started), _seconds(finished) if finished else ended
    ran = json.loads(result).get("seconds") if result else None
    if ran is not None:
        first = max(first, last - float(ran))
    first, last = max(first, began), min(last, ended)
    return (first, last) if last > first else None


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def covered(stretches: list[tuple[float, float]]) -> float:
    """Length of the union of stretches."""
    total, reach = 0.0, float("-inf")
    for first, last in sorted(stretches):
        total += max(0.0, last - max(first, reach))
        reach = max(reach, last)
    return total


if __name__ == "__main__":
    main()
