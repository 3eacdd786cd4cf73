"""Which artifacts and journal rows are needed: what the runs that are kept can reach, and nothing else.

A reference is recognised by its spelling, `sha256:` and 64 hex digits, in whatever holds it: checkpoints, writes, candidate
records, events, exchanges, the catalogue, journal results, and JSON artifacts, which name further ones. So nothing has
to be decoded, and a field that somebody adds tomorrow is found as well. What merely looks like a reference keeps something
too much, never too little.

Journal rows of a run that was removed are needed while a kept run rests on them: it names their key in an attempt, holds
an artifact they gave, or was answered with the reply of a model that they hold.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from state.errors import ArtifactMissing
from state.records import content_key
from tools.artifacts import ArtifactStore
from tools.catalogue import Catalogue
from tools.database import BUSY_SECONDS, check_format, named_errors
from tools.places import Place, Schema, run_place

_REFERENCE = re.compile(rb"sha256:[0-9a-f]{64}")
_COLUMNS = {
    "checkpoints": ("checkpoint",),
    "writes": ("value",),
    "checkpoint_blobs": ("blob",),
    "checkpoint_writes": ("blob",),
    "events": ("data",),
    "candidates": ("record",),
    "exchanges": ("question", "answer"),
}


@dataclass
class Needs:
    """What some runs need."""

    references: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    """Journal keys of their attempts."""
    replies: set[str] = field(default_factory=set)
    """Content keys of model replies they were answered with from the journal."""

    def add(self, other: Needs) -> None:
        self.references |= other.references
        self.keys |= other.keys
        self.replies |= other.replies


def needs_of(catalogue: Catalogue, artifacts: ArtifactStore, without: Collection[str] = ()) -> Needs:
    """What all runs of the catalogue need, except those named in `without`.

    Raises StoreError when a run's database cannot be read: then nobody knows what it needs, and nothing may be freed.
    """
    needs = Needs()
    rows = [row for row in catalogue.runs() if row.id not in without]
    for row in rows:
        needs.references |= _found(json.dumps([row.summary, row.settings]).encode())
        needs.add(_needs_of_database(run_place(row.id)))
    needs.references = _closure(artifacts, needs.references)
    kept, journal = {row.id for row in rows}, list(_journal(catalogue))
    before = -1
    while before < len(needs.references):  # what one row holds may be what makes another needed
        before = len(needs.references)
        for entry in journal:
            if _is_needed(entry, needs, kept):
                needs.references |= _found(entry.result) | _found(entry.intent)
    return needs


def idle_rows(catalogue: Catalogue, needs: Needs, kept: Collection[str]) -> list[tuple[str, str]]:
    """Journal rows of removed runs that nobody needs, or of which a kept run has its own copy: (key, run id)."""
    journal = list(_journal(catalogue))
    copies = {(row.key, row.result) for row in journal if row.run_id in kept}
    return [
        (row.key, row.run_id)
        for row in journal
        if row.run_id not in kept and ((row.key, row.result) in copies or not _is_needed(row, needs, kept))
    ]


@dataclass(frozen=True)
class _Entry:
    key: str
    run_id: str
    kind: str
    result: str
    intent: str
    """What was decided before: the job, of which its result may have to be made again."""


def _is_needed(row: _Entry, needs: Needs, kept: Collection[str]) -> bool:
    if row.run_id in kept or row.key in needs.keys or not needs.references.isdisjoint(_found(row.result)):
        return True
    return row.kind == "llm" and bool(row.result) and content_key(json.loads(row.result)) in needs.replies


def _journal(catalogue: Catalogue) -> Iterator[_Entry]:
    for row in catalogue.database.read("SELECT key, run_id, kind, result, intent FROM journal ORDER BY number"):
        yield _Entry(row["key"], row["run_id"], row["kind"], row["result"] or "", row["intent"] or "")


Rows = Iterable[Sequence[Any]]
Ask = Callable[[str], Rows]
"""A statement → its rows, all statements seeing the database at the same moment."""


def _needs_of_database(place: Place) -> Needs:
    if isinstance(place, Schema):
        from tools.postgres.reading import one_moment

        with one_moment(place) as (tables, ask):
            return _needs_of_tables(tables, ask)
    if not place.is_file():
        return Needs()
    check_format(place, "run")
    with named_errors(place), closing(sqlite3.connect(place, timeout=BUSY_SECONDS)) as connection:
        connection.execute("BEGIN")  # one moment for all tables
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return _needs_of_tables(tables, connection.execute)


def _needs_of_tables(tables: set[str], ask: Ask) -> Needs:
    needs = Needs()
    for table in _COLUMNS.keys() & tables:
        # In a file a checkpoint is bytes; in a schema it is JSON, and what is large lies in blobs.
        for column in _COLUMNS[table]:
            for (cell,) in ask(f"SELECT {column} FROM {table}"):  # noqa: S608 - names of our own tables
                needs.references |= _found(cell)
    if "candidates" in tables:
        for (record,) in ask("SELECT record FROM candidates"):
            needs.keys |= {key for attempt in json.loads(record).get("attempts", []) for key in attempt["receipts"]}
    if "exchanges" in tables:
        for (question,) in ask("SELECT question FROM exchanges"):
            turns = json.loads(question).get("turns") or []
            needs.replies |= {content_key(turn["reply"]) for turn in turns if turn.get("reused")}
    return needs


def _closure(artifacts: ArtifactStore, references: Iterable[str]) -> set[str]:
    """References and what the JSON artifacts among them name, at any depth."""
    found: set[str] = set()
    waiting = list(references)
    while waiting:
        reference = waiting.pop()
        if reference in found:
            continue
        found.add(reference)
        try:
            with artifacts.get(reference) as stream:
                if stream.read(1) in (b"{", b"["):
                    waiting += _found(stream.read())
        except ArtifactMissing:
            continue  # what is gone names nothing
    return found


def _found(content: Any) -> set[str]:
    if isinstance(content, dict):
        content = json.dumps(content)
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return {match.decode() for match in _REFERENCE.findall(data)} if isinstance(data, bytes) else set()
