"""Spaces of hyper-parameters: what of a recipe's parameters may be searched, within which bounds around its defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from state.profile import Profile
from state.task import Task
from tools.recipes.recipe import Recipe

Params = dict[str, Any]
Value = int | float | str | bool


@dataclass(frozen=True)
class Dimension:
    """One parameter that may be searched. `name` leads to it by dots: `rounds`, `lgb.num_leaves`, `settings.gamma`.

    A name that begins with `settings.` stands for the whole list of settings a program tries: a drawn value makes it a
    list of one.
    """

    name: str
    kind: Literal["int", "float", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    def holds(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.choices
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and self.low <= value <= self.high and (self.kind == "float" or isinstance(value, int))

    def nearest(self, value: Any) -> Value | None:
        """The value brought into the bounds; None when it is of another kind."""
        if self.kind == "choice":
            return value if value in self.choices else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        bounded = min(max(float(value), self.low), self.high)
        return round(bounded) if self.kind == "int" else bounded


def _whole(least: int, most: int, factor: float = 4.0) -> Callable[[Any], Dimension | None]:
    """Whole numbers from a part to a multiple of the default, on a logarithmic scale."""

    def dimension(default: Any) -> Dimension | None:
        if not isinstance(default, int) or isinstance(default, bool):
            return None
        low, high = max(least, int(default / factor)), min(most, int(default * factor) + 1)
        return Dimension("", "int", low, high, log=low >= 1) if low < high else None

    return dimension


def _ratio(least: float, most: float, factor: float = 4.0) -> Callable[[Any], Dimension | None]:
    """Positive numbers from a part to a multiple of the default, on a logarithmic scale."""

    def dimension(default: Any) -> Dimension | None:
        if not isinstance(default, int | float) or isinstance(default, bool) or default <= 0:
            return None
        low, high = max(least, default / factor), min(most, default * factor)
        return Dimension("", "float", low, high, log=True) if low < high else None

    return dimension


def _between(low: float, high: float) -> Callable[[Any], Dimension | None]:
    return lambda default: Dimension("", "float", low, high)


def _among(*choices: Value) -> Callable[[Any], Dimension | None]:
    return lambda default: Dimension("", "choice", choices=choices) if default in choices else None


def _columns(default: Any) -> Dimension | None:
    """The share of columns a split looks at; a word stands for a number that follows from theirs."""
    if isinstance(default, str):
        return Dimension("", "choice", choices=("sqrt", "log2", 0.3, 0.6))
    return Dimension("", "float", 0.1, 1.0)


_RULES: dict[str, Callable[[Any], Dimension | None]] = {
    "lgb.num_leaves": _whole(4, 255),
    "lgb.learning_rate": _ratio(0.01, 0.2, 3.0),
    "lgb.min_data_in_leaf": _whole(1, 200, 5.0),
    "lgb.feature_fraction": _between(0.2, 1.0),
    "lgb.bagging_fraction": _between(0.5, 1.0),
    "lgb.lambda_l2": _ratio(0.01, 100.0, 10.0),
    "rate": _ratio(0.015, 0.3, 3.0),
    "leaves": _whole(4, 255),
    "leaf": _whole(1, 200, 5.0),
    "l2": _ratio(0.01, 100.0, 10.0),
    "features": _columns,
    "kind": _among("extra", "random"),
    "landmarks": _whole(20, 800, 3.0),
    "longest": _whole(2, 7, 1.5),
    "stretches": _whole(2, 20, 2.5),
    "directions": _whole(10, 150, 2.5),
    "leads": _whole(1, 8, 2.0),
    "waves": _whole(1, 8, 2.0),
    "picks": _whole(4, 40, 3.0),
    "components": _whole(4, 60, 3.0),
    "settings.freedom": _ratio(1e-4, 1e4, 30.0),
    "settings.strength": _ratio(1e-4, 1e6, 100.0),
    "settings.gamma": _ratio(0.01, 10.0, 6.0),
    "settings.components": _whole(2, 40, 5.0),
}
"""How far each parameter may go; a parameter that is not here is not searched."""


def space(recipe: Recipe, task: Task, profile: Profile) -> list[Dimension]:
    """The parameters of a recipe that may be searched, in the order of its own parameters."""
    defaults = recipe.variants(task, profile)[0].params
    found = []
    for name, default in _leaves(defaults):
        rule = _RULES.get(name)
        if rule is None or (dimension := rule(default)) is None or not _matters(name, task):
            continue
        high = dimension.high
        if name == "settings.components":  # no more than inner folds have rows for
            high = min(high, max(dimension.low + 1, profile.rows // 4))
        found.append(Dimension(name, dimension.kind, dimension.low, high, dimension.log, dimension.choices))
    return found


def _matters(name: str, task: Task) -> bool:
    """Components are those of texts; where there are none, searching them would be a wasted candidate."""
    return name != "components" or any(feature.kind == "text" for feature in task.features)


def _leaves(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Dotted names and values; of a list of settings those of the first."""
    found: list[tuple[str, Any]] = []
    for name, value in params.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{key}", item) for key, item in value.items()]
        elif name == "settings" and value and isinstance(value[0], Mapping):
            found += [(f"settings.{key}", item) for key, item in value[0].items()]
        else:
            found.append((name, value))
    return found


def values_of(params: Mapping[str, Any], dimensions: list[Dimension]) -> dict[str, Value] | None:
    """A candidate's place in the space, brought into its bounds; None when it lacks a parameter or has it of another kind."""
    known = dict(_leaves(params))
    found: dict[str, Value] = {}
    for dimension in dimensions:
        value = dimension.nearest(known.get(dimension.name))
        if value is None:
            return None
        found[dimension.name] = value
    return found


def placed(params: Mapping[str, Any], values: Mapping[str, Value]) -> Params:
    """The parameters with drawn values put in."""
    made: Params = {name: dict(value) if isinstance(value, Mapping) else value for name, value in params.items()}
    setting: Params = {}
    for name, value in values.items():
        head, _, key = name.partition(".")
        short = float(f"{value:.3g}") if isinstance(value, float) else value
        if head == "settings" and key:
            setting[key] = short
        elif key:
            made[head][key] = short
        else:
            made[head] = short
    if setting:
        made["settings"] = [setting]
    return made
