"""Libraries that later steps need, imported while programs run and this process would only wait.

An import of scikit-learn's metrics takes a second or two, in which nothing else of this process moves: jobs that have
ended are not heard, and free slots stay empty. All imports of a moment are made by one thread, and whoever needs them
waits for it, so that two threads never meet in half-imported modules.
"""

from __future__ import annotations

import threading
from importlib import import_module

FOR_SCORES = ("sklearn.metrics", "scipy.special")
"""What a candidate's score needs."""
FOR_THE_REST = (
    "sklearn.model_selection",
    "sklearn.neighbors",
    "scipy.sparse.csgraph",
    "lightgbm",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
)
"""What comparison, review and report need."""

_lock = threading.Lock()


def preload(modules: tuple[str, ...]) -> None:
    """Import modules, one thread at a time. Those that are not there are left to whoever needs them to say so."""
    with _lock:
        for name in modules:
            try:
                import_module(name)
            except ImportError:
                continue
