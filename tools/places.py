"""Where databases lie: files below one private folder, or schemas of a PostgreSQL database that machines share.

`MODELWRIGHT_STORE` (or `--store` of the command line, for one process) names the shared database by URL. It may hold a
password, so it is no setting: it is stored nowhere, and shown with the password masked. Without it every database is a
SQLite file below `MODELWRIGHT_HOME`.

One schema holds the catalogue and one each run, with the same tables as the files have, so that a run is removed by
dropping its schema, and one statement serves both kinds of store.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from state.errors import UsageError
from tools.home import STORE_VARIABLE, home, run_folder

CATALOGUE_SCHEMA = "modelwright"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^\s'\"]*(?=@)|(?<=password=)[^&\s]+")


@dataclass(frozen=True)
class Schema:
    """One schema of a PostgreSQL database."""

    url: str = field(repr=False)
    name: str

    def __str__(self) -> str:
        return f"{masked(self.url)} schema {self.name}"


Place = Path | Schema
"""A SQLite file, or a schema of a PostgreSQL database."""


def store_url() -> str | None:
    """The shared database's URL; None when databases are files. Raises UsageError for another kind of URL."""
    url = os.environ.get(STORE_VARIABLE, "").strip()
    return _checked(url) if url else None


def use_store(url: str) -> None:
    """Use this database for the rest of the process and its children. Raises UsageError for another kind of URL."""
    os.environ[STORE_VARIABLE] = _checked(url.strip())


def _checked(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(
            f"the store {masked(url)!r} is not a PostgreSQL URL",
            hint="it reads postgresql://user:password@host:5432/database; leave it away to keep everything in files",
        )
    if url.partition("://")[2].partition("/")[0].count("@") > 1:
        raise UsageError(
            f"the store {masked(url)!r} cannot be read: there is more than one @ before the host",
            hint="write an @ inside user or password as %40, a / as %2F, a : as %3A",
        )
    return url


def catalogue_place() -> Place:
    """Where the catalogue lies: runs, journal, openings of test sets, lessons."""
    url = store_url()
    return home() / "catalogue.db" if url is None else Schema(url, CATALOGUE_SCHEMA)


def run_place(run_id: str) -> Place:
    """Where a run's database lies: events, candidates, exchanges, checkpoints. Raises UsageError for no run id."""
    path = run_folder(run_id) / "run.db"
    url = store_url()
    return path if url is None else Schema(url, run_schema(run_id))


def run_schema(run_id: str) -> str:
    """The name of a run's schema, another one for each run: PostgreSQL names have at most 63 bytes, a UUID has 32 digits."""
    name = run_id.replace("-", "")
    if not _UUID.fullmatch(run_id):
        digest = hashlib.sha256(run_id.encode()).hexdigest()
        name = f"{re.sub(r'[^0-9a-z]', '_', run_id.lower())[:20]}_{digest[:16]}"
    return f"{CATALOGUE_SCHEMA}_run_{name}"


def file_of(place: Place) -> Path:
    """The file of a place that is one. Raises UsageError for a schema, where only files can be worked on."""
    if isinstance(place, Schema):
        raise UsageError(f"this works on files only, not on {place}", hint="run it without a shared store")
    return place


def masked(url: str) -> str:
    """A URL as it may be shown: without its password."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***" if found[1] is not None else "***", url)
