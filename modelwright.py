"""modelwright: an autonomous ML engineering team as one explicit, durable LangGraph.

The public door. Importing it does nothing heavy: everything below is loaded when it is first used.

    import modelwright

    run = modelwright.build("titanic.csv", target="Survived", time_limit="1m")
    run.score, run.candidates, run.predict(new_rows), run.report

The code lies in four folders, `state ← tools ← nodes ← graphs`. In a checkout they are this file's neighbours; a wheel
carries them inside `_modelwright/`, so that no package called `tools` or `state` is installed beside other people's.
Inside a process those four names are ours from the moment of this import.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from graphs.api import Run as Run
    from graphs.api import build as build
    from graphs.api import demo_data as demo_data
    from graphs.api import open_run as open_run
    from graphs.api import resume as resume
    from graphs.api import runs as runs
    from graphs.comparing import Comparison as Comparison
    from graphs.comparing import compare as compare
    from graphs.facade import Model as Model
    from graphs.modeling import build_graph as build_graph
    from state.answers import PlanAnswer as PlanAnswer
    from state.answers import ReleaseAnswer as ReleaseAnswer
    from state.candidate import Plan as Plan
    from state.errors import InputError as InputError
    from state.errors import ModelwrightError as ModelwrightError
    from state.settings import Settings as Settings
    from tools.experts.provider import ProviderConfig as ProviderConfig

    graph: CompiledStateGraph[Any, Any, Any, Any]

__all__ = [
    "Comparison",
    "InputError",
    "Model",
    "ModelwrightError",
    "Plan",
    "PlanAnswer",
    "ProviderConfig",
    "ReleaseAnswer",
    "Run",
    "Settings",
    "build",
    "build_graph",
    "compare",
    "demo_data",
    "graph",
    "main",
    "make_checkpointer",
    "make_graph",
    "open_run",
    "resume",
    "runs",
]

_LAZY = {
    "build": "graphs.api",
    "demo_data": "graphs.api",
    "open_run": "graphs.api",
    "resume": "graphs.api",
    "runs": "graphs.api",
    "Run": "graphs.api",
    "Comparison": "graphs.comparing",
    "compare": "graphs.comparing",
    "Model": "graphs.facade",
    "build_graph": "graphs.modeling",
    "PlanAnswer": "state.answers",
    "ReleaseAnswer": "state.answers",
    "Plan": "state.candidate",
    "InputError": "state.errors",
    "ModelwrightError": "state.errors",
    "Settings": "state.settings",
    "ProviderConfig": "tools.experts.provider",
    # Only for the LangGraph server: see `langgraph.json`.
    "studio_app": "graphs.studioapp",
    "studio_auth": "graphs.studioanswers",
}

_FOLDERS = ("state", "tools", "nodes", "graphs")


def _enter() -> None:
    """Put our folders first on the import path and take their names, or say clearly why that cannot be.

    The one documented place where the import path is touched. The four packages are empty doors, so taking their names
    costs nothing, and whatever is put on the path later cannot stand in for them.
    """
    here = Path(__file__).resolve().parent
    bundle = here / "_modelwright"
    root = bundle if bundle.is_dir() else here
    _refuse_strangers(root)
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]
    for name in _FOLDERS:
        import_module(name)


def _refuse_strangers(root: Path) -> None:
    for name in _FOLDERS:
        module = sys.modules.get(name)
        if module is None:
            continue
        path = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
        if Path(str(path)).resolve().is_relative_to(root / name):
            continue
        raise ImportError(
            f"another module named {name!r} is already imported from {str(path)!r}, and modelwright brings its own; "
            "import modelwright before it, or rename it, or run modelwright in a process of its own"
        )


_enter()


@lru_cache(maxsize=1)
def make_graph() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The compiled main graph, without a checkpointer: the LangGraph server brings its own. Built once."""
    from graphs.modeling import build_graph

    return build_graph()


def make_checkpointer() -> BaseCheckpointSaver[str]:
    """Checkpoints of every run under MODELWRIGHT_HOME, for the LangGraph server: see `langgraph.json`."""
    from graphs.migrations import MIGRATIONS
    from graphs.modeling import graph_identity
    from tools.homesaver import HomeSaver

    return HomeSaver().bind(graph_identity(), MIGRATIONS)


def main() -> None:
    """The command line."""
    from graphs.cli import main

    main()


# A type checker reads the imports above instead, and so still reports a name that does not exist.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "graph":
            return make_graph()
        if name in _LAZY:
            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module 'modelwright' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__"]


if __name__ == "__main__":
    main()
