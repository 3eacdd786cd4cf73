"""One schema of ours in a PostgreSQL database: what tools/database.py gives for a file.

- Created whole: schema, tables and format number in one transaction, so a schema in its place that holds no format, or
  lacks a table, is a damaged or foreign one and is refused, never silently begun anew.
- Writers take turns, as SQLite's do: a transaction begins by taking the schema's advisory lock, which the server frees
  with the transaction, whatever becomes of the writer. So what is read inside a write holds until it is committed, and
  numbers given by the database are in the order of commits.
- A write of a run's driver is fenced (tools/postgres/fencing.py): inside its transaction it holds the lease's row as it is,
  or is refused because another process has taken the run over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from state.errors import StoreError, VersionMismatch
from tools.database import FORMATS, DatabaseKind
from tools.places import Schema
from tools.postgres.fencing import fence, fence_run
from tools.postgres.session import Session
from tools.postgres.sql import quoted, statement, storable
from tools.postgres.tables import NUMBERS, STEPS, TABLES

if TYPE_CHECKING:
    import psycopg

_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))"
_BATCH = 400
_LONG = "15min"
"""How long a transaction that has much else to do may send nothing; as long as others may have to wait for a stopped one."""


class PostgresDatabase:
    """A handle on one schema. Nothing is connected or created before the first use; one lock serialises its threads."""

    def __init__(self, place: Schema, kind: DatabaseKind) -> None:
        self.place = place
        self.kind: DatabaseKind = kind
        self.session = Session(place)
        self._ready = False

    def read(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query. A schema that does not exist yet has none, and is not created by looking."""
        with self.session.lock:
            if not self._ready and not self.exists():
                return []
            self.check()
            return self.session.run(sql, parameters)

    @contextmanager
    def write(self, run: str = "", *, long: bool = False) -> Iterator[PostgresWriter]:
        """A transaction: durable when the block ends well, undone when it raises. A nested one joins the outer.

        run: the run it belongs to; without one, the run whose schema this is, if any. When this process drives or has
        driven that run, the transaction raises RunHeld as soon as another process has taken it over. long: the block has
        much else to do meanwhile, and the server is to be patient with it.
        """
        with self.session.lock:
            self.prepare()
            with self.session.transaction(_TURN, [self.place.name]) as connection:
                if run:
                    fence_run(connection, self.place.url, run)
                else:
                    fence(connection, self.place)
                if long:
                    connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_LONG}'".encode())
                yield PostgresWriter(connection)

    def exists(self) -> bool:
        """Whether the schema is there, whatever it holds."""
        # Looked up in the table: the server's memory of names may be behind another session's commit.
        return bool(self.session.run("SELECT 1 AS found FROM pg_namespace WHERE nspname = ?", [self.place.name]))

    def has_table(self, name: str) -> bool:
        """Whether the schema holds a table of this name."""
        sql = "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = ?"
        return bool(self.session.run(sql, [self.place.name, name]))

    def drop(self) -> None:
        """Remove the schema with everything in it; does nothing when it is not there."""
        with self.session.lock:
            with self.session.transaction(_TURN, [self.place.name]) as connection:
                fence(connection, self.place)
                connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self.place.name)} CASCADE".encode())
            self._ready = False

    def size(self) -> int:
        """Bytes that the tables of the schema take on the server's disk."""
        sql = (
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS size FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relkind = 'r'"
        )
        return int(self.session.run(sql, [self.place.name])[0]["size"])

    def compact(self, tables: Iterable[str]) -> None:
        """Give the space of deleted rows back to the server's disk. Keeps everybody out of these tables meanwhile."""
        for table in tables:
            self.session.run(f"VACUUM FULL {table}")

    def prepare(self) -> None:
        """Make the schema, or bring it up to this program's format, unless it is so already. Atomic, also between processes.

        Raises StoreError for a schema that is damaged or not ours, VersionMismatch for one of a newer format.
        """
        with self.session.lock:
            if self._ready or self.session.in_transaction:
                return
            if not self.exists() or self._format() < FORMATS[self.kind]:
                with self.session.transaction(_TURN, [self.place.name]) as connection:
                    fence(connection, self.place)  # a stale driver does not make a removed run's schema again
                    _migrate(connection, self.place, self.kind, self._format() if self.exists() else 0)
            self.check()

    def close(self) -> None:
        """Close the connection. Safe to call twice; a later use opens it again."""
        self.session.close()

    # ---- format ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise StoreError or VersionMismatch unless the schema, which is there, can be used."""
        if self._ready:
            return
        if self._format() < FORMATS[self.kind]:
            self.prepare()
        lacking = sorted(set(TABLES[self.kind]) - self.tables())
        if lacking:
            raise StoreError(
                f"the database {self.place} is damaged: it lacks {', '.join(lacking)}",
                hint="restore it from a backup, or drop the schema to begin anew",
            )
        self._ready = True

    def tables(self) -> set[str]:
        """The names of the schema's tables."""
        rows = self.session.run("SELECT tablename FROM pg_tables WHERE schemaname = ?", [self.place.name])
        return {row["tablename"] for row in rows}

    def _format(self) -> int:
        """The number of the schema's format. Raises StoreError or VersionMismatch when it cannot be used."""
        known = "format" in self.tables()
        rows = self.session.run("SELECT kind, version FROM format") if known else []
        if len(rows) != 1 or rows[0]["kind"] != self.kind or rows[0]["version"] < 1:
            raise StoreError(
                f"{self.place} is not a {self.kind} database of modelwright: it was emptied or replaced, or is not ours",
                hint="restore it from a backup, or drop the schema to begin anew",
            )
        found = int(rows[0]["version"])
        if found > FORMATS[self.kind]:
            raise VersionMismatch(
                f"{self.place} has format {found}; this version of modelwright knows formats up to {FORMATS[self.kind]}",
                hint="upgrade modelwright: the database was written by a newer one",
            )
        return found


