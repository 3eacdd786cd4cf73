"""The graph states: small, plain, and each field with its writer.

Big things lie in the artifact store and are named by reference (`sha256:…`). Candidates lie in the run's append-only
candidate log; the state holds only the version of that log it has seen, so that a fork sees exactly that.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic, and so the LangGraph server, needs this one


def newest(old: int | None, new: int | None) -> int:
    """Reducer of log versions: the larger one. Commutative, associative and idempotent, so branch order is irrelevant."""
    return max(old or 0, new or 0)


class ModelingInput(TypedDict, total=False):
    """What starts a run. Everything may also come through the context (Settings)."""

    data: Annotated[
        str, Field(title="Data", description="Path of the table: CSV, TSV, Parquet or Excel, optionally gzipped")
    ]
    intent: Annotated[str, Field(title="Intent", description="One sentence: what the model is for")]
    target: Annotated[
        str, Field(title="Target", description="Column to predict; guessed from intent and data when empty")
    ]


class ModelingOutput(TypedDict, total=False):
    """What a finished run shows."""

    run_id: str
    verdict: dict[str, Any]
    release: dict[str, Any]


class ModelingState(TypedDict, total=False):
    """The state of the main graph."""

    data: str
    intent: str
    target: str
    run_id: str
    """Written by the analyst: the thread id, or a new UUID without a checkpointer."""
    settings: dict[str, Any]
    """Written at the first step; from then on the run's settings come from here, not from the caller."""
    graph_version: str
    """Written by the analyst; compared on resume."""
    drawing: str
    """Written at the first step: reference of the graph as Mermaid text, for the report."""
    brief: str
    """Reference of the run's fixed facts (state/brief.py): settings, and later task and prepared data."""
    profile: dict[str, Any]
    """Written by the analyst: {ref, rows, columns, target, traits, notes}."""
    task: dict[str, Any]
    """Written by the examiner: {kind, target, metric, direction, split, features, excluded, decisions}."""
    iteration: int
    """Written by the researcher: number of the current iteration, from 0."""
    iteration_plan: dict[str, Any]
    """Written by the researcher: one IterationPlan."""
    plans: list[dict[str, Any]]
    """Written by the researcher, edited by the approver: the plans of this iteration."""
    branches: list[dict[str, Any]]
    """Written by the approver: one BranchInput per approved plan; what `Send` carries."""
    feedback: list[str]
    """Written by the approver: why plans were rejected; read and emptied by the researcher."""
    candidates_version: Annotated[int, newest]
    """Written by candidate branches and the strategist: newest row of the candidate log that belongs to this state."""
    findings: list[dict[str, Any]]
    """Written by strategist and reviewer: open findings, at most 40, newest last."""
    decision: dict[str, Any]
    """Written by the strategist: a Decision."""
    operations: list[dict[str, Any]]
    """Written by the strategist: what the next iteration is to try, Operation records; empty when the search ends."""
    fruitless: int
    """Written by the strategist: candidates in a row, up to now, that made neither the best nor its blend better."""
    best: str
    """Written by the strategist: id of the best candidate; its log row is the restorable snapshot."""
    inference: dict[str, Any]
    """Written by operations: {program, members: [{candidate, weight, program, effective, model}], checks, problems}."""
    verdict: dict[str, Any]
    """Written by the reviewer: a Verdict."""
    ladder: list[dict[str, Any]]
    """Written by the reviewer: the baseline ladder, [{name, value, note}]."""
    test_predictions: str | None
    """Written by the reviewer: reference of the predictions of the sealed rows."""
    revisions: int
    """Written by the reviewer: how often work was sent back; bounded."""
    release_answer: dict[str, Any]
    """Written by the approver: the person's word on the release."""
    release: dict[str, Any]
    """Written by the publisher: {folder, report, manifest, score, low, high, lessons}; manifest is its SHA-256."""


class BranchInput(TypedDict):
    """What a `Send` carries into one candidate branch: ids and references only, since LangGraph stores it twice."""

    run_id: str
    brief: str
    candidate_id: str
    iteration: int
    plan: str
    """Reference of the plan (JSON artifact)."""


class BranchState(BranchInput, total=False):
    """The state of one candidate branch."""

    expert: str
    """Written by the engineer: who wrote the program."""
    program: str | None
    """Written by the engineer: reference of the program's text."""
    problems: list[str]
    """Written by check and runner: what the next repair is asked with; empty when all is well."""
    attempts: list[dict[str, Any]]
    """Written by the runner: Attempt records so far."""
    finished: bool
    """Written by the runner: scored, or given up."""
    candidates_version: Annotated[int, newest]


class BranchOutput(TypedDict):
    """What a branch hands to the main graph. It shares only the reduced channel: anything else breaks the join."""

    candidates_version: Annotated[int, newest]
