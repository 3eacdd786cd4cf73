"""Fork of a run: its rows up to a step, copied into a run of its own, with what is to be different put into the state.

LangGraph can rewind a thread, but not into a branch that ran beside others (the edit is ignored and all branches run
again), and it would leave both histories on one thread. So rows are copied:

- *Main graph.* The checkpoint a step worked from, its ancestors, and their writes, but none of the step's own: it runs
  again. Candidate log, events and exchanges come along as far as the run had got when the step first began.
- *Inside a branch.* As well the writes of the branches beside it, which are thereby finished, and the branch's own
  checkpoints up to the step. Ids of tasks follow from ids of checkpoints, which are kept, so LangGraph takes the copies
  for its own.

The run's id inside the copied states becomes the fork's: whatever is driven from any of its checkpoints writes into the
fork. An edit is made in place, in the checkpoint the fork goes on from, so nothing is routed anew and what follows is the
step itself. The finished effects of the run are copied in the journal too: the fork is answered with what its parent got,
whatever becomes of the parent.

A fork is whole before the catalogue knows it. A kill before that leaves a folder that no run owns, which
`modelwright prune` removes.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from state.errors import NotFound
from state.records import canonical_json
from state.settings import Settings
from tools.artifacts import ArtifactStore
from tools.catalogue import Catalogue, RunRow, now
from tools.checkpointrows import (
    Place,
    Row,
    ThreadRows,
    has_database,
    read_thread,
    refuse_taken,
    taken,
    write_thread,
)
from tools.conversions import PREFIX
from tools.crash import crash_point
from tools.database import pack
from tools.history import Step, candidate_of, plan_of
from tools.places import run_place
from tools.runlog import RunLog
from tools.runs import free_name
from tools.store import open_run_log

BUILD_AGAIN = "build it again with `modelwright build`: finished trainings are answered from the journal"


@dataclass(frozen=True)
class Edit:
    """What is to be different in the fork."""

    settings: Settings
    values: Mapping[str, Any] = field(default_factory=dict)
    """Channels of the main graph's state → values."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Texts that become others wherever they stand alone, also in the branches: references of the brief, of a plan."""
    documents: list[Any] = field(default_factory=list)
    """Plain data that goes into the artifact store with the fork: what `renamed` leads to."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the fork's log says about it."""


def reference_of(document: Any) -> str:
    """The reference plain data will have in the artifact store."""
    return PREFIX + hashlib.sha256(canonical_json(document).encode("utf-8", "surrogatepass")).hexdigest()


