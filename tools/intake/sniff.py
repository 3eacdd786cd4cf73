"""What a file is, told by its content: a table we read, or something to refuse with advice."""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from state.errors import InputError, Problem
from tools.portable import reading

Format = Literal["csv", "parquet", "excel"]

_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xls", ".ods", ".gz", ".zip")
_BLANK = b"\x00\r\n\t \xef\xbb\xbf"
_SAVE = "save the table as CSV, Parquet or Excel and give that file"
_PICKLE_CURE = "opening it could run foreign code; load it where you trust it, call df.to_parquet('data.parquet')"

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "a NumPy array file", "save it with column names: pd.DataFrame(array, columns=[…]).to_parquet(…)"),
    (b"version https://git-lfs", "a git-LFS pointer, not the data itself", "run `git lfs pull` to fetch the data"),
    (b"SQLite format 3\x00", "an SQLite database", "export one table or query as CSV or Parquet"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "export it: pd.read_hdf(…).to_parquet('data.parquet')"),
    (b"ARROW1", "an Arrow (Feather) file", "save it as Parquet: pd.read_feather(…).to_parquet('data.parquet')"),
    (b"ORC", "an ORC file", _SAVE),
    (b"Obj\x01", "an Avro file", _SAVE),
    (b"%PDF", "a PDF document", "copy the table into a CSV or Excel file"),
    (b"RDX2\n", "an R data file", "in R: write.csv(data, 'data.csv', row.names = FALSE)"),
    (b"RDX3\n", "an R data file", "in R: write.csv(data, 'data.csv', row.names = FALSE)"),
    (b"X\n\x00\x00\x00", "an R data file", "in R: write.csv(data, 'data.csv', row.names = FALSE)"),
    (b"<stata_dta>", "a Stata file", "export it: pd.read_stata(…).to_parquet('data.parquet')"),
    (b"$FL2", "an SPSS file", "export it: pd.read_spss(…).to_parquet('data.parquet')"),
    (b"BZh", "a bzip2 archive", "unpack it first (bunzip2), or pack it with gzip"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it first (unxz), or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first (unzstd), or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x89PNG", "an image", "give a table: CSV, Parquet or Excel"),
    (b"\xff\xd8\xff", "an image", "give a table: CSV, Parquet or Excel"),
    (b"GIF8", "an image", "give a table: CSV, Parquet or Excel"),
    (b"\x7fELF", "a program", "give a table: CSV, Parquet or Excel"),
)


@dataclass(frozen=True)
class Source:
    """The unpacked content of a file. `sha` is the SHA-256 (hex) of the file's own bytes."""

    path: Path
    sha: str
    data: bytes
    format: Format
    notes: list[str] = field(default_factory=list)


def file_hash(path: str | Path) -> str:
    """SHA-256 (hex) of a file's bytes, as `Source.sha` has it."""
    with Path(path).expanduser().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_source(path: str | Path) -> Source:
    """Read a file into memory and tell what it is.

    Raises InputError, saying what the file is and what to do, when it is absent, no regular file, damaged, empty, or
    holds something else than a table. Never opens pipes or devices, never unpickles, never unpacks to disk.
    """
    target = Path(path).expanduser()
    _check_place(str(path), target)
    try:
        raw = target.read_bytes()
    except PermissionError as error:
        raise _refuse(target, "may not be read", "change its permissions: chmod u+r") from error
    except OSError as error:
        raise _refuse(target, f"cannot be read ({error.strerror})", "check the disk or the network mount") from error
    if not raw[:4096].strip(_BLANK) and not raw.strip(_BLANK):
        raise _refuse(target, f"is empty ({len(raw)} bytes): there is no header", "check the export that wrote it")
    data = _unpacked(target, raw)
    refused = _refused_kind(data)
    if refused is not None:
        raise _refuse(target, f"is {refused[0]}", refused[1])
    kind = reading.content_format(data)
    assert kind in ("csv", "parquet", "excel")
    notes = []
    if target.suffix.lower() in (".gz", ".gzip") and raw[:2] != b"\x1f\x8b":
        notes.append(f"{target.name} is named like a gzip file but is none; its content was read as it is.")
    return Source(target, hashlib.sha256(raw).hexdigest(), data, kind, notes)  # type: ignore[arg-type]  # asserted above


def _refuse(path: Path, what: str, cure: str) -> InputError:
    return InputError(Problem(f"the file {what}", where=str(path), cure=cure))


