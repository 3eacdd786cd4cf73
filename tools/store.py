"""The door to everything kept in databases: the catalogue of a home, and the log of a run."""

from __future__ import annotations

from tools.catalogue import Catalogue, RunRow, RunStatus
from tools.runlog import RunLog

__all__ = ["Catalogue", "RunLog", "RunRow", "RunStatus"]
