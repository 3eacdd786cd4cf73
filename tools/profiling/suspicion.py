"""Suspicious columns: identifiers, constants, duplicates, and what gives the target away. No model is trained."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from numpy.typing import NDArray

from state.profile import Suspicion
from state.task import TaskKind
from tools.intent import name_words
from tools.profiling.columns import Column

Suspect = tuple[Suspicion, str]
NEARLY = 0.999
"""Strength of a single column's relation to the target above which it is named."""

ID_WORDS = {"id", "ids", "index", "idx", "uuid", "guid", "key", "code", "nr", "no", "number", "rowid", "serial", "row"}
# fmt: off
TIME_WORDS = {
    "year", "month", "day", "week", "date", "time", "hour", "timestamp", "period", "step", "t", "epoch",
    "quarter",
}
# fmt: on
_MEANING_WORDS = TIME_WORDS | {"rank", "ranking", "position", "place", "order", "age"}
"""Names of whole numbers that may be all different and still say something about the row."""
_CODE = re.compile(r"(?=.*\d)[\w\-./:#]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27,}")


def plain_suspicions(columns: list[Column], rows: int) -> dict[str, Suspect]:
    """Columns that are constant, empty, identifiers, or equal to an earlier column."""
    found: dict[str, Suspect] = {}
    seen: dict[bytes, str] = {}
    for column in columns:
        if column.distinct == 0:
            found[column.name] = ("all missing", f"all {rows} values are missing")
        elif column.distinct == 1 and column.missing == 0:
            value = column.values[0]
            shown = f"{value:g}" if column.numeric else repr(str(value)[:60])
            found[column.name] = ("constant", f"all {rows} values are {shown}")
        elif evidence := _identifier(column, rows):
            found[column.name] = ("identifier", evidence)
        else:
            first = seen.setdefault(_content(column), column.name)
            if first != column.name:
                found[column.name] = ("duplicate column", f"equal to {first!r} in every row")
    return found


def _content(column: Column) -> bytes:
    """A hash of a column's values, missing ones included."""
    digest = hashlib.blake2b(np.ascontiguousarray(column.codes).tobytes(), digest_size=16)
    if column.numeric or column.datetime:
        digest.update(np.ascontiguousarray(column.numbers).tobytes())
    else:
        digest.update("\x1f".join(map(str, column.values)).encode())
    return digest.digest()


def _identifier(column: Column, rows: int) -> str:
    """Why a column only names its row, or empty. A unique measurement or a prose text names nothing."""
    known = int(column.known.sum())
    if known < 0.95 * rows or column.distinct < known or known < 10 or column.datetime:
        return ""
    words = name_words(column.name)
    named = bool(words) and (words[-1] in ID_WORDS or words[0] in ID_WORDS)
    if column.numeric:
        return _number_identifier(column, known, named, bool(set(words) & _MEANING_WORDS))
    if column.kind in ("sequence", "image") or column.mean_words > 1.5:
        return ""
    codes = np.mean([bool(_CODE.fullmatch(text)) for text in column.texts]) >= 0.9
    if named or codes:
        return f"every value is different, and they {'are codes' if codes else 'are named so'}"
    return ""


def _number_identifier(column: Column, known: int, named: bool, meaningful: bool) -> str:
    if not column.integral or meaningful:
        return ""
    values = column.numbers[column.known]
    span = float(values.max() - values.min()) + 1
    if named:
        return "every value is a different whole number, and the name says so"
    if span <= 1.05 * known and values.min() in (0, 1):
        return f"the whole numbers from {values.min():g} to {values.max():g}, each once: a running number"
    if span <= 2 * known and bool((np.diff(values) > 0).all()):
        return "different whole numbers that rise from row to row: a running number"
    return ""


def target_suspicion(column: Column, target: Column, kind: TaskKind, rows: NDArray[np.int64]) -> Suspect | None:
    """Whether a column copies, encodes or alone nearly predicts the target; `rows` are those looked at."""
    if column.distinct < 2 or len(rows) < 30:
        return None
    if _copies(column, target):
        return "copy of the target", "equal to the target in every row"
    rows = rows[target.known[rows]]
    one_to_one = _one_to_one(column, target, rows)
    if one_to_one:
        return "encodes the target", one_to_one
    if column.datetime:
        return None
    if kind == "regression" and target.numeric:
        return _regression_suspicion(column, target, rows[column.known[rows]])
    return _class_suspicion(column, target, rows)


