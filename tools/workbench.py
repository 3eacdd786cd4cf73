"""The workbench: every live handle a role works with, opened from settings and never put into state.

One workbench is open per run and process. Roles get it as an argument; the graph's node wrapper opens it, so that it
is the same for the command line, a notebook and the LangGraph server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.brief import Brief
from state.candidate import Candidate
from state.errors import RunHeld, RunPaused
from state.jobs import Job, Limits, Receipt
from state.profile import Profile
from state.records import to_plain
from state.settings import Settings
from state.task import Prepared, Task
from tools.artifacts import ArtifactStore, open_artifacts, refs_in
from tools.budget import Budget
from tools.columnwise import cores
from tools.crash import crash_point
from tools.damage.artifacts import artifact_problem
from tools.damage.healing import plain_job, whole_job
from tools.decisions import decide, decided
from tools.disk import check_room
from tools.executors import Executor
from tools.experts import Expert
from tools.home import home, run_folder
from tools.journal import Journal
from tools.promises import Promises
from tools.runmanifest import ManifestKeeper
from tools.standing import Standing
from tools.store import Catalogue, RunLog, open_catalogue, open_run_log

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.intake.request import Request

Listener = Callable[[dict[str, Any]], None]

_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "skrub", "pyarrow")


@cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries programs compute with; part of every job's key."""
    return {name: metadata.version(name) for name in _LIBRARIES}


_KEPT_ARRAYS = 32
_SMALL_ARRAY = 4_000_000
"""Bytes of an array that is kept, at most."""


