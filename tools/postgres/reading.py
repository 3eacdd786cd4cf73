"""Reading a whole schema at one moment, row by row, while others write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tools.places import Schema
from tools.postgres.database import PostgresDatabase

_BATCH = 200


@contextmanager
def one_moment(place: Schema) -> Iterator[tuple[set[str], Callable[[str], Iterable[Sequence[Any]]]]]:
    """The names of a run's tables, and a function from a statement to its rows. Nothing when the schema is not there.

    Large tables are sent in parts. Raises StoreError or VersionMismatch when the schema cannot be used.
    """
    database = PostgresDatabase(place, "run")
    try:
        if not database.exists():
            yield set(), lambda sql: ()
            return
        database.check()
        with database.session.transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ") as connection:

            def ask(sql: str) -> Iterator[Sequence[Any]]:
                from psycopg.rows import tuple_row

                with connection.cursor("reading", binary=True, row_factory=tuple_row) as cursor:
                    cursor.itersize = _BATCH
                    yield from cursor.execute(sql.encode())

            yield database.tables(), ask
    finally:
        database.close()