class Origin:
    """A step of a run, and all rows a fork of it is made from. Only reads, also while somebody drives the run."""

    def __init__(self, run: RunRow, step: Step, steps: list[Step]) -> None:
        """Raises NotFound when the run has no checkpoints, or no longer that of the step."""
        self.run, self.step, self.steps = run, step, steps
        self.thread = step.thread or run.id
        place = run_place(self.thread)
        foreign = self.thread != run.id and not has_database(place)
        if foreign or not step.checkpoint:
            raise self._without_checkpoints()
        self.rows = read_thread(place, self.thread)
        if not self.rows.checkpoints:
            raise self._without_checkpoints()
        self.place: Place = (step.namespace, step.checkpoint)
        root = self.rows.root_of(self.place)
        if self.place not in self.rows.checkpoints or root is None or root not in self.rows.checkpoints:
            raise self._pruned()
        self.root: Place = root
        """The checkpoint of the main graph that the step belongs to."""

    def values(self) -> dict[str, Any]:
        """The state the step works from."""
        return self.rows.values(self.place)

    def main_values(self) -> dict[str, Any]:
        """The state of the main graph at that moment."""
        return self.rows.values(self.root)

    def _without_checkpoints(self) -> NotFound:
        return NotFound(
            f"run {self.run.name!r} was driven without checkpoints of ours, so there is none to go back to",
            hint=BUILD_AGAIN,
        )

    def _pruned(self) -> NotFound:
        left = [step.number for step in self.steps if (step.namespace, step.checkpoint) in self.rows.checkpoints]
        return NotFound(
            f"step {self.step.number} of run {self.run.name!r} cannot be forked any more: its checkpoint was pruned",
            hint=f"these can: {', '.join(map(str, left[-12:]))}" if left else BUILD_AGAIN,
        )

    # ---- what a fork gets --------------------------------------------------------------------------------------

    def kept_checkpoints(self) -> set[Place]:
        """The step's place and its ancestors, and the branches that lie between or beside them."""
        chain = self.rows.ancestors(self.root)
        kept = chain | self.rows.ancestors(self.place)
        for place in self.rows.checkpoints:
            root = self.rows.root_of(place)
            between = root in chain and root != self.root
            beside = self.step.namespace and root == self.root and not _inside(place[0], self.step.namespace)
            if place[0] and (between or beside):
                kept.add(place)
        return kept

    def kept_writes(self, kept: set[Place]) -> Iterator[Row]:
        """What the tasks of kept checkpoints wrote, except the step itself and the branch it lies in."""
        branch = self.step.namespace.partition("|")[0].rpartition(":")[2]
        for row in self.rows.writes:
            place = (row["checkpoint_ns"], row["checkpoint_id"])
            own = place == self.place or (place == self.root and row["task_id"] == branch)
            if place in kept and not own:
                yield row

    def beside(self) -> tuple[set[str], Step | None]:
        """For a step in a branch: the candidates of the branches beside it, and the first step after all of them."""
        if not self.step.namespace:
            return set(), None
        names = {
            step.candidate
            for step in self.steps
            if step.candidate
            and step.candidate != self.step.candidate
            and self.rows.root_of((step.namespace, step.checkpoint)) == self.root
        }
        return names, next((step for step in self.steps if not step.namespace and step.seq > self.step.seq), None)


def create_fork(
    catalogue: Catalogue, artifacts: ArtifactStore, origin: Origin, edit: Edit, *, name: str = ""
) -> RunRow:
    """Write the fork's database and its row in the catalogue, paused just before the step. Nothing runs yet.

    Writes: the edit's documents, the fork's folder, a row of `runs`, copies of the parent's finished rows in `journal`;
    all inside a write transaction of the catalogue, so that nothing of it is taken for unneeded meanwhile. Raises
    StoreError when rows cannot be read or written; then the catalogue knows of no fork.
    """
    run_id, run = str(uuid.uuid4()), origin.run
    with catalogue.database.write(long=True):
        fork = RunRow(
            id=run_id,
            name=free_name(catalogue, name or f"{run.name}-fork"),
            created=now(),
            status="paused",
            data=run.data,
            intent=run.intent,
            parent=run.id,
            active_seconds=origin.step.spent,
        )
        settings = {**edit.settings.model_dump(mode="json"), "name": fork.name}
        for document in edit.documents:
            artifacts.put_json(document)
        log = open_run_log(run_id)
        try:
            _copy_checkpoints(log, origin, edit, run_id)
            _copy_log(log, origin)
            told = {"parent": run.id, "name": run.name, "step": origin.step.number, "spent": origin.step.spent}
            text = f"forked from {run.name} at step {origin.step.number} ({origin.step.role})"
            log.add_event("fork", "", text, {**told, **edit.told})
        finally:
            log.close()
        crash_point("before-fork")
        _register(catalogue, fork.but(settings=settings))
    return fork.but(settings=settings)


def copy_run(catalogue: Catalogue, run: RunRow, target: str) -> None:
    """Copy a run whole, as it stands, to an id that holds none yet: what copying a thread means here.

    Writes what `create_fork` writes. Raises UsageError when the target holds a run.
    """
    if has_database(run_place(target)):
        raise taken(target)
    rows = read_thread(run_place(run.id), run.id)
    source, log = open_run_log(run.id), open_run_log(target)
    try:
        with log.database.write() as db:
            refuse_taken(log.database, target)
            write_thread(db, run_place(target), _named(rows, {run.id: target}).moved_to(target))
            for table, copied in source.rows().items():
                db.insert_many(table, copied)
        log.add_event("fork", "", f"copied from {run.name}", {"parent": run.id, "name": run.name})
    finally:
        source.close()
        log.close()
    name = free_name(catalogue, f"{run.name}-copy")
    _register(catalogue, run.but(id=target, name=name, created=now(), updated="", parent=run.id))


