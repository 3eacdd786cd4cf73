"""One SQLite file of ours: private, durable, versioned, safe to use from many threads and processes.

Reading uses the standard library only, since sqlite-utils imports pandas, a second of CPU that `modelwright ls` must
not spend. Writing and migrating go through sqlite-utils, imported at the first write.

What holds for every file:

- Created whole: a new database is migrated under a temporary name and then renamed, so a file in its place that holds
  no format is a damaged one and is refused, never silently begun anew.
- WAL, `synchronous=FULL`, 60 s of patience with other writers: a transaction that returned survives `kill -9` and a
  power cut. Writers begin with BEGIN IMMEDIATE, so that none fails half-way for want of the lock.
- `user_version` is the number of migrations applied. A higher one than this program knows is refused, naming both.
- Mode 0600 (SQLite gives its side files the same) in a folder of mode 0700.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from state.errors import StoreError, VersionMismatch
from state.records import to_plain
from tools.disk import RESERVE, full, is_tight, writing
from tools.home import private_folder
from tools.places import Place, Schema

if TYPE_CHECKING:
    import sqlite_utils

    from tools.postgres.database import PostgresDatabase

DatabaseKind = Literal["catalogue", "run"]

FORMATS: dict[DatabaseKind, int] = {"catalogue": 2, "run": 1}
"""Newest format of each kind: the number of its migrations in tools/migrations.py."""

BUSY_SECONDS = 60.0
"""How long a connection waits for another writer."""

_BATCH = 400
"""Rows of one round of `insert_many`."""

_APPLICATION_IDS: dict[DatabaseKind, int] = {"catalogue": 0x4D570001, "run": 0x4D570002}


class Writer(Protocol):
    """What can be done inside a write transaction, in a file and in a schema alike.

    SQL is what SQLite and PostgreSQL both know, with `?` or `:name` for parameters.
    """

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Any: ...

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row and return the number the database gave it."""
        ...

    def insert_many(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows of the same columns as they are, numbers included."""
        ...


AnyDatabase: TypeAlias = "Database | PostgresDatabase"


def open_database(place: Place, kind: DatabaseKind) -> AnyDatabase:
    """The database at a place. Opens and creates nothing before its first use."""
    if isinstance(place, Schema):
        from tools.postgres.database import PostgresDatabase

        return PostgresDatabase(place, kind)
    return Database(place, kind)


class Database:
    """A handle on one file. Nothing is opened or created before the first use; one lock serialises its threads."""

    def __init__(self, path: Path, kind: DatabaseKind) -> None:
        self.path = path
        self.place = path
        self.kind: DatabaseKind = kind
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._writer: SqliteWriter | None = None

    def read(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query. A file that does not exist yet has none, and is not created by looking."""
        with self._lock, named_errors(self.path):
            if self._connection is None and not self.path.exists():
                return []
            cursor = self._open().cursor()
            cursor.row_factory = sqlite3.Row
            return [dict(row) for row in cursor.execute(sql, parameters)]

    @contextmanager
    def write(self, run: str = "", *, long: bool = False) -> Iterator[SqliteWriter]:
        """A transaction: durable when the block ends well, undone when it raises. A nested one joins the outer.

        run: the run it belongs to. long: the block has much else to do meanwhile. Neither says anything here: a file has
        one driver by the kernel's lock, and waits for as long as it takes.
        """
        with self._lock, named_errors(self.path):
            connection = self._open()
            writer = self._writer = self._writer or SqliteWriter(connection)
            if connection.in_transaction:
                yield writer
                return
            with _transaction(connection):
                yield writer

    def exists(self) -> bool:
        """Whether the file is there, whatever it holds."""
        return self.path.is_file()

    def has_table(self, name: str) -> bool:
        """Whether the file holds a table of this name."""
        return bool(self.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", [name]))

    def size(self) -> int:
        """Bytes of the file and its log of writes."""
        return sum(one.stat().st_size for one in (self.path, self._log_of_writes) if one.exists())

    def drop(self) -> None:
        """Remove the file; does nothing when it is not there."""
        with self._lock:
            self.close()
            for path in (self.path, self._log_of_writes, self.path.with_name(f"{self.path.name}-shm")):
                path.unlink(missing_ok=True)

    @property
    def _log_of_writes(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def close(self) -> None:
        """Close the connection. Safe to call twice; a later use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._writer = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            create(self.path, self.kind)
            connection = _connect(self.path)
            try:
                outdated = _known_format(connection, self.path, self.kind) < FORMATS[self.kind]
                _configure(connection)
                if outdated:
                    with _folder_lock(self.path.parent):
                        _migrate(connection, self.kind)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


class SqliteWriter:
    """What a transaction of a file can do. See `Writer`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.conn = connection

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        return self.conn.execute(sql, parameters)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        marks = ", ".join(f":{name}" for name in row)
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - our own tables
        number = self.conn.execute(sql, row).lastrowid
        assert isinstance(number, int)
        return number

    def insert_many(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        waiting = iter(rows)
        while batch := list(islice(waiting, _BATCH)):
            marks = ", ".join(f":{name}" for name in batch[0])
            sql = f"INSERT INTO {table} ({', '.join(batch[0])}) VALUES ({marks})"  # noqa: S608 - our own tables
            self.conn.executemany(sql, batch)


def create(path: Path, kind: DatabaseKind) -> None:
    """Make an empty database of the newest format at `path`, unless a file is there. Atomic, also between processes."""
    if path.exists():
        return
    private_folder(path.parent)
    with writing(path), named_errors(path), _folder_lock(path.parent):
        if path.exists():
            return
        for leftover in path.parent.glob(f".{path.name}.*"):
            leftover.unlink()  # the lock is ours, so whoever made it is dead
        new = path.with_name(f".{path.name}.{token_hex(4)}")
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(_connect(new)) as connection:
            _configure(connection)
            _migrate(connection, kind)
            # Closing would do this too, but in silence: on a full disk the rest would stay in a log of the old name.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        new.rename(path)
        sync_folder(path.parent)


def check_format(path: Path, kind: DatabaseKind) -> None:
    """Raise StoreError or VersionMismatch unless the file at `path` is a database this program can use."""
    with named_errors(path), closing(_connect(path)) as connection:
        _known_format(connection, path, kind)


def sync_folder(folder: Path) -> None:
    """Make names created or renamed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def pack(value: Any) -> str:
    """Plain data as JSON text for a column. Keeps the order of keys; escapes what SQLite cannot hold as text."""
    return json.dumps(to_plain(value), separators=(",", ":"), allow_nan=False)


def clean(text: str) -> str:
    """Text that SQLite can hold: lone surrogates (undecodable bytes of a program's output) become `?`."""
    return text.encode("utf-8", "replace").decode()


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Say which file, what is wrong and what to do, instead of SQLite's bare sentence."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
            raise  # a broken constraint or a wrong statement is our mistake, not the file's state
        if "full" in str(error) or ("I/O error" in str(error) and is_tight(path)):
            raise full(path, RESERVE, str(error)) from error
        raise StoreError(f"the database {str(path)!r} cannot be used: {error}", hint=_hint(str(error), path)) from error
    except UnicodeDecodeError as error:  # a name or text in the file that is none any more
        raise StoreError(f"the database {str(path)!r} is damaged: {error}", hint=_hint("damaged", path)) from error


def _hint(message: str, path: Path) -> str:
    if "locked" in message:
        return "another process has been writing to it for a minute; wait for it or end it, then try again"
    if "readonly" in message or "unable to open" in message:
        return "check that you may write to this file and its folder, or set MODELWRIGHT_HOME to another folder"
    return _way_out(path)


def _way_out(path: Path) -> str:
    """What to do about a file that cannot be believed; its name tells what it is."""
    if path.name == "catalogue.db":
        return (
            "restore the file from a backup, or `modelwright doctor --repair-catalogue`: it keeps the file under another "
            "name and makes a new catalogue from what can still be read and from the runs' folders"
        )
    return (
        f"restore the file from a backup, or `modelwright resume {path.parent.name[:8]} --rebuild`: it keeps the file "
        "under another name and goes through the run again; what has finished is answered from the journal"
    )


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)


def _configure(connection: sqlite3.Connection) -> None:
    # Only for files known to be ours: switching to WAL writes into the file.
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA synchronous=FULL").close()


def _known_format(connection: sqlite3.Connection, path: Path, kind: DatabaseKind) -> int:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if owner != _APPLICATION_IDS[kind] or found == 0:
        raise StoreError(
            f"{str(path)!r} is not a {kind} database of modelwright: it was emptied or replaced, or is not ours",
            hint=_way_out(path),
        )
    if found > FORMATS[kind]:
        raise VersionMismatch(
            f"{str(path)!r} has format {found}; this version of modelwright knows formats up to {FORMATS[kind]}",
            hint="upgrade modelwright: the file was written by a newer one",
        )
    return found


def _migrate(connection: sqlite3.Connection, kind: DatabaseKind) -> None:
    from tools.migrations import SETS

    with _transaction(connection):
        SETS[kind].apply(_sqlite_utils(connection))
        connection.execute(f"PRAGMA application_id={_APPLICATION_IDS[kind]}")
        connection.execute(f"PRAGMA user_version={FORMATS[kind]}")


def _sqlite_utils(connection: sqlite3.Connection) -> sqlite_utils.Database:
    import sqlite_utils

    # Plugins are other people's code, found through entry points; they have no business in this file.
    return sqlite_utils.Database(connection, execute_plugins=False, recursive_triggers=False)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """One process at a time creates or migrates in a folder; the kernel frees the lock of a dead one."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
