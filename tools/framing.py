"""Framing: from settings, table and profile to the task: kind, metric, classes, columns, groups, time and split.

What is not given is decided from the data together with the words of the intent, and every decision is a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.errors import InputError, Problem
from state.profile import Profile
from state.settings import Settings
from state.task import Feature, Label, Metric, SplitPlan, Task, TaskKind
from tools import folds
from tools.intent import horizon_in
from tools.labels import Labels, canonical_labels, ordered_classes, positive_class
from tools.layout import Layout, find_layout
from tools.metrics import default_metric, metric_for
from tools.profiling.profile import USELESS
from tools.several import Several
from tools.severalchecks import told
from tools.splits import group_codes, plan_split, time_axis
from tools.targetkinds import (
    TargetKind,
    counted_target,
    implied_kind,
    ordered_target,
    refuse_range,
    special_metric,
)
from tools.timeline import infer_step

__all__ = ["canonical_labels", "frame_task"]


def frame_task(
    settings: Settings, frame: pd.DataFrame, profile: Profile, target: str, several: Several | None = None
) -> Task:
    """Frame the task of a table. Deterministic; raises InputError listing every problem with data and settings.

    frame: the whole table with canonical columns, rows without a target included. several: the targets where there is more
    than one; then `target` is the column `with_summary` has added.
    """
    _refuse_unknown_columns(settings, frame, target)
    kind, kind_reason = _kind(settings, profile, frame[target]) if several is None else (several.kind, told(several))
    # Several targets are dealt by one number, the mean of the standardised ones.
    view: TaskKind = kind if several is None else "regression"
    labels, known = canonical_labels(frame[target], view)
    classes = ordered_classes(labels) if view != "regression" else []
    _refuse_labels(profile, view, classes, labels)
    special = ordered_target(settings, kind, classes, target)
    classes = special.classes
    rows = frame[known].reset_index(drop=True).drop(columns=[] if several is None else several.columns)
    layout = find_layout(settings, rows, profile, view)
    split, horizon = _split(settings, rows, labels, view, layout)
    positive, positive_reason = (
        positive_class(classes, labels, settings.positive, settings.intent) if kind == "binary" else (None, "")
    )
    excluded = _excluded(profile, layout, split)
    features = _features(profile, excluded)
    special = (
        special if kind != "regression" or several is not None else counted_target(settings, profile, kind, features)
    )
    metric, metric_reason = _metric(settings, kind, profile, labels, special)
    decisions = [
        kind_reason,
        *_dropped(known),
        *special.sentences,
        metric_reason,
        positive_reason,
        *_rare_classes(labels, classes),
    ]
    decisions += [f"Split: {split.reason}", *layout.remarks, horizon.remark, *_excluded_sentences(excluded)]
    return Task(
        kind=kind,
        target=target,
        intent=settings.intent,
        metric=metric,
        classes=classes,
        target_traits=special.traits,
        targets=[] if several is None else several.names,
        target_texts=[] if several is None else several.spellings,
        tag_separator="" if several is None else several.separator,
        exposure=special.exposure,
        positive=positive,
        features=features,
        excluded=excluded,
        group_columns=layout.groups,
        time_column=layout.time,
        horizon=horizon.steps,
        horizon_named=horizon.named,
        forecast=layout.time is not None,
        split=split,
        decisions=[sentence for sentence in decisions if sentence],
    )


def _refuse_unknown_columns(settings: Settings, frame: pd.DataFrame, target: str) -> None:
    problems = []
    named = [("target", target), ("time column", settings.time_column)]
    named += [("group columns", name) for name in settings.group_columns]
    for where, name in named:
        if name and name not in frame.columns:
            near = [str(column) for column in frame.columns if str(column).lower() == name.strip().lower()]
            cure = f"did you mean {near[0]!r}?" if near else f"the table has {', '.join(map(str, frame.columns[:12]))}"
            problems.append(Problem(f"there is no column {name!r}", where=where, cure=cure))
        elif name == target and where != "target":
            problems.append(Problem(f"{name!r} is the target", where=where, cure="name another column"))
    if settings.time_column in frame.columns and not problems:
        column = frame[settings.time_column]
        if not (pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype)):
            example = f"texts such as {str(column.dropna().iloc[0])!r}" if column.notna().any() else "nothing"
            problems.append(
                Problem(
                    f"{settings.time_column!r} holds {example}, no times",
                    where="time column",
                    cure="write its dates in one form, for example 2024-05-31",
                )
            )
    if problems:
        raise InputError(problems)


def _kind(settings: Settings, profile: Profile, values: pd.Series) -> tuple[TaskKind, str]:
    """The task kind and its reason. A given multiclass with two classes is the same as binary."""
    found = profile.target
    kind = settings.kind or found.looks_like
    if kind == "multiclass" and found.distinct == 2:
        kind = "binary"
    if settings.kind:
        return kind, f"Task {kind}: the type was given."
    if implied_kind(settings, values) == "multiclass":
        return (
            "multiclass",
            "Task multiclass: the metric is one of ordered classes, and the target has few whole numbers.",
        )
    return kind, f"Task {kind}: the target has {found.evidence}."


def _refuse_labels(profile: Profile, kind: TaskKind, classes: Sequence[Label], labels: Labels) -> None:
    name, rows = profile.target.name, len(labels)
    if not rows:
        raise InputError(Problem(f"{name!r} is empty", where="target", cure="choose a column that is filled"))
    if kind == "regression":
        return
    count = len(classes)
    if count < 2:
        raise InputError(
            Problem(
                f"{name!r} has one class only: {classes[0]!r}", where="target", cure="add rows of the other classes"
            )
        )
    if kind == "binary" and count > 2:
        raise InputError(
            Problem(f"a binary task, but {name!r} has {count} classes", where="target", cure="set kind to multiclass")
        )
    fewest = min(classes, key=lambda label: int((labels == label).sum()))
    if kind == "binary" and int((labels == fewest).sum()) < 3:
        raise InputError(
            Problem(
                f"class {fewest!r} of {name!r} has {int((labels == fewest).sum())} rows; training, validation and test "
                "need one each",
                where="target",
                cure="add rows of this class",
            )
        )
    if count > rows / 2:
        raise InputError(
            Problem(
                f"{name!r} has {count} classes in {rows} rows; nearly every row would be a class of its own",
                where="target",
                cure="choose another target; an identifier or a free text cannot be learnt as classes",
            )
        )


def _metric(
    settings: Settings, kind: TaskKind, profile: Profile, labels: Labels, special: TargetKind
) -> tuple[Metric, str]:
    if not settings.metric:
        metric, sentence = special_metric(settings, kind, special) or default_metric(kind, profile, settings.intent)
        refuse_range(metric, labels, profile.target.name)
        return metric, sentence
    metric, sentence = metric_for(settings.metric, kind)
    refuse_range(metric, labels, profile.target.name)
    if metric.name == "rmsle" and float(min(labels)) < 0:
        raise InputError(
            Problem(
                f"rmsle needs a target without negative values, but {profile.target.name!r} reaches {min(labels):g}",
                where="metric",
                cure="choose rmse or mae",
            )
        )
    if metric.name == "mape" and bool((labels == 0).any()):
        sentence = (
            "Metric mape: given. The target has zeros, whose percentage errors are huge; mae or smape would be calmer."
        )
    return metric, sentence or f"Metric {metric.name}: given."


# ---- the split ---------------------------------------------------------------------------------------------------------


class Horizon(NamedTuple):
    """How far ahead a forecast is asked for."""

    steps: int | None = None
    named: bool = False
    """True when a person named it."""
    remark: str = ""


def _split(
    settings: Settings, rows: pd.DataFrame, labels: Labels, kind: TaskKind, layout: Layout
) -> tuple[SplitPlan, Horizon]:
    """The split plan, and the horizon of a forecast."""
    if layout.time is None:
        groups = group_codes(rows, layout.groups) if layout.groups else None
        return plan_split(settings, kind, labels, layout.reason, groups=groups), Horizon()
    axis = time_axis(rows[layout.time])
    horizon = _horizon(settings, rows[layout.time], axis, layout.series)
    return plan_split(settings, kind, labels, layout.reason, times=axis, horizon=horizon.steps), horizon


def _horizon(settings: Settings, times: pd.Series[Any], axis: NDArray[np.float64], series: bool) -> Horizon:
    step = infer_step(times)
    if settings.horizon is not None:
        return Horizon(settings.horizon, True, f"Horizon {settings.horizon} steps: given.")
    if step is None or not series:
        return Horizon(remark="No fixed horizon: rows are events, not one per step.")
    named = horizon_in(settings.intent, step)
    if named is not None:
        return Horizon(named, True, f"Horizon {named} steps of {step}: the intent names it.")
    late = folds.latest_part(axis, settings.test_share or 0.2)
    reach = int(np.nanmax(axis) - axis[late].min()) + 1 if len(late) else 1
    why = "the length of the test window, since the intent names none"
    return Horizon(reach, False, f"Horizon {reach} steps of {step}: {why}.")


# ---- columns ---------------------------------------------------------------------------------------------------------


def _excluded(profile: Profile, layout: Layout, split: SplitPlan) -> dict[str, str]:
    kept = {layout.time} | (set(layout.groups) if split.kind == "time" else set())
    excluded = {
        column.name: f"{column.suspicion}: {column.evidence}"
        for column in profile.columns
        if column.suspicion in USELESS and column.name not in kept
    }
    if split.kind == "group":
        for name in layout.groups:
            excluded.setdefault(name, "names the group: its values will be new, so no model may lean on them")
    return excluded


def _features(profile: Profile, excluded: dict[str, str]) -> list[Feature]:
    features = [
        Feature(
            name=column.name,
            kind=column.kind,
            missing=column.missing / max(1, profile.rows),
            cardinality=column.distinct,
        )
        for column in profile.columns
        if column.name not in excluded
    ]
    if not features:
        listed = [
            Problem(f"column {name!r} is no use ({reason})", where="columns") for name, reason in excluded.items()
        ]
        raise InputError(
            [Problem("no column is left to learn from", cure="add columns that describe the rows"), *listed[:10]]
        )
    return features


# ---- sentences -------------------------------------------------------------------------------------------------------


def _dropped(known: NDArray[np.bool_]) -> list[str]:
    missing = int((~known).sum())
    return [f"{missing} of {len(known)} rows have no target and are left out."] if missing else []


def _rare_classes(labels: Labels, classes: Sequence[Label]) -> list[str]:
    single = [repr(label) for label in classes if int((labels == label).sum()) == 1]
    if not single:
        return []
    names = ", ".join(single[:5]) + (f" and {len(single) - 5} more" if len(single) > 5 else "")
    return [f"Classes with a single row are learnt from but never tested: {names}."]


def _excluded_sentences(excluded: dict[str, str]) -> list[str]:
    sentences = [f"Column {name!r} is not used, {reason}." for name, reason in list(excluded.items())[:8]]
    return [*sentences, f"{len(excluded) - 8} more columns are not used."] if len(excluded) > 8 else sentences