# ---- parts ------------------------------------------------------------------------------------------------------


def _copy_checkpoints(log: RunLog, origin: Origin, edit: Edit, run_id: str) -> None:
    rows, names = origin.rows, {origin.run.id: run_id, origin.thread: run_id}
    kept = origin.kept_checkpoints()
    checkpoints: dict[Place, Row] = {}
    for place in sorted(kept):
        row = rows.renamed("checkpoints", rows.checkpoints[place], names)
        if edit.renamed and rows.root_of(place) == origin.root:
            row = rows.renamed("checkpoints", row, edit.renamed)
        if place == origin.root:
            row = rows.edited(row, edit.values)
        checkpoints[place] = row
    writes = [rows.renamed("writes", row, names) for row in origin.kept_writes(kept)]
    with log.database.write() as db:
        made = replace(rows, checkpoints=checkpoints, writes=writes)
        write_thread(db, run_place(run_id), made.moved_to(run_id))


def _named(rows: ThreadRows, names: Mapping[str, str]) -> ThreadRows:
    """All rows with texts replaced, see `ThreadRows.renamed`."""
    return replace(
        rows,
        checkpoints={place: rows.renamed("checkpoints", row, names) for place, row in rows.checkpoints.items()},
        writes=[rows.renamed("writes", row, names) for row in rows.writes],
    )


def _copy_log(log: RunLog, origin: Origin) -> None:
    """What had happened when the step first began, and for a step in a branch what the branches beside it did."""
    step, (beside, after) = origin.step, origin.beside()
    source = open_run_log(origin.run.id)
    try:
        rows, events, exchanges = source.rows(), source.events(), source.exchanges()
    finally:
        source.close()
    told = {
        event["seq"] for event in events if candidate_of(event) in beside and (not after or event["seq"] < after.seq)
    }
    asked = {
        one["number"] for one in exchanges if plan_of(one) in beside and (not after or one["number"] <= after.exchanges)
    }
    known = {
        row["version"]
        for row in rows["candidates"]
        if row["id"] in beside and (not after or row["version"] <= after.version)
    }
    with log.database.write() as db:
        kept = (row for row in rows["events"] if row["seq"] < step.seq or row["seq"] in told)
        db.insert_many("events", map(_at_home, kept))
        db.insert_many(
            "exchanges",
            (row for row in rows["exchanges"] if row["number"] <= step.exchanges or row["number"] in asked),
        )
        db.insert_many(
            "candidates",
            (row for row in rows["candidates"] if row["version"] <= step.version or row["version"] in known),
        )


def _at_home(event: Row) -> Row:
    """An event of the parent as one of the fork, whose checkpoints lie on its own thread, wherever the parent's did."""
    data = json.loads(event["data"])
    return (
        {**event, "data": pack({key: item for key, item in data.items() if key != "thread"})}
        if "thread" in data
        else event
    )


def _register(catalogue: Catalogue, fork: RunRow) -> None:
    """The fork's row, and its own copy of what its parent has finished, in one transaction."""
    columns = "kind, state, attempt, intent, result, digest, error, host, pid, created, started, finished"
    with catalogue.database.write() as db:
        catalogue.add_run(fork)
        db.execute(
            f"INSERT INTO journal (key, run_id, {columns}) "  # noqa: S608 - fixed words only
            f"SELECT key, ?, {columns} FROM journal WHERE run_id = ? AND state = 'done' ORDER BY number "
            "ON CONFLICT DO NOTHING",
            [fork.id, fork.parent],
        )


def _inside(namespace: str, branch: str) -> bool:
    return namespace == branch or namespace.startswith(f"{branch}|")
