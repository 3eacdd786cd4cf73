"""Takes what a job wrote, on the trusted side: nothing is imported, unpickled or run, no link is followed.

Every file is opened component by component with O_NOFOLLOW, must be a regular file with one plain name and an allowed
size, and is hashed while it is copied. This runs after the last process of the job has been killed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from tools.executors import forms

_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
_WANTED = {
    "fold": ("predictions.npy", "model"),
    "explain": ("predictions.npy", "permuted.npz"),
    "predict": ("predictions.npy",),
    "fit": ("probe.npy", "model"),
    "script": (),
}
"""What is taken of each kind of job; everything of a script's."""
_REQUIRED = {"fold": "predictions.npy", "explain": "permuted.npz", "predict": "predictions.npy", "fit": "model"}
_FORMS: dict[str, Callable[[IO[bytes], int], None]] = {
    "predictions.npy": forms.check_array,
    "probe.npy": forms.check_array,
    "permuted.npz": lambda file, _: forms.check_archive(file),
}
"""What the harness's own files must be. A script's outputs have names and forms of their own."""
_NOT_OUTPUT = ("result.json", "traceback.txt")
_DEEPEST = 6
_MOST_FILES = 5000
_AT_ONCE = 32 * 2**20
_MOST_TEXT = 2**20


class BadOutput(Exception):
    """What a job left cannot be taken; the message names the file and says why."""


class Store(Protocol):
    """What the collector needs of the artifact store."""

    def put(self, data: bytes | Path) -> str: ...


def collect(folder: Path, kind: str, store: Store, most_bytes: int) -> dict[str, str]:
    """Copy a finished job's outputs into the store. Returns name below `out/` → reference.

    `folder` is the job's; large files pass through a temporary file in it. Raises BadOutput for anything but plain
    files with plain names within `most_bytes` in total, and when a file every job of this kind writes is missing.
    """
    out = folder / "out"
    wanted = _WANTED[kind]
    taken: dict[str, str] = {}
    left = most_bytes
    for name in _names(out, wanted):
        reference, size = _take(out, name, folder, store, left, None if kind == "script" else _FORMS.get(name))
        taken[name] = reference
        left -= size
    required = _REQUIRED.get(kind, "")
    if required and not any(name.split("/")[0] == required for name in taken):
        raise BadOutput(f"the program ended without an error, but there is no {required!r} in out/")
    return taken


def read_text(folder: Path, name: str) -> str:
    """A small text file a job left in `out/`, at most 1 MB, or an empty text when it is none."""
    try:
        with os.fdopen(_open(folder / "out", name), "rb") as file:
            return file.read(_MOST_TEXT).decode(errors="replace")
    except (OSError, BadOutput):
        return ""


def read_result(folder: Path) -> dict[str, Any]:
    """The object in `out/result.json`; raises BadOutput when it is missing or no JSON object."""
    try:
        return forms.read_facts(read_text(folder, "result.json"))
    except forms.BadForm as error:
        raise BadOutput(
            f"the program ended without an error, but result.json in out/ is missing or damaged: it {error}"
        ) from None


def _names(out: Path, wanted: tuple[str, ...]) -> list[str]:
    """All names to take. Counted before anything is copied: thousands of files would each be written durably."""
    names = []
    for name in _walk(out, wanted):
        if name not in _NOT_OUTPUT:
            names.append(name)
        if len(names) > _MOST_FILES:
            raise BadOutput(f"more than {_MOST_FILES} files in out/")
    return names


def _walk(out: Path, wanted: tuple[str, ...]) -> Iterator[str]:
    """Names of the files below `out/`, sorted; only those under `wanted` names when there are any."""
    top = sorted(entry.name for entry in os.scandir(out))
    waiting = [name for name in reversed(top) if not wanted or name in wanted]
    while waiting:
        name = waiting.pop()
        part = name.rpartition("/")[2]
        if not _NAME.fullmatch(part) or part in (".", ".."):
            raise BadOutput(f"the name {name!r} in out/; names are letters, digits, dot, dash, underscore (80 at most)")
        if name.count("/") >= _DEEPEST:
            raise BadOutput(f"{name!r} in out/ lies more than {_DEEPEST} folders deep")
        facts = os.lstat(out / name)
        if stat.S_ISDIR(facts.st_mode):
            waiting += sorted((f"{name}/{entry.name}" for entry in os.scandir(out / name)), reverse=True)
        else:
            yield name


def _open(out: Path, name: str) -> int:
    """Open a regular file below `out/` for reading, no component being a link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    current = os.open(out, flags | os.O_DIRECTORY)
    try:
        *parents, last = name.split("/")
        for part in parents:
            deeper = os.open(part, flags | os.O_DIRECTORY, dir_fd=current)
            os.close(current)
            current = deeper
        if not stat.S_ISREG(os.stat(last, dir_fd=current, follow_symlinks=False).st_mode):
            raise BadOutput(f"{name!r} in out/ is no regular file")
        # O_NONBLOCK: should it have become a pipe since the look above, opening it must not wait for a writer.
        file = os.open(last, flags | os.O_NONBLOCK, dir_fd=current)
    finally:
        os.close(current)
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        os.close(file)
        raise BadOutput(f"{name!r} in out/ is no regular file of its own (a link to another file?)")
    return file


def _take(
    out: Path, name: str, folder: Path, store: Store, most: int, form: Callable[[IO[bytes], int], None] | None
) -> tuple[str, int]:
    """Copy one file, of this form if one is wanted, into the store; returns (reference, bytes)."""
    try:
        source = _open(out, name)
    except OSError as error:
        raise BadOutput(f"{name!r} in out/ cannot be read: {error.strerror}") from error
    with os.fdopen(source, "rb") as file:
        size = os.fstat(source).st_size
        if size > most:
            raise BadOutput(f"{name!r} in out/ and what came before it is larger than the disk limit")
        if form is not None:
            _check(form, file, size, name)
        if size <= _AT_ONCE:
            data = file.read(_AT_ONCE + 1)
            return _checked(store.put(data), hashlib.sha256(data).hexdigest(), name), len(data)
        digest = hashlib.sha256()
        copy = folder / "copy"
        with open(copy, "wb") as target:
            while chunk := file.read(2**20):
                digest.update(chunk)
                target.write(chunk)
        try:
            return _checked(store.put(copy), digest.hexdigest(), name), size
        finally:
            copy.unlink(missing_ok=True)


def _check(form: Callable[[IO[bytes], int], None], file: IO[bytes], size: int, name: str) -> None:
    try:
        form(file, size)
    except forms.BadForm as error:
        raise BadOutput(f"{name!r} in out/ {error}") from None
    file.seek(0)


def _checked(reference: str, digest: str, name: str) -> str:
    if reference != f"sha256:{digest}":
        raise BadOutput(f"{name!r} in out/ changed while it was copied")
    return reference
