"""The database of one run: what happened (events), the candidates (append-only, versioned), exchanges with experts.

LangGraph's checkpointer keeps its tables in the same database through a connection of its own.

The candidate log answers for forks: a row is never changed, its version is its place in the log, and a graph state
holds the newest version that belongs to it. Reading with that version gives the candidates exactly as that state knew
them, whatever was appended later.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from state.candidate import Candidate
from state.records import canonical_json
from tools.catalogue import now
from tools.database import clean, open_database, pack
from tools.history import History
from tools.places import Place

_Place = tuple[int, str]
"""Of a row of the candidate log: its version, and when it was made."""
_View = tuple[dict[str, Candidate], _Place]
"""Id → the latest record, in order of appearance, as of a row. Never changed, only replaced."""
_NOWHERE: _Place = (0, "")


class RunLog:
    """Rows of a run's database. Reading never creates it; every write is durable when it returns."""

    def __init__(self, place: Place) -> None:
        self.database = open_database(place, "run")
        self._records: dict[_Place, Candidate] = {}
        """The rows that were read. They never change."""
        self._view: _View = {}, _NOWHERE

    def close(self) -> None:
        self.database.close()

    # ---- events --------------------------------------------------------------------------------------------

    def add_event(self, kind: str, role: str, text: str, data: dict[str, Any] | None = None) -> int:
        """Append an event and return its number, which grows within the run."""
        row = {"time": now(), "kind": kind, "role": role, "text": clean(text), "data": pack(data or {})}
        with self.database.write() as db:
            return db.insert("events", row)

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Events with a number above `after`, in order: {seq, time, kind, role, text, data}."""
        rows = self.database.read("SELECT * FROM events WHERE seq > ? ORDER BY seq", [after])
        return [{**row, "data": json.loads(row["data"])} for row in rows]

    def marks(self) -> dict[str, int]:
        """How far the log has come: {version, exchanges}, the newest row of the candidate log and of the exchanges."""
        rows = self.database.read(
            "SELECT (SELECT coalesce(max(version), 0) FROM candidates) AS version, "
            "(SELECT coalesce(max(number), 0) FROM exchanges) AS exchanges"
        )
        return rows[0] if rows else {"version": 0, "exchanges": 0}

    def history(self) -> History:
        """The steps of the run, with what each took, and which step each event belongs to."""
        return History(self.events(), self.exchanges())

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Everything in the log's tables as it lies there, for a copy: {events, candidates, exchanges}."""
        return {
            table: self.database.read(f"SELECT * FROM {table} ORDER BY {number}")  # noqa: S608 - our own tables
            for table, number in (("events", "seq"), ("candidates", "version"), ("exchanges", "number"))
        }

    def stored_checkpoints(self, ids: Collection[str]) -> set[str]:
        """Those of these checkpoints that are still stored; the others were pruned, or never lay here."""
        if not self.database.has_table("checkpoints"):
            return set()
        rows = self.database.read("SELECT DISTINCT checkpoint_id FROM checkpoints")
        return {row["checkpoint_id"] for row in rows} & set(ids)

    # ---- candidates ----------------------------------------------------------------------------------------

    def put_candidate(self, candidate: Candidate) -> int:
        """Append a candidate's record and return its version.

        When it equals the latest record of the same id nothing is appended and that record's version is returned, so a
        step that is run again leaves the log as it was.
        """
        record = canonical_json(candidate)
        with self.database.write() as db:
            latest = self.database.read(
                "SELECT version, record FROM candidates WHERE id = ? ORDER BY version DESC LIMIT 1", [candidate.id]
            )
            if latest and latest[0]["record"] == record:
                return int(latest[0]["version"])
            return db.insert("candidates", {"id": candidate.id, "record": record, "created": now()})

    def candidates(self, version: int | None = None) -> dict[str, Candidate]:
        """The latest record of each candidate among rows up to `version` (all when None), in order of appearance.

        Each row is read and validated once: every step of a branch asks, and there may be a thousand branches.
        """
        latest, newest = self._caught_up()
        return dict(latest) if version is None or version >= newest[0] else self._as_of(version)

    def _caught_up(self) -> _View:
        """The view with the rows appended since the last look; a new one where the database is another one by now.

        Two threads may do this at once: each gets a right view, and the one that stays is taken further by the next look.
        """
        latest, newest = self._view
        rows = self._rows_from(newest[0])
        if newest[0] and (not rows or _place(rows[0]) != newest):
            latest, newest, rows = {}, _NOWHERE, self._rows_from(0)
        appended = [row for row in rows if _place(row) != newest]
        if appended:
            latest = dict(latest)
            for row in appended:
                candidate = self._records[_place(row)] = Candidate.model_validate_json(row["record"])
                latest[candidate.id] = candidate
            newest = _place(appended[-1])
        self._view = view = latest, newest
        return view

    def _rows_from(self, version: int) -> list[dict[str, Any]]:
        sql = "SELECT version, created, record FROM candidates WHERE version >= ? ORDER BY version"
        return self.database.read(sql, [version])

    def _as_of(self, version: int) -> dict[str, Candidate]:
        rows = self.database.read(
            "SELECT log.version, log.created FROM candidates AS log JOIN ("
            "  SELECT min(version) AS first, max(version) AS latest FROM candidates"
            "  WHERE version <= ? GROUP BY id"
            ") AS seen ON log.version = seen.latest ORDER BY seen.first",
            [version],
        )
        found = (self._records[_place(row)] for row in rows)
        return {candidate.id: candidate for candidate in found}

    # ---- exchanges with experts ----------------------------------------------------------------------------

    def put_exchange(
        self,
        role: str,
        expert: str,
        question: dict[str, Any],
        answer: dict[str, Any] | None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        cost: float = 0.0,
        seconds: float = 0.0,
        cached: bool = False,
        error: str = "",
    ) -> int:
        """Append one question and its answer (None when there was none), with what it cost. Returns its number."""
        row = {
            "time": now(),
            "role": role,
            "expert": expert,
            "question": pack(question),
            "answer": None if answer is None else pack(answer),
            "tokens_in": int(tokens_in),
            "tokens_out": int(tokens_out),
            "cost": float(cost),
            "seconds": float(seconds),
            "cached": int(cached),
            "error": clean(error),
        }
        with self.database.write() as db:
            return db.insert("exchanges", row)

    def exchanges(self) -> list[dict[str, Any]]:
        """All exchanges in order, each with the fields of `put_exchange` and `number`, `time`."""
        rows = self.database.read("SELECT * FROM exchanges ORDER BY number")
        for row in rows:
            row["question"] = json.loads(row["question"])
            row["answer"] = None if row["answer"] is None else json.loads(row["answer"])
            row["cached"] = bool(row["cached"])
        return rows


def _place(row: dict[str, Any]) -> _Place:
    return int(row["version"]), str(row["created"])
