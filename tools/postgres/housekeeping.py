"""Housekeeping in a shared database: old checkpoints of a run, and schemas that no run owns."""

from __future__ import annotations

import re
from collections.abc import Collection

from tools.places import CATALOGUE_SCHEMA, Schema, run_schema
from tools.postgres.database import PostgresDatabase
from tools.postgres.sql import quoted


def prune_schema(place: Schema, *, dry_run: bool) -> tuple[int, int]:
    """Delete the checkpoints a run does not need to go on, and give their space back to the server's disk.

    The caller drives the run. Returns how many go, and the bytes of their content, or by how much the tables became smaller.
    """
    from tools.postgres.threads import DOOMED, TABLES, prune_thread

    database = PostgresDatabase(place, "run")
    try:
        if not database.has_table("checkpoints"):
            return 0, 0
        threads = [row["thread_id"] for row in database.read("SELECT DISTINCT thread_id FROM checkpoints")]
        doomed = [database.read(DOOMED, {"thread": thread})[0] for thread in threads]
        count, size = sum(int(row["count"]) for row in doomed), sum(int(row["size"]) for row in doomed)
        if dry_run or not count:
            return count, size
        before = database.size()
        with database.write() as db:
            for thread in threads:
                prune_thread(db, thread)
        database.compact(TABLES)
        return count, max(0, before - database.size())
    finally:
        database.close()


def kept_aside(place: Schema) -> list[Schema]:
    """The schemas that a run's schema was renamed to when the run was rebuilt (tools/damage/aside.py)."""
    database = PostgresDatabase(place, "run")
    try:
        names = database.session.run(
            "SELECT nspname AS name FROM pg_namespace WHERE starts_with(nspname::text, ?)", [place.name]
        )
    finally:
        database.close()
    return [
        Schema(place.url, row["name"])
        for row in names
        if row["name"] != place.name and _owner(row["name"]) == place.name
    ]


def _owner(name: str) -> str:
    """The name of the run's schema that a schema belongs to: its own, or that of the one it was put aside from."""
    return re.sub(r"_aside_\d+$", "", name)


def unowned_schemas(url: str, known: Collection[str], older_than: float) -> list[Schema]:
    """Schemas of runs that the catalogue does not know, which were made longer ago than so many seconds and that nobody
    drives: a kill can leave one while a fork is made or a run removed. What was put aside stays as long as its run.
    known: ids of runs."""
    database = PostgresDatabase(Schema(url, CATALOGUE_SCHEMA), "catalogue")
    try:
        names = database.session.run(
            "SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE ? AND pg_has_role(nspowner, 'USAGE')",
            [f"{CATALOGUE_SCHEMA}\\_run\\_%"],
        )
        driven = database.read("SELECT run_id FROM leases WHERE expires > clock_timestamp()")
        owned = {run_schema(one) for one in [*known, *(row["run_id"] for row in driven)]}
        found = []
        for name in sorted(row["name"] for row in names if _owner(row["name"]) not in owned):
            place = Schema(url, name)
            run = PostgresDatabase(place, "run")
            try:
                made = (
                    run.session.run(
                        f"SELECT made < clock_timestamp() - ? * interval '1 s' AS old FROM {quoted(name)}.format",  # noqa: S608 - a quoted name
                        [older_than],
                    )
                    if "format" in run.tables()
                    else []
                )
            finally:
                run.close()
            if made and made[0]["old"]:
                found.append(place)
        return found
    finally:
        database.close()
