"""The prepared data on both sides of every border, as the checks look at it, and how they tell what they found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from state.candidate import Check, Finding
from state.task import Prepared, Task
from tools.artifacts import ArtifactStore
from tools.folds import Fold, Rows
from tools.labels import label_columns
from tools.splits import fold_rows

Result = tuple[Check, list[Finding]]
SHOWN = 5
"""Rows, pairs or columns named as evidence."""
WORTH_A_WARNING = 0.01
"""Share of repeated rows from which a score is noticeably flattered."""


class HasArtifacts(Protocol):
    """Whatever holds the artifact store of a run."""

    artifacts: ArtifactStore


@dataclass(frozen=True)
class Sides:
    """The prepared data on both sides of every border. Labels of sealed rows are no part of it."""

    features: pd.DataFrame
    """The columns programs see, of the rows that are not sealed."""
    known: pd.DataFrame
    """Columns label, source_row [, group, time] of the same rows, in the same order."""
    sealed_features: pd.DataFrame
    hidden: pd.DataFrame
    """source_row [, group, time] of the sealed rows."""
    folds: list[Fold]
    trained: Rows
    """Positions of the rows that the model judged by the sealed test is fitted on."""
    full: bool = False
    """Look at as many rows as there are."""

    @cached_property
    def open_rows(self) -> Rows:
        """Position → row in the labelled table."""
        return self.known["source_row"].to_numpy().astype(np.int64)

    @cached_property
    def sealed_rows(self) -> Rows:
        return self.hidden["source_row"].to_numpy().astype(np.int64)

    @cached_property
    def labels(self) -> np.ndarray[Any, Any]:
        """Labels of the open rows; of several targets the one number that stands for them."""
        return self.known["label"].to_numpy()


def open_sides(store: ArtifactStore, task: Task, prepared: Prepared, *, full: bool = False) -> Sides:
    """Read the prepared data of a run."""
    names = [feature.name for feature in task.features]
    return Sides(
        store.get_frame(prepared.features)[names],
        store.get_frame(prepared.labels),
        store.get_frame(prepared.sealed_features)[names],
        # No label of a sealed row may shape what is said before the test set is opened.
        (hidden := store.get_frame(prepared.sealed_labels)).drop(columns=label_columns(hidden)),
        fold_rows(prepared, store),
        store.get_frame(prepared.train_all)["row"].to_numpy().astype(np.int64),
        full,
    )


def spaced(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly spaced, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def passed(name: str, detail: str, *, reduced: str = "") -> Result:
    """A check that found nothing; `reduced` says what it did not look at."""
    return Check(name=name, status="passed", detail=_with(detail, reduced), extent="reduced" if reduced else "run"), []


def skipped(name: str, why: str) -> Result:
    """A check that was not made, and why."""
    return Check(name=name, status="skipped", detail=why, extent="skipped"), []


def found(name: str, detail: str, findings: list[Finding], *, reduced: str = "") -> Result:
    """A check with findings."""
    extent: Any = "reduced" if reduced else "run"
    return Check(name=name, status="found", detail=_with(detail, reduced), extent=extent), findings


def _with(detail: str, reduced: str) -> str:
    return f"{detail} ({reduced})" if reduced else detail