def _check_place(given: str, path: Path) -> None:
    """Refuse what is no readable regular file, before anything is opened."""
    if re.match(r"[a-z][a-z0-9+.-]+://", given):
        raise InputError(Problem("an address, not a file", where=given, cure="download it and give the file's path"))
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise InputError(Problem("there is no such file", where=given, cure=_nearest(path))) from error
        raise _refuse(path, f"cannot be reached ({error.strerror})", "check the path and its links") from error
    if stat.S_ISDIR(mode):
        inside = sorted(item.name for item in path.iterdir() if item.name.lower().endswith(_SUFFIXES))
        advice = f"name one file in it: {', '.join(inside[:5])}" if inside else "name a table file; it holds none"
        raise InputError(Problem("a folder, not a file", where=given, cure=advice))
    if not stat.S_ISREG(mode):
        raise InputError(Problem("a pipe or device, not a file", where=given, cure="write the data to a file first"))


def _nearest(path: Path) -> str:
    """Advice for a missing path: what exists and looks alike, beside it or in place of its first missing folder."""
    folder, wanted = path.parent, path.name
    while not folder.is_dir() and folder != folder.parent:
        folder, wanted = folder.parent, folder.name
    try:
        items = list(folder.iterdir())
    except OSError:
        items = []
    beside = folder == path.parent
    names = [item.name for item in items if beside or item.is_dir()]
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)
    close += [name for name in names if Path(name).stem.lower() == Path(wanted).stem.lower() and name not in close]
    if close:
        return f"did you mean {' or '.join(str(folder / name) for name in close[:3])}?"
    if not beside:
        return f"the folder {folder / wanted} does not exist"
    tables = sorted(name for name in names if name.lower().endswith(_SUFFIXES))[:5]
    return f"{folder} holds {', '.join(tables)}" if tables else f"check the path; {folder} holds no table file"


def _unpacked(path: Path, raw: bytes) -> bytes:
    try:
        return reading.unpack(raw)
    except ValueError as error:
        text = str(error)
        cures = {
            "bomb": "unpack it yourself if you trust it, and give the unpacked file",
            "encrypted": "unpack it with its password and give the file inside",
            "holds": "unpack it and give one file, or zip that one alone",
            "damaged": "download or copy the file again; it is incomplete",
        }
        cure = next(advice for word, advice in {**cures, "": _SAVE}.items() if word in text)
        raise InputError(Problem(text, where=str(path), cure=cure)) from error


def _refused_kind(data: bytes) -> tuple[str, str] | None:
    """What the content is and what to do, when it is no table; None when it may be one."""
    for magic, what, cure in _MAGIC:
        if data.startswith(magic):
            return what, cure
    if data[:4] == b"PAR1" or data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        return None
    if re.match(rb"\x80[\x02-\x05]", data) or re.match(rb"x[\x01\x5e\x9c\xda]", data):
        return "a pickle (joblib, pickle or compressed by them)", _PICKLE_CURE
    if re.match(rb"\(?[dl]p\d+\n|c[a-zA-Z_.]+\n[a-zA-Z_]+\n", data) or data[257:262] == b"ustar":
        return ("a tar archive", "unpack it first") if data[257:262] == b"ustar" else ("a pickle", _PICKLE_CURE)
    return _refused_text(data.lstrip(b"\xef\xbb\xbf\r\n\t ")[:4096]) or _binary(data[:8192])


def _refused_text(head: bytes) -> tuple[str, str] | None:
    lower = head.lower()
    if lower.startswith((b"<!doctype", b"<html", b"<head>", b"<body")):
        return "a web page (HTML), perhaps an error page", "download the data itself, not the page that links to it"
    if lower.startswith((b"<?xml", b"<svg")):
        return "an XML document", _SAVE
    if lower.startswith(b"@relation") or b"\n@relation" in lower:
        return (
            "an ARFF file",
            "save it as CSV: pd.DataFrame(scipy.io.arff.loadarff(…)[0]).to_csv('data.csv', index=False)",
        )
    if head[:1] in b"{[" and _is_json(head):
        return "JSON", "convert it: pd.read_json(…).to_csv('data.csv', index=False)"
    return None


def _is_json(head: bytes) -> bool:
    """True for a JSON document or JSON lines; a cut document counts by how it starts."""
    if re.match(rb'[\[{]\s*(?:[\[{"\]}]|-?\d+\s*,\s*\n)', head):
        return True
    try:
        json.loads(head.splitlines()[0])
    except ValueError:
        return False
    return True


def _binary(head: bytes) -> tuple[str, str] | None:
    """Refuse content full of control characters that no text encoding explains."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:4] == b"\x00\x00\xfe\xff":
        return None
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if max(zeros) > len(head) * 0.3 and min(zeros) < len(head) * 0.02:
        return None  # every other byte is zero: UTF-16 without a mark
    control = sum(byte < 32 and byte not in (0, 9, 10, 11, 12, 13, 26, 27) for byte in head)
    if control > len(head) * 0.02 or head.count(0) > len(head) * 0.3:
        return "binary data of an unknown kind", _SAVE
    return None
