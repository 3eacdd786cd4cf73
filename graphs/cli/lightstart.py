"""Starting sooner: what an import need not do before the first step of a command.

Before its first step a command mostly imports libraries, and a good part of what they bring is never used: LangGraph takes
one base class from a package whose `__init__` brings an HTTP client with httpx and websockets, LangSmith one name from a
package of hundreds of generated records, and the garbage collector looks again and again through modules that are there to
stay. These can be spared without touching the libraries. `make bench-engine` shows what it gives.
"""

from __future__ import annotations

import atexit
import gc
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

QUIET = 50_000
"""Objects made between two looks of the collector, instead of Python's 700 or 2,000: what an import makes is kept anyway."""


PACKAGES = ("langgraph_sdk", "langsmith.types")
"""Packages whose `__init__` brings much that a run does not use."""


class _Door(ModuleType):
    """A package whose own file is executed when something of it is asked for; its submodules can be imported before."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if spec is None or spec.loader is None or (name.startswith("__") and name not in {"__all__", "__version__"}):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # from here on a package like any other
        spec.loader.exec_module(self)
        return getattr(self, name)


def start_lightly() -> None:
    """Prepare this process for its imports, and for its end. For the command only: a notebook's process is not ours to change."""
    gc.set_threshold(QUIET, 20, 20)
    atexit.register(gc.freeze)  # the interpreter's last collection looks for garbage among all that ends with it anyway
    for package in PACKAGES:
        open_lazily(package)


def open_lazily(package: str) -> None:
    """Let a package's `__init__` wait until something of it is asked for. Does nothing when it is imported or not there."""
    if package in sys.modules:
        return
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # the package around it is not there, or another version without it
        return
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Door
    sys.modules[package] = module
    outer, _, name = package.rpartition(".")
    if outer:
        setattr(sys.modules[outer], name, module)
