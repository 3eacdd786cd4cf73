"""The door to everything kept in databases: the catalogue of a home, and the log of a run."""

from __future__ import annotations

from tools.catalogue import Catalogue, RunRow, RunStatus
from tools.places import catalogue_place, run_place
from tools.runlog import RunLog

__all__ = ["Catalogue", "RunLog", "RunRow", "RunStatus", "open_catalogue", "open_run_log"]


def open_catalogue() -> Catalogue:
    """The catalogue of this store. Opens nothing before its first use; the caller closes it."""
    return Catalogue(catalogue_place())


def open_run_log(run_id: str) -> RunLog:
    """The log of a run of this store. Opens nothing before its first use; the caller closes it."""
    return RunLog(run_place(run_id))
