"""An empty store for each piece of work: a folder of its own, and on a PostgreSQL server a database of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

SERVER = "server"
"""In place of a URL: a PostgreSQL server that is started for the campaign and stopped after it."""


@contextmanager
def served(store: str | None) -> Iterator[str | None]:
    """The URL to work with for the length of the block; None for files."""
    if store != SERVER:
        yield store
        return
    from tests.support.postgres import start_server

    server = start_server()
    try:
        yield server.url()
    finally:
        server.stop()


@contextmanager
def fresh_database(url: str | None) -> Iterator[str | None]:
    """A new database on the server of a URL, removed afterwards; None for files."""
    if url is None:
        yield None
        return
    import psycopg

    name = f"durability_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    try:
        parts = urlsplit(url)
        yield urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