@dataclass
class Workbench:
    """Handles of one run in one process."""

    run_id: str
    settings: Settings
    artifacts: ArtifactStore
    catalogue: Catalogue
    log: RunLog
    journal: Journal
    executor: Executor
    budget: Budget
    slots: int
    listeners: list[Listener] = field(default_factory=list)
    promises: Promises = field(default_factory=Promises)
    """What candidates already begun will still use of the slots."""
    standing: Standing = field(default_factory=Standing)
    """Which of them may go on after their first folds, when not all can."""
    draining: bool = False
    """Set when the person asked to stop: running jobs finish, no new one starts."""
    request: Request | None = None
    """The checked input, when this process has read it."""
    _brief: tuple[str, Brief] | None = None
    _arrays: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    _gate: asyncio.Semaphore | None = None
    _running: int = 0
    _told_lost: set[str] = field(default_factory=set)
    _job_bytes: int = 0
    """Inputs of the largest job that was started."""

    # ---- facts ----

    @property
    def versions(self) -> dict[str, str]:
        """What a job's key depends on beside its content: library versions, and the tier when it keeps no custody.

        So a score made where a program could read labels is never taken for one made where it could not.
        """
        return {**library_versions(), "sandbox": "T3"} if self.executor.tier == "T3" else library_versions()

    def brief(self, reference: str) -> Brief:
        """The run's fixed facts, read once per reference."""
        if self._brief is None or self._brief[0] != reference:
            self._brief = (reference, Brief.model_validate(self.artifacts.get_json(reference)))
        return self._brief[1]

    def framed(self, reference: str) -> tuple[Task, Prepared, Profile]:
        """Task, prepared data and profile of a brief the examiner has completed."""
        brief = self.brief(reference)
        assert brief.task is not None
        assert brief.prepared is not None
        assert brief.profile is not None
        # Whoever resumes a run comes by here, too, and its clock has to know.
        self.budget.tell_cells((brief.prepared.rows + brief.prepared.sealed_rows) * len(brief.task.features))
        return brief.task, brief.prepared, self.profile(brief.profile)

    def profile(self, reference: str) -> Profile:
        return Profile.model_validate(self.artifacts.get_json(reference))

    def labels(self, prepared: Prepared) -> np.ndarray:
        """Labels of the non-sealed rows by position. Stay in this process."""
        from tools.labels import labels_in

        return self.array(prepared.labels, labels_in)

    def array(self, reference: str, read: Callable[[pd.DataFrame], np.ndarray]) -> np.ndarray:
        """What is read of a stored table, not to be written to.

        A few small ones are kept: tables never change, and each branch reads the same labels and rows of folds.
        """
        key = reference, read.__qualname__
        if (known := self._arrays.get(key)) is not None:
            return known
        array = read(self.artifacts.get_frame(reference))
        array.flags.writeable = False
        if array.nbytes <= _SMALL_ARRAY:
            if len(self._arrays) >= _KEPT_ARRAYS:
                self._arrays = {}
            self._arrays[key] = array
        return array

    def features(self, prepared: Prepared) -> pd.DataFrame:
        return self.artifacts.get_frame(prepared.features)

    # ---- experts ----

    def expert(self, role: str) -> Expert:
        """The expert the settings name for a role; an LLM falls back to the builtin one and says so."""
        from tools.experts.opening import open_expert

        return open_expert(
            role,
            self.settings,
            runlog=self.log,
            journal=self.journal,
            note=self.note,
            seconds_left=self.budget.search_left,
        )

    @cached_property
    def builtin(self) -> Expert:
        from tools.experts.builtin import BuiltinExpert

        return BuiltinExpert()

    # ---- saying what happens ----

    def say(self, kind: str, role: str, text: str = "", /, **data: Any) -> None:
        """Append an event to the run's log and tell every listener. Writes the table `events`."""
        plain = to_plain(data)
        sequence = self.log.add_event(kind, role, text, plain)
        for listener in list(self.listeners):
            listener({"seq": sequence, "kind": kind, "role": role, "text": text, "data": plain})

    def note(self, text: str, role: str = "") -> None:
        self.say("note", role, text)

    def record(self, candidate: Candidate, role: str, **more: Any) -> int:
        """Put a candidate's newest record into the log and tell it. Returns the log's version."""
        version = self.log.put_candidate(candidate)
        crash_point("after-record")
        self.say("candidate", role, candidate=candidate_brief(candidate, **more))
        return version

    # ---- what the run's database is known to hold ----

    @cached_property
    def manifest(self) -> ManifestKeeper:
        """Writes `run.json` in the run's folder."""
        return ManifestKeeper(run_folder(self.run_id), self.catalogue, self.log, self.run_id)

    # ---- running jobs ----

    async def execute(self, job: Job) -> Receipt:
        """Run a job once and for all: a finished one is answered from the journal, across resumes, forks and runs."""
        key = job.key(self.versions)

        async def run() -> dict[str, Any]:
            size = sum(self.artifacts.size(reference) for reference in job.files.values())
            self._job_bytes = max(self._job_bytes, size)
            check_room(home(), 2 * size)
            return (await self.executor.submit(job, key)).plain()

        cut = decided(self, "cut short", key) if job.kind == "fold" else None
        if cut is not None:
            return Receipt.model_validate(cut).but(reused=True)
        # A limit says something about this run's time and memory, not about the program: other runs do not remember it.
        result, reused = await self.journal.effect(
            key,
            job.kind,
            run,
            keep=lambda receipt: receipt["status"] in {"done", "error", "bad output"},
            intent=plain_job(self, job),
        )
        if job.kind == "fold" and result["status"] == "timeout":
            decide(self, "cut short", key, lambda: result)
        return Receipt.model_validate(result).but(reused=reused)

    @property
    def step_bytes(self) -> int:
        """Bytes a step is expected to write: the data read and framed, then its copies for the jobs of all slots."""
        data = Path(self.settings.data).expanduser()
        read = data.stat().st_size if self.settings.data and data.is_file() else 0
        return max(4 * read, 2 * self.slots * self._job_bytes)

    def job_of(self, key: str, run_id: str = "") -> Job | None:
        """The job behind a finished effect of this run, or of another; None when the journal does not have it."""
        journal = Journal(self.catalogue, run_id) if run_id else self.journal
        kept = journal.intention(key)
        return None if kept is None or "job" not in kept else whole_job(self, kept)

    def is_intact(self, result: dict[str, Any]) -> bool:
        """Whether everything a stored result refers to is there and whole; otherwise its effect is made again."""
        for reference in refs_in(result.get("outputs", {})):
            if what := artifact_problem(self.artifacts, reference):
                if reference in self._told_lost:
                    return False
                self._told_lost.add(reference)
                effect = f"{result.get('kind', 'effect')} {str(result.get('key', ''))[:16]}"
                self.say(
                    "note", "", f"damage: artifact {reference} {what}; {effect} is made again", reference=reference
                )
                return False
        return True

    async def start(self, make: Callable[[], Job]) -> Receipt:
        """Wait for a free slot, build the job (with the time left at that moment) and execute it.

        Raises RunPaused once a person asked to stop, after the jobs that run have finished.
        """
        gate = self._open_gate()
        async with gate:
            if not self.draining:
                self._running += 1
                try:
                    return await self.execute(make())
                finally:
                    self._running -= 1
        while self._running:
            await asyncio.sleep(0.05)
        raise RunPaused("paused: the running programs were let finish", hint="`modelwright resume` continues")

    def _open_gate(self) -> asyncio.Semaphore:
        if self._gate is None:
            self._gate = asyncio.Semaphore(self.slots)
        return self._gate

    def limits(self, seconds: float) -> Limits:
        """Hard limits of one job."""
        from tools.sandbox import default_memory_mb

        cap = self.settings.run_timeout
        return Limits(
            seconds=max(1.0, min(seconds, cap) if cap else seconds),
            memory_mb=self.settings.memory_mb or default_memory_mb(self.slots),
        )

    def abandon(self, _: RunHeld) -> None:
        """The run was lost to another process: end its programs here and start none. Writes nothing."""
        self.draining = True
        self.executor.close()

    def close(self) -> None:
        self.executor.close()
        self.log.close()
        self.catalogue.close()


