"""Artifacts in the shared database, with a folder of this machine as a cache.

An artifact is a row and its content in chunks of at most a MiB, all written in one transaction: what has a row is
complete. `put` returns when the server has it. Jobs and frames read local files: an artifact is fetched once, hashed on
its way, and kept in the folder, whose files are checked as those of any artifact folder. The database alone decides what
is there; the folder may be emptied at any time.

Each chunk carries its own hash, so the server can check an artifact without sending it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from state.errors import ArtifactDamaged, ArtifactMissing
from tools.artifacts import FolderArtifacts, check_reference, missing
from tools.conversions import PREFIX, Conversions, damaged
from tools.places import CATALOGUE_SCHEMA, Schema
from tools.postgres.database import PostgresDatabase
from tools.postgres.session import Session, shared_session

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 1 << 20
_BATCH = 8
"""Chunks sent in one round."""

_prepared: set[Schema] = set()
"""Schemas this process has seen to be whole."""


class PostgresArtifacts(Conversions):
    """Artifacts of a shared database. Safe to use from many threads, processes and machines at once."""

    def __init__(self, url: str, cache: FolderArtifacts) -> None:
        self.place = Schema(url, CATALOGUE_SCHEMA)
        self.cache = cache
        self._session = shared_session(self.place)

    def put(self, data: bytes | Path) -> str:
        ref = self.cache.put(data)
        if not self._intact(ref):
            try:
                self._send(ref)
            except ArtifactMissing:  # another process swept the cached file, which was old, as one the database lacks
                self._send(self.cache.put(data))
        return ref

    def get(self, ref: str) -> BinaryIO:
        check_reference(ref)
        try:
            self.cache.check(ref)
        except ArtifactMissing:
            self._fetch(ref)
        except ArtifactDamaged:
            self._fetch(ref, instead=True)
        return self.cache.get(ref)

    def has(self, ref: str) -> bool:
        return self._facts(ref) is not None

    def delete(self, ref: str) -> None:
        check_reference(ref)
        if self._is_made():
            with self._session.transaction():
                self._session.run("DELETE FROM artifacts WHERE ref = ?", [ref])
        self.cache.delete(ref)

    def size(self, ref: str) -> int:
        facts = self._facts(ref)
        if facts is None:
            raise missing(ref, str(self.place))
        return int(facts["size"])

    def check(self, ref: str) -> None:
        """Has the server hash the content it holds; nothing is sent."""
        check_reference(ref)
        rows = self._read(
            "SELECT a.size, count(c.number)::bigint AS chunks, coalesce(sum(length(c.content)), 0)::bigint AS stored, "
            "coalesce(max(c.number), -1) AS last, coalesce(bool_and(sha256(c.content) = c.digest), true) AS intact, "
            "min(encode(sha256(c.content), 'hex')) AS first "
            "FROM artifacts AS a LEFT JOIN artifact_chunks AS c ON c.ref = a.ref WHERE a.ref = ? GROUP BY a.size",
            [ref],
        )
        if not rows:
            raise missing(ref, str(self.place))
        row = rows[0]
        whole = row["stored"] == row["size"] and row["last"] + 1 == row["chunks"] and row["intact"]
        if not whole or row["chunks"] == 0 or (row["chunks"] == 1 and PREFIX + row["first"] != ref):
            raise damaged(ref)

    def export(self, ref: str, target: Path) -> None:
        self.get(ref).close()
        self.cache.export(ref, target)

    def refs(self) -> Iterator[str]:
        for row in self._read("SELECT ref FROM artifacts", []):
            yield row["ref"]

    def get_frame(self, ref: str, columns: list[str] | None = None) -> pd.DataFrame:
        """As the protocol says; the fetched file is read in place, memory-mapped."""
        self.get(ref).close()
        return self.cache.get_frame(ref, columns)

    def sweep(self) -> int:
        """Also removes the cached files of artifacts that are not in the database any more."""
        removed = self.cache.sweep()
        known = set(self.refs())
        for ref in list(self.cache.refs()):
            if ref not in known:
                removed += self.cache.drop_older(ref)
        return removed

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with self.cache.scratch() as folder:
            yield folder

    # ---- the database ------------------------------------------------------------------------------------------

    def _send(self, ref: str) -> None:
        """Write what the cache holds, replacing a damaged row."""
        self._prepare()
        with self.cache.get(ref) as stream, self._session.transaction() as connection:
            # Whoever writes the same content at the same moment waits here for the other, and finds it written.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [ref])
            if self._intact(ref):
                return
            connection.execute("DELETE FROM artifacts WHERE ref = %s", [ref])
            connection.execute("INSERT INTO artifacts (ref, size) VALUES (%s, %s)", [ref, self.cache.size(ref)])
            with connection.cursor() as cursor:
                for rows in _batches(ref, stream):
                    cursor.executemany("INSERT INTO artifact_chunks VALUES (%s, %s, %s, %s)", rows)

    def _fetch(self, ref: str, *, instead: bool = False) -> None:
        """Bring an artifact into the cache. Raises ArtifactMissing, or ArtifactDamaged when it is not what its name says.

        instead: of a damaged one, which goes first. Where there was none, somebody else may have brought it meanwhile, and
        is using it.
        """
        facts = self._facts(ref)
        if facts is None:
            raise missing(ref, str(self.place))
        if instead:
            self.cache.delete(ref)
        with io.BufferedReader(_Chunks(self._session, ref), CHUNK) as stream:
            self.cache.adopt(stream, ref)

    def _facts(self, ref: str) -> dict[str, Any] | None:
        check_reference(ref)
        rows = self._read("SELECT size FROM artifacts WHERE ref = ?", [ref])
        return rows[0] if rows else None

    def _intact(self, ref: str) -> bool:
        try:
            self.check(ref)
        except (ArtifactMissing, ArtifactDamaged):
            return False
        return True

    def _read(self, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        return self._session.run(sql, parameters) if self._is_made() else []

    def _is_made(self) -> bool:
        """Whether the catalogue's schema is there; looking does not make it."""
        if self.place in _prepared:
            return True
        database = PostgresDatabase(self.place, "catalogue")
        try:
            if not database.exists():
                return False
        finally:
            database.close()
        self._prepare()
        return True

    def _prepare(self) -> None:
        if self.place not in _prepared:
            database = PostgresDatabase(self.place, "catalogue")
            try:
                database.prepare()
            finally:
                database.close()
            _prepared.add(self.place)


class _Chunks(io.RawIOBase):
    """The content of an artifact as the server gives it, chunk by chunk."""

    def __init__(self, session: Session, ref: str) -> None:
        self._session, self._ref, self._next, self._rest = session, ref, 0, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            rows = self._session.run(
                "SELECT content FROM artifact_chunks WHERE ref = ? AND number = ?", [self._ref, self._next], binary=True
            )
            self._next += 1
            self._rest = bytes(rows[0]["content"]) if rows else b""
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _batches(ref: str, stream: IO[bytes]) -> Iterator[list[tuple[str, int, bytes, bytes]]]:
    """Rows of chunks, a few at a time; empty content has one empty chunk."""
    number, rows = 0, []
    content = stream.read(CHUNK)
    while content or number == 0:
        rows.append((ref, number, content, hashlib.sha256(content).digest()))
        number += 1
        if len(rows) == _BATCH:
            yield rows
            rows = []
        content = stream.read(CHUNK)
    if rows:
        yield rows
