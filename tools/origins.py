"""Where a number came from: its programs, data, executions, logs and the checkpoint that holds it. Stored facts only."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from state.candidate import Candidate
from tools.catalogue import Catalogue, RunRow
from tools.receipts import Number
from tools.runlog import RunLog
from tools.tracing import collect_numbers

_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)
"""What ids of version 6 count from, in steps of 100 ns."""


_TRAINED = {"oof", "fold", "curve", "calibration", "class", "segment"}
"""Numbers of a candidate's own out-of-fold predictions: its trainings are behind them. Others name what they derive from."""


class Ledger:
    """The numbers of one run and everything that tells where they came from. Read-only."""

    def __init__(self, row: RunRow, log: RunLog, catalogue: Catalogue) -> None:
        self.row, self.log, self.catalogue = row, log, catalogue
        self.candidates = log.candidates()
        self.events = log.events()
        self.numbers: dict[str, Number] = collect_numbers(self.candidates, self.events, row.summary)

    def origin(self, number: Number) -> dict[str, Any]:
        """The whole receipt as plain data.

        {the number's own fields, data {file, sha256}, seed, programs [{candidate, weight, program, expert, title}],
        executions [{key, kind, status, seconds, fold, run, finished, log}], checkpoint {id, step}}. Whatever the run did
        not keep is left out or None.
        """
        return {
            **number.plain(),
            "seed": self.row.settings.get("seed", 0) if number.seed is None else number.seed,
            "data": {"file": self.row.data, "sha256": self._source()},
            "programs": self.programs(number.candidate),
            "executions": self._executions(number),
            "checkpoint": self._checkpoint(number.time),
        }

    def programs(self, candidate: str | None, weight: float = 1.0) -> list[dict[str, Any]]:
        """The programs of a candidate: its own, or those of its members with their weights."""
        one = self.candidates.get(candidate or "")
        if one is None:
            return []
        if one.members:
            return [
                program for member in one.members for program in self.programs(member.candidate, weight * member.weight)
            ]
        return [
            {
                "candidate": one.id,
                "weight": weight,
                "program": one.program,
                "expert": one.expert,
                "title": one.plan.title,
            }
        ]

    def _source(self) -> str | None:
        """SHA-256 of the data file, as the examiner wrote it down, or as the opening's receipt says."""
        told = [event["data"].get("source") for event in self.events if event["kind"] == "data"]
        opening = self.row.summary.get("opening") or {}
        return next((source for source in reversed(told) if source), opening.get("data_hash"))

    def _executions(self, number: Number) -> list[dict[str, Any]]:
        keys = list(number.jobs)
        if not keys and number.candidate and number.id.split(".")[0] in _TRAINED:
            keys = [key for one in self._trained(number.candidate) for key in one.attempts[-1].receipts]
        folds = {
            event["data"]["key"]: event["data"].get("fold")
            for event in self.events
            if event["kind"] == "job" and event["data"].get("key")
        }
        found = self._journal(keys)
        return [
            {**found.get(key, {"key": key, "status": "not in the journal"}), "fold": folds.get(key)} for key in keys
        ]

    def _trained(self, candidate: str) -> list[Candidate]:
        """The candidate, or its members: those with executions of their own."""
        one = self.candidates.get(candidate)
        if one is None:
            return []
        if one.members:
            return [two for member in one.members for two in self._trained(member.candidate)]
        return [one] if one.attempts else []

    def _journal(self, keys: list[str]) -> dict[str, dict[str, Any]]:
        """Finished executions by key; this run's own row before that of an earlier run which it was answered from."""
        if not keys:
            return {}
        marks = ", ".join("?" * len(keys))
        rows = self.catalogue.database.read(
            f"SELECT journal.key, kind, run_id, runs.name, finished, result FROM journal "  # noqa: S608 - marks only
            f"LEFT JOIN runs ON runs.id = run_id WHERE key IN ({marks}) AND state = 'done' "
            "ORDER BY run_id = ? ASC, journal.number DESC",
            [*keys, self.row.id],
        )
        return {row["key"]: _execution(row, own=row["run_id"] == self.row.id) for row in rows}

    def _checkpoint(self, time: str) -> dict[str, Any] | None:
        """The first checkpoint of the main graph written after a number was made: the state that knows it.

        None when the run's checkpoints lie elsewhere (on a LangGraph server), or none was written after it.
        """
        database = self.log.database
        if not time or not database.has_table("checkpoints"):
            return None
        made = datetime.fromisoformat(time)
        rows = database.read(
            "SELECT checkpoint_id, metadata FROM checkpoints WHERE checkpoint_ns = '' ORDER BY checkpoint_id"
        )
        for row in rows:
            written = _written(row["checkpoint_id"])
            if written is not None and written >= made:
                return {"id": row["checkpoint_id"], "step": _step(row["metadata"])}
        return None


def _execution(row: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
    receipt = json.loads(row["result"] or "{}")
    return {
        "key": row["key"],
        "kind": row["kind"],
        "status": receipt.get("status", ""),
        "seconds": receipt.get("seconds"),
        "finished": row["finished"],
        "run": None if own else row["name"] or row["run_id"],
        "log": receipt.get("log"),
        "outputs": receipt.get("outputs", {}),
    }


def _written(checkpoint_id: str) -> datetime | None:
    """When a checkpoint was written, told by its id; None for an id that is no UUID of version 6."""
    try:
        identity = uuid.UUID(checkpoint_id)
    except ValueError:
        return None
    if identity.version != 6:
        return None
    ticks = ((identity.int >> 80) << 12) | ((identity.int >> 64) & 0xFFF)
    return _GREGORIAN + timedelta(microseconds=ticks / 10)


def _step(metadata: bytes | str | dict[str, Any] | None) -> int | None:
    """The number LangGraph gave a checkpoint; its metadata is text in a file, and plain data in a schema."""
    try:
        step = (metadata if isinstance(metadata, dict) else json.loads(metadata or "{}")).get("step")
    except (ValueError, UnicodeDecodeError):
        return None
    return step if isinstance(step, int) else None
