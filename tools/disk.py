"""The disk: whether there is room before work begins, and plain words when a write is refused.

`check_room` is asked before each step and each job, so that a run normally stops between two steps, with a sentence, and
not somewhere inside a write. That is a courtesy, not the guarantee: other programs fill disks too, and quotas show in no
number. The guarantee is that every write of ours is whole or not at all, and that a refused one is named: `writing` turns
the system's error into a StoreError with path, cause and the bytes to free. Either way the run can be resumed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.errors import DiskFull, StoreError

RESERVE = 64 * 2**20
"""Bytes that are to stay free beside what a step is expected to write: databases, logs, the report."""
TIGHT = 8 * 2**20
"""With fewer bytes free, a job's failure says nothing about its program."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG})


def free_bytes(path: Path) -> int:
    """Bytes this user may still write where `path` lies, or where it would lie."""
    return shutil.disk_usage(_existing(path)).free


def check_room(path: Path, need: int) -> None:
    """Raise DiskFull unless `need` bytes and the reserve are free where `path` lies."""
    free = free_bytes(path)
    if free < need + RESERVE:
        raise full(path, need + RESERVE - free, f"{sized(need + RESERVE)} are needed there, {sized(free)} are free")


def is_tight(path: Path) -> bool:
    """Whether so little is free where `path` lies that writes fail, whoever makes them."""
    return free_bytes(path) < TIGHT


@contextmanager
def writing(path: Path | None = None) -> Iterator[None]:
    """Name what refuses a write: DiskFull for a full disk or a used up quota, StoreError for a place that is read-only.

    path: where the write goes, when the system's error does not say. Other errors go on as they are.
    """
    try:
        yield
    except OSError as error:
        if not is_about_disk(error):
            raise
        raise named(error, path) from error


def named(error: OSError, path: Path | None = None) -> StoreError:
    """The error of ours for one of the system's. path: where the write went, when the error does not say."""
    place = path or Path(str(error.filename or home_folder()))
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return full(place, max(RESERVE - free_bytes(place), RESERVE // 4), reason)
    hint = "check that you may write there, or set MODELWRIGHT_HOME to another folder"
    return StoreError(f"{str(place)!r} cannot be written: {reason}", hint=f"{hint}; nothing that was finished is lost")


def is_full(error: OSError) -> bool:
    """Whether the system refused a write for want of room."""
    return error.errno in _FULL


def is_about_disk(error: OSError) -> bool:
    """Whether the system refused a write for want of room or of leave, as against a mistake of the program's."""
    return error.errno in _FULL | _REFUSED


def full(path: Path, missing: int, reason: str) -> DiskFull:
    """The error for a full disk, with the bytes to free."""
    return DiskFull(
        f"the disk of {str(path)!r} is full: {reason}",
        hint=f"free {sized(missing)} on {_mount(path)!r} (`modelwright prune` frees what no run needs), then "
        "`modelwright resume` goes on; nothing that was finished is lost",
    )


def sized(count: int) -> str:
    """Bytes as people say them."""
    for size, unit in ((2**30, "GB"), (2**20, "MB"), (2**10, "KB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def home_folder() -> Path:
    """Where most of what is written goes."""
    from tools.home import home

    return home()


def _existing(path: Path) -> Path:
    for place in (path, *path.parents):
        if place.exists():
            return place
    return Path("/")


def _mount(path: Path) -> str:
    place = _existing(path.absolute())
    while not os.path.ismount(place) and place != place.parent:
        place = place.parent
    return str(place)
