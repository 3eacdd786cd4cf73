"""Job folders: where a job's files lie while it runs, who owns them, and what a dead owner left behind.

    jobs/<key>/<owner>-<number>/   job.json  in/…  out/…  tmp/…  log.txt  receipt.json  collected.json
    jobs/<owner>.lock              held by the executor that owns those folders, freed by the kernel when it dies

`receipt.json` is written by the keeper when the child has ended, `collected.json` by the executor when all outputs are
in the artifact store. A collected receipt stays for a while after it was handed out: the process may be killed before
the journal has noted it, and then the next one finds it here. Closing removes it, for then everybody has been answered;
of a job that failed the log stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from state.jobs import Receipt
from tools.executors.capture import write_durably
from tools.executors.keeper import RECEIPT_VERSION

_ADOPTABLE = ("done", "error")
"""Outcomes that the job itself decided; time, memory and signals belong to the circumstances."""
_ATTEMPT = re.compile(r"[0-9a-f]{12}-[0-9]+")
_KEEP_HANDED_OUT_SECONDS = 120.0
_KEEP_LEFT_BEHIND_SECONDS = 7 * 86400.0


class JobFolders:
    """The folders of one executor. Thread-safe, since each attempt is used by one thread only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owner = uuid.uuid4().hex[:12]
        self._lock = _own(root / f"{self.owner}.lock")
        self._numbers = count(1)
        self._handed_out: list[tuple[float, Path, bool]] = []
        """When, which attempt, and whether it failed."""
        self._notes = threading.Lock()
        """Held while that list is changed: each slot's thread lets go of what has got old in it."""

    def create(self, key: str) -> Path:
        """A new private attempt folder with `in/` and `out/`."""
        while True:
            folder = self.root / key / f"{self.owner}-{next(self._numbers)}"
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                folder.mkdir(mode=0o700)
            except FileNotFoundError:  # a sweep has just removed the empty parent
                continue
            (folder / "in").mkdir(mode=0o700)
            (folder / "out").mkdir(mode=0o700)
            return folder

    def left_behind(self, key: str) -> Iterator[Path]:
        """Attempts at this key by dead owners that have a usable receipt, made ours one by one by renaming.

        Attempts of dead owners without one are removed.
        """
        try:
            with self._moving():
                names = sorted(
                    entry.name for entry in os.scandir(self.root / key) if entry.is_dir(follow_symlinks=False)
                )
        except FileNotFoundError:
            return
        found = filter(_is_attempt, ((self.root / key / name) for name in names))
        for folder in found:
            if self._is_owner_alive(folder.name.partition("-")[0]):
                continue
            # Moved before it is looked at, see `claim`.
            try:
                with self._moving():
                    ours = self.claim(folder)
            except OSError:  # another executor was quicker
                continue
            if not (ours / "collected.json").exists() and not is_usable(read_json(ours / "receipt.json"), key):
                self._drop(ours)
                continue
            yield ours

    def claim(self, folder: Path) -> Path:
        """Move an attempt to a new name of ours. Whoever still knows the old one cannot write into it any more."""
        ours = folder.with_name(f"{self.owner}-{next(self._numbers)}")
        folder.rename(ours)
        return ours

    def discard(self, folder: Path, key: str) -> None:
        """Remove an attempt of ours that came to nothing, unless it has a usable receipt after all.

        Moved before it is looked at, see `claim`: its keeper may write that receipt at this very moment.
        """
        with suppress(OSError):  # it is not there, or cannot be moved, and then not be removed either
            ours = self.claim(folder)
            if not is_usable(read_json(ours / "receipt.json"), key):
                remove(ours)

    def _drop(self, folder: Path) -> None:
        """Remove a dead owner's attempt, but leave a log that was kept for a person."""
        if [entry.name for entry in folder.iterdir()] != ["log.txt"]:
            remove(folder)

    def hand_out(self, folder: Path, receipt: Receipt) -> None:
        """Note durably that everything of an attempt is in the artifact store, and drop all but that note."""
        write_durably(folder / "collected.json", json.dumps(receipt.plain(), ensure_ascii=False).encode())
        for name in ("in", "out", "tmp"):
            wipe(folder / name)
        now = time.monotonic()
        old: list[tuple[float, Path, bool]] = []
        with self._notes:
            self._handed_out.append((now, folder, not receipt.ok))
            while now - self._handed_out[0][0] > _KEEP_HANDED_OUT_SECONDS:
                old.append(self._handed_out.pop(0))
        for _, attempt, failed in old:
            self._let_go(attempt, failed)

    def _let_go(self, folder: Path, failed: bool) -> None:
        self.keep_log(folder) if failed else remove(folder)

    def keep_log(self, folder: Path) -> None:
        """Drop everything of a failed attempt but its log."""
        for entry in list(folder.iterdir()):
            if entry.name != "log.txt":
                wipe(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        if not any(folder.iterdir()):
            remove(folder)

    def sweep(self) -> None:
        """Remove what dead owners left: unfinished attempts at once, receipts and logs after a week."""
        for parent in _subfolders(self.root):
            for folder in filter(_is_attempt, _subfolders(parent)):
                if not self._is_owner_alive(folder.name.partition("-")[0]) and self._is_spent(folder):
                    self._sweep_attempt(folder)
        for lock in self.root.glob("*.lock"):
            if lock.stem != self.owner and not any(self.root.glob(f"*/{lock.stem}-*")):
                _remove_unlocked(lock)

    def close(self) -> None:
        """Remove the notes of everything that was handed out and give up ownership."""
        with self._notes:
            handed_out, self._handed_out = self._handed_out, []
        try:
            for _, attempt, failed in handed_out:
                with suppress(FileNotFoundError):  # somebody removed it with the run's folder
                    self._let_go(attempt, failed)
            (self.root / f"{self.owner}.lock").unlink(missing_ok=True)
        finally:
            os.close(self._lock)

    def _sweep_attempt(self, folder: Path) -> None:
        """Remove a dead owner's attempt that looked spent.

        Moved before it is looked at again, see `claim`: a keeper outlives its owner by a moment, and may have written its
        receipt since. Such an attempt gets its old name back, under which whoever asks for its key finds it.
        """
        with suppress(OSError), self._moving():  # else another executor was quicker
            ours = self.claim(folder)
            if self._is_spent(ours):
                remove(ours)
            else:
                ours.rename(folder)

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """One at a time, whoever it is, moves the attempts of dead owners, or looks for them.

        While a sweep holds one to look at it, whoever asks for its key would miss it, and run a finished job again.
        """
        handle = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _is_spent(self, folder: Path) -> bool:
        keeps = any((folder / name).exists() for name in ("receipt.json", "collected.json", "log.txt"))
        try:
            age = time.time() - folder.stat().st_mtime
        except OSError:
            return False
        return not keeps or age > _KEEP_LEFT_BEHIND_SECONDS

    def _is_owner_alive(self, owner: str) -> bool:
        return owner == self.owner or _is_locked(self.root / f"{owner}.lock")


def is_in_use(root: Path) -> bool:
    """Whether some living executor owns the job folders in `root`."""
    return any(map(_is_locked, root.glob("*.lock")))


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:  # too many open files, say: nobody can tell, and what may be a living owner's must not be touched
        return True
    try:
        # Shared, so that two who look at the same moment do not take each other for the owner.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _own(path: Path) -> int:
    """A handle that holds the lock file at `path`, which is made, as its folder is."""
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # a sweep has just removed the empty folder
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return handle
        os.close(handle)  # a sweep saw it unlocked in the moment before and removed it


def _remove_unlocked(path: Path) -> None:
    """Remove the lock file of an owner that has no attempts, unless it lives.

    Under the lock itself. An owner that is just being made would otherwise lock a file that loses its name a moment
    later, and count as dead to everybody while it lives.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):  # else another sweep removed it, and the owner made it anew
            path.unlink()
    except OSError:  # its owner lives, or it has gone already
        return
    finally:
        os.close(lock)


def is_usable(receipt: dict[str, Any] | None, key: str) -> bool:
    """True for a receipt of this key whose outputs are certain to be whole.

    Outputs are not forced to disk before the receipt is; so it is believed only until the machine starts anew.
    """
    return (
        receipt is not None
        and receipt.get("version") == RECEIPT_VERSION
        and receipt.get("key") == key
        and receipt.get("status") in _ADOPTABLE
        and bool(receipt.get("boot"))
        and receipt.get("boot") == boot_id()
    )


def boot_id() -> str:
    """A name for the time since the machine was started; empty where the system has none (nothing is adopted then)."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object written by a keeper or by us; None when it is not there or not whole."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def remove(folder: Path) -> None:
    """Remove an attempt, and the folder of its key when it was the last."""
    wipe(folder)
    try:
        folder.parent.rmdir()
    except OSError:  # other attempts are still there
        return


def wipe(folder: Path) -> None:
    """Remove a folder and all in it, also what a program has made unreadable or nested beyond measure.

    Links are not followed. What cannot be removed stays for the next sweep.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    waiting: list[str] = []
    try:
        _empty(str(folder), folder, waiting)
        while waiting:
            place = waiting.pop()
            _empty(place, folder, waiting)
            os.rmdir(place)
        folder.rmdir()
    except OSError:
        return


def _empty(place: str, top: Path, waiting: list[str]) -> None:
    """Remove the files of a folder and move its folders up to `top`, so that no path ever gets long."""
    os.chmod(place, 0o700)
    with os.scandir(place) as entries:
        found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for path, is_folder in found:
        if not is_folder:
            os.unlink(path)
            continue
        os.chmod(path, 0o700)  # a folder can be moved by who may write into it
        waiting.append(str(top / f"{uuid.uuid4().hex}.gone"))
        os.rename(path, waiting[-1])


def _is_attempt(folder: Path) -> bool:
    return _ATTEMPT.fullmatch(folder.name) is not None


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
