"""Kinds of damage, done to the files of a home: what failing disks, stray programs and careless hands leave."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

Harm = Callable[[Path], None]
"""Damages a database, given its path."""


def cut(path: Path) -> None:
    """The second half is missing."""
    content = whole(path)
    path.write_bytes(content[: len(content) // 2])


def header(path: Path) -> None:
    """The first bytes are somebody else's."""
    content = whole(path)
    path.write_bytes(b"\x00garbage" * 10 + content[80:])


def flipped_page(path: Path) -> None:
    """Forty bytes in the middle of a page of the largest table are flipped."""
    content = bytearray(whole(path))
    with closing(sqlite3.connect(path)) as database:
        size = database.execute("PRAGMA page_size").fetchone()[0]
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()[0]
    start = (root - 1) * size + 3
    for place in range(start, start + 40):
        content[place] ^= 0xFF
    path.write_bytes(content)


def flipped_event(path: Path) -> None:
    """One letter of an event is another one: no page is broken by it."""
    flip(path, "SELECT data FROM events WHERE length(data) > 40 ORDER BY seq LIMIT 1")


def flipped_checkpoint(path: Path) -> None:
    """One byte of a checkpoint's content is another one."""
    flip(path, "SELECT checkpoint FROM checkpoints WHERE checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1")


def flip(path: Path, query: str) -> None:
    """Change one byte of a cell where it lies in the file, without SQLite knowing."""
    content = bytearray(whole(path))
    with closing(sqlite3.connect(path)) as database:
        cell = database.execute(query).fetchone()[0]
    wanted = (cell.encode() if isinstance(cell, str) else cell)[-24:]
    place = bytes(content).index(wanted) + 8
    content[place] ^= 0x01
    path.write_bytes(content)


def cut_checkpoint(path: Path) -> None:
    """The content of the newest checkpoint lacks its end."""
    _write(
        path,
        "UPDATE checkpoints SET checkpoint = substr(checkpoint, 1, length(checkpoint) / 2) WHERE checkpoint_id = "
        "(SELECT max(checkpoint_id) FROM checkpoints WHERE checkpoint_ns = '')",
    )


def older(path: Path) -> None:
    """An older copy was put back: it lacks the newest checkpoints."""
    _write(
        path,
        "DELETE FROM checkpoints WHERE checkpoint_id >= "
        "(SELECT checkpoint_id FROM checkpoints WHERE checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1 OFFSET 1)",
    )


def lost_events(path: Path) -> None:
    """The last rows of the log are gone."""
    _write(path, "DELETE FROM events WHERE seq > (SELECT max(seq) / 2 FROM events)")


def emptied(path: Path) -> None:
    """The file is there and holds nothing."""
    whole(path)
    path.write_bytes(b"")


def deleted(path: Path) -> None:
    """The file is gone, with its log of writes."""
    for side in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{side}").unlink(missing_ok=True)


def replaced(path: Path) -> None:
    """Another program's database lies in its place."""
    deleted(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
        database.commit()


def folder_deleted(path: Path) -> None:
    """The run's whole folder is gone."""
    shutil.rmtree(path.parent)


HARMS: dict[str, tuple[Harm, str]] = {
    "cut in half": (cut, "malformed"),
    "header overwritten": (header, "not a database"),
    "page flipped": (flipped_page, "run.db"),
    "event flipped": (flipped_event, "table events"),
    "checkpoint flipped": (flipped_checkpoint, "checkpoint"),
    "checkpoint cut": (cut_checkpoint, "checkpoint"),
    "older copy": (older, "fell behind"),
    "events lost": (lost_events, "lost"),
    "emptied": (emptied, "emptied"),
    "deleted": (deleted, "is not there"),
    "replaced": (replaced, "emptied or replaced"),
    "folder deleted": (folder_deleted, "is not there"),
}
"""Kind of damage to a run's database → what does it, and a word of what is said about it."""


def whole(path: Path) -> bytes:
    """The file's content with its log of writes put into it."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    for side in ("-wal", "-shm"):
        path.with_name(f"{path.name}{side}").unlink(missing_ok=True)
    return path.read_bytes()


def _write(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(sql)
        database.commit()
    whole(path)
