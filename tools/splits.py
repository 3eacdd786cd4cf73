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
from tools.columnwise import by_column
from tools.folds import Fold, Rows
from tools.labels import Labels, label_columns
from tools.several import prepared_values, target_columns
from tools.timeline import infer_step

LARGE = 100_000
HUGE = 200_000
MOST_HELD_OUT = 50_000
"""Rows of a single hold-out."""
_SEALING = 20_240_229
"""Seed of the sealed choice. It is no setting: another seed must not give a look at other test rows."""


@dataclass(frozen=True)
class Dealt:
    """Which rows of the labelled table go where."""

    open_rows: Rows
    """Rows of the table that are not sealed, in the shuffled order of the features file: position → row."""
    sealed_rows: Rows
    """Rows of the table that are sealed, in the shuffled order of their file."""
    folds: list[Fold]
    """Per fold (train, valid): ascending positions in `open_rows`."""


def group_codes(frame: pd.DataFrame, columns: list[str]) -> Rows:
    """A number per row, equal where all the columns are equal. A row with a missing key is a group of its own."""
    keys = frame[columns]
    codes = keys.groupby(columns, sort=False, dropna=True).ngroup().fillna(-1).to_numpy().astype(np.int64)
    missing = np.flatnonzero(codes < 0)
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(len(missing))
    return codes


def time_axis(column: pd.Series) -> NDArray[np.float64]:
    """Times in steps after the first one (in their own unit when there is no step); NaN where missing."""
    axis = np.full(len(column), np.nan)
    known = column.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(column.dtype):
        known = np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
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
    share = 0.0 if settings.test_data else settings.test_share
    way: SplitKind = "time" if times is not None else "group" if groups is not None else "random"
    if way == "random" and kind != "regression":
        way = "stratified"
    _refuse_ground(groups, times)
    strata = _strata(kind, labels)
    kept = _without(len(labels), _seal(kind, strata, share, groups, times))
    count, why = _fold_count(settings, kind, labels, len(kept))
    if times is not None:
        codes = None if kind == "regression" else strata[kept]
        # Fewer windows are longer ones, so the number is lowered until all of them can be made.
        while (made := len(dealing.forward_folds(times[kept], count, horizon, codes))) < count > 1:
            count = max(1, made)
            why = f"{count} fold{'s' * (count > 1)}: more validation windows would leave too little past"
    elif groups is not None:
        usable = dealing.free_groups(_at(groups, kept), strata[kept], pin=kind != "regression")
        if usable < count:
            count, why = usable, f"{usable} folds, as many as there are groups"
    sentences = [reason, f"{why}." if why else ""]
    return SplitPlan(
        kind=way,
        folds=count,
        test_share=share,
        reason=" ".join(sentence for sentence in sentences if sentence),
        test_given=bool(settings.test_data),
    )


def _refuse_ground(groups: Rows | None, times: NDArray[np.float64] | None) -> None:
    """Raise InputError when there are too few groups or times for training, validation and test."""
    if times is not None and len(np.unique(times[np.isfinite(times)])) < 4:
        raise InputError(
            Problem(
                "fewer than 4 different times, too few to go forward in",
                where="time column",
                cure="name another --time-column, or none",
            )
        )
    distinct = 3 if groups is None else len(np.unique(groups))
    if distinct < 3:
        raise InputError(
            Problem(
                f"only {distinct} groups, but training, validation and test need one each",
                where="group columns",
                cure="name other columns with --group, or none",
            )
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
    """Deal the rows of a labelled table. The sealed rows depend on the data alone, order and folds also on the seed.

    frame: all columns of the table, labelled rows only; labels: canonical labels of the same rows.

    Programs know the seed, this code and the number of rows. Were that all, they could repeat the shuffling, and a file
    that is sorted by its target, or the dealing by classes itself, would tell them validation labels. So the order
    also follows from all labels and columns, of which no program sees all.
    """
    split = task.split
    strata = _strata(task.dealt_as, labels)
    groups = group_codes(frame, task.group_columns) if split.kind == "group" else None
    times = time_axis(frame[str(task.time_column)]) if split.kind == "time" else None
    sealed = _seal(task.dealt_as, strata, 0.0 if split.test_given else split.test_share, groups, times)
    secret = _secret(frame, labels)
    rng = np.random.default_rng([seed, *secret])
    opened: Rows = rng.permutation(_without(len(frame), sealed))
    hidden: Rows = np.random.default_rng(secret).permutation(sealed)
    return Dealt(opened, hidden, _folds(task, strata[opened], opened, groups, times, rng))


def _without(count: int, rows: Rows) -> Rows:
    """The positions below `count` that are not among `rows`, ascending."""
    kept = np.ones(count, dtype=bool)
    kept[rows] = False
    return np.flatnonzero(kept)


def _secret(frame: pd.DataFrame, labels: Labels) -> list[int]:
    """Numbers for a generator that nobody can name who lacks a single label or cell of the table."""
    content = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().astype("<u8").tobytes())
    content.update("\n".join(map(str, labels)).encode())
    return [int(number) for number in np.frombuffer(content.digest(), dtype="<u4")]


def _seal(kind: TaskKind, strata: Rows, share: float, groups: Rows | None, times: NDArray[np.float64] | None) -> Rows:
    """The sealed rows, ascending: a function of the data and the share alone."""
    if share <= 0:
        return np.empty(0, dtype=np.int64)
    rng = np.random.default_rng([_SEALING, len(strata)])
    if times is not None:
        return dealing.latest_part(times, share)
    if groups is not None:
        return dealing.group_part(groups, strata, share, rng, pin=kind != "regression")
    return dealing.stratified_part(strata, share, rng, least=1 if kind == "binary" else 0)


