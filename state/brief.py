"""The brief: a run's fixed facts, kept as one JSON artifact so that states and `Send` carry only its reference."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from state.records import Record
from state.task import Prepared, Task


class Brief(Record):
    """Settings from the start; data and profile from the analyst; task and prepared data from the examiner."""

    settings: dict[str, Any]
    target: str = ""
    target_reason: str = ""
    source: str = ""
    """SHA-256 of the data file's bytes."""
    table: str | None = None
    """Reference: the table as read (Arrow), sealed rows and target included. Never given to a job."""
    test_table: str | None = None
    """Reference: the labelled test file a person gave, as read."""
    test_source: str = ""
    """SHA-256 of that file's bytes."""
    read_spec: str | None = None
    """Reference: how the file was read (JSON)."""
    reading_notes: list[str] = Field(default_factory=list)
    profile: str | None = None
    """Reference of the Profile (JSON artifact)."""
    task: Task | None = None
    prepared: Prepared | None = None
