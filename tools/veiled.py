"""Artifacts that do not lie in clear: for a machine whose sandbox cannot keep a program from reading the store.

In tier T3 (basic) a program runs with the rights of the person, so it may open any file of theirs. It is not told where
ours are, but it may search. What is put into the store there is therefore encrypted, and the key lies elsewhere, in the
user's configuration folder. That keeps labels from a program that looks through files; it is no custody, since a program
written against us can fetch the key as well, and every score of this tier carries the mark.

A veiled file keeps its name, the hash of its clear content, so that references and journal keys are the same in all
tiers, and veiled and clear files lie side by side. Layout: a mark of 16 bytes, then chunks of 1 MiB of content, each
with its tag of 16 bytes (AES-256-GCM). The key of a file is derived from the user's key and the reference (HKDF-SHA256),
so that no two contents share one, and a chunk's nonce is its number, with a bit for the last: a file cut at a chunk's
border is seen.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from platformdirs import user_config_path

from state.errors import ArtifactDamaged, StoreError
from tools.artifacts import FolderArtifacts, writing
from tools.conversions import PREFIX, damaged
from tools.database import sync_folder
from tools.home import private_folder

if TYPE_CHECKING:
    import pandas as pd
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE = "MODELWRIGHT_KEY_FILE"
_MARK = b"modelwright-veil"
_CHUNK = 1 << 20
_TAG = 16
_KEY = 32


class VeiledArtifacts(FolderArtifacts):
    """A folder of artifacts that reads clear and veiled files, and writes veiled ones when `veil` is set.

    Content that lies there in clear is replaced by a veiled file when it is put again with `veil`.
    """

    def __init__(self, root: Path, *, veil: bool = False) -> None:
        super().__init__(root)
        self.veil = veil

    def put(self, data: bytes | Path) -> str:
        if not self.veil:
            return super().put(data)
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as source:
            ref = PREFIX + hashlib.file_digest(source, "sha256").hexdigest()
            if self._is_veiled(ref) and self._intact(ref):
                return ref
            source.seek(0)
            self._replace(ref, _veiled(source, ref))
        return ref

    def adopt(self, source: IO[bytes], ref: str) -> None:
        if not self.veil:
            super().adopt(source, ref)
        elif self.put(data := source.read()) != ref:
            self.delete(PREFIX + hashlib.sha256(data).hexdigest())
            raise damaged(ref)

    def _replace(self, ref: str, chunks: Iterator[bytes]) -> None:
        """Give the artifact's name to these chunks, once they are durable; an older file there is replaced."""
        temporary = private_folder(self.root / "tmp") / f"{os.getpid()}-{os.urandom(8).hex()}"
        try:
            with writing(self.root), temporary.open("xb") as target:
                for chunk in chunks:
                    target.write(chunk)
                os.fchmod(target.fileno(), 0o400)
                target.flush()
                os.fsync(target.fileno())
            self._place(temporary, ref)
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, ref: str) -> io.BufferedReader | BinaryIO:  # type: ignore[override]  # a veiled file is read from memory
        stream = super().get(ref)
        if stream.peek(len(_MARK))[: len(_MARK)] != _MARK:
            return stream
        with stream:
            return io.BytesIO(b"".join(_unveiled(stream, ref)))

    def size(self, ref: str) -> int:
        whole = super().size(ref)
        if not self._is_veiled(ref):
            return whole
        chunks = max(1, -(-(whole - len(_MARK)) // (_CHUNK + _TAG)))
        return whole - len(_MARK) - chunks * _TAG

    def check(self, ref: str) -> None:
        if not self._is_veiled(ref):
            super().check(ref)
            return
        with super().get(ref) as stream:
            digest = hashlib.sha256()
            for chunk in _unveiled(stream, ref):
                digest.update(chunk)
        if PREFIX + digest.hexdigest() != ref:
            raise damaged(ref)

    def export(self, ref: str, target: Path) -> None:
        if not self._is_veiled(ref):
            super().export(ref, target)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with super().get(ref) as stream, target.open("xb") as copy:
            for chunk in _unveiled(stream, ref):
                copy.write(chunk)
        target.chmod(0o400)

    def put_frame(self, frame: pd.DataFrame) -> str:
        if not self.veil:
            return super().put_frame(frame)
        from tools.portable.tables import write_arrow

        with _in_memory() as path:
            write_arrow(frame, path)
            return self.put(path)

    def get_frame(self, ref: str, columns: list[str] | None = None) -> pd.DataFrame:
        from tools.portable.tables import read_arrow

        if not self._is_veiled(ref):
            return super().get_frame(ref, columns)
        self.check(ref)
        with super().get(ref) as stream, _in_memory() as path:
            with path.open("wb") as clear:
                for chunk in _unveiled(stream, ref):
                    clear.write(chunk)
            return read_arrow(path, columns)

    def _is_veiled(self, ref: str) -> bool:
        if not self.has(ref):
            return False
        with super().get(ref) as stream:
            return stream.read(len(_MARK)) == _MARK


def veil_key() -> bytes:
    """The user's key, made at the first call. Writes one file of mode 0600 outside the store; an environment variable
    (MODELWRIGHT_KEY_FILE) may name another one."""
    path = key_path()
    if not path.exists():
        try:
            _make_key(path)
        except OSError as error:
            raise StoreError(
                f"the key file {str(path)!r} cannot be made: {error.strerror}",
                hint=f"set {KEY_VARIABLE} to another file",
            ) from error
    return _read_key(path)


def _make_key(path: Path) -> None:
    """Write a new key, unless another process was quicker. It has its name only when it is whole and durable: a kill must
    leave no empty one, and a power cut not take away what artifacts have been veiled with."""
    new = private_folder(path.parent) / f".{path.name}.{secrets.token_hex(4)}"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(secrets.token_bytes(_KEY))
            target.flush()
            os.fsync(target.fileno())
        with suppress(FileExistsError):
            os.link(new, path)  # unlike a rename it replaces nothing
    finally:
        new.unlink()
    sync_folder(path.parent)


def key_path() -> Path:
    """Where the user's key lies."""
    told = os.environ.get(KEY_VARIABLE, "").strip()
    return Path(told).expanduser().absolute() if told else user_config_path("modelwright") / "veil.key"


def _read_key(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _KEY:
        raise StoreError(
            f"the key file {str(path)!r} holds {len(key)} bytes instead of {_KEY}",
            hint="restore it: artifacts of runs in sandbox tier T3 cannot be read without it; or move it away",
        )
    return key


def _veiled(source: IO[bytes], ref: str) -> Iterator[bytes]:
    """The mark, and the chunks of a clear stream, each encrypted; an empty content is one empty chunk."""
    cipher, number, chunk = _cipher(ref), 0, source.read(_CHUNK)
    yield _MARK
    while True:
        following = source.read(_CHUNK)
        yield cipher.encrypt(_nonce(number, last=not following), chunk, None)
        if not following:
            return
        number, chunk = number + 1, following


def _unveiled(stream: IO[bytes], ref: str) -> Iterator[bytes]:
    """The clear chunks of a veiled stream. Raises ArtifactDamaged for one that was changed, cut, or veiled by another key."""
    from cryptography.exceptions import InvalidTag

    cipher, number = _cipher(ref), 0
    stream.read(len(_MARK))
    chunk = stream.read(_CHUNK + _TAG)
    while True:
        following = stream.read(_CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, None)
        except InvalidTag as error:
            raise ArtifactDamaged(
                f"the veiled artifact {ref!r} cannot be read: it was changed, or veiled with another key than that in "
                f"{str(key_path())!r}",
                hint="restore that key file; otherwise run the command again, and what can be is made anew",
            ) from error
        if not following:
            return
        number, chunk = number + 1, following


@contextmanager
def _in_memory() -> Iterator[Path]:
    """The path of an empty file that lies in this process's memory, on no disk."""
    handle = os.memfd_create("artifact", os.MFD_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _cipher(ref: str) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), _KEY, salt=None, info=ref.encode()).derive(veil_key()))


def _nonce(number: int, last: bool) -> bytes:
    return (2 * number + last).to_bytes(12, "big")
