"""Plain words for a disk that refuses: which path, why, and how much to free."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from state.errors import DiskFull, StoreError
from tools import disk
from tools.disk import RESERVE, check_room, free_bytes, is_tight, sized, writing


def test_room_is_measured_where_the_path_would_lie(tmp_path: Path) -> None:
    """Also for a path whose folders are not there yet."""
    assert abs(free_bytes(tmp_path / "a" / "b") - free_bytes(tmp_path)) < 2**30
    assert not is_tight(tmp_path)


def test_too_little_room_is_refused_with_the_bytes_to_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed, what there is, and the difference; with enough room nothing is said."""
    monkeypatch.setattr(disk, "free_bytes", lambda path: RESERVE + 1000)
    check_room(tmp_path, 1000)
    with pytest.raises(DiskFull) as refused:
        check_room(tmp_path, 1000 + 5 * 2**20)
    assert str(tmp_path) in refused.value.message
    assert "69.0 MB are needed there, 64.0 MB are free" in refused.value.message
    assert refused.value.hint.startswith("free 5.0 MB on ")
    assert "modelwright resume" in refused.value.hint


@pytest.mark.parametrize(
    ("number", "kind", "word"),
    [
        (errno.ENOSPC, DiskFull, "is full"),
        (errno.EDQUOT, DiskFull, "is full"),
        (errno.EROFS, StoreError, "cannot be written"),
        (errno.EACCES, StoreError, "cannot be written"),
        (errno.EIO, StoreError, "cannot be written"),
    ],
)
def test_refused_writes_are_named(number: int, kind: type[StoreError], word: str, tmp_path: Path) -> None:
    """The system's error becomes one of ours, with the path."""
    with pytest.raises(StoreError) as refused, writing(tmp_path):
        raise OSError(number, "told by the system")
    assert type(refused.value) is kind
    assert f"{str(tmp_path)!r}" in refused.value.message
    assert word in refused.value.message
    assert "told by the system" in refused.value.message


def test_other_errors_go_on_as_they_are(tmp_path: Path) -> None:
    """A file that is not there is a mistake of ours, not the disk's."""
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        (tmp_path / "gone").read_bytes()


def test_sizes_are_said_as_people_say_them() -> None:
    assert [sized(number) for number in (12, 2048, 3 * 2**20, 5 * 2**30)] == ["12 bytes", "2.0 KB", "3.0 MB", "5.0 GB"]
