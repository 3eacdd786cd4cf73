"""An artifact that is gone or changed is made again just there, where a step needs it, and nothing else is.

Content has one name, so what is made again is either the same to the last byte or is not taken for it. In order:

1. what a job left: the journal has the job beside its result, and the job is executed once more;
2. a plan or a program: written again as the run's log has it, or by the builtin expert, which answers alike every time;
3. out-of-fold predictions: put together again from the predictions of the folds, or of an ensemble's members;
4. the framed data: read and framed again from its file, when that is the one the run began with.

Whatever cannot be made again is named, with the way out. Every making is told in the run's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from state.candidate import Candidate
from state.errors import ArtifactDamaged, ArtifactMissing, StoreError
from state.jobs import Job
from state.questions import ProgramQuestion
from tools.artifacts import refs_in
from tools.blocking import in_thread
from tools.damage.artifacts import artifact_problem, reference_in
from tools.damage.kinds import rebuild
from tools.turns import end_turn, take_turn

if TYPE_CHECKING:
    from tools.workbench import Workbench

T = TypeVar("T")


@dataclass
class Healer:
    """Carries work through damaged artifacts."""

    desk: Workbench
    brief: str
    """Reference of the run's brief; "" as long as there is none."""
    reframe: Callable[[], None]
    """Reads and frames the data again from its file; given, since the roles that do it lie above."""
    elsewhere: Callable[[Coroutine[Any, Any, None]], Awaitable[None]] | None = None
    """Runs what makes artifacts, which reads and writes files, when that must not be done on this event loop."""

    async def through(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives; it is begun again after each artifact that had to be made again.

        Raises StoreError naming the artifact and the way out when it cannot be made again, or not the same.
        """
        made: set[str] = set()
        while True:
            try:
                return await work()
            except (ArtifactMissing, ArtifactDamaged) as error:
                reference = reference_in(error)
                if not reference or reference in made:
                    raise self._lost(error) from error
                made.add(reference)
                making = self._make_again(reference, error)
                await (making if self.elsewhere is None else self.elsewhere(making))

    async def _make_again(self, reference: str, error: StoreError) -> None:
        """One branch at a time makes an artifact; those that need it too wait, and find it there."""
        scope = str(self.desk.catalogue.database.place), "", f"artifact {reference}"
        while ahead := take_turn(scope, asyncio.current_task()):
            await asyncio.shield(asyncio.wrap_future(ahead))
        try:
            if what := artifact_problem(self.desk.artifacts, reference):
                await self._make(reference, what, error)
        finally:
            end_turn(scope)

    async def _make(self, reference: str, what: str, error: StoreError) -> None:
        inner = Healer(self.desk, self.brief, self.reframe)
        for how, make in (
            ("its job is executed again", self._job),
            ("it is written again", self._text),
            ("it is put together again", self._predictions),
            ("the data is framed again from its file", self._frame),
        ):
            if not await inner.through(lambda make=make: make(reference)):  # type: ignore[misc]  # bound early
                continue
            if artifact_problem(self.desk.artifacts, reference):
                raise self._lost(error, "it was made again and came out different") from error
            self.desk.say("note", "", f"damage: artifact {reference} {what}; {how}", reference=reference)
            return
        raise self._lost(error) from error

    def _lost(self, error: StoreError, more: str = "nothing at hand can make it again") -> StoreError:
        run = self.desk.catalogue.run(self.desk.run_id)
        return StoreError(f"run {run.name!r} cannot go on: {error.message}, and {more}", hint=rebuild(run))

    # ---- makers: True when the artifact was theirs to make -------------------------------------------------------

    async def _job(self, reference: str) -> bool:
        """Execute the job that left it, which the journal keeps beside its result."""
        rows = self.desk.catalogue.database.read(
            "SELECT key, run_id FROM journal WHERE state = 'done' AND result LIKE ? ORDER BY number",
            [f'%"{reference}"%'],
        )
        for row in rows:
            job = self.desk.job_of(row["key"], row["run_id"])
            if job is not None:
                receipt = await self.desk.executor.submit(job, row["key"])
                return reference in set(refs_in(receipt.plain()))
        return False

    async def _text(self, reference: str) -> bool:
        """A plan as its candidate holds it, or a program as an expert answered it."""
        put, candidates = self.desk.artifacts.put_text, self.desk.log.candidates().values()
        if any(self.desk.artifacts.put_json(one.plan.plain()) == reference for one in candidates):
            return True
        codes = ((exchange["answer"] or {}).get("code") for exchange in self.desk.log.exchanges())
        if any(put(code) == reference for code in codes if isinstance(code, str)):
            return True
        if not self._knows_brief():
            return False
        task, _, profile = self.desk.framed(self.brief)
        ours = (one.plan for one in candidates if one.plan.recipe and one.program in (None, "", reference))
        questions = (ProgramQuestion(task=task, profile=profile, plan=plan) for plan in ours)
        return any(put(self.desk.builtin.ask(question).code) == reference for question in questions)

    async def _predictions(self, reference: str) -> bool:
        """Out-of-fold predictions of the candidate that names them."""
        candidates = self.desk.log.candidates()
        # Those of a stack, and decisions, come of nested fits: they are made again with the step that made them.
        named = [one for one in candidates.values() if one.oof == reference and not one.combination.stacked]
        return bool(named) and _pooled(self.desk, named[0], candidates)

    async def _frame(self, reference: str) -> bool:
        """The data's own artifacts: everything the brief names, and the brief itself."""
        if self._knows_brief() and reference not in set(refs_in(self.desk.artifacts.get_json(self.brief))):
            return False
        await in_thread(self.reframe)
        return True

    def _knows_brief(self) -> bool:
        return bool(self.brief) and not artifact_problem(self.desk.artifacts, self.brief)


def _pooled(desk: Workbench, candidate: Candidate, candidates: dict[str, Candidate]) -> bool:
    from tools.selection import blend
    from tools.training import load_oof, pool_files, store_oof

    if candidate.members:
        parts = {one.candidate: load_oof(desk, str(candidates[one.candidate].oof)) for one in candidate.members}
        store_oof(desk, blend(parts, candidate.members, candidate.combination))
        return True
    parts_of: dict[str, Any] = {}
    for key in candidate.attempts[-1].receipts if candidate.attempts else ():
        job, result = desk.job_of(key), desk.journal.result(key)
        if job is None or result is None:
            return False
        if result["status"] == "done":
            parts_of[job.files["valid.arrow"]] = desk.artifacts.get_array(result["outputs"]["predictions.npy"])
    store_oof(desk, pool_files(desk, parts_of))
    return True


def plain_job(desk: Workbench, job: Job) -> dict[str, Any]:
    """A job as the journal keeps it; its parameters, which many jobs share, as an artifact."""
    return {"job": {**job.plain(), "params": desk.artifacts.put_json(job.params)}}


def whole_job(desk: Workbench, kept: dict[str, Any]) -> Job:
    """The job `plain_job` made plain."""
    facts = kept["job"]
    return Job.model_validate({**facts, "params": desk.artifacts.get_json(facts["params"])})
