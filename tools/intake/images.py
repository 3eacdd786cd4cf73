"""Columns that name image files: recognised by their cells, read once, remembered by the content of each file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from state.errors import InputError, Problem
from tools.home import local_folder, private_folder
from tools.intake.column import STANDARD_MISSING, Column
from tools.portable import images, reading

if TYPE_CHECKING:
    import pandas as pd

_MOST_KEPT = 200_000
"""Pictures that are remembered; then the memory begins anew."""
_SIDES = ((5_000, 64), (50_000, 32))
"""Up to so many images, pictures of at most so many pixels a side; beyond, 16. A table stays small enough to work with."""
_LEAST_SIDE = 16
_LOOKED_AT = 25


def find_images(raw: pd.DataFrame, found: dict[str, Column], folder: Path, where: str) -> dict[str, str]:
    """Turn the text columns of `found` that name images into columns of type image; the pictures of all their cells.

    Cells count as names when nine of ten end like one and one of the first few files is there; where none is, the column
    stays text, and a remark says so. Raises InputError with every file that is missing or cannot be read.
    """
    known: dict[str, str] = {}
    problems: list[Problem] = []
    for name, column in found.items():
        if column.type != "text" or not _may_be_images(raw[name]):
            continue
        missing = {"", *(column.missing if column.missing is not None else STANDARD_MISSING)}
        cells = [text for text in reading.distinct(raw[name])[1] if text.strip() not in missing]
        side = _stored_side(cells)
        if not side and _named_like_images(cells):
            there = [cell for cell in cells[:_LOOKED_AT] if Path(folder, cell).expanduser().is_file()]
            if not there:
                column.remarks.append(
                    ("The column names image files, none of which is there; it was read as text", f"in {folder}")
                )
                continue
            side = _side(there, folder, len(cells))
        if side:
            found[name] = Column("image", side=side)
            problems += _read(cells, side, folder, known, f"{where}, column {name!r}")
    if problems:
        raise InputError(problems)
    return known


def _may_be_images(values: pd.Series) -> bool:
    """Whether some cells look like it; a quick look, so that other tables are not gone through."""
    some = [str(cell) for cell in values.iloc[:: max(1, len(values) // 50)] if isinstance(cell, str)]
    return any(cell.startswith(images.PREFIX) or cell.strip().lower().endswith(images.SUFFIXES) for cell in some)


def _named_like_images(cells: list[str]) -> bool:
    named = sum(cell.strip().lower().endswith(images.SUFFIXES) for cell in cells)
    return len(cells) >= 2 and named >= 0.9 * len(cells)


def _stored_side(cells: list[str]) -> int:
    """The side of pictures that stand in the cells themselves; 0 when these are none."""
    if not cells or not all(cell.startswith(images.PREFIX) for cell in cells):
        return 0
    size = cells[0][len(images.PREFIX) :].partition("x")[0]
    return int(size) if size.isdigit() else 0


def _side(cells: list[str], folder: Path, count: int) -> int:
    """Pixels a side: the power of two that holds the usual image, within what a table of so many can hold."""
    most = next((side for limit, side in _SIDES if count <= limit), _LEAST_SIDE)
    sizes = []
    for cell in cells:
        try:
            sizes.append(images.size_of(Path(folder, cell).expanduser().read_bytes()))
        except (OSError, ValueError):
            continue  # told with all the others when they are read
    side = 1 << int(np.ceil(np.log2(max(1.0, float(np.median(sizes)))))) if sizes else most
    return int(min(most, max(_LEAST_SIDE, side)))


def _read(cells: list[str], side: int, folder: Path, known: dict[str, str], where: str) -> list[Problem]:
    """Add the pictures of all cells to `known`; problems of those that have none."""
    with closing(_memory()) as memory:
        keys = _recall(memory, cells, side, folder, known)
        try:
            images.to_images(cells, side, folder, known)
        except images.ImageFilesError as error:
            return [Problem(fault, where=where, cure=_cure(fault, folder)) for fault in error.faults]
        memory.executemany("INSERT OR IGNORE INTO pictures VALUES (?, ?)", [(keys[cell], known[cell]) for cell in keys])
        memory.commit()
    return []


def _cure(fault: str, folder: Path) -> str:
    if images.INSTALL in fault:
        return "pip install 'modelwright[images]', then try again"
    if "not there" in fault:
        return f"paths count from {folder}, the folder of the table, unless they are absolute; bring the files or drop the rows"
    return "replace these files by PNG, JPEG, BMP, GIF or WebP images, or drop the rows"


def _memory() -> sqlite3.Connection:
    """The pictures of earlier runs, by content of the file and size."""
    table = "CREATE TABLE IF NOT EXISTS pictures (key TEXT PRIMARY KEY, picture TEXT NOT NULL)"
    try:
        connection = sqlite3.connect(private_folder(local_folder()) / "pictures.db", timeout=30.0)
        connection.execute(table)
    except sqlite3.Error:  # a folder that cannot be written to, or a damaged file: images are then read anew
        connection = sqlite3.connect(":memory:")
        connection.execute(table)
    if connection.execute("SELECT count(*) FROM pictures").fetchone()[0] > _MOST_KEPT:
        connection.execute("DELETE FROM pictures")
        connection.commit()
    return connection


def _recall(
    memory: sqlite3.Connection, cells: Iterable[str], side: int, folder: Path, known: dict[str, str]
) -> dict[str, str]:
    """Add what is remembered to `known`; the keys of the cells whose files are there and are not remembered."""
    fresh: dict[str, str] = {}
    for cell in cells:
        path = Path(folder, cell).expanduser()
        if cell in known or cell.startswith(images.PREFIX) or not path.is_file():
            continue
        try:
            key = images.content_key(path.read_bytes(), side)
        except OSError:
            continue  # told with all the others when it is read
        row: Any = memory.execute("SELECT picture FROM pictures WHERE key = ?", (key,)).fetchone()
        if row is None:
            fresh[cell] = key
        else:
            known[cell] = row[0]
    return fresh
