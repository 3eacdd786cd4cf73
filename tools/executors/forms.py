"""The forms that outputs of a job must have before anybody here reads them as numbers or as facts.

A program can write the files of its job itself and leave, so nothing about them may be taken for granted: not that an
array holds numbers, nor that it is as long as it says, nor that a JSON text is shallow. What passes here can be loaded
by numpy without pickle and without an error, and takes no more memory than the file is large.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from typing import IO, Any

_MOST_HEADER = 4096
_MOST_MEMBERS = 10_000
_DEEPEST = 20
_LARGEST = 2**63
_SECONDS = ("fit_seconds", "predict_seconds", "predict_ms")
_COUNTS = ("rows", "train_rows", "model_bytes")
_FLAGS = ("unsafe", "own_saving")


class BadForm(Exception):
    """An output is not what its name says; the message tells what is wrong with it."""


def check_array(file: IO[bytes], size: int) -> None:
    """Raise BadForm unless the file is a .npy of `size` bytes that holds float64 numbers in one or two dimensions."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise BadForm(f"is an array file of version {version}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(file, max_header_size=_MOST_HEADER)
    except (ValueError, SyntaxError, RecursionError, MemoryError, EOFError) as error:
        raise BadForm(
            f"is no array file: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from None
    if kind.str != "<f8" or not 1 <= len(shape) <= 2 or any(length < 0 for length in shape):
        raise BadForm(f"holds {kind} of shape {shape}; wanted are float64 numbers in one or two dimensions")
    if file.tell() + math.prod(shape) * 8 != size:
        raise BadForm(f"says it holds an array of shape {shape}, but has {size} bytes")


def check_archive(file: IO[bytes]) -> None:
    """Raise BadForm unless the file is an uncompressed .npz whose members are all such arrays."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise BadForm(f"has {len(members)} members")
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                    raise BadForm(f"has a packed member {member.filename[:80]!r}")
                with archive.open(member) as part:
                    check_array(part, member.file_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise BadForm(f"is no archive of arrays: {error}") from None


def read_facts(text: str) -> dict[str, Any]:
    """The object of a result.json, its known fields of their kinds and all of it shallow and finite. Raises BadForm."""
    try:
        facts = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadForm("is no JSON object") from None
    if not isinstance(facts, dict):
        raise BadForm("is no JSON object")
    _check_plain(facts, 0)
    if not isinstance(facts.get("effective", {}), Mapping):
        raise BadForm("names effective parameters that are no object")
    for name in _SECONDS:
        if not _is_time(facts.get(name, 0.0)):
            raise BadForm(f"gives {name!r} as {str(facts[name])[:40]!r}, which is no time")
    for name in _COUNTS:
        if not isinstance(facts.get(name, 0), int):
            raise BadForm(f"gives {name!r} as {str(facts[name])[:40]!r}, which is no count")
    for name in _FLAGS:
        if not isinstance(facts.get(name, False), bool):
            raise BadForm(f"gives {name!r} as {str(facts[name])[:40]!r}, which is neither true nor false")
    return facts


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _check_plain(value: object, depth: int) -> None:
    """Shallow, with numbers that a database takes and texts that can be written."""
    if depth > _DEEPEST:
        raise BadForm(f"is nested more than {_DEEPEST} deep")
    if isinstance(value, int | float) and not abs(value) < _LARGEST:
        raise BadForm("holds a number that is too large or not finite")
    for text in [value] if isinstance(value, str) else value if isinstance(value, dict) else ():
        if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            raise BadForm("holds a text that is no text")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_plain(item, depth + 1)
