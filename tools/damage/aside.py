"""Putting a database out of the way without losing it: what cannot be believed may still be looked at."""

from __future__ import annotations

from itertools import count

from tools.database import sync_folder
from tools.disk import writing
from tools.places import Place, Schema

_SIDES = ("", "-wal", "-shm", "-journal")
"""Endings of the files that make up one SQLite database."""


def set_aside(place: Place) -> str:
    """Give a database another name beside its own, with its log of writes, and return it; "" when nothing is there.

    A file is called `<name>.aside-<n>`, a schema `<name>_aside_<n>`; nothing of that name is ever replaced. To be called
    under the lock of whoever uses the database.
    """
    if isinstance(place, Schema):
        return _rename_schema(place)
    sides = [side for side in _SIDES if (place.parent / f"{place.name}{side}").exists()]
    if not sides:
        return ""
    names = (place.with_name(f"{place.name}.aside-{number}") for number in count(1))
    aside = next(name for name in names if not any((name.parent / f"{name.name}{side}").exists() for side in _SIDES))
    with writing(aside):
        # The log of writes goes last: a kill in between leaves a log without its file, which the next call moves.
        for side in sides:
            (place.parent / f"{place.name}{side}").rename(aside.with_name(f"{aside.name}{side}"))
        sync_folder(place.parent)
    return str(aside)


def _rename_schema(place: Schema) -> str:
    from tools.postgres.database import PostgresDatabase
    from tools.postgres.sql import quoted

    database = PostgresDatabase(place, "run")
    try:
        if not database.exists():
            return ""
        known = "SELECT 1 FROM pg_namespace WHERE nspname = ?"
        names = (f"{place.name}_aside_{number}" for number in count(1))
        name = next(name for name in names if not database.session.run(known, [name]))
        # The run's lease is held by whoever calls this, so nobody else renames it meanwhile.
        database.session.run(f"ALTER SCHEMA {quoted(place.name)} RENAME TO {quoted(name)}")
        return str(Schema(place.url, name))
    finally:
        database.close()
