"""The catalogue: every run of this home, and every opening of a sealed test set.

The journal (tools/journal.py) and the lessons (tools/memory.py) keep their rows in the same database.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import Field

from state.errors import NotFound, UsageError
from state.records import Record
from tools.database import open_database, pack
from tools.places import Place

RunStatus = Literal["running", "waiting", "paused", "done", "rejected", "failed"]


_ALL = 2**62
"""A limit that nothing reaches."""


class RunRow(Record):
    """One run as the catalogue knows it."""

    id: str
    name: str
    created: str
    """ISO time, UTC."""
    status: RunStatus = "running"
    data: str = ""
    intent: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    parent: str | None = None
    """Run this one was forked from."""
    active_seconds: float = 0.0
    """Wall seconds of work so far, without waiting for a person."""
    summary: dict[str, Any] = Field(default_factory=dict)
    """What tables show: score, best candidate, release, …"""
    updated: str = ""


class Catalogue:
    """Rows of the catalogue database. Reading never creates it; every write is durable when it returns."""

    def __init__(self, place: Place) -> None:
        self.database = open_database(place, "catalogue")

    def close(self) -> None:
        self.database.close()

    # ---- runs ----------------------------------------------------------------------------------------------

    def add_run(self, row: RunRow) -> None:
        """Register a run. Raises UsageError when its id is taken."""
        with self.database.write() as db:
            if self.database.read("SELECT 1 FROM runs WHERE id = ?", [row.id]):
                raise UsageError(f"a run with id {row.id!r} exists already", hint="`modelwright resume` continues it")
            db.insert("runs", _columns(row.but(updated=row.updated or row.created)))

    def run(self, run_id: str) -> RunRow:
        """The run with exactly this id. Raises NotFound."""
        rows = self.database.read("SELECT * FROM runs WHERE id = ?", [run_id])
        if not rows:
            raise NotFound(f"there is no run with id {run_id!r}", hint="`modelwright ls` lists the runs")
        return _row(rows[0])

    def runs(self, limit: int | None = None) -> list[RunRow]:
        """Runs, newest first."""
        sql = "SELECT * FROM runs ORDER BY number DESC LIMIT ?"
        return [_row(row) for row in self.database.read(sql, [_ALL if limit is None else limit])]

    def find_run(self, text: str) -> RunRow:
        """The run a person means by `last`, a name, an id or the beginning of an id.

        Raises NotFound with the nearest names, UsageError when several runs fit.
        """
        wanted = text.strip()
        if wanted.lower() == "last" and (newest := self.runs(limit=1)):
            return newest[0]
        for condition in (
            "name = :text",
            "id = :text",
            ":text <> '' AND substr(id, 1, length(:text)) = lower(:text)",
        ):
            rows = self.database.read(f"SELECT * FROM runs WHERE {condition} ORDER BY number DESC", {"text": wanted})  # noqa: S608 - one of three literals
            if len(rows) == 1:
                return _row(rows[0])
            if rows:
                raise _ambiguous(wanted, [_row(row) for row in rows])
        raise self._not_found(wanted)

    def update_run(self, run_id: str, **fields: Any) -> RunRow:
        """Change fields of a run and return the new row. Raises NotFound; refuses unknown fields and bad values."""
        with self.database.write(run_id) as db:
            row = self.run(run_id).but(**{"updated": now(), **fields})
            columns = _columns(row)
            db.execute(
                f"UPDATE runs SET {', '.join(f'{name} = :{name}' for name in columns)} WHERE id = :run_id",  # noqa: S608 - names of RunRow's fields
                {**columns, "run_id": run_id},
            )
        return row

    def add_active_seconds(self, run_id: str, seconds: float) -> None:
        """Count seconds of work. Adds, so that several writers lose nothing."""
        with self.database.write(run_id) as db:
            db.execute("UPDATE runs SET active_seconds = active_seconds + ? WHERE id = ?", [seconds, run_id])

    def _not_found(self, wanted: str) -> NotFound:
        names = [row.name for row in self.runs()]
        if not names:
            return NotFound(
                f"there is no run {wanted!r}: nothing was built yet", hint="`modelwright build DATA` starts one"
            )
        near = get_close_matches(wanted, names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(map(repr, near))}?" if near else "`modelwright ls` lists the runs"
        return NotFound(f"there is no run {wanted!r}", hint=hint)

    # ---- openings of sealed test sets ----------------------------------------------------------------------

    def open_test(
        self, sealed_key: str, *, run_id: str, candidate: str, code_hash: str, data_hash: str
    ) -> dict[str, Any]:
        """Record that a sealed test set is opened, and return the receipt.

        The receipt says `number` (how many openings these rows have seen with this one), `when`, and `earlier`
        (`[{run, name, candidate, when}]`, oldest first). The same run, candidate and code get the same receipt again,
        so a repeated step opens nothing twice.
        """
        facts = {"sealed_key": sealed_key, "run_id": run_id, "candidate": candidate, "code_hash": code_hash}
        with self.database.write(run_id) as db:
            db.execute(
                "INSERT INTO openings (sealed_key, run_id, candidate, code_hash, data_hash, opened) "
                "VALUES (:sealed_key, :run_id, :candidate, :code_hash, :data_hash, :opened) ON CONFLICT DO NOTHING",
                {**facts, "data_hash": data_hash, "opened": now()},
            )
            all_rows = self.openings(sealed_key)
        place = next(
            index for index, row in enumerate(all_rows) if all(row[name] == value for name, value in facts.items())
        )
        own = all_rows[place]
        earlier = [
            {"run": row["run_id"], "name": row["name"], "candidate": row["candidate"], "when": row["when"]}
            for row in all_rows[:place]
        ]
        return {**own, "number": place + 1, "earlier": earlier}

    def openings(self, sealed_key: str) -> list[dict[str, Any]]:
        """Openings of these rows, oldest first: {sealed_key, run_id, name, candidate, code_hash, data_hash, when}."""
        return self.database.read(
            "SELECT sealed_key, run_id, coalesce(runs.name, '') AS name, candidate, code_hash, data_hash, "
            'opened AS "when" FROM openings LEFT JOIN runs ON runs.id = openings.run_id '
            "WHERE sealed_key = ? ORDER BY openings.number",
            [sealed_key],
        )


def now() -> str:
    """The wall clock as ISO text, UTC, milliseconds. For people to read; nothing is ordered by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _columns(row: RunRow) -> dict[str, Any]:
    return {**row.model_dump(), "settings": pack(row.settings), "summary": pack(row.summary)}


def _row(columns: dict[str, Any]) -> RunRow:
    fields = {name: value for name, value in columns.items() if name != "number"}
    return RunRow(**{**fields, "settings": json.loads(columns["settings"]), "summary": json.loads(columns["summary"])})


def _ambiguous(wanted: str, rows: list[RunRow]) -> UsageError:
    listed = "; ".join(f"{row.id} ({row.name}, {row.created[:16]})" for row in rows[:5])
    return UsageError(f"{wanted!r} fits {len(rows)} runs: {listed}", hint="give more of the id")
