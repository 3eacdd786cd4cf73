"""One connection to the shared database: opened at its first use, safe to use from many threads, said by name when it fails.

What holds for every connection:

- `synchronous_commit = on`: a transaction that returned is on the server's disk.
- Autocommit outside of `transaction`, READ COMMITTED inside: each statement sees what was committed when it began.
- A connection that the server dropped while it was idle is opened again, once, before a statement or a transaction begins.
  One that is lost inside a transaction is an error: nothing of the transaction is kept, unless it was the commit itself
  that got no answer.
- A process that is stopped in the middle of a transaction keeps nobody waiting for long: the server ends its session
  after `idle_seconds`. So does a machine that vanished.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from state.errors import StoreError, UsageError
from tools.places import Schema, masked
from tools.postgres.sql import quoted, statement, storable

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import DictRow

LEASE_VARIABLE = "MODELWRIGHT_LEASE_SECONDS"
_LEASE_SECONDS = 30.0
CONNECT_SECONDS = 10
INSTALL = "python -m pip install 'modelwright[postgres]'"


def lease_seconds() -> float:
    """How long a lease lasts without being renewed."""
    told = os.environ.get(LEASE_VARIABLE, "").strip()
    if not told:
        return _LEASE_SECONDS
    try:
        seconds = float(told)
    except ValueError:
        seconds = 0.0
    if not 0.3 <= seconds <= 3600:
        raise UsageError(f"{LEASE_VARIABLE}={told!r} is no number of seconds between 0.3 and 3600")
    return seconds


def idle_seconds() -> float:
    """How long a transaction may do nothing before the server ends it: its process is stopped, or its machine is gone."""
    return max(5.0, 2 * lease_seconds())


def patience_seconds() -> float:
    """How long a statement waits for another writer: longer than one that is stopped can hold it up."""
    return idle_seconds() + 15


def driver() -> Any:
    """The module psycopg. Raises UsageError with the line that installs it."""
    try:
        import psycopg
    except ImportError as error:
        raise UsageError(
            f"a store in PostgreSQL needs psycopg, which cannot be imported: {error}", hint=f"install it: {INSTALL}"
        ) from error
    return psycopg


def session_sql(schema: Schema, *, patience: float | None = None) -> str:
    """Statements that set a new connection up: where its tables are, and what it waits for. The same for every driver."""
    patience = patience_seconds() if patience is None else patience
    return (
        f"SET search_path = {quoted(schema.name)}; SET synchronous_commit = on; SET client_min_messages = warning; "
        f"SET idle_in_transaction_session_timeout = '{int(idle_seconds() * 1000)}ms'; SET lock_timeout = '{int(patience * 1000)}ms'; "
        "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
    )


def connect_options() -> dict[str, Any]:
    """Keywords of psycopg's `connect` beside the URL, for synchronous and asynchronous connections alike."""
    return {
        "autocommit": True,
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "modelwright",
        "client_encoding": "utf-8",
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "prepare_threshold": None,  # a pooler in front of the server knows nothing of prepared statements
    }