def _copies(column: Column, target: Column) -> bool:
    both = column.known & target.known
    if both.sum() < 0.95 * target.known.sum() or both.sum() < 10:
        return False
    if column.numeric and target.numeric:
        return bool(np.allclose(column.numbers[both], target.numbers[both], rtol=1e-12, atol=0))
    if column.numeric or target.numeric or column.datetime or target.datetime:
        return False
    return bool((column.series[both].to_numpy() == target.series[both].to_numpy()).all())


def _one_to_one(column: Column, target: Column, rows: NDArray[np.int64]) -> str:
    """Each value belongs to one target value and the other way round, often enough to be no accident."""
    x, y = column.codes[rows].astype(np.int64) + 1, target.codes[rows].astype(np.int64)
    values, targets = len(np.unique(x)), len(np.unique(y))
    if values != targets or targets < 2 or targets > len(rows) / 5:
        return ""
    if len(np.unique(x * (target.distinct + 1) + y)) != values:
        return ""
    return f"each of its {values} values belongs to exactly one value of the target, and the other way round"


def _regression_suspicion(column: Column, target: Column, rows: NDArray[np.int64]) -> Suspect | None:
    y = target.numbers[rows]
    if len(rows) < 30 or np.ptp(y) == 0:
        return None
    if column.numeric:
        x = column.numbers[rows]
        linear = float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 else 0.0
        if abs(linear) > 1 - 1e-10:
            return "encodes the target", f"a straight line leads from it to the target (correlation {linear:.6f})"
        ranks = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1]) if np.ptp(x) > 0 else 0.0
        strength = max(linear**2, ranks**2)
        if strength > NEARLY:
            return "nearly predicts the target alone", f"R² of {strength:.5f} with the target, alone"
    explained, covered = _explained_by_value(column.codes[rows].astype(np.int64), y)
    if covered > 0.8 and explained > NEARLY:
        return "nearly predicts the target alone", f"its values alone explain R² = {explained:.5f} of unseen rows"
    return None


def _explained_by_value(codes: NDArray[np.int64], y: NDArray[np.float64]) -> tuple[float, float]:
    """R² on every second row when predicted by the mean of equal values in the other rows, and the share covered."""
    learn, test = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    size = int(codes.max()) + 2
    counts = np.bincount(codes[learn] + 1, minlength=size)
    means = np.bincount(codes[learn] + 1, weights=y[learn], minlength=size) / np.maximum(counts, 1)
    seen = counts[codes[test] + 1] > 0
    truth = y[test][seen]
    if len(truth) < 15 or np.ptp(truth) == 0:
        return 0.0, 0.0
    residual = ((truth - means[codes[test][seen] + 1]) ** 2).sum()
    return float(1 - residual / ((truth - truth.mean()) ** 2).sum()), float(seen.mean())


def _class_suspicion(column: Column, target: Column, rows: NDArray[np.int64]) -> Suspect | None:
    y = target.codes[rows].astype(np.int64)
    sizes = np.bincount(y)
    sizes = sizes[sizes > 0]
    if len(sizes) < 2 or sizes.min() < 10:  # a few rows are told apart by accident
        return None
    chance = 1 - ((sizes / len(y)) ** 2).sum()
    if column.distinct > len(rows) / 5:
        if not column.numeric:
            return None
        known = column.known[rows]
        ordered = y[known][np.argsort(column.numbers[rows][known], kind="stable")]
        # A column that sorts the rows into whole blocks of classes changes class k − 1 times.
        extra = max(0, int((np.diff(ordered) != 0).sum()) - (len(sizes) - 1))
        strength = 1 - extra / max(1, len(ordered) - 1) / chance if known.mean() > 0.95 else 0.0
        if len(sizes) == 2 and known.mean() > 0.95:
            strength = max(strength, _area(column.numbers[rows][known], y[known] == y.max()))
    else:
        strength = 1 - _majority_error(column.codes[rows].astype(np.int64) + 1, y) / chance
    if strength > NEARLY:
        return "nearly predicts the target alone", f"tells the classes apart alone (strength {strength:.5f} of 1)"
    return None


def _area(x: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of a column, in the better direction."""
    up = int(truth.sum())
    area = (_ranks(x)[truth].sum() - up * (up + 1) / 2) / max(1, up * (len(truth) - up))
    return float(max(area, 1 - area))


def _majority_error(codes: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    """Error on every second row when each value is taken for the class most frequent with it in the other rows."""
    learn, test = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    table = np.zeros((int(codes.max()) + 1, int(y.max()) + 1), dtype=np.int64)
    np.add.at(table, (codes[learn], y[learn]), 1)
    guess = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), np.bincount(y[learn]).argmax())
    return float((guess[codes[test]] != y[test]).mean())


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks with ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)
