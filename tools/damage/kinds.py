"""What is said about damage."""

from __future__ import annotations

from typing import Literal

from state.errors import StoreError
from state.records import Record
from tools.catalogue import RunRow

Kind = Literal[
    "database", "checkpoint", "log", "journal", "catalogue", "manifest", "artifact", "input", "release", "report"
]


class Damage(Record):
    """One thing that is not as it was written."""

    kind: Kind
    what: str
    """What is wrong, as the end of a sentence about `where`."""
    where: str
    """File, checkpoint, row or reference."""
    way_out: str
    """What puts it right."""
    heals: bool = False
    """The next resume puts it right by itself, and says so."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def rebuild(run: RunRow) -> str:
    """The way out of a database that cannot be believed."""
    name = f"'{run.name}'" if " " in run.name else run.name
    return (
        f"`modelwright resume {name} --rebuild` goes through the run again: what has finished is answered from the "
        "journal, not trained again, and what is left of the database is kept under another name"
    )


def refusal(run: RunRow, found: list[Damage]) -> StoreError:
    """The error for damage a run cannot go on with."""
    told = "; ".join(map(str, found))
    return StoreError(f"run {run.name!r} is damaged and cannot go on: {told}", hint=found[0].way_out)
