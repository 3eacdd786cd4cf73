"""The graph as a notebook shows it: drawn here. LangGraph's own way asks a web service for the picture."""

from __future__ import annotations

from typing import Any

from langgraph.graph.state import CompiledStateGraph

from tools.drawing import graph_svg, read_mermaid


class DrawnGraph(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled graph like any other, but for its looks."""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            "text/html": graph_svg(read_mermaid(self.get_graph(xray=True).draw_mermaid())),
        }


def drawn(graph: CompiledStateGraph[Any, Any, Any, Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The same graph, drawing itself. `StateGraph.compile` offers no way to name the class it makes."""
    graph.__class__ = DrawnGraph
    return graph
