"""Settings as a person writes them: options of the command line, and what to say when one is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import pydantic

from state.errors import Problem
from state.settings import Settings

_SECONDS = frozenset({"time_limit", "run_timeout", "llm_timeout"})
_NAMES = {
    "data": "data",
    "group_columns": "--group",
    "experts": "--role-expert",
    "llm_timeout": "llm_timeout",
    "temperature": "temperature",
}
"""Settings with an option of another name, and those without one (TOML, environment and Python know them)."""


def option(setting: str) -> str:
    """The name of a setting in messages: its command line option, or its own where it has none."""
    return _NAMES.get(setting, "--" + setting.replace("_", "-"))


def absent_column(name: str, names: list[str], where: str, setting: str) -> Problem:
    """A column that is not there, with the nearest that are."""

    def plain(text: str) -> str:
        return re.sub(r"[\W_]+", "", text.lower())

    alike = [known for known in names if plain(known) == plain(name)]
    near = alike or difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if alike:
        cure = f"it is written {alike[0]!r} there: {option(setting)} {alike[0]!r}"
    elif near:
        cure = f"did you mean {' or '.join(map(repr, near))}?"
    else:
        cure = f"the columns are {', '.join(map(repr, names[:12]))}" + (", …" if len(names) > 12 else "")
    return Problem(f"there is no column {name!r}", where=f"{where}, {option(setting)}", cure=cure)


def settings_problems(error: pydantic.ValidationError) -> list[Problem]:
    """The errors of `Settings(...)` as problems, each naming the option, the value given, and the cure."""
    return [_problem(item) for item in error.errors(include_url=False)]


def _problem(item: Any) -> Problem:
    place: Sequence[Any] = item["loc"]
    name = str(place[0]) if place else ""
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, list(Settings.model_fields), n=1, cutoff=0.5)
        cure = f"did you mean {option(near[0])}?" if near else "see `modelwright build --help` for all options"
        return Problem(f"there is no option {option(name)}", cure=cure)
    return Problem(f"{item['input']!r} {_wrong(item)}", where=option(name), cure=_cure(name, item))


def _wrong(item: Any) -> str:
    """What is wrong with a value, as the end of a sentence that starts with it."""
    limits: dict[str, Any] = item.get("ctx") or {}
    words = {
        "greater_than": f"is not more than {limits.get('gt', 0):g}",
        "greater_than_equal": f"is less than {limits.get('ge', 0):g}",
        "less_than": f"is not less than {limits.get('lt', 0):g}",
        "less_than_equal": f"is more than {limits.get('le', 0):g}",
        "literal_error": "is not one of the choices",
    }
    kind = str(item["type"])
    if kind in words:
        return words[kind]
    if kind.startswith(("float", "int")):
        return "is no whole number" if kind.startswith("int") else "is no number"
    return "cannot be used: " + str(item["msg"])[:1].lower() + str(item["msg"])[1:]


def _cure(name: str, item: Any) -> str:
    if item["type"] == "literal_error":
        return f"choose {item['ctx']['expected']}"
    known = Settings.model_fields.get(name)
    if known is None:
        return "see `modelwright build --help`"
    bounds = " and ".join(filter(None, map(_bound, known.metadata)))
    if name in _SECONDS:
        return f"give seconds, or a time such as 90s, 5m or 2h; {bounds}"
    if bounds:
        return f"give a number: {bounds}"
    return f"{option(name)}: {known.description}" if known.description else "see `modelwright build --help`"


def _bound(limit: Any) -> str:
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    return next((f"{word} {getattr(limit, key):g}" for key, word in words.items() if hasattr(limit, key)), "")
