"""Parameters of a plan, checked: they may have been edited by a person or proposed by a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.errors import ExpertError

CHOICES: dict[str, frozenset[str]] = {
    "family": frozenset({"logistic", "ridge", "svr", "pls", "kernel", "boosting", "linear", "trees"}),
    "numbers": frozenset({"scaled", "ranked", "curved"}),
    "many": frozenset({"means", "codes", "texts"}),
    "loss": frozenset({"", "absolute_error", "squared_error", "poisson", "gamma", "quantile"}),
    "kind": frozenset({"extra", "random"}),
    "base": frozenset({"boosting", "linear", "histogram"}),
    "features": frozenset({"sqrt", "log2"}),
}
"""Parameters that are words, and the words each may be."""


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any], recipe: str) -> dict[str, Any]:
    """`defaults` with the values of `given` put over them; a value that is None keeps the default.

    Raises ExpertError naming every parameter that is unknown or has the wrong type or range.
    """
    problems: list[str] = []
    values = dict(defaults)
    for name, value in given.items():
        if value is None:
            continue
        if name not in defaults:
            problems.append(f"unknown parameter {name!r}")
        elif isinstance(defaults[name], dict) and isinstance(value, Mapping):
            values[name] = {**defaults[name], **value}
            problems += [f"{name}.{key} must be plain, not {item!r}" for key, item in value.items() if not _plain(item)]
        elif problem := _problem(name, defaults[name], value):
            problems.append(problem)
        else:
            values[name] = value
    if problems:
        known = ", ".join(sorted(defaults))
        raise ExpertError(
            f"the plan's parameters do not fit recipe {recipe!r}: {'; '.join(problems)}", hint=f"known: {known}"
        )
    return values


def _problem(name: str, default: Any, value: Any) -> str:
    if isinstance(value, str):
        allowed = CHOICES.get(name, frozenset())
        return "" if value in allowed else f"{name} must be one of {sorted(allowed)}, not {value!r}"
    if isinstance(default, bool) or isinstance(value, bool):
        return "" if isinstance(value, bool) and isinstance(default, bool) else f"{name} cannot be {value!r}"
    if isinstance(default, str | int | float) and isinstance(value, int | float):
        low = isinstance(default, int) and not isinstance(value, int)
        return (
            f"{name} must be a whole number, not {value!r}"
            if low
            else f"{name} must not be negative"
            if value < 0
            else ""
        )
    if isinstance(default, list) and isinstance(value, list) and value:
        return "" if all(_plain(item) or isinstance(item, Mapping) for item in value) else f"{name} cannot be {value!r}"
    return f"{name} cannot be {value!r}"


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and value.replace("_", "").isalnum())
