"""The candidate branch: engineer → check → runner, with a bounded way back for repair."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graphs.steps import step
from nodes.engineer import check, engineer
from nodes.runner import runner
from state.modeling import BranchInput, BranchOutput, BranchState
from state.settings import Settings


def after_check(state: BranchState) -> Literal["engineer", "runner", "__end__"]:
    """Refused programs go back to the engineer until the attempts are used up."""
    if state.get("finished"):
        return "__end__"
    return "engineer" if state.get("problems") else "runner"


def after_runner(state: BranchState) -> Literal["engineer", "__end__"]:
    """Failed programs go back to the engineer until the attempts are used up."""
    return "__end__" if state.get("finished") else "engineer"


def build_candidate_graph() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The branch as a subgraph. It keeps the default checkpointer: with `True`, parallel branches mix up their data."""
    graph = StateGraph(BranchState, context_schema=Settings, input_schema=BranchInput, output_schema=BranchOutput)
    graph.add_node("engineer", step(engineer), metadata={"role": "engineer"})
    graph.add_node("check", step(check), metadata={"role": "engineer"})
    graph.add_node("runner", step(runner), metadata={"role": "runner"})
    graph.add_edge(START, "engineer")
    graph.add_edge("engineer", "check")
    graph.add_conditional_edges("check", after_check)
    graph.add_conditional_edges("runner", after_runner)
    return graph.compile()
