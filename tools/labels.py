"""Labels: one canonical form of the target's values, their order, and the class a yes-or-no question is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.errors import InputError, Problem
from state.task import Label, TaskKind

Labels = NDArray[np.object_] | NDArray[np.float64]

# fmt: off
_YES = {
    "yes", "y", "true", "t", "positive", "pos", "case", "present", "event", "success", "malignant", "fraud",
    "default", "churn", "churned", "spam", "bad", "failure", "fail", "failed", "sick", "ill", "disease", "diseased",
    "abnormal", "anomaly", "attack", "died", "dead", "left", "accepted", "approved", "hit", "active",
}
# fmt: on


def canonical_labels(series: pd.Series[Any], kind: TaskKind) -> tuple[Labels, NDArray[np.bool_]]:
    """The labels of the rows that have one, and the mask (rows,) of those rows.

    Regression: float64. Classes: int where every value is a whole number, else str (True and False become texts).
    Raises InputError for a regression on texts or dates and for infinite values.
    """
    known = series.notna().to_numpy()
    values = series[known]
    name = str(series.name)
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    if kind == "regression":
        return _numbers(values, name, numeric), known
    if numeric:
        numbers = values.to_numpy(dtype=np.float64)
        if np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all():
            return np.array([int(value) for value in numbers], dtype=object), known
        return np.array([f"{value:g}" for value in numbers], dtype=object), known
    return np.array([str(value) for value in values], dtype=object), known


def label_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of a label file that hold labels: `label`, and for several targets `label_0`, `label_1`, …"""
    return [name for name in map(str, frame.columns) if name == "label" or name.startswith("label_")]


def labels_in(frame: pd.DataFrame) -> NDArray[Any]:
    """The labels of a label file: (rows,), or (rows, targets) where there are several."""
    several = [name for name in label_columns(frame) if name != "label"]
    return frame[several].to_numpy(dtype=np.float64) if several else frame["label"].to_numpy()


def _numbers(values: pd.Series[Any], name: str, numeric: bool) -> NDArray[np.float64]:
    if not numeric:
        examples = ", ".join(repr(str(value)) for value in values.unique()[:3])
        raise InputError(
            Problem(
                f"a regression needs numbers, but {name!r} holds {examples}",
                where="target",
                cure="choose a numeric target, or leave the task type out to predict classes",
            )
        )
    numbers = values.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        rows = [str(values.index[place]) for place in np.flatnonzero(~np.isfinite(numbers))[:3]]
        raise InputError(
            Problem(
                f"{name!r} holds infinite values, first in rows {', '.join(rows)}", where="target", cure="correct them"
            )
        )
    return numbers


def ordered_classes(labels: Labels) -> list[Label]:
    """The distinct labels: whole numbers ascending, texts by alphabet."""
    distinct = set(labels.tolist())
    return sorted(distinct, key=lambda label: (isinstance(label, str), label))


def positive_class(classes: list[Label], labels: Labels, given: str, intent: str) -> tuple[Label, str]:
    """The class a question of two classes is about, and why.

    The one given, else the one the intent speaks of, else the one that means yes, else the rarer one. Raises
    InputError when the given one is no class.
    """
    if given:
        for label in classes:
            if str(label) == given.strip() or (isinstance(label, int) and _as_int(given) == label):
                return label, f"Positive class {label!r}: given."
        raise InputError(
            Problem(
                f"the positive class {given!r} does not occur in the target",
                where="positive",
                cure=f"choose one of {', '.join(repr(str(label)) for label in classes[:10])}",
            )
        )
    spoken = _first_spoken(classes, intent)
    if spoken is not None:
        return spoken, f"Positive class {spoken!r}: the intent speaks of it."
    meaning_yes = [label for label in classes if str(label).lower() in _YES]
    if classes in ([0, 1], [-1, 1]):
        meaning_yes = [1]
    if len(meaning_yes) == 1:
        return meaning_yes[0], f"Positive class {meaning_yes[0]!r}: it reads like a yes."
    counts = [int((labels == label).sum()) for label in classes]
    rarer = classes[0] if counts[0] < counts[-1] else classes[-1]
    return rarer, f"Positive class {rarer!r}: the rarer one." if counts[0] != counts[
        -1
    ] else f"Positive class {rarer!r}."


def _as_int(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _first_spoken(classes: Sequence[Label], intent: str) -> Label | None:
    """The text label that a sentence names first; numbers in a sentence mean too many things."""
    places = []
    for label in classes:
        if isinstance(label, str):
            exact = 0 if len(label) <= 2 else re.IGNORECASE  # one letter counts only as it is written
            found = re.search(rf"(?<!\w){re.escape(label)}(?!\w)", intent, exact)
            if found and not (len(label) == 1 and label in "aAI"):
                places.append((found.start(), label))
    return min(places)[1] if places else None
