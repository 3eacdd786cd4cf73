"""The target: are its values classes or quantities? Decided by storage, by shape, and by the words of the intent."""

from __future__ import annotations

import numpy as np

from state.profile import TargetProfile
from state.task import TaskKind
from tools.intent import mentions, wanted_output
from tools.profiling.columns import Column, number_stats

_CLASS_NAMES = ["class", "label", "category", "type", "species", "kind", "status", "diagnosis", "outcome", "grade"]
# fmt: off
_NUMBER_NAMES = [
    "price", "cost", "amount", "count", "number", "quantity", "value", "score", "age", "salary", "income",
    "sales", "revenue", "duration", "time", "length", "weight", "height", "area", "volume", "rate", "percent",
    "temperature", "year", "rings", "total",
]
# fmt: on


def profile_target(column: Column, intent: str, kind: TaskKind | None) -> TargetProfile:
    """The target's profile; `kind` is the person's own word and overrules what the values look like."""
    looks_like, evidence = (kind, "the task type was given") if kind else looks(column, intent)
    counts: dict[str, int] = {}
    stats = {}
    if looks_like == "regression" and column.numeric:
        stats = number_stats(column.raw, column.integral)
    else:
        sizes = np.bincount(column.codes[column.known], minlength=column.distinct)
        for place in np.argsort(-sizes, kind="stable")[:50]:
            value = column.values[place]
            counts[f"{value:g}" if column.numeric else str(value)] = int(sizes[place])
    return TargetProfile(
        name=column.name,
        missing=column.missing,
        distinct=column.distinct,
        counts=counts,
        stats=stats,
        looks_like=looks_like,
        evidence=evidence,
    )


def looks(column: Column, intent: str) -> tuple[TaskKind, str]:
    """What the values of a target look like, and why."""
    distinct, rows = column.distinct, int(column.known.sum())
    if not column.numeric and not column.datetime:
        return ("binary", "2 different texts") if distinct <= 2 else ("multiclass", f"{distinct} different texts")
    if distinct <= 2:
        return "binary", f"{distinct} different numbers"
    if column.datetime or not column.integral:
        return "regression", "numbers with fractions" if column.numeric else "dates"
    if distinct > max(20, 0.02 * rows) or distinct > 100:
        return "regression", f"{distinct} different whole numbers in {rows} rows"
    return _few_integers(column, intent, distinct, rows)


def _few_integers(column: Column, intent: str, distinct: int, rows: int) -> tuple[TaskKind, str]:
    """Few whole numbers may be codes of classes, grades, or small counts."""
    seen = f"{distinct} different whole numbers"
    wanted = wanted_output(intent)
    if wanted is not None:
        return (
            ("multiclass", f"{seen}, and the intent asks for classes")
            if wanted == "classes"
            else ("regression", f"{seen}, and the intent asks for a quantity")
        )
    if mentions(column.name, _CLASS_NAMES):
        return "multiclass", f"{seen}, and the name {column.name!r} speaks of classes"
    if mentions(column.name, _NUMBER_NAMES):
        return "regression", f"{seen}, and the name {column.name!r} speaks of a quantity"
    values = np.sort(column.values.astype(np.float64))
    codes_like = values[0] in (0, 1) and values[-1] - values[0] == distinct - 1
    sizes = np.bincount(column.codes[column.known], minlength=distinct) / max(1, rows)
    evenness = float(-(sizes * np.log(sizes)).sum() / np.log(distinct))
    if codes_like and (distinct <= 5 or evenness > 0.85) and rows >= 10 * distinct:
        return "multiclass", f"{seen} from {values[0]:g} to {values[-1]:g}, about evenly used, like codes of classes"
    return "regression", f"{seen}, unevenly used, like a quantity"
