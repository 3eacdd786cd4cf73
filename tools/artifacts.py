"""Content-addressed artifacts: frames, models, predictions, programs and logs, named by their SHA-256.

Nothing else opens artifact paths. A name is given to a file only when its whole content is durable, so the folder is
its own index: what is there is complete, and what it must contain is its name. A process that dies while writing leaves
a temporary file at most, which `sweep` removes.

Every implementation passes `tests/conformance/artifacts.py`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol

from state.errors import ArtifactDamaged, ArtifactMissing, StoreError
from tools.conversions import PREFIX, Conversions, damaged
from tools.crash import crash_point
from tools.database import sync_folder
from tools.disk import named
from tools.home import local_folder, private_folder
from tools.places import store_url

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_REFERENCE = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_MISSING_HINT = (
    "restore the artifacts folder from a backup, or start the run again: finished work that is still there is reused"
)


class ArtifactStore(Protocol):
    """Where artifacts lie. A reference is `sha256:` and 64 hex digits; the same content always has the same one."""

    def put(self, data: bytes | Path) -> str:
        """Store bytes, or a copy of a file's content, durably; return the reference. Heals a damaged copy."""
        ...

    def get(self, ref: str) -> BinaryIO:
        """Open for reading, unverified. The caller closes it. Raises ArtifactMissing."""
        ...

    def has(self, ref: str) -> bool: ...

    def delete(self, ref: str) -> None:
        """Remove; does nothing when it is not there."""
        ...

    def size(self, ref: str) -> int:
        """Bytes. Raises ArtifactMissing."""
        ...

    def check(self, ref: str) -> None:
        """Raise ArtifactMissing or ArtifactDamaged unless the whole content is there and matches its name."""
        ...

    def export(self, ref: str, target: Path) -> None:
        """Write a verified, read-only copy to `target`, making its folders; an older file there is replaced."""
        ...

    def refs(self) -> Iterator[str]:
        """References of all artifacts, in no particular order."""
        ...

    def sweep(self) -> int:
        """Remove what dead writers left behind, and count it. Safe beside living ones."""
        ...

    # What follows checks the hash before it hands out content.

    def put_text(self, text: str) -> str: ...

    def get_text(self, ref: str) -> str: ...

    def put_json(self, value: Any) -> str:
        """Store plain data as canonical JSON: equal data has an equal reference."""
        ...

    def get_json(self, ref: str) -> Any: ...

    def put_frame(self, frame: pd.DataFrame) -> str:
        """Store a frame of canonical columns as an Arrow file."""
        ...

    def get_frame(self, ref: str, columns: list[str] | None = None) -> pd.DataFrame: ...

    def put_array(self, array: np.ndarray) -> str:
        """Store an array of numbers as .npy, without pickle."""
        ...

    def get_array(self, ref: str) -> np.ndarray: ...


