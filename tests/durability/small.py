"""A small team on the real engine: roles that only count and hash, and an executor without processes.

Everything that makes runs durable is the real thing: session, lock, checkpointer, steps, workbench, journal, artifacts,
candidate log, catalogue, forks, approver. Only what costs is small. Every effect leaves a line in a ledger outside the
home, written after the effect's own durable trace: `job RUN KEY`, `paid RUN KEY`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from graphs.steps import step
from nodes.approver import approve_plan, approve_release
from state.candidate import Candidate, Plan, Score
from state.jobs import Job, Limits, Receipt
from state.modeling import BranchInput, BranchOutput, BranchState, ModelingInput, ModelingOutput, ModelingState
from state.records import canonical_json, content_key
from state.settings import Settings
from tools.artifacts import ArtifactStore
from tools.crash import crash_point, crash_wanted
from tools.executors.capture import write_durably
from tools.home import run_folder
from tools.release.folder import _swap
from tools.workbench import Workbench

LEDGER = "DURABILITY_LEDGER"
"""Environment variable that names the ledger's file."""
FOLDS = 2


def note(kind: str, run: str, key: str) -> None:
    """Append a line to the ledger, durably."""
    handle = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, f"{kind} {run} {key}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


class CheapExecutor:
    """Answers a job by hashing it. Passes the same crash points as a real one, and keeps its receipt as that does."""

    tier = "T3"

    def __init__(self, artifacts: ArtifactStore, jobs_folder: Path, slots: int, *_: Any, **__: Any) -> None:
        self.artifacts = artifacts
        self.folder = jobs_folder
        self.slots = slots

    def warm(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Nothing runs on."""

    async def submit(self, job: Job, key: str) -> Receipt:
        self.warm()
        trace = self.folder / f"{key[:32]}.json"
        while not trace.exists():
            if crash_wanted("before-receipt"):
                continue  # the supervisor died: this execution is lost
            value = int(content_key({"files": job.files, "fold": job.fold})[:8], 16) / 2**32
            write_durably(trace, json.dumps({"value": value, "seconds": 0.1}).encode())
            note("job", self.folder.name, key)
            if crash_wanted("after-receipt"):
                continue  # the supervisor died, and its receipt is there
        found = json.loads(trace.read_bytes())
        crash_point("before-collect")
        outputs = {"predictions.npy": self.artifacts.put_json(found["value"])}
        crash_point("before-note")
        return Receipt(key=key, kind=job.kind, status="done", outputs=outputs, result=found)


# ---- roles ------------------------------------------------------------------------------------------------------


def analyst(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Keep the settings as the run's brief."""
    return {"brief": desk.artifacts.put_json({"settings": state["settings"]}), "task": {"kind": "small"}}


def researcher(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """As many plans as the settings want, each paid for."""
    plans = [
        Plan(id=f"i0-{number}", title=f"plan {number}", rationale=_paid(desk, f"plan {number}"), params={"of": number})
        for number in range(desk.settings.candidates)
    ]
    return {"iteration": 0, "plans": [plan.plain() for plan in plans], "feedback": []}


def engineer(state: BranchState, desk: Workbench) -> dict[str, Any]:
    """A program that is the plan's text."""
    plan = Plan.model_validate(desk.artifacts.get_json(state["plan"]))
    desk.record(Candidate(id=plan.id, iteration=0, plan=plan, status="running"), "engineer")
    return {"program": desk.artifacts.put_text(_paid(desk, canonical_json(plan.params)))}


async def runner(state: BranchState, desk: Workbench) -> dict[str, Any]:
    """Every fold in a job of its own; the score is their mean."""
    plan = Plan.model_validate(desk.artifacts.get_json(state["plan"]))
    program = str(state["program"])
    receipts = [
        await desk.start(
            lambda fold=fold: Job(  # type: ignore[misc]  # bound early
                kind="fold", files={"program.py": program}, fold=fold, limits=Limits(seconds=9, memory_mb=9)
            )
        )
        for fold in range(FOLDS)
    ]
    values = [float(desk.artifacts.get_json(receipt.outputs["predictions.npy"])) for receipt in receipts]
    score = Score(value=sum(values) / FOLDS, folds=values, low=0.0, high=1.0, rows=FOLDS)
    oof = desk.artifacts.put_json(values)
    done = Candidate(id=plan.id, iteration=0, plan=plan, status="done", program=program, score=score.plain(), oof=oof)
    return {"finished": True, "candidates_version": desk.record(done, "runner")}


def strategist(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """The best of what the state knows."""
    known = [one for one in desk.log.candidates(state["candidates_version"]).values() if one.score is not None]
    best = max(known, key=lambda one: (one.score.value if one.score else 0.0, one.id))
    return {"best": best.id, "decision": {"action": "stop", "reason": "iterations used up"}}


def reviewer(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Open the sealed test set."""
    opening = desk.catalogue.open_test(
        "sealed", run_id=desk.run_id, candidate=state["best"], code_hash="code", data_hash="data"
    )
    crash_point("after-opening")
    told = {name: opening[name] for name in ("sealed_key", "candidate")}
    return {"verdict": {"decision": "accept", "opening": told, "checks": [], "findings": []}}


def publisher(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """A report, and a release that takes the place of an earlier one."""
    folder = run_folder(desk.run_id)
    scores = {
        one.id: one.score and one.score.value for one in desk.log.candidates(state["candidates_version"]).values()
    }
    content = canonical_json({"best": state["best"], "scores": scores}).encode()
    accepted = state["release_answer"]["action"] == "approve"
    crash_point("mid-report")
    write_durably(folder / "report.json", content)
    if accepted:
        building = folder / f".release.new-{os.getpid()}"
        shutil.rmtree(building, ignore_errors=True)  # of an attempt that a full disk has ended
        building.mkdir()
        write_durably(building / "model.json", content)
        _swap(building, folder / "release")
    release = str(folder / "release") if accepted else None
    return {"release": {"folder": release, "report": str(folder / "report.json"), "best": state["best"]}}


def _paid(desk: Workbench, question: str) -> str:
    """An answer that costs, through the journal. In flight it may recur: nothing keeps its own trace of it."""

    def make() -> dict[str, Any]:
        note("paid", desk.run_id, key)
        return {"text": hashlib.sha256(question.encode()).hexdigest()}

    key = content_key({"ask": question})
    return str(desk.journal.effect_now(key, "llm", make)[0]["text"])


# ---- wiring -----------------------------------------------------------------------------------------------------


def small_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The small team, wired as the real one is: branches by Send, two gates, one publisher."""
    branch = StateGraph(BranchState, context_schema=Settings, input_schema=BranchInput, output_schema=BranchOutput)
    branch.add_node("engineer", step(engineer))
    branch.add_node("runner", step(runner))
    branch.add_edge(START, "engineer")
    branch.add_edge("engineer", "runner")
    graph = StateGraph(ModelingState, context_schema=Settings, input_schema=ModelingInput, output_schema=ModelingOutput)
    graph.add_node("analyst", step(analyst, first=True))
    for role in (researcher, approve_plan, strategist, reviewer, approve_release):
        graph.add_node(role.__name__, step(role))  # type: ignore[arg-type]  # an asking role has one argument more
    graph.add_node("candidate", branch.compile())
    graph.add_node("publisher", step(publisher, last=True))
    for one, other in (("analyst", "researcher"), ("researcher", "approve_plan"), ("candidate", "strategist")):
        graph.add_edge(one, other)
    graph.add_conditional_edges("approve_plan", _branches, ["candidate", "researcher"])
    for one, other in (("strategist", "reviewer"), ("reviewer", "approve_release"), ("approve_release", "publisher")):
        graph.add_edge(one, other)
    graph.add_edge(START, "analyst")
    graph.add_edge("publisher", END)
    return graph.compile(checkpointer=checkpointer)


def _branches(state: ModelingState) -> list[Send] | str:
    return [Send("candidate", branch) for branch in state["branches"]] or "researcher"


@contextmanager
def small_world() -> Iterator[None]:
    """The session drives the small team, on the cheap executor, with no table to read and no sandbox to try."""
    with (
        patch("graphs.session.build_graph", small_graph),
        patch("graphs.session.check_request", lambda *_: None),
        patch("graphs.session.begin_trial", lambda *_: None),
        patch("graphs.session.tier", lambda *_: "T3"),
        patch("tools.sandbox.admit", lambda *_: "T3"),
        patch("tools.executors.process.ProcessExecutor", CheapExecutor),
    ):
        yield
