"""Looking into a database that may be anything: cut, overwritten, emptied, of another program."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from state.errors import StoreError
from tools.database import BUSY_SECONDS, DatabaseKind, check_format, named_errors
from tools.places import Place, Schema

MOST_PROBLEMS = 5


def exists(place: Place) -> bool:
    """Whether a database is there, whatever it holds."""
    if isinstance(place, Path):
        return place.exists()
    from tools.postgres.database import PostgresDatabase

    database = PostgresDatabase(place, "run")
    try:
        return database.exists()
    finally:
        database.close()


def page_problems(place: Place, kind: DatabaseKind = "run", *, thorough: bool = False) -> list[str]:
    """What is wrong with a database's format and pages; of a schema the server looks after its pages itself.

    thorough: compare indexes with their tables too. Raises VersionMismatch for a newer format.
    """
    if isinstance(place, Schema):
        return []
    try:
        check_format(place, kind)
        with named_errors(place), closing(sqlite3.connect(place, timeout=BUSY_SECONDS)) as connection:
            check = "integrity_check" if thorough else "quick_check"
            rows = connection.execute(f"PRAGMA {check}({MOST_PROBLEMS})").fetchall()
    except StoreError as error:
        if type(error) is not StoreError:
            raise
        return [error.message]
    return [] if rows == [("ok",)] else [str(row[0]).replace("\n", " ") for row in rows]
