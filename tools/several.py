"""Several targets at once: which columns they are, their values as one array, and the one number that stands for them.

A task of several targets is `multilabel` (each is yes or no) or `multiregression` (each is a number). Everything that
deals rows and looks for leaks works on one number per row, the mean of the standardised targets; programs, scores and
releases work on the targets themselves. That number is a column of the prepared table under the task's target name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.profile import Profile
from state.settings import Settings
from state.task import Task, TaskKind
from tools.profiling.columns import SAMPLE, encode
from tools.profiling.suspicion import target_suspicion

SeveralKind = Literal["multilabel", "multiregression"]
SEPARATORS = (";", "|", ",", "/")
MOST_LABELS = 200
_TAG_WORDS = r"\bmulti-?label|\btags?\b|\bseveral labels\b"
_TAGS = " (tags)"
_QUOTES = re.compile(r"^[\[\(\{]|[\]\)\}]$")


@dataclass(frozen=True)
class Several:
    """The targets of a table. columns: those of the table that hold them; names: one per target."""

    kind: SeveralKind
    columns: list[str]
    names: list[str]
    separator: str = ""
    """For one column of tags: what separates them."""
    spellings: list[list[str]] = field(default_factory=list)
    """For targets written as texts: per target its two texts, the one that means no first."""

    @property
    def target(self) -> str:
        """The name under which messages and records know the targets together, and of the column that stands for them."""
        return f"{self.columns[0]}{_TAGS}" if self.separator else ", ".join(self.columns)


def asked_targets(wanted: str, names: Sequence[str]) -> list[str]:
    """The columns a setting names: itself where it is a column, else its parts between commas."""
    if wanted in names or "," not in wanted:
        return [wanted] if wanted else []
    return [part.strip() for part in wanted.split(",") if part.strip()]


def several_in(settings: Settings, frame: pd.DataFrame, targets: Sequence[str]) -> Several | None:
    """The several targets of a table whose columns are known to be there; None for a single target."""
    if len(targets) == 1:
        return _tagged(settings, frame, targets[0])
    if len(targets) < 2:
        return None
    columns = [str(name) for name in targets]
    spellings = [_spellings(frame[name]) for name in columns]
    if settings.kind == "multilabel" or (settings.kind is None and all(spellings)):
        return Several("multilabel", columns, columns, spellings=[texts or [] for texts in spellings])
    return Several("multiregression", columns, columns)


def _spellings(values: pd.Series) -> list[str] | None:
    """The two values of a yes-or-no column as texts, the no first; None for any other column."""
    known = values.dropna()
    if pd.api.types.is_numeric_dtype(known.dtype):
        return ["0", "1"] if set(known.unique()) <= {0, 1} else None
    texts = sorted(set(known.astype(str)))
    yes = {"yes", "y", "true", "t", "1", "1.0", "positive", "present"}
    if len(texts) != 2 or sum(text.lower() in yes for text in texts) != 1:
        return None
    return sorted(texts, key=lambda text: text.lower() in yes)


def _tagged(settings: Settings, frame: pd.DataFrame, name: str) -> Several | None:
    wanted = settings.kind == "multilabel" or (
        settings.kind is None and re.search(_TAG_WORDS, settings.intent.lower()) is not None
    )
    if not wanted or name not in frame or pd.api.types.is_numeric_dtype(frame[name].dtype):
        return None
    texts = frame[name].dropna().astype(str)
    counts = {mark: int(texts.str.contains(mark, regex=False).sum()) for mark in SEPARATORS}
    separator = max(SEPARATORS, key=lambda mark: (counts[mark], -SEPARATORS.index(mark)))
    if not counts[separator] and settings.kind is None:
        return None
    tags = sorted({tag for text in texts for tag in tags_of(text, separator)})
    return Several("multilabel", [name], tags, separator)


def tags_of(text: str, separator: str) -> list[str]:
    """The tags of one cell: parts without blanks, brackets and quotes."""
    parts = _QUOTES.sub("", text.strip()).split(separator)
    return [tag for part in parts if (tag := part.strip().strip("'\"").strip())]


def values_of(frame: pd.DataFrame, several: Several) -> NDArray[np.float64]:
    """The targets (rows, targets); a row that lacks one is missing whole (NaN)."""
    if several.separator:
        column = frame[several.columns[0]]
        place = {name: position for position, name in enumerate(several.names)}
        values = np.zeros((len(frame), len(several.names)))
        for row, text in enumerate(column):
            for tag in tags_of(str(text), several.separator) if pd.notna(text) else []:
                if tag in place:
                    values[row, place[tag]] = 1.0
        values[column.isna().to_numpy()] = np.nan
        return values
    columns = []
    for position, name in enumerate(several.columns):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            columns.append(column.to_numpy(dtype=np.float64))
            continue
        yes = several.spellings[position][1] if several.spellings and several.spellings[position] else None
        columns.append(np.where(column.isna(), np.nan, (column.astype(str) == yes).astype(np.float64)))
    values = np.column_stack(columns)
    values[np.isnan(values).any(axis=1)] = np.nan
    return values


def with_summary(frame: pd.DataFrame, several: Several) -> pd.DataFrame:
    """The table with one more column, under the targets' common name: the mean of the standardised targets."""
    values = values_of(frame, several)
    known = ~np.isnan(values).any(axis=1)
    spread = values[known].std(axis=0)
    standard = (values - values[known].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return frame.assign(**{several.target: standard.mean(axis=1)})


def held_back(several: Several) -> list[str]:
    """Columns of the table that hold targets, and so are no features."""
    return list(several.columns)


def profile_of_several(profile: Profile, frame: pd.DataFrame, several: Several) -> Profile:
    """The profile with what holds for single targets too: columns that copy or encode one of them."""
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), SAMPLE)).astype(np.int64))
    values = values_of(frame, several)
    targets = [encode(name, pd.Series(values[:, place], name=name)) for place, name in enumerate(several.names)]
    kind: TaskKind = "binary" if several.kind == "multilabel" else "regression"
    columns = []
    for column in profile.columns:
        own = encode(column.name, frame[column.name])
        found = (target_suspicion(own, target, kind, rows) for target in targets if column.suspicion is None)
        suspect = next((one for one in found if one is not None), None)
        columns.append(column if suspect is None else column.but(suspicion=suspect[0], evidence=suspect[1]))
    evidence = f"{len(several.names)} targets, looked at by their standardised mean"
    notes = [f"{len(several.names)} targets: {', '.join(several.names[:12])}.", *profile.notes[1:]]
    target = profile.target.but(evidence=evidence)
    return profile.but(columns=[one.plain() for one in columns], notes=notes, target=target.plain())


def several_of_brief(settings: Settings, frame: pd.DataFrame, target: str) -> Several | None:
    """The several targets of the prepared table of a run; None for a single one."""
    if target.endswith(_TAGS) and target.removesuffix(_TAGS) in frame:
        return _tagged(settings, frame, target.removesuffix(_TAGS))
    if ", " not in target:
        return None
    asked = asked_targets(settings.target, [str(name) for name in frame.columns if name != target])
    return several_in(settings, frame, asked) if len(asked) > 1 else None


def of_task(task: Task) -> Several:
    """The targets of a framed task."""
    kind: SeveralKind = "multilabel" if task.kind == "multilabel" else "multiregression"
    return Several(kind, target_columns(task), list(task.targets), task.tag_separator, task.target_texts)


def prepared_values(frame: pd.DataFrame, task: Task) -> NDArray[np.float64]:
    """The targets of rows of the prepared table, (rows, targets)."""
    return values_of(frame, of_task(task))


def target_columns(task: Task) -> list[str]:
    """The columns of the data file that hold the target or targets."""
    if task.tag_separator:
        return [task.target.removesuffix(_TAGS)]
    return list(task.targets) or [task.target]
