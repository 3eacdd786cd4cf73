"""The split: how many folds, which rows are sealed, how the others are dealt, and the files that hold the result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.errors import InputError, Problem
from state.records import content_key
from state.settings import Settings
from state.task import Prepared, SplitKind, SplitPlan, Task, TaskKind
from tools import folds as dealing
from tools.artifacts import ArtifactStore
from tools.folds import Fold, Rows
from tools.labels import Labels
from tools.timeline import infer_step

LARGE = 100_000
HUGE = 500_000
_SEALING = 20_240_229
"""Seed of the sealed choice. It is no setting: another seed must not give a look at other test rows."""


@dataclass(frozen=True)
class Dealt:
    """Which rows of the labelled table go where."""

    open_rows: Rows
    """Rows of the table that are not sealed, in the shuffled order of the features file: position → row."""
    sealed_rows: Rows
    """Rows of the table that are sealed, ascending."""
    folds: list[Fold]
    """Per fold (train, valid): ascending positions in `open_rows`."""


def group_codes(frame: pd.DataFrame, columns: list[str]) -> Rows:
    """A number per row, equal where all the columns are equal. A row with a missing key is a group of its own."""
    keys = frame[columns]
    codes = keys.groupby(columns, sort=False, dropna=True).ngroup().to_numpy().astype(np.int64)
    missing = np.flatnonzero(codes < 0)
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(len(missing))
    return codes


def time_axis(column: pd.Series) -> NDArray[np.float64]:
    """Times in steps after the first one (in their own unit when there is no step); NaN where missing."""
    axis = np.full(len(column), np.nan)
    known = column.notna().to_numpy()
    step = infer_step(column[known])
    if step is not None:
        axis[known] = step.positions(column[known])
    elif pd.api.types.is_numeric_dtype(column.dtype):
        axis[known] = column[known].to_numpy(dtype=np.float64)
    else:
        axis[known] = pd.DatetimeIndex(column[known]).to_numpy().astype("datetime64[s]").astype(np.float64)
    return axis


def plan_split(
    settings: Settings,
    kind: TaskKind,
    labels: Labels,
    reason: str,
    *,
    groups: Rows | None = None,
    times: NDArray[np.float64] | None = None,
    horizon: int | None = None,
) -> SplitPlan:
    """The split of these labelled rows. `groups` and `times` are given when the split shall respect them.

    Raises InputError when there are too few rows, groups or times to hold any back.
    """
    rows = len(labels)
    share = 0.0 if settings.test_data else settings.test_share
    way: SplitKind = "time" if times is not None else "group" if groups is not None else "random"
    if way == "random" and kind != "regression":
        way = "stratified"
    remaining = round(rows * (1 - share))
    count, why = _fold_count(settings, kind, labels, remaining)
    if times is not None:
        if len(np.unique(times[np.isfinite(times)])) < 4:
            raise InputError(Problem("fewer than 4 different times, too few to go forward in", where="time column"))
        kept = np.setdiff1d(np.arange(rows), dealing.latest_part(times, share))
        codes = None if kind == "regression" else pd.factorize(labels[kept])[0].astype(np.int64)
        made = len(dealing.forward_folds(times[kept], count, horizon, codes))
        why = why if made == count else f"{made} folds: more validation windows would leave too little past"
        count = made
    elif groups is not None:
        distinct = len(np.unique(groups))
        if distinct < 3:
            raise InputError(
                Problem(
                    f"only {distinct} groups, but training, validation and test need one each",
                    where="group columns",
                    cure="name other --group-columns, or none",
                )
            )
        usable = distinct - max(1, round(distinct * share)) if share else distinct
        if usable < count:
            count, why = max(2, usable), f"{max(2, usable)} folds, as many as there are groups"
    sentences = [reason, f"{why}." if why else ""]
    return SplitPlan(
        kind=way,
        folds=count,
        test_share=share,
        reason=" ".join(sentence for sentence in sentences if sentence),
        test_given=bool(settings.test_data),
    )


def _fold_count(settings: Settings, kind: TaskKind, labels: Labels, rows: int) -> tuple[int, str]:
    """Folds for so many open rows, and why it is not the number in the settings. A number a person gave is kept."""
    wanted = settings.folds
    if "folds" not in settings.model_fields_set:
        if rows > HUGE:
            return 1, f"One hold-out fold: {rows:,} rows estimate a score well enough"
        if rows > LARGE:
            return min(3, wanted), f"3 folds, since the table is large ({rows:,} rows)"
    limit = rows // 2
    if kind != "regression":
        counts = pd.Series(labels).value_counts().to_numpy() * (rows / max(1, len(labels)))
        # Classes of less than 1 % in a task of many classes may be missing from single folds.
        common = counts if kind == "binary" else counts[counts >= 0.01 * rows]
        limit = min(limit, int(common.min())) if len(common) else limit
    if limit < wanted:
        count = max(2, limit)
        return count, f"{count} folds, since the rarest class has too few rows for {wanted}"
    return wanted, ""


def deal(task: Task, frame: pd.DataFrame, labels: Labels, seed: int) -> Dealt:
    """Deal the rows of a labelled table. The sealed rows depend on the data alone, order and folds on the seed.

    frame: all columns of the table, labelled rows only; labels: canonical labels of the same rows.
    """
    rows, split = len(frame), task.split
    strata = _strata(task, labels)
    groups = group_codes(frame, task.group_columns) if split.kind == "group" else None
    times = time_axis(frame[str(task.time_column)]) if split.kind == "time" else None
    share = 0.0 if split.test_given else split.test_share
    sealing = np.random.default_rng([_SEALING, rows])
    if share <= 0:
        sealed: Rows = np.empty(0, dtype=np.int64)
    elif times is not None:
        sealed = dealing.latest_part(times, share)
    elif groups is not None:
        sealed = dealing.group_part(groups, strata, share, sealing)
    else:
        sealed = dealing.stratified_part(strata, share, sealing, least=1 if task.kind == "binary" else 0)
    rng = np.random.default_rng([seed, rows])
    opened: Rows = rng.permutation(np.setdiff1d(np.arange(rows), sealed))
    pairs = _folds(task, strata[opened], _at(groups, opened), None if times is None else times[opened], rng)
    return Dealt(opened, sealed, pairs)


def _strata(task: Task, labels: Labels) -> Rows:
    if task.is_classification:
        return pd.factorize(np.asarray(labels, dtype=object))[0].astype(np.int64)
    return dealing.strata_of(np.asarray(labels, dtype=np.float64))


def _at(groups: Rows | None, rows: Rows) -> Rows | None:
    return None if groups is None else pd.factorize(groups[rows])[0].astype(np.int64)


def _folds(
    task: Task, strata: Rows, groups: Rows | None, times: NDArray[np.float64] | None, rng: np.random.Generator
) -> list[Fold]:
    count = task.split.folds
    if times is not None:
        return dealing.forward_folds(times, count, task.horizon, strata if task.is_classification else None)
    parts = max(count, 5) if count == 1 else count  # a single hold-out is one part of five
    if groups is not None:
        return dealing.folds_of(dealing.group_numbers(groups, strata, parts, rng), parts)[:count]
    return dealing.folds_of(dealing.stratified_numbers(strata, parts, rng), parts)[:count]


def prepare(
    frame: pd.DataFrame,
    labels: Labels,
    dealt: Dealt,
    task: Task,
    artifacts: ArtifactStore,
    *,
    read_spec: str,
    source: str,
    test: tuple[pd.DataFrame, Labels] | None = None,
) -> Prepared:
    """Write the prepared data as artifacts and return their references.

    Both label files also hold `source_row` (row in the labelled table) and, where the split respects them, `group` and
    `time`: what a review of the borders needs. They are held by the framework and given to no job.
    read_spec: reference of how the file was read; source: hash of the original data; test: the person's labelled test
    table with its canonical labels, which is the sealed set then. Raises InputError when it lacks columns or classes.
    """
    names = [feature.name for feature in task.features]
    if test is not None:
        _refuse_test(test[0], test[1], names, task)
    sealed_frame, sealed_labels = (frame.iloc[dealt.sealed_rows], labels[dealt.sealed_rows]) if test is None else test
    known = _label_frame(frame.iloc[dealt.open_rows], labels[dealt.open_rows], dealt.open_rows, task)
    place = dealt.sealed_rows if test is None else np.arange(len(sealed_frame))
    hidden = _label_frame(sealed_frame, sealed_labels, place, task)
    matrix = dealing.numbered(dealt.folds, len(dealt.open_rows))
    everyone = np.arange(len(dealt.open_rows))
    return Prepared(
        features=artifacts.put_frame(frame[names].iloc[dealt.open_rows].reset_index(drop=True)),
        labels=artifacts.put_frame(known),
        folds=artifacts.put_frame(pd.DataFrame({f"fold_{i}": matrix[:, i] for i in range(matrix.shape[1])})),
        train_files=[artifacts.put_frame(_rows_of(train, known)) for train, _ in dealt.folds],
        valid_files=[artifacts.put_frame(pd.DataFrame({"row": valid})) for _, valid in dealt.folds],
        train_all=artifacts.put_frame(_rows_of(everyone, known)),
        sealed_features=artifacts.put_frame(sealed_frame[names].reset_index(drop=True)),
        sealed_labels=artifacts.put_frame(hidden),
        sealed_key=_sealed_key(source, task.target, dealt.sealed_rows, None if test is None else test[0]),
        rows=len(dealt.open_rows),
        sealed_rows=len(sealed_frame),
        read_spec=read_spec,
        source=source,
    )


def _refuse_test(test: pd.DataFrame, labels: Labels, names: list[str], task: Task) -> None:
    """Raise InputError when a given test table cannot be scored."""
    problems = []
    absent = [name for name in names if name not in test.columns]
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        what = f"the columns {', '.join(map(repr, absent[:5]))}{more} are absent"
        problems.append(Problem(what, where="test data", cure="give a test file with the columns of the training file"))
    unknown = sorted(set(labels.tolist()) - set(task.classes), key=str) if task.is_classification else []
    if unknown:
        what = f"the target has classes that training lacks: {', '.join(map(repr, unknown[:5]))}"
        problems.append(Problem(what, where="test data", cure="add such rows to the training data, or leave them out"))
    if not len(labels):
        problems.append(Problem("no row has a target", where="test data", cure="give labelled rows"))
    if problems:
        raise InputError(problems)


def _label_frame(frame: pd.DataFrame, labels: Labels, place: Rows, task: Task) -> pd.DataFrame:
    table = pd.DataFrame({"label": pd.Series(list(labels)), "source_row": place})
    if task.split.kind == "group":
        keys = [frame[name].astype(str) for name in task.group_columns if name in frame]
        if keys:
            table["group"] = [" · ".join(key) for key in zip(*keys, strict=True)]
    if task.split.kind == "time" and task.time_column in frame:
        table["time"] = frame[str(task.time_column)].to_numpy()
    return table


def _rows_of(rows: Rows, known: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"row": rows, "label": known["label"].to_numpy()[rows]})


def _sealed_key(source: str, target: str, rows: Rows, test: pd.DataFrame | None) -> str:
    """One key for one choice of test rows of one data file, whatever else a run does."""
    if test is None:
        sealed = hashlib.sha256(np.sort(rows).astype("<i8").tobytes()).hexdigest()
    else:
        sealed = hashlib.sha256(pd.util.hash_pandas_object(test, index=False).to_numpy().tobytes()).hexdigest()
    return content_key({"source": source, "target": target, "sealed": sealed})


def fold_rows(prepared: Prepared, artifacts: ArtifactStore) -> list[Fold]:
    """The folds as (train, valid) positions in the features file."""
    matrix = artifacts.get_frame(prepared.folds)
    columns = [matrix[f"fold_{i}"].to_numpy() for i in range(matrix.shape[1])]
    return [(np.flatnonzero(column == 1), np.flatnonzero(column == 2)) for column in columns]