class PostgresWriter:
    """What a transaction can do. See `tools.database.Writer`."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> psycopg.Cursor[dict[str, Any]]:
        return self.connection.execute(statement(sql), storable(parameters))

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        sql = f"{_insertion(table, row)} RETURNING {NUMBERS[table]}"
        cursor = self.connection.execute(sql.encode(), storable(row))
        found = cursor.fetchone()
        assert found is not None
        return int(found[NUMBERS[table]])

    def insert_many(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        waiting, number, numbered = iter(rows), NUMBERS.get(table), False
        with self.connection.cursor() as cursor:
            while batch := list(islice(waiting, _BATCH)):
                numbered = numbered or number in batch[0]
                cursor.executemany(_insertion(table, batch[0]).encode(), [storable(row) for row in batch])
            if numbered:  # rows that brought their numbers: the next one the database gives must be greater
                sequence = f"pg_get_serial_sequence('{table}', '{number}')"
                cursor.execute(f"SELECT setval({sequence}, max({number})) FROM {table}".encode())  # noqa: S608 - our own tables


def _insertion(table: str, row: Mapping[str, Any]) -> str:
    marks = ", ".join(f"%({name})s" for name in row)
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - names of our own tables


def _migrate(connection: psycopg.Connection[dict[str, Any]], place: Schema, kind: DatabaseKind, found: int) -> None:
    if not found:
        connection.execute(f"CREATE SCHEMA {quoted(place.name)}".encode())
        connection.execute(
            "CREATE TABLE format (kind TEXT NOT NULL, version INTEGER NOT NULL, "
            "made TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp())"
        )
        connection.execute("INSERT INTO format (kind, version) VALUES (%s, 0)", [kind])
    for step in STEPS[kind][found:]:
        connection.execute(step.encode())
    connection.execute("UPDATE format SET version = %s", [FORMATS[kind]])
