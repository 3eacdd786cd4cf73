"""Numbered migrations of our two kinds of database. Imported only when a file is made or brought up to date.

A migration that has been released is never edited; a change of format is a new function at the end and one more in
`tools.database.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlite_utils import Database, Migrations

from tools.database import DatabaseKind


def m001_runs_journal_openings_lessons(db: Database) -> None:
    """Runs, the journal of effects, openings of sealed test sets, lessons."""
    db.executescript(
        """
        CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, status TEXT NOT NULL,
            created TEXT NOT NULL, updated TEXT NOT NULL, parent TEXT,
            data TEXT NOT NULL, intent TEXT NOT NULL, settings TEXT NOT NULL, summary TEXT NOT NULL,
            active_seconds REAL NOT NULL
        );
        CREATE INDEX runs_by_name ON runs (name);
        CREATE TABLE journal (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL, run_id TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
            attempt INTEGER NOT NULL, intent TEXT, result TEXT, digest TEXT, error TEXT,
            host TEXT, pid INTEGER, created TEXT NOT NULL, started TEXT, finished TEXT,
            UNIQUE (key, run_id)
        );
        CREATE INDEX journal_by_run ON journal (run_id);
        CREATE TABLE openings (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            sealed_key TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL,
            code_hash TEXT NOT NULL, data_hash TEXT NOT NULL, opened TEXT NOT NULL,
            UNIQUE (sealed_key, run_id, candidate, code_hash)
        );
        CREATE TABLE lessons (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, traits TEXT NOT NULL, recipe TEXT NOT NULL,
            gain REAL NOT NULL, seconds REAL NOT NULL, rank INTEGER NOT NULL,
            run_id TEXT NOT NULL, created TEXT NOT NULL, text TEXT NOT NULL
        );
        CREATE INDEX lessons_by_kind ON lessons (kind);
        """
    )


def m002_leases_held_briefly(db: Database) -> None:
    """Nothing: files have no leases. Formats are counted for files and schemas alike (tools/postgres/tables.py)."""


def m001_events_candidates_exchanges(db: Database) -> None:
    """Events, the append-only candidate log, exchanges with experts. LangGraph keeps its own tables beside them."""
    db.executescript(
        """
        CREATE TABLE events (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            time TEXT NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL
        );
        CREATE TABLE candidates (
            version INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL, record TEXT NOT NULL, created TEXT NOT NULL
        );
        CREATE INDEX candidates_by_id ON candidates (id, version);
        CREATE TABLE exchanges (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            time TEXT NOT NULL, role TEXT NOT NULL, expert TEXT NOT NULL,
            question TEXT NOT NULL, answer TEXT,
            tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, cost REAL NOT NULL, seconds REAL NOT NULL,
            cached INTEGER NOT NULL, error TEXT NOT NULL
        );
        """
    )


_STEPS: dict[DatabaseKind, list[Callable[[Database], None]]] = {
    "catalogue": [m001_runs_journal_openings_lessons, m002_leases_held_briefly],
    "run": [m001_events_candidates_exchanges],
}


def _registered(kind: DatabaseKind) -> Migrations:
    migrations = Migrations(kind)
    for step in _STEPS[kind]:
        migrations()(step)
    return migrations


SETS: dict[DatabaseKind, Migrations] = {kind: _registered(kind) for kind in _STEPS}
