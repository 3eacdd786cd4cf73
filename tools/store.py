"""The door to everything kept in databases: the catalogue of a home, and the log of a run."""

from __future__ import annotations

from pathlib import Path

from state.errors import StoreError
from tools.catalogue import Catalogue, RunRow, RunStatus
from tools.places import catalogue_place, run_place
from tools.runlog import RunLog
from tools.runmanifest import MANIFEST

__all__ = ["Catalogue", "RunLog", "RunRow", "RunStatus", "open_catalogue", "open_run_log"]


def open_catalogue() -> Catalogue:
    """The catalogue of this store. Opens nothing before its first use; the caller closes it.

    Raises StoreError when the catalogue is gone though there are runs: a new one would forget them in silence.
    """
    place = catalogue_place()
    if isinstance(place, Path) and not place.exists() and (left := _left(place)):
        raise StoreError(
            f"the catalogue {str(place)!r} is not there, though {left} {'run is' if left == 1 else 'runs are'}",
            hint="put it back from a backup, or `modelwright doctor --repair-catalogue` makes a new one from the runs' folders",
        )
    return Catalogue(place)


def _left(place: Path) -> int:
    """How many folders hold a run that some catalogue knew."""
    return sum(1 for _ in place.parent.glob(f"runs/*/{MANIFEST}"))


def open_run_log(run_id: str) -> RunLog:
    """The log of a run of this store. Opens nothing before its first use; the caller closes it."""
    return RunLog(run_place(run_id))
