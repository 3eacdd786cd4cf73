"""modelwright: an autonomous ML engineering team as one explicit, durable LangGraph.

The public door. Importing it does nothing heavy: everything below is loaded when it is first used.

    import modelwright

    run = modelwright.build("titanic.csv", target="Survived", time_limit="1m")
    run.score, run.candidates, run.predict(new_rows), run.report

The code lies in four folders, `state ← tools ← nodes ← graphs`. In a checkout they are this file's neighbours; a wheel
carries them inside `_modelwright/`, so that no package called `tools` or `state` is installed beside other people's.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

_here = Path(__file__).resolve().parent
_bundle = _here / "_modelwright"
_root = _bundle if _bundle.is_dir() else _here
# The one documented place where the import path is touched: our folders come first, and only once.
sys.path[:] = [str(_root), *(entry for entry in sys.path if entry != str(_root))]

_FOLDERS = ("state", "tools", "nodes", "graphs")


def _refuse_strangers() -> None:
    """Say so clearly when another package of one of our folders' names was imported before us."""
    for name in _FOLDERS:
        module = sys.modules.get(name)
        if module is None:
            continue
        path = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
        if Path(str(path)).resolve().is_relative_to(_root / name):
            continue
        raise ImportError(
            f"another package named {name!r} is already imported from {path!r}, and modelwright brings its own; "
            "import modelwright first, or run it in an environment of its own"
        )


_refuse_strangers()

_LAZY = {
    "build": "graphs.api",
    "resume": "graphs.api",
    "open_run": "graphs.api",
    "runs": "graphs.api",
    "Run": "graphs.api",
    "Model": "graphs.facade",
    "ProviderConfig": "tools.experts.provider",
    "Settings": "state.settings",
    "PlanAnswer": "state.answers",
    "ReleaseAnswer": "state.answers",
    "Plan": "state.candidate",
    "ModelwrightError": "state.errors",
    "InputError": "state.errors",
    "build_graph": "graphs.modeling",
}

__all__ = [*_LAZY, "graph", "main", "make_graph"]

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    graph: CompiledStateGraph[Any, Any, Any, Any]

_graph: Any = None


def make_graph() -> Any:
    """The compiled main graph, without a checkpointer: the LangGraph server brings its own. Built once."""
    global _graph
    if _graph is None:
        _graph = import_module("graphs.modeling").build_graph()
    return _graph


def main() -> None:
    """The command line."""
    import_module("graphs.cli").main()


def __getattr__(name: str) -> Any:
    if name == "graph":
        return make_graph()
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'modelwright' has no attribute {name!r}")


if __name__ == "__main__":
    main()
