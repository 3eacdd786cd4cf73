"""Holding a release against its manifest: every file by its hash, the manifest by its own. Nothing is run or loaded."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from state.errors import ArtifactDamaged, NotFound, VersionMismatch
from tools.release.manifest import FORMAT_VERSION, SEAL, is_sealed, json_text

MANIFEST = "manifest.json"
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_MANIFEST = 256 * 2**20
_COPY_AGAIN = "copy the release folder again, whole"

Entry = dict[str, Any]


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a release. Raises NotFound when there is none, VersionMismatch when it is of another format."""
    path = folder / MANIFEST
    if not os.path.lexists(path) or path.is_dir():
        raise NotFound(
            f"{str(folder)!r} holds no release: there is no {MANIFEST}",
            hint="name the folder a build printed as its release; `modelwright ls` lists the runs",
        )
    try:
        content = json.loads(read_regular(path, _MOST_MANIFEST).decode("utf-8"))
        version, _ = content["format_version"], content["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactDamaged(f"{str(path)!r} is no manifest of a release: {error!r}", hint=_COPY_AGAIN) from error
    if version != FORMAT_VERSION:
        raise VersionMismatch(
            f"{str(path)!r} has format version {version!r}; this modelwright reads {FORMAT_VERSION}",
            hint="use the modelwright that made it (named in the manifest), or the release's own inference.py",
        )
    manifest: dict[str, Any] = content
    return manifest


def manifest_hash(folder: Path) -> str:
    """SHA-256 (hex) of the bytes of manifest.json: what a build prints, and what the catalogue keeps."""
    return hash_of(folder / MANIFEST)


def hash_of(path: Path) -> str:
    """SHA-256 (hex) of a regular file's bytes. Raises OSError when it is none or cannot be read; follows no link."""
    with os.fdopen(_open(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_release(folder: Path) -> None:
    """Compare every file of a release with its manifest, and the manifest with its own hash.

    Raises ArtifactDamaged listing all files that are missing, changed, not regular files, or not part of the release.
    Compiled Python files in __pycache__ are ignored: running the model leaves none, importing it does.
    """
    problems = differences(folder, read_manifest(folder))
    if problems:
        raise ArtifactDamaged(
            f"the release {str(folder)!r} is not as it was published:\n"
            + "\n".join(f"  - {text}" for text in problems),
            hint=f"{_COPY_AGAIN}; or remove what you added",
        )


def differences(folder: Path, manifest: dict[str, Any], *, strict: bool = False) -> list[str]:
    """Everything in which a folder differs from its manifest: "path: what", the manifest's own faults first.

    strict: compiled Python and empty folders count as well.
    """
    problems = _own_faults(folder, manifest)
    expected: dict[str, Entry] = {}
    for name, entry in manifest["files"].items():
        if not _is_inside(name):
            problems.append(f"{name}: no path inside a release")
        elif not _is_entry(entry):
            problems.append(f"{name}: no hash and size in {MANIFEST}")
        else:
            expected[name] = entry
    folders = {str(parent) for name in expected for parent in PurePosixPath(name).parents}
    found = set()
    for name, kind in _walk(folder):
        if kind == "folder":
            if strict and name not in folders:
                problems.append(f"{name}: a folder that is not part of the release")
            continue
        if kind == "closed":
            problems.append(f"{name}: a folder that cannot be opened")
            continue
        found.add(name)
        compiled = PurePosixPath(name).parent.name == "__pycache__" and name.endswith(".pyc")
        if name == MANIFEST or (compiled and not strict and kind == "file"):
            continue
        if name not in expected:
            problems.append(f"{name}: not part of the release")
        elif kind != "file":
            problems.append(f"{name}: not a regular file")
        elif fault := _fault(folder / name, expected[name]):
            problems.append(f"{name}: {fault}")
    return problems + [f"{name}: missing" for name in sorted(set(expected) - found)]


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file that is no link. Raises OSError when it is none, ValueError beyond `most` bytes."""
    with os.fdopen(_open(path), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes")
    return content


def _own_faults(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Whether the manifest is, byte for byte, what was written; any single change of it is seen here."""
    if not is_sealed(manifest):
        return [f"{MANIFEST}: changed (its content does not have the hash it says in {SEAL!r})"]
    if read_regular(folder / MANIFEST, _MOST_MANIFEST) != json_text(manifest).encode("utf-8", "surrogatepass"):
        return [f"{MANIFEST}: changed (it is not written as it was published)"]
    return []


def _is_inside(name: str) -> bool:
    """Whether a name of the manifest is a plain relative path that cannot leave the folder."""
    path = PurePosixPath(name)
    plain = bool(path.parts) and not path.is_absolute() and str(path) == name and "\0" not in name
    return plain and ".." not in path.parts and name != MANIFEST


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or set(entry) != {"sha256", "size"}:
        return False
    digest, size = entry["sha256"], entry["size"]
    return isinstance(digest, str) and bool(_HASH.fullmatch(digest)) and type(size) is int and size >= 0


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Path and kind (folder, closed, file, other) of everything below a folder, sorted; no link is followed."""
    waiting = [""]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(folder / place) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield place or ".", "closed"
            continue
        for entry in listed:
            name = f"{place}/{entry.name}" if place else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
                yield name, "folder"
            else:
                yield name, "file" if entry.is_file(follow_symlinks=False) else "other"


def _fault(path: Path, entry: Entry) -> str:
    """What is wrong with a file, or nothing."""
    try:
        if path.lstat().st_size != entry["size"] or hash_of(path) != entry["sha256"]:
            return "changed"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def _open(path: Path) -> int:
    """Open a regular file; never waits for a pipe, never follows a link in the last place."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no regular file", str(path))
    return handle
