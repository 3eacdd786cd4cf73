"""The main graph: plan → implement → infer → review, as a list of edges."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from langgraph._internal._constants import CONFIG_KEY_STRICT_RESUME  # no public name yet; tests hold that it works
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from graphs.candidate import build_candidate_graph
from graphs.guarded import guarded
from graphs.migrations import MIGRATIONS
from graphs.steps import step
from nodes.analyst import analyst
from nodes.approver import approve_plan, approve_release
from nodes.examiner import examiner
from nodes.operations import operations
from nodes.publisher import publisher
from nodes.researcher import researcher
from nodes.reviewer import reviewer
from nodes.strategist import strategist
from state.modeling import ModelingInput, ModelingOutput, ModelingState
from state.settings import Settings
from tools.checkpointbase import Bindable
from tools.fingerprint import GraphIdentity, identity_of

RECURSION_LIMIT = 600
"""Supersteps of one invocation: far above what the largest allowed number of iterations needs, far below endless."""


def after_approve_plan(state: ModelingState) -> list[Send] | Literal["researcher"]:
    """One branch per approved plan; rejected plans go back to the researcher with the reason."""
    return open_branches(state) if state.get("branches") else "researcher"


def open_branches(state: ModelingState) -> list[Send]:
    return [Send("candidate", branch) for branch in state["branches"]]


def after_strategist(state: ModelingState) -> Literal["researcher", "operations"]:
    """Iterate, or go on with the best."""
    return "researcher" if state["decision"]["action"] == "iterate" else "operations"


def after_reviewer(
    state: ModelingState,
) -> list[Send] | Literal["researcher", "operations", "approve_release", "publisher"]:
    """Send work back, ask for the release, or end with a report. After the sealed test only the last two are left."""
    verdict = state["verdict"]
    if verdict.get("opening"):
        # Custody: whoever changes the reviewer, an opened test set never leads to another try.
        return "approve_release" if verdict["decision"] == "accept" else "publisher"
    match verdict["decision"]:
        case "revise plan":
            return "researcher"
        case "revise program":
            return open_branches(state)
        case "revise inference":
            return "operations"
        case "accept":
            return "approve_release"
    return "publisher"


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The compiled main graph: a plain LangGraph, to be invoked and streamed with Settings as context."""
    graph = StateGraph(ModelingState, context_schema=Settings, input_schema=ModelingInput, output_schema=ModelingOutput)
    graph.add_node("analyst", step(analyst, first=True), metadata={"role": "analyst"})
    graph.add_node("examiner", step(examiner), metadata={"role": "examiner"})
    graph.add_node("researcher", step(researcher), metadata={"role": "researcher"})
    graph.add_node("approve_plan", step(approve_plan), metadata={"role": "approver"})
    graph.add_node("candidate", build_candidate_graph())
    graph.add_node("strategist", step(strategist), metadata={"role": "strategist"})
    graph.add_node("operations", step(operations), metadata={"role": "operations"})
    graph.add_node("reviewer", step(reviewer), metadata={"role": "reviewer"})
    graph.add_node("approve_release", step(approve_release), metadata={"role": "approver"})
    graph.add_node("publisher", step(publisher, last=True), metadata={"role": "publisher"})

    graph.add_edge(START, "analyst")
    graph.add_edge("analyst", "examiner")
    graph.add_edge("examiner", "researcher")
    graph.add_edge("researcher", "approve_plan")
    graph.add_conditional_edges("approve_plan", after_approve_plan, ["candidate", "researcher"])
    graph.add_edge("candidate", "strategist")
    graph.add_conditional_edges("strategist", after_strategist)
    graph.add_edge("operations", "reviewer")
    graph.add_conditional_edges(
        "reviewer", after_reviewer, ["researcher", "candidate", "operations", "approve_release", "publisher"]
    )
    graph.add_edge("approve_release", "publisher")
    graph.add_edge("publisher", END)
    if isinstance(checkpointer, Bindable):
        checkpointer.bind(graph_identity(), MIGRATIONS)
    compiled = graph.compile(checkpointer=checkpointer, name="modelwright")
    # An answer to a question that is not open is refused. Without this, LangGraph drops it without a word.
    compiled.config = {"configurable": {CONFIG_KEY_STRICT_RESUME: True}}
    return guarded(compiled)


@lru_cache(maxsize=1)
def graph_drawing() -> str:
    """The graph as Mermaid text, candidate branch included."""
    return str(build_graph().get_graph(xray=True).draw_mermaid())


def graph_fingerprint() -> str:
    """What the shape of the graph is known by; stored with every run and compared on resume."""
    return graph_identity().version


@lru_cache(maxsize=1)
def graph_identity() -> GraphIdentity:
    """The graph as our checkpointers remember it with every run: fingerprint, lines, packages."""
    return identity_of(build_graph())
