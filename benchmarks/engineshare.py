"""How much of a build's wall time no job ran in: a reader of the journal in the catalogue of a home.

The journal has one row per job with the moment it was finished, and the executor's receipt with the seconds it ran. A job's
stretch is [finished − seconds, finished], never before its row was begun; a row that has no receipt (cut short) counts from
begun to ended. What is left of the wall between the first instant and the last, outside the union of all stretches, is
the engine's share: starting, reading, profiling, planning, scoring, review, report, waiting for the warm parent.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

JOBS = ("fold", "fit", "predict", "explain", "script")
"""Kinds of jobs (state/jobs.py); other rows of the journal are no processes."""


def read_share(catalogue: Path, began: float, ended: float) -> dict[str, float]:
    """{share, seconds, jobs, job_seconds} of a wall from `began` to `ended`, both seconds since 1970.

    seconds: wall in which no job ran · share: of the whole wall · jobs: how many ran · job_seconds: the sum of theirs.
    """
    marks = ",".join("?" * len(JOBS))
    with closing(sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)) as database:
        rows = database.execute(
            f"SELECT started, finished, result FROM journal WHERE kind IN ({marks}) AND started IS NOT NULL", JOBS
        ).fetchall()
    stretches = [one for row in rows if (one := _stretch(*row, began, ended))]
    busy = covered(stretches)
    wall = ended - began
    return {
        "share": (wall - busy) / wall if wall > 0 else 0.0,
        "seconds": wall - busy,
        "jobs": len(stretches),
        "job_seconds": sum(end - start for start, end in stretches),
    }


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
