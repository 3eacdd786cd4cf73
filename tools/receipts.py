"""Receipts of numbers: every number a run shows has an id, and under it stands where it came from.

Ids are stable and readable:

    test.METRIC                 the sealed test score            expected.METRIC   what was expected of it before
    oof.CANDIDATE               an out-of-fold score             fold.CANDIDATE.N  the score of one fold, from 1
    optimism                    luck in having chosen the best   corrected.METRIC  the chosen score without it
    baseline.NAME  lift         the ladder, and the gain over it gain.ONE.OTHER    a paired comparison
    calibration.SET.…  class.…  segment.COLUMN=VALUE  importance.COLUMN

Scores of candidates and comparisons are in the run's log as they are. Everything else is written there, as an event
`numbers`, in the moment it is made. Reading them computes nothing and loads no data library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import Field

from state.errors import NotFound
from state.records import Record

if TYPE_CHECKING:
    from tools.workbench import Workbench

EVENT = "numbers"
_LONGEST = 120


class Number(Record):
    """One number with where it came from, as stored."""

    id: str
    title: str
    """What it is, in a few words."""
    value: float | None
    low: float | None = None
    high: float | None = None
    """The 95 % interval, where the number has one."""
    metric: str = ""
    rows: int | None = None
    rows_are: str = ""
    """Which rows: “sealed test rows”, “rows, out of fold”."""
    method: str = ""
    """How value and interval were computed, in a sentence."""
    candidate: str | None = None
    """Whose predictions; its program, or its members' programs, made them."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """What it was computed from: name → artifact reference."""
    jobs: list[str] = Field(default_factory=list)
    """Journal keys of the executions behind it."""
    made_of: list[str] = Field(default_factory=list)
    """Ids of the numbers it was derived from."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What else belongs to it: the opening's receipt, how many candidates, …"""
    seed: int | None = None
    event: int | None = None
    """Number of the event in the run's log with which it was made; filled in when it is read."""
    time: str = ""
    role: str = ""


def number_id(*parts: object) -> str:
    """An id from its parts: one line, printable, bounded; spaces inside stay."""
    joined = ".".join(map(str, parts))
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in joined).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def baseline_id(name: str) -> str:
    """`baseline.seasonal-naive`."""
    return number_id("baseline", re.sub(r"\s+", "-", name.strip()))


def record_numbers(desk: Workbench, role: str, numbers: Iterable[Number]) -> None:
    """Write numbers into the run's log, as one event. Does nothing for none."""
    plain = [_stored(number) for number in numbers]
    if plain:
        desk.say(EVENT, role, numbers=plain)


def _stored(number: Number) -> dict[str, Any]:
    """The fields that say something."""
    plain = number.plain()
    return {
        name: value
        for name, value in plain.items()
        if name in {"id", "title", "value"} or value not in (None, "", [], {})
    }


def find_number(numbers: Mapping[str, Number], wanted: str, run: str = "RUN") -> Number:
    """The number of an id, exact or in other letter case. Raises NotFound with the nearest ids."""
    text = number_id(wanted.strip())
    if text in numbers:
        return numbers[text]
    alike = [name for name in numbers if name.lower() == text.lower()]
    if len(alike) == 1:
        return numbers[alike[0]]
    near = get_close_matches(text, list(numbers), n=4, cutoff=0.4)
    near += [name for name in numbers if text and text.lower() in name.lower() and name not in near][: 4 - len(near)]
    hint = f"did you mean {', '.join(near)}?" if near else f"`modelwright why {run}` lists the ids"
    raise NotFound(f"run {run!r} has no number {wanted!r}", hint=hint)
