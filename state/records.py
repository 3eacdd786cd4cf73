"""The base of every record, and the one function that turns anything into plain JSON-like data."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What may lie in a graph state, a checkpoint, a journal row or a manifest."""


class Record(BaseModel):
    """A frozen, validated fact. Unknown fields are refused, so a typo in a checkpoint or an answer is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def plain(self) -> dict[str, Any]:
        """The record as plain data, fit for a graph state or a JSON file."""
        plain = to_plain(self.model_dump(mode="python"))
        assert isinstance(plain, dict)
        return plain

    def but(self, **changes: Any) -> Self:
        """A validated copy with some fields changed."""
        return type(self).model_validate({**self.model_dump(), **changes})


def to_plain(value: Any) -> Any:
    """Turn numpy scalars, tuples, sets, enums, paths, records, NaN and infinities into plain data.

    NaN and infinities become None: SQLite would keep them, Postgres and strict JSON would not.
    Raises TypeError, naming the type, for anything that has no plain form (frames, models, open handles).
    """
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, BaseModel):
        return to_plain(value.model_dump(mode="python"))
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy here
        return to_plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no plain form; put it into the artifact store and keep its reference")


def canonical_json(value: Any) -> str:
    """One spelling for equal data: sorted keys, no spaces, no NaN. The basis of every content key."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_key(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
