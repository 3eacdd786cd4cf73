"""The steps of a run, read from its log: what ran, who, when, and what it cost.

A step is one task of the graph: a role at work on one state. Its number is its place among the steps as they first
began, so it never changes: not when the step is run again after a kill, and not when old checkpoints are pruned. The
`phase` event that opens a step names the checkpoint it works from, which is where a fork of it goes back to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from state.records import Record

Event = Mapping[str, Any]

_TEAM = {"approver": ("approve_plan", "approve_release")}
"""Role that an event names → the steps it may belong to; elsewhere both have the same name."""


class Step(Record):
    """One step of a run."""

    number: int
    role: str
    """Name of the step in the graph."""
    candidate: str | None
    """The branch it lies in, or None."""
    began: str
    """ISO time of its first beginning, UTC."""
    times: int = 1
    """How often it began: more than once when it was interrupted, or waited for a person."""
    seconds: float | None = None
    """What its last complete execution took; None when there was none."""
    trainings: int = 0
    """Programs executed for it."""
    training_seconds: float = 0.0
    reused: int = 0
    """Programs whose result came from the journal."""
    experts: list[str] = Field(default_factory=list)
    """Language models that were asked; the builtin expert is not listed."""
    questions: int = 0
    """Questions to experts, the builtin one included."""
    tokens: int = 0
    cost: float = 0.0
    """US dollars, as far as prices are known."""
    seq: int
    """Number of the event that opened it."""
    thread: str = ""
    task: str = ""
    namespace: str = ""
    """Checkpoint namespace: empty in the main graph, the branch's in a branch."""
    checkpoint: str = ""
    """Checkpoint it works from; empty when the run was driven without checkpoints."""
    version: int = 0
    """Newest row of the candidate log when it began."""
    exchanges: int = 0
    """Newest exchange with an expert when it began."""
    spent: float = 0.0
    """Active seconds of the run when it began."""


class History:
    """Steps in order, and which of them each event belongs to."""

    def __init__(self, events: Sequence[Event], exchanges: Sequence[Mapping[str, Any]] = ()) -> None:
        self._steps: dict[str, dict[str, Any]] = {}
        self.of_event: dict[int, int] = {}
        """Number of an event → number of its step. Events of the run as a whole are missing."""
        for event in events:
            self._take(event)
        for exchange in exchanges:
            self._count_exchange(exchange)

    @property
    def steps(self) -> list[Step]:
        return [Step(**facts) for facts in self._steps.values()]

    # ---- reading events ----------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        step = self._begin(event) if event["kind"] == "phase" else self._owner(event)
        if step is None:
            return
        self.of_event[event["seq"]] = step["number"]
        data = event["data"]
        if event["kind"] == "step":
            step["seconds"] = data.get("seconds")
        elif event["kind"] == "job" and data.get("state") != "started":
            step["reused"] += bool(data.get("reused"))
            step["trainings"] += not data.get("reused")
            step["training_seconds"] += 0.0 if data.get("reused") else float(data.get("seconds") or 0.0)

    def _begin(self, event: Event) -> dict[str, Any]:
        data = event["data"]
        key = f"{data.get('namespace', '')}|{data.get('task') or event['seq']}"
        step = self._steps.get(key)
        if step is not None:
            step["times"] += 1
            return step
        kept = ("thread", "task", "namespace", "checkpoint", "version", "exchanges", "spent")
        step = self._steps[key] = {
            "number": len(self._steps) + 1,
            "role": event["role"],
            "candidate": data.get("candidate"),
            "began": event["time"],
            "times": 1,
            "seconds": None,
            "trainings": 0,
            "training_seconds": 0.0,
            "reused": 0,
            "experts": [],
            "questions": 0,
            "tokens": 0,
            "cost": 0.0,
            "seq": event["seq"],
            **{name: data[name] for name in kept if data.get(name) is not None},
        }
        return step

    def _owner(self, event: Event) -> dict[str, Any] | None:
        """The step an event was told by: the latest of its role, and in a branch of its candidate."""
        roles = _TEAM.get(event["role"], (event["role"],))
        named = candidate_of(event)
        for step in reversed(self._steps.values()):
            if step["role"] in roles and (step["candidate"] is None or named in (None, step["candidate"])):
                return step
        return None

    def _count_exchange(self, exchange: Mapping[str, Any]) -> None:
        plan = plan_of(exchange)
        for step in reversed(self._steps.values()):
            if step["role"] != exchange["role"] or step.get("exchanges", 0) >= exchange["number"]:
                continue
            if step["candidate"] is not None and plan not in (None, step["candidate"]):
                continue
            step["questions"] += 1
            step["tokens"] += exchange["tokens_in"] + exchange["tokens_out"]
            step["cost"] += exchange["cost"]
            if exchange["expert"] != "builtin" and exchange["expert"] not in step["experts"]:
                step["experts"].append(exchange["expert"])
            return


def candidate_of(event: Event) -> str | None:
    """The candidate an event is about, when it names one."""
    found = event["data"].get("candidate")
    if isinstance(found, Mapping):
        found = found.get("id")
    return found if isinstance(found, str) else None


def plan_of(exchange: Mapping[str, Any]) -> str | None:
    """The plan a question was about, which has the candidate's id; None when it was about none."""
    plan = (exchange["question"].get("asked") or {}).get("plan")
    found = plan.get("id") if isinstance(plan, Mapping) else None
    return found if isinstance(found, str) else None