class Session:
    """A connection to one schema. Nothing is opened before the first use; one lock serialises its threads."""

    def __init__(self, schema: Schema, *, patience: float | None = None) -> None:
        self.schema = schema
        self.patience = patience
        self.lock = threading.RLock()
        self._connection: psycopg.Connection[DictRow] | None = None
        self._process = 0

    def run(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, binary: bool = False
    ) -> list[dict[str, Any]]:
        """Execute one statement and return its rows; outside a transaction it is one of its own.

        binary: let the server send bytes as they are, which is worth it for large ones.
        """
        with self.lock, named_errors(self.schema):
            if self.in_transaction:
                return self._execute(sql, parameters, binary)
            rows: list[dict[str, Any]] = self._again(lambda: self._execute(sql, parameters, binary))
            return rows

    @contextmanager
    def transaction(self, first: str = "", parameters: Sequence[Any] = ()) -> Iterator[psycopg.Connection[DictRow]]:
        """A transaction: durable when the block ends well, undone when it raises. A nested one joins the outer.

        first: a statement that opens the outermost one, such as taking a lock.
        """
        with self.lock, named_errors(self.schema):
            if self.in_transaction:
                assert self._connection is not None
                yield self._connection
                return
            self._again(lambda: self._begin(first, parameters))
            connection = self._connection
            assert connection is not None
            try:
                yield connection
                connection.commit()
            except BaseException:
                with suppress(driver().Error):
                    connection.rollback()
                raise
            finally:
                self._settle(connection)

    @property
    def in_transaction(self) -> bool:
        connection = self._connection
        return connection is not None and self._process == os.getpid() and not connection.autocommit

    def server_version(self) -> str:
        """As the server says it, such as `15.18`."""
        return str(self.run("SHOW server_version")[0]["server_version"]).split()[0]

    def close(self) -> None:
        """Close the connection. Safe to call twice; a later use opens it again."""
        with self.lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    # ---- inside ------------------------------------------------------------------------------------------------

    def _begin(self, first: str, parameters: Sequence[Any]) -> None:
        connection = self._open()
        connection.autocommit = False
        try:
            # Also without a statement to begin with: a lost connection is noticed here, not in the middle.
            connection.execute(statement(first or "SELECT 1"), storable(parameters))
        except BaseException:
            with suppress(driver().Error):
                connection.rollback()
            self._settle(connection)
            raise

    def _settle(self, connection: psycopg.Connection[DictRow]) -> None:
        """After a transaction: back to single statements, or to no connection when it was lost."""
        if connection.closed:
            self._connection = None
        else:
            connection.autocommit = True

    def _execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], binary: bool) -> list[dict[str, Any]]:
        cursor = self._open().execute(statement(sql), storable(parameters), binary=binary)
        return cursor.fetchall() if cursor.description is not None else []

    def _again(self, work: Any) -> Any:
        """Do something; once more on a new connection when the server had dropped the old one."""
        old = self._connection
        try:
            return work()
        except driver().OperationalError:
            if old is None or not old.closed or self._connection not in (old, None):
                raise
            self._connection = None
            return work()

    def _open(self) -> psycopg.Connection[DictRow]:
        connection = self._connection
        if connection is not None and self._process != os.getpid():
            connection = None  # a forked child must not speak on its parent's connection, nor say goodbye on it
            _orphans.append(self._connection)
        if connection is None or (connection.closed and connection.autocommit):
            connection = self._connect()
        self._connection, self._process = connection, os.getpid()
        return connection

    def _connect(self) -> psycopg.Connection[DictRow]:
        from psycopg.rows import dict_row

        psycopg_ = driver()
        connection: psycopg.Connection[DictRow] = psycopg_.Connection.connect(
            self.schema.url, row_factory=dict_row, **connect_options()
        )
        try:
            connection.execute(session_sql(self.schema, patience=self.patience).encode())
        except BaseException:
            connection.close()
            raise
        return connection


_orphans: list[Any] = []
"""Connections of a parent process, kept so that nothing closes them."""


@cache
def shared_session(schema: Schema) -> Session:
    """The process's one session of a schema for work that no database object stands for: leases, artifacts."""
    return Session(schema)


@contextmanager
def named_errors(schema: Schema) -> Iterator[None]:
    """Say which database, what is wrong and what to do, instead of the driver's bare sentence."""
    psycopg_ = driver()
    try:
        yield
    except psycopg_.Error as error:
        named = _named(schema, error)
        if named is None:
            raise
        raise named from error


def _named(schema: Schema, error: Any) -> StoreError | UsageError | None:
    """The error as a person should read it; None for a broken constraint or a wrong statement, which is our mistake."""
    psycopg_ = driver()
    known = psycopg_.errors
    said = _without_password(str(error).strip() or type(error).__name__, schema.url)
    if isinstance(error, known.UndefinedTable | known.InvalidSchemaName):
        return StoreError(
            f"the database {schema} is damaged: {said}",
            hint="restore it from a backup, or drop the schema to begin anew",
        )
    if isinstance(error, known.InsufficientPrivilege):
        return StoreError(
            f"the database {schema} refuses: {said}",
            hint="its user must be allowed to create schemas: GRANT CREATE ON DATABASE … TO …",
        )
    lost = psycopg_.OperationalError | psycopg_.InterfaceError | known.IdleInTransactionSessionTimeout
    if isinstance(error, lost):
        return StoreError(f"the database {schema} cannot be used: {said}", hint=_hint(error, known))
    if isinstance(error, psycopg_.ProgrammingError) and error.sqlstate is None:
        return UsageError(
            f"the store {masked(schema.url)!r} cannot be understood: {said}",
            hint="it reads postgresql://user:password@host:5432/database",
        )
    return None


def _hint(error: Any, known: Any) -> str:
    if isinstance(error, known.DiskFull):
        return "free some disk space on the server and run the command again; nothing that was finished is lost"
    if isinstance(error, known.LockNotAvailable):
        return "another process has been writing to it for a minute; wait for it or end it, then try again"
    if isinstance(error, known.IdleInTransactionSessionTimeout):
        return f"this process stood still for {idle_seconds():.0f} s in the middle of a write, which was undone; run it again"
    if isinstance(error, known.InvalidPassword | known.InvalidAuthorizationSpecification | known.InvalidCatalogName):
        return "check user, password and database of --store or MODELWRIGHT_STORE"
    return (
        "check that the server runs and can be reached (`modelwright doctor`), then run the command again; "
        "what was finished before is kept, a write in progress was undone"
    )


def _without_password(text: str, url: str) -> str:
    with suppress(ValueError):
        password = urlsplit(url).password
        for secret in filter(None, {password, unquote(password or "")}):
            text = text.replace(secret, "***")
    return masked(text)
