"""A terminal for the command line: a pseudo-terminal with a person who reads and types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.command import environment

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What the person sees: everything that was written, with and without escape sequences."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self._handle = handle
        self.raw = ""
        self._seen = 0

    @property
    def text(self) -> str:
        """All output without escape sequences; frames of the live view follow one another."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")

    def wait_for(self, words: str, *, patience: float = 1200.0) -> None:
        """Read until `words` come that no earlier call has waited for."""
        give_up = time.monotonic() + patience
        while words not in self.text[self._seen :]:
            if not self._read(give_up - time.monotonic()):
                raise AssertionError(f"the terminal never showed {words!r}:\n{self.text[-4000:]}")
        self._seen += self.text[self._seen :].index(words) + len(words)

    def type(self, keys: str) -> None:
        """Press keys; "\\x03" is Ctrl-C."""
        os.write(self._handle, keys.encode())

    def end(self, *, patience: float = 1200.0) -> int:
        """Read to the end and return the exit code."""
        give_up = time.monotonic() + patience
        while self._read(give_up - time.monotonic()):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, patience: float) -> bool:
        """More output; False at the end of it, or when the patience is over."""
        if not select.select([self._handle], [], [], max(0.0, patience))[0]:
            return False
        try:
            chunk = os.read(self._handle, 65536)
        except OSError:  # Linux ends a pseudo-terminal so
            return False
        self.raw += chunk.decode(errors="replace")
        return bool(chunk)


@contextmanager
def terminal(*arguments: object, home: Path, columns: int = 100, rows: int = 40, **more: str) -> Iterator[Terminal]:
    """`modelwright …` at a terminal of that size; killed at the end if it still runs."""
    variables = environment(home, TERM="xterm-256color", **more)
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        if name not in more:
            variables.pop(name, None)
    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(home.parent)
        os.execve(sys.executable, [sys.executable, "-m", "modelwright", *map(str, arguments)], variables)
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    shown = Terminal(pid, handle)
    try:
        yield shown
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(handle)
