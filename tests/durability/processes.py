"""The processes of a driven run, told apart by where they stand in its own tree, and what is left of them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal

import psutil

Kind = Literal["orchestrator", "warm parent", "supervisor", "training"]
"""Who is killed. The supervisor of a job is a child of the warm parent; everything below it is the training."""

KINDS: tuple[Kind, ...] = ("orchestrator", "warm parent", "supervisor", "training")


def family(driver: int) -> dict[Kind, list[psutil.Process]]:
    """The living processes of a run by kind. `driver` is the process that drives it; nothing else is ever looked at."""
    found: dict[Kind, list[psutil.Process]] = {kind: [] for kind in KINDS}
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(driver)
        found["orchestrator"].append(top)
        for parent in filter(_is_warm_parent, top.children()):
            found["warm parent"].append(parent)
            found["supervisor"] += _children(parent)
            for keeper in _children(parent):
                found["training"] += _children(keeper, recursive=True)
    return found


def everyone(driver: int) -> set[psutil.Process]:
    """All descendants of a driver, helpers of any kind included."""
    with suppress(psutil.NoSuchProcess):
        return set(psutil.Process(driver).children(recursive=True))
    return set()


def seconds_until_gone(known: set[psutil.Process], driver: int, patience: float = 20.0) -> tuple[float, list[str]]:
    """How long processes of a dead driver outlive it, and which are left when the patience ends.

    known: its descendants as seen right before it died. What they forked since is found by the driver's number, which
    the warm parent and all it forks carry in their command line.
    """
    began = time.monotonic()
    while True:
        left = [process for process in known if _lives(process)] + _forked_by(driver)
        seconds = time.monotonic() - began
        if not left or seconds > patience:
            return seconds, sorted({_told(process) for process in left})
        time.sleep(0.02)


def _forked_by(driver: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if str(driver) in line and any(part.endswith("zygote.py") for part in line) and _lives(process):
                found.append(process)
    return found


def _is_warm_parent(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(part.endswith("zygote.py") for part in process.cmdline())
    return False


def _children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [child for child in process.children(recursive=recursive) if _lives(child)]
    return []


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _told(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid}: {' '.join(process.cmdline())[:200]}"
    return str(process.pid)