class FolderArtifacts(Conversions):
    """Artifacts as read-only files `sha256/<2 digits>/<64 digits>` below a private folder.

    Safe to use from many threads and processes at once: equal content written twice ends as one file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: dict[str, tuple[int, int, int, int]] = {}

    def put(self, data: bytes | Path) -> str:
        if isinstance(data, bytes):
            ref = _reference(hashlib.sha256(data).hexdigest())
            if self._intact(ref):
                return ref
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as source:
            return self._take(source)

    def adopt(self, source: IO[bytes], ref: str) -> None:
        """Store a stream whose reference is known. Raises ArtifactDamaged, and keeps nothing, when it is another's."""
        self._take(source, expected=ref)

    def put_frame(self, frame: pd.DataFrame) -> str:
        """As the protocol says; written where it stays, without a copy of the file."""
        from tools.portable.tables import write_arrow

        def write(path: Path) -> str:
            write_arrow(frame, path)
            with path.open("rb") as written:
                return _reference(hashlib.file_digest(written, "sha256").hexdigest())

        return self._made(write)

    def _take(self, source: IO[bytes], expected: str = "") -> str:
        def write(path: Path) -> str:
            with path.open("xb") as target:
                ref = _reference(_copy(source, target))
            if expected not in ("", ref):
                raise damaged(expected)
            return ref

        return self._made(write)

    def _made(self, write: Callable[[Path], str]) -> str:
        """Let a new file be written, whose reference `write` returns, and place it once it is durable."""
        temporary = private_folder(self.root / "tmp") / f"{os.getpid()}-{os.urandom(8).hex()}"
        try:
            with writing(self.root):
                ref = write(temporary)
                with temporary.open("rb") as written:
                    os.fchmod(written.fileno(), 0o400)
                    os.fsync(written.fileno())
            if not self._intact(ref):
                self._place(temporary, ref)
        finally:
            temporary.unlink(missing_ok=True)
        return ref

    def get(self, ref: str) -> io.BufferedReader:
        try:
            return self._path(ref).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise missing(ref, str(self.root)) from None

    def has(self, ref: str) -> bool:
        return self._path(ref).is_file()

    def delete(self, ref: str) -> None:
        self._path(ref).unlink(missing_ok=True)

    def size(self, ref: str) -> int:
        try:
            return self._path(ref).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise missing(ref, str(self.root)) from None

    def check(self, ref: str) -> None:
        """Hashes the file once per process, and again only when the file system says that it was touched since."""
        with self.get(ref) as stream:
            facts = os.fstat(stream.fileno())
            mark = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
            if self._verified.get(ref) == mark:
                return
            if _reference(hashlib.file_digest(stream, "sha256").hexdigest()) != ref:
                raise damaged(ref)
        self._verified[ref] = mark

    def export(self, ref: str, target: Path) -> None:
        # A copy, never a hard link: a job that makes its input writable would change the store itself.
        self.check(ref)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with writing(target.parent):
            shutil.copyfile(self._path(ref), target)
        target.chmod(0o400)

    def refs(self) -> Iterator[str]:
        for path in self.root.glob("sha256/*/*"):
            if _REFERENCE.fullmatch(_reference(path.name)):
                yield _reference(path.name)

    def get_frame(self, ref: str, columns: list[str] | None = None) -> pd.DataFrame:
        """As the protocol says; read in place, memory-mapped, without a copy of the file."""
        from tools.portable.tables import read_arrow

        self.check(ref)
        return read_arrow(self._path(ref), columns)

    def sweep(self, older_than: float = 3600.0) -> int:
        """Remove temporary files that no living writer can still need (untouched for so many seconds); count them."""
        removed = 0
        for path in self.root.glob("tmp/*"):
            try:
                facts = path.stat()
                is_folder = stat.S_ISDIR(facts.st_mode)
                touched = max([facts.st_mtime, *(one.stat().st_mtime for one in (path.iterdir() if is_folder else ()))])
                if time.time() - touched <= older_than:
                    continue
                if is_folder:
                    shutil.rmtree(path, ignore_errors=True)
                elif stat.S_ISREG(facts.st_mode):
                    path.unlink()
                else:
                    continue
                removed += 1
            except FileNotFoundError:
                continue  # its writer was quicker
        return removed

    def drop_older(self, ref: str, older_than: float = 3600.0) -> int:
        """Remove a file that lies here longer than so many seconds; count it."""
        try:
            if time.time() - self._path(ref).stat().st_mtime <= older_than:
                return 0
        except FileNotFoundError:
            return 0
        self.delete(ref)
        return 1

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with self.scratch() as folder:
            yield folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder beside the artifacts, removed at the end."""
        with writing(self.root), tempfile.TemporaryDirectory(dir=private_folder(self.root / "tmp")) as folder:
            yield Path(folder)

    def _path(self, ref: str) -> Path:
        check_reference(ref)
        name = ref.removeprefix(PREFIX)
        return self.root / "sha256" / name[:2] / name

    def _intact(self, ref: str) -> bool:
        try:
            self.check(ref)
        except (ArtifactMissing, ArtifactDamaged):
            return False
        return True

    def _place(self, temporary: Path, ref: str) -> None:
        path = self._path(ref)
        fresh = not path.parent.exists()
        private_folder(path.parent)
        crash_point("mid-rename")
        with writing(self.root):
            temporary.rename(path)
            sync_folder(path.parent)
            if fresh:
                sync_folder(path.parent.parent)


def open_artifacts(*, veil: bool = False) -> ArtifactStore:
    """The artifact store: a folder of this home, or the shared database with a folder of this home as its cache.

    veil: write files encrypted, for machines where programs can read the folder (tools/veiled.py). Both kinds are read.
    """
    from tools.veiled import VeiledArtifacts

    folder, url = VeiledArtifacts(local_folder() / "artifacts", veil=veil), store_url()
    if url is None:
        return folder
    from tools.postgres.artifacts import PostgresArtifacts

    return PostgresArtifacts(url, folder)


def check_reference(ref: str) -> None:
    """Raise StoreError unless this is how a reference reads."""
    if not _REFERENCE.fullmatch(ref):
        raise StoreError(f"{ref!r} is not an artifact reference", hint="references read sha256:<64 hex digits>")


def refs_in(value: Any) -> Iterator[str]:
    """Every artifact reference inside plain data, as value of a mapping or item of a list, at any depth."""
    if isinstance(value, str):
        if _REFERENCE.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from refs_in(item)


def _reference(digest: str) -> str:
    return PREFIX + digest


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    """Write the content, hashing what is written, and return the digest."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a file system refusal into a StoreError that names the folder."""
    try:
        yield
    except OSError as error:
        raise named(error, folder) from error


def missing(ref: str, where: str) -> ArtifactMissing:
    """The error for an artifact that is not in its store."""
    return ArtifactMissing(f"the artifact {ref!r} is not in {where!r}", hint=_MISSING_HINT)
