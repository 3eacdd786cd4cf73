"""The SQL of catalogue, journal, run log and memory is what SQLite and PostgreSQL both know; only its parameters differ.

`?` and `:name` become psycopg's `%s` and `%(name)s` here, and nowhere else. Quoted text and names, and casts (`::`), stay
as they are. Values are cleaned here too: PostgreSQL's text holds neither NUL characters nor lone surrogates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_PIECE = re.compile(
    r"""
    (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" )
    | (?P<cast> :: )
    | : (?P<name> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<mark> \? )
    | (?P<percent> % )
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=512)
def translated(sql: str) -> str:
    """A statement with psycopg's parameters."""
    return _PIECE.sub(_replaced, sql)


@lru_cache(maxsize=512)
def statement(sql: str) -> bytes:
    """The same as bytes, which psycopg takes for a statement that was put together from words of ours."""
    return translated(sql).encode()


def _replaced(found: re.Match[str]) -> str:
    if found["quoted"]:
        return found["quoted"].replace("%", "%%")
    if found["name"]:
        return f"%({found['name']})s"
    if found["mark"]:
        return "%s"
    return "%%" if found["percent"] else found[0]


def storable(parameters: Sequence[Any] | Mapping[str, Any]) -> Any:
    """Parameters whose texts PostgreSQL can hold."""
    if isinstance(parameters, Mapping):
        return {name: _storable(value) for name, value in parameters.items()}
    return [_storable(value) for value in parameters]


def _storable(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and "\x00" not in value):
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return value


def quoted(name: str) -> str:
    """A name of a schema or table as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'