def candidate_brief(candidate: Candidate, **more: Any) -> dict[str, Any]:
    """What progress and tables show of a candidate."""
    score = candidate.score
    return {
        "id": candidate.id,
        "title": candidate.plan.title,
        "status": candidate.status,
        "operator": candidate.plan.operator,
        "parent": candidate.plan.parent,
        "other": candidate.plan.other,
        "iteration": candidate.iteration,
        "score": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "folds_done": len(score.folds) if score else 0,
        "seconds": candidate.seconds,
        "error": candidate.reason,
        "attempt": len(candidate.attempts),
        "expert": candidate.expert,
        "members": [member.plain() for member in candidate.members],
        **more,
    }


_OPEN: dict[str, Workbench] = {}


def open_workbench(run_id: str, settings: Settings, *, budget: Budget | None = None) -> Workbench:
    """The open workbench of a run, opened at the first call.

    Raises SafetyRefused, before anything is written, when the settings' programs may not run in this machine's sandbox.
    Writes: `MODELWRIGHT_HOME` (catalogue, artifacts, jobs) and the run's folder.
    """
    if run_id in _OPEN:
        return _OPEN[run_id]
    from tools.executors.process import ProcessExecutor
    from tools.sandbox import admit, mark, visible_in

    tier = admit(settings)
    slots = settings.jobs or cores()
    artifacts = open_artifacts(veil=tier == "T3")
    catalogue = open_catalogue()
    executor = ProcessExecutor(
        artifacts, home() / "jobs" / run_id, slots=slots, threads_per_job=1, cache=home() / "cache", tier=tier
    )
    executor.warm()
    bench = Workbench(
        run_id=run_id,
        settings=settings,
        artifacts=artifacts,
        catalogue=catalogue,
        log=open_run_log(run_id),
        journal=Journal(catalogue, run_id, settings.fresh),
        executor=executor,
        budget=budget or Budget(settings.time_limit),
        slots=slots,
    )
    bench.journal.intact, bench.journal.tell = bench.is_intact, bench.note
    _OPEN[run_id] = bench
    if tier == "T3":
        bench.note(f"programs run in sandbox tier {mark(tier)}")
    for path in filter(None, (settings.data, settings.test_data)):
        if tier != "T3" and (folder := visible_in(path, tier)):
            bench.note(
                f"{path} lies in {folder}, which programs may read: move it, or a program can read its labels there"
            )
    return bench


def opened_workbench(run_id: str) -> Workbench | None:
    """The run's workbench when this process has one open."""
    return _OPEN.get(run_id)


def close_workbench(run_id: str) -> None:
    """Kill running jobs, close databases. Does nothing when the run has no open workbench."""
    bench = _OPEN.pop(run_id, None)
    if bench is not None:
        bench.close()