def _strata(kind: TaskKind, labels: Labels) -> Rows:
    if kind != "regression":
        return pd.factorize(np.asarray(labels, dtype=object))[0].astype(np.int64)
    return dealing.strata_of(np.asarray(labels, dtype=np.float64))


def _at(groups: Rows, rows: Rows) -> Rows:
    """The groups of some rows, numbered without gaps."""
    return pd.factorize(groups[rows])[0].astype(np.int64)


def _folds(
    task: Task,
    strata: Rows,
    opened: Rows,
    groups: Rows | None,
    times: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> list[Fold]:
    """The folds of the open rows; `strata` is of those, groups and times of all rows."""
    count = task.split.folds
    if times is not None:
        return dealing.forward_folds(times[opened], count, task.horizon, strata if task.is_classification else None)
    # A single hold-out is one part of five; more rows than tell candidates apart are better learnt from.
    parts = max(5, len(opened) // MOST_HELD_OUT) if count == 1 else count
    if groups is not None:
        numbers = dealing.group_numbers(_at(groups, opened), strata, parts, rng, pin=task.is_classification)
        return dealing.folds_of(numbers, parts)[:count]
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
    table, answers, place = frame, labels, dealt.sealed_rows
    if test is not None:
        _refuse_test(test[0], test[1], names, task)
        table, answers = test
        place = np.random.default_rng(_secret(*test)).permutation(len(answers))
    # Shuffled like the others: a program asked for rows in the order of a sorted file would know them by their place.
    known = _label_frame(frame, labels[dealt.open_rows], dealt.open_rows, task)
    hidden = _label_frame(table, answers[place], place, task)
    matrix = dealing.numbered(dealt.folds, len(dealt.open_rows))
    everyone = np.arange(len(dealt.open_rows))
    return Prepared(
        features=artifacts.put_frame(_picked(frame, names, dealt.open_rows)),
        labels=artifacts.put_frame(known),
        folds=artifacts.put_frame(pd.DataFrame({f"fold_{i}": matrix[:, i] for i in range(matrix.shape[1])})),
        train_files=[artifacts.put_frame(_rows_of(train, known)) for train, _ in dealt.folds],
        valid_files=[artifacts.put_frame(pd.DataFrame({"row": valid})) for _, valid in dealt.folds],
        train_all=artifacts.put_frame(_rows_of(everyone, known)),
        sealed_features=artifacts.put_frame(_picked(table, names, place)),
        sealed_labels=artifacts.put_frame(hidden),
        sealed_key=_sealed_key(source, task, None if test is None else test[0]),
        rows=len(dealt.open_rows),
        sealed_rows=len(place),
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


def _picked(frame: pd.DataFrame, names: list[str], rows: Rows) -> pd.DataFrame:
    """Some rows of some columns, copied once, column by column."""
    columns = by_column(lambda name: frame[name].to_numpy()[rows], names, cells=len(rows) * len(names))
    return pd.DataFrame(dict(zip(names, columns, strict=True)), copy=False)


def _label_frame(whole: pd.DataFrame, labels: Labels, place: Rows, task: Task) -> pd.DataFrame:
    """Labels of the rows at `place` of a table, and what is needed to review the borders between them."""
    table = pd.DataFrame({"label": pd.Series(list(labels)), "source_row": place})
    used = [name for name in [*task.group_columns, task.time_column, *target_columns(task)] if name in whole]
    frame = whole[list(dict.fromkeys(used))].iloc[place]
    if task.targets:
        values = prepared_values(frame, task)
        table = table.assign(**{f"label_{index}": values[:, index] for index in range(values.shape[1])})
    if task.split.kind == "group":
        keys = [frame[name] for name in task.group_columns if name in frame]
        if keys:
            table["group"] = [_group_name(key) for key in zip(*keys, strict=True)]
    if task.split.kind == "time" and task.time_column in frame:
        times = frame[str(task.time_column)].to_numpy()
        table["time"] = np.where(np.isfinite(times), times, np.nan) if times.dtype.kind == "f" else times
    return table


def _group_name(key: tuple[object, ...]) -> str:
    """A readable name of a group; empty when a part is missing, since such a row belongs to no group."""
    if any(pd.isna(part) for part in key):  # type: ignore[call-overload]  # parts are numbers, texts or times
        return ""
    return " · ".join(str(int(part)) if isinstance(part, float) and part.is_integer() else str(part) for part in key)


def _rows_of(rows: Rows, known: pd.DataFrame) -> pd.DataFrame:
    labels = {name: known[name].to_numpy()[rows] for name in label_columns(known)}
    return pd.DataFrame({"row": rows, **labels})


def _sealed_key(source: str, task: Task, test: pd.DataFrame | None) -> str:
    """One key for one choice of test rows and target, whatever else a run does.

    Rows held back are known by the data and the way they are chosen, not by their share: another share is more or fewer
    of the same rows in the same order. A person's test file is known by its rows, in any order, whatever the model was
    trained on.
    """
    if test is not None:
        rows = np.sort(pd.util.hash_pandas_object(test, index=False).to_numpy()).astype("<u8")
        return content_key({"target": task.target, "sealed": hashlib.sha256(rows.tobytes()).hexdigest()})
    way = task.split.kind
    columns = task.group_columns if way == "group" else [task.time_column] if way == "time" else [task.kind]
    return content_key({"source": source, "target": task.target, "way": way, "columns": columns})


def fold_rows(prepared: Prepared, artifacts: ArtifactStore) -> list[Fold]:
    """The folds as (train, valid) positions in the features file."""
    matrix = artifacts.get_frame(prepared.folds)
    columns = [matrix[f"fold_{i}"].to_numpy() for i in range(matrix.shape[1])]
    return [(np.flatnonzero(column == 1), np.flatnonzero(column == 2)) for column in columns]
