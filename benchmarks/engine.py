"""What the engine costs beside the training: CPU per step, bytes per checkpoint, seconds until a resumed run works again.

    python -m benchmarks.engine [--candidates 1000] [--each 64]

The graph, its roles, session, journal, checkpointer, candidate log and artifact store are the real ones. Only plans,
programs and their execution are cheap: an expert that proposes as many small programs as it is asked for, each a little
better than those of the round before, and an executor that runs their folds in this process. Everything else (the chosen
model's fits, its inference program, the checks) would run after the search and is left out: the run is stopped there.

A step is one execution of a role in the graph. `engine` is the CPU of this process without what roles and programs
compute themselves; it holds LangGraph, the sync checkpoints, the journal, events, the candidate log, and the hand-over
between threads. Written to benchmarks/results/engine.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from state.candidate import IterationPlan, Plan
from state.errors import RunPaused
from state.jobs import Job, Receipt
from state.questions import PlanQuestion, Plans, Program, ProgramQuestion
from state.settings import Settings
from tools.artifacts import ArtifactStore
from tools.experts import Expert
from tools.experts.recorded import RecordedExpert
from tools.search.asking import tree_of

RESULTS = Path(__file__).with_name("results") / "engine.json"
ROOT = Path(__file__).resolve().parent.parent
FOLDS = 2
MOST_ITERATIONS = 100  # what the settings allow
GOALS = {"engine CPU ms per step": 30.0, "bytes per checkpoint": 10_000.0, "resume seconds": 2.0}

PROGRAM = '''"""Debt against income, blurred by noise of its own: the less of it, the better."""

from __future__ import annotations

import numpy as np

NUMBER, NOISE = {number}, {noise}


def fit(X, y, *, task, seed, time_limit, n_jobs):
    return {{"effective": {{}}}}


def predict(model, X):
    income, debt = X["income"].fillna(20000.0).to_numpy(), X["debt"].to_numpy()
    blur = np.sin(income * (NUMBER + 1.0)) * NOISE
    yes = 1.0 / (1.0 + np.exp(-4.0 * (debt / income - 0.3) - blur))
    return np.column_stack([1.0 - yes, yes])
'''


class CheapExpert:
    """Plans and programs without thinking. The same noises every round, only weaker, so that every round is an improvement."""

    name = "builtin"

    def ask(self, question: Any) -> Any:
        """An answer to the two questions of the search."""
        if isinstance(question, PlanQuestion):
            return self._plans(question)
        assert isinstance(question, ProgramQuestion)
        return Program(code=PROGRAM.format(**question.plan.params))

    def _plans(self, question: PlanQuestion) -> Plans:
        steps = ("exploration", "split", "representation", "architecture", "training", "inference")
        told = dict.fromkeys((*steps, "prediction_exploration", "evaluation", "rationale"), "as always")
        noise = 12.0 * 0.98**question.iteration
        plans = [
            Plan(
                id=f"i{question.iteration}-{number}",
                title=f"blurred ratio {number}",
                rationale="a ratio tells more than its parts",
                params={"number": number, "noise": noise},
            )
            for number in range(question.count)
        ]
        return Plans(iteration_plan=IterationPlan(iteration=question.iteration, mode="refine", **told), plans=plans)


class CheapExecutor:
    """Runs folds in a thread of this process, and counts the CPU they take."""

    tier = "T1"
    cpu = 0.0

    def __init__(self, artifacts: ArtifactStore, jobs_folder: Path, slots: int, *_: Any, **__: Any) -> None:
        self.artifacts = artifacts
        self.slots = slots
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""

    async def submit(self, job: Job, key: str) -> Receipt:
        return await asyncio.to_thread(self._run, job, key)

    def _run(self, job: Job, key: str) -> Receipt:
        began = time.thread_time()
        space: dict[str, Any] = {}
        exec(self.artifacts.get_text(job.files["program.py"]), space)  # the benchmark's own program
        frame = self.artifacts.get_frame(job.files["features.arrow"])
        rows = self.artifacts.get_frame(job.files["valid.arrow"])["row"].to_numpy().astype(int)
        values = space["predict"](space["fit"](None, None, task={}, seed=0, time_limit=1, n_jobs=1), frame.iloc[rows])
        outputs = {"predictions.npy": self.artifacts.put_array(np.ascontiguousarray(values))}
        used = time.thread_time() - began
        with self._lock:
            CheapExecutor.cpu += used
        result = {"effective": {}, "fit_seconds": 0.1, "predict_seconds": 0.1, "rows": len(rows)}
        return Receipt(
            key=key, kind=job.kind, status="done", outputs=outputs, result=result, seconds=0.1, cpu_seconds=0.1
        )


class Roles:
    """CPU of what roles compute."""

    cpu = 0.0
    _lock = threading.Lock()

    @classmethod
    def counted(cls, role: Callable[..., Any]) -> Callable[..., Any]:
        """A role, or the part of one that computes, that counts itself."""

        def counting(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return role(*arguments, **named)
            finally:
                with cls._lock:
                    cls.cpu += time.thread_time() - began

        counting.__name__ = role.__name__
        return counting


@contextmanager
def cheap() -> Iterator[None]:
    """The real graph with cheap plans, programs and executions, for the length of the block."""
    import graphs.modeling
    import nodes.engineer
    import nodes.runner
    import tools.training

    def open_expert(role: str, settings: Settings, *, runlog: Any, journal: Any, **_: Any) -> Expert:
        return RecordedExpert(CheapExpert(), runlog, journal)

    with ExitStack() as kept:
        kept.enter_context(patch("tools.experts.opening.open_expert", open_expert))
        kept.enter_context(patch("tools.executors.process.ProcessExecutor", CheapExecutor))
        kept.enter_context(patch("tools.sandbox.admit", lambda *_: "T1"))
        kept.enter_context(patch("graphs.session.begin_trial", lambda *_: None))
        # As long a search as was asked for: no idea is hopeless, and a free writer has some about every candidate.
        kept.enter_context(patch("tools.search.steering.chance_to_help", lambda _: 1.0))
        kept.enter_context(
            patch("tools.search.steering.tree_of", lambda *facts, **more: tree_of(*facts, **{**more, "free": True}))
        )
        # What roles compute, as against what they write down: scores with their intervals, ensembles, comparisons, whether
        # a candidate can still win.
        for module, name in (
            (graphs.modeling, "strategist"),
            (nodes.engineer, "check_program"),
            (nodes.runner, "_scored"),
            (nodes.runner, "cannot_win"),
            (tools.training, "_first_gain"),
            (tools.training, "_take"),
        ):
            kept.enter_context(patch.object(module, name, Roles.counted(getattr(module, name))))
        yield


class Look:
    """Reads the clock and the database at every decision, and stops the run when the search is over."""

    def __init__(self, home: Path, stop_at: int) -> None:
        self.home = home
        self.stop_at = stop_at
        self.rows: list[dict[str, float]] = []
        self.steps = 0
        self.trained: set[str] = set()
        self.run_id = ""

    def __call__(self, event: dict[str, Any]) -> None:
        self.run_id = event["data"].get("run_id", self.run_id)
        self.steps += event["kind"] == "step"
        if event["kind"] == "step" and event["role"] == "runner":
            self.trained.add(event["data"]["candidate"])
        if event["kind"] == "decision":
            self.rows.append(
                {
                    "candidates": len(self.trained),
                    "steps": self.steps,
                    "cpu": time.process_time(),
                    "roles": Roles.cpu,
                    "programs": CheapExecutor.cpu,
                    **database_bytes(self.home / "runs" / self.run_id / "run.db"),
                }
            )
            if len(self.trained) >= self.stop_at:
                raise RunPaused("measured", hint="")


def database_bytes(path: Path) -> dict[str, float]:
    """How many checkpoints a run's database holds, and the bytes of its pages; those of checkpoints and writes alone."""
    with closing(sqlite3.connect(path, timeout=60.0)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        pages, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
        count, blobs = connection.execute(
            "SELECT count(*), sum(length(checkpoint) + length(metadata)) FROM checkpoints"
        ).fetchone()
        writes = connection.execute("SELECT sum(length(value)) FROM writes").fetchone()[0]
    return {"checkpoints": count, "bytes": pages * size, "checkpoint_bytes": blobs or 0, "write_bytes": writes or 0}


def search(home: Path, candidates: int, each: int) -> list[dict[str, float]]:
    """Drive the real graph until so many candidates are trained; a row per iteration. each: plans of an iteration, at most."""
    from graphs import session
    from tests.support.tables import loans

    os.environ["MODELWRIGHT_HOME"] = str(home)
    look = Look(home, candidates)
    settings = Settings(
        target="default",
        time_limit=10**6,
        candidates=min(each, 64),
        iterations=MOST_ITERATIONS,
        folds=FOLDS,
        name="engine",
    )
    with cheap():
        began = time.process_time()
        session.start(settings, frame=loans(240), listener=look)
    print(f"{look.steps} steps in {time.process_time() - began:.1f} s of CPU", flush=True)
    if len(look.trained) < candidates:
        raise AssertionError(f"the search ended after {len(look.trained)} of {candidates} candidates")
    return look.rows


def resume_here(home: Path) -> dict[str, float]:
    """From the call of `resume` to the first step it begins, in a process that has the libraries already."""
    from graphs import session

    os.environ["MODELWRIGHT_HOME"] = str(home)
    found: dict[str, float] = {}

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "phase" and not found:
            found.update(seconds=round(time.monotonic() - began, 2), cpu=round(time.process_time() - cpu, 2))
            raise RunPaused("measured", hint="")

    with cheap():
        began, cpu = time.monotonic(), time.process_time()
        session.resume("engine", listener=listen)
    return found


def resume_seconds(home: Path) -> dict[str, float]:
    """From the start of `modelwright resume` to the first step it begins: wall seconds, and CPU of its process."""
    path = next((home / "runs").glob("*/run.db"))
    with closing(sqlite3.connect(path, timeout=60.0)) as connection:
        newest = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
        steps = connection.execute("SELECT count(*) FROM events WHERE kind = 'step'").fetchone()[0]
        began, cpu = time.monotonic(), 0.0
        process = subprocess.Popen(
            [sys.executable, "-m", "modelwright", "resume", "engine"],
            cwd=home.parent,
            env={**os.environ, "MODELWRIGHT_HOME": str(home), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            while process.poll() is None:
                found = connection.execute("SELECT 1 FROM events WHERE seq > ? AND kind = 'phase'", [newest]).fetchone()
                if found:
                    times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                    cpu = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
                    return {"steps": steps, "seconds": round(time.monotonic() - began, 2), "cpu": round(cpu, 2)}
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    raise AssertionError("the resumed run ended before it began a step")


def figures(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Per iteration and over all: CPU per step and bytes per checkpoint."""
    first, last = rows[0], rows[-1]
    steps = last["steps"] - first["steps"] or last["steps"]
    over = {name: last[name] - (first[name] if last is not first else 0.0) for name in ("cpu", "roles", "programs")}
    engine = over["cpu"] - over["roles"] - over["programs"]
    parts = [
        {
            "checkpoints": one["checkpoints"],
            "engine ms per step": round(
                1000
                * ((one["cpu"] - two["cpu"]) - (one["roles"] - two["roles"]) - (one["programs"] - two["programs"]))
                / max(1.0, one["steps"] - two["steps"]),
                2,
            ),
            "bytes per checkpoint": round(
                (one["bytes"] - two["bytes"]) / max(1, one["checkpoints"] - two["checkpoints"])
            ),
        }
        for two, one in pairwise(rows)
    ]
    return {
        "candidates": last["candidates"],
        "steps": last["steps"],
        "checkpoints": last["checkpoints"],
        "CPU ms per step": round(1000 * over["cpu"] / steps, 2),
        "engine CPU ms per step": round(1000 * engine / steps, 2),
        "roles CPU ms per step": round(1000 * over["roles"] / steps, 2),
        "bytes per checkpoint": round(last["bytes"] / last["checkpoints"]),
        "of which checkpoints and writes": round(
            (last["checkpoint_bytes"] + last["write_bytes"]) / last["checkpoints"]
        ),
        "growth": parts,
    }


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--each", type=int, default=64)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = figures(search(Path(folder) / "many" / "home", options.candidates, options.each))
        print(json.dumps(found, indent=1), flush=True)
        search(Path(folder) / "few" / "home", 66, 22)
        here = [resume_here(Path(folder) / "few" / "home") for _ in range(3)]
        resumed = [resume_seconds(Path(folder) / "few" / "home") for _ in range(3)]
    facts = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        **found,
        "resume": min(resumed, key=lambda one: one["seconds"]),
        "resume with the libraries loaded": min(here, key=lambda one: one["seconds"]),
    }
    options.out.write_text(json.dumps(facts, indent=1) + "\n")
    measured = {**{name: facts.get(name) for name in GOALS}, "resume seconds": facts["resume"]["seconds"]}
    print(f"resume: {facts['resume']}; with the libraries loaded: {facts['resume with the libraries loaded']}")
    for name, goal in GOALS.items():
        print(f"{name:26} {measured[name]!s:>10}   goal {goal:g}")


if __name__ == "__main__":
    main()
