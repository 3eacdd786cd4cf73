"""Keeps what a job prints, within bounds, and writes small files so that no crash can tear them.

Stands alone (standard library only), since keepers use it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

_READ_AT_ONCE = 2**20
_FLOOD_PAUSE = 0.005
"""Seconds between reads once output is being dropped, so that a flood costs the program time and us little."""
_F_SETPIPE_SZ = 1031


class CappedLog:
    """Output of a job: the first quarter and the last three quarters of what fits; the middle of a flood is dropped."""

    def __init__(self, most: int) -> None:
        self.head_size = most // 4
        self.tail_size = most - self.head_size
        self.head = b""
        self.tail = b""
        self.dropped = 0

    def take(self, source: int) -> bool:
        """Read what is there, at most a megabyte, without waiting for more. False at end of file."""
        most = _READ_AT_ONCE
        if self.dropped > most:
            time.sleep(_FLOOD_PAUSE)
        while most > 0:
            try:
                data = os.read(source, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            most -= len(data)
            self._add(data)
        return True

    def write(self, path: Path) -> None:
        """Write the kept output, with a line where bytes were dropped. Writes no file when there was no output."""
        self._trim()
        if self.head or self.tail:
            gap = f"\n… {self.dropped} bytes left out …\n".encode() if self.dropped else b""
            path.write_bytes(self.head + gap + self.tail)

    def _add(self, data: bytes) -> None:
        room = self.head_size - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.tail += data
        if len(self.tail) > 2 * self.tail_size:
            self._trim()

    def _trim(self) -> None:
        extra = len(self.tail) - self.tail_size
        if extra > 0:
            self.dropped += extra
            self.tail = self.tail[extra:]


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that after any crash it is there whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def widen(pipe: int) -> None:
    """Let a pipe hold a megabyte, where the system can."""
    if sys.platform.startswith("linux"):
        try:
            fcntl.fcntl(pipe, _F_SETPIPE_SZ, _READ_AT_ONCE)
        except OSError:  # the user's share of pipe memory is used up
            return
