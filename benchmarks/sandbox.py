"""What the sandbox adds to a job: milliseconds and ratio against tier T3, measured side by side in one run.

    python -m benchmarks.sandbox [--rounds 25]

Each round runs the same job once in every tier this machine can enter, in turn, so that whatever else the machine does
meets all of them alike. "empty" is a script of one line: start, entering, end, collecting. "fold" trains a small
logistic regression. Reported are medians over the rounds of the wall time from submission to receipt, and the median of
the difference to T3 in the same round. Writes benchmarks/results/sandbox.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from state.jobs import Job
from tests.support.programs import LOGISTIC, learning_job, script_job
from tests.support.tiers import TIERS
from tools.artifacts import FolderArtifacts
from tools.executors.process import ProcessExecutor
from tools.sandbox import TIERS as NAMES

RESULTS = Path(__file__).with_name("results") / "sandbox.json"
WARM_UP = 3


def main() -> None:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=25)
    rounds = max(15, parser.parse_args().rounds)
    with tempfile.TemporaryDirectory() as folder:
        store = FolderArtifacts(Path(folder) / "store")
        executors = {tier: ProcessExecutor(store, Path(folder) / tier, slots=1, tier=tier) for tier in TIERS}
        try:
            jobs = {"empty": script_job(store, "print(1)\n"), "fold": learning_job(store, LOGISTIC)}
            found = {name: summary(measure(executors, job, rounds)) for name, job in jobs.items()}
        finally:
            for executor in executors.values():
                executor.close()
    facts = {
        "rounds": rounds,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "root": os.geteuid() == 0,
        "jobs": found,
    }
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n")
    print("\n".join(table(found)))


def measure(executors: dict[str, ProcessExecutor], job: Job, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round per tier."""
    found: dict[str, list[float]] = {tier: [] for tier in executors}
    for number in range(rounds + WARM_UP):
        for tier, executor in executors.items():
            started = time.perf_counter()
            receipt = asyncio.run(executor.submit(job, uuid.uuid4().hex))
            spent = (time.perf_counter() - started) * 1000
            if not receipt.ok:
                raise RuntimeError(f"the job failed in {tier}: {receipt.error}")
            if number >= WARM_UP:
                found[tier].append(spent)
    return found


def summary(found: dict[str, list[float]]) -> dict[str, Any]:
    """Medians per tier: milliseconds, what was added to T3 in the same round, and the ratio to it."""
    basic = found["T3"]
    return {
        tier: {
            "ms": round(statistics.median(times), 1),
            "added_ms": round(statistics.median(one - other for one, other in zip(times, basic, strict=True)), 1),
            "ratio": round(statistics.median(one / other for one, other in zip(times, basic, strict=True)), 2),
        }
        for tier, times in found.items()
    }


def table(found: dict[str, dict[str, Any]]) -> list[str]:
    """The results as Markdown."""
    lines = ["| job | tier | median ms | added ms | ratio |", "|---|---|---|---|---|"]
    return lines + [
        f"| {name} | {NAMES[tier]} | {facts['ms']:.0f} | {facts['added_ms']:+.0f} | {facts['ratio']:.2f} |"
        for name, tiers in found.items()
        for tier, facts in sorted(tiers.items(), reverse=True)
    ]


if __name__ == "__main__":
    main()
