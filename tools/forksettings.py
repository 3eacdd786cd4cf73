"""The settings a fork may change, from which steps on that has an effect, and what then runs again.

A fork keeps the task, the table and the sealed rows of its parent: that is what makes the two comparable, and what keeps
the count of test openings honest. Whoever wants other ones starts a new run, which reuses every training that is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from state.errors import InputError, UsageError
from state.settings import Settings

_STAGES: tuple[tuple[str, ...], ...] = (
    ("analyst",),
    ("examiner",),
    ("researcher", "approve_plan", "engineer", "check", "runner", "strategist"),
    ("operations",),
    ("reviewer",),
    ("approve_release",),
    ("publisher",),
)
"""Steps in the order of the graph; those of one stage may follow each other again."""

_NOTHING = "nothing that has finished"
_NEW_PLANS = "programs of plans the parent did not have"
_ALL = "every training: it is part of what a program is given"


@dataclass(frozen=True)
class Change:
    """A setting that a fork may change."""

    read: str
    """The last step that reads it; forked after that, it would change nothing."""
    why: str
    again: str = _NOTHING


FORK_MAY_CHANGE: dict[str, Change] = {
    "time_limit": Change("publisher", "how long the fork may take, counting what its parent had used at that step"),
    "run_timeout": Change("publisher", "a limit of one program; no part of what a training is known by"),
    "memory_mb": Change("publisher", "a limit of one program; no part of what a training is known by"),
    "jobs": Change("publisher", "how many programs run side by side"),
    "iterations": Change("strategist", "how often it is planned again; fewer end the search earlier", _NEW_PLANS),
    "candidates": Change("strategist", "how many plans are asked for from here on", _NEW_PLANS),
    "policy": Change("strategist", "how the search chooses from here on", _NEW_PLANS),
    "attempts": Change("operations", "how often a failing program is repaired", "programs that had failed"),
    "builtin_candidates": Change("strategist", "whether builtin candidates compete from here on", _NEW_PLANS),
    "expert": Change("reviewer", "who is asked from here on", _NEW_PLANS),
    "experts": Change("reviewer", "who is asked from here on, by role", _NEW_PLANS),
    "base_url": Change("reviewer", "where the expert is reached"),
    "api_key_env": Change("reviewer", "where the expert's key is found"),
    "llm_timeout": Change("reviewer", "how long a reply may take"),
    "temperature": Change("reviewer", "how freely a model answers from here on", _NEW_PLANS),
    "review": Change("approve_release", "at which gates a person is asked from here on"),
    "refit": Change("publisher", "the rows of the released model", "the last fits, when they are on other rows"),
    "prefer": Change("operations", "how many members, and how much quickness counts, from here on", _NEW_PLANS),
    "metric": Change("examiner", "what is optimised; the sealed rows stay the same", _ALL),
    "folds": Change("examiner", "how validation rows are dealt; the sealed rows stay the same", _ALL),
    "seed": Change("examiner", "folds and programs; the sealed rows stay the same", _ALL),
}


_REFUSED = {
    "name": "the fork's name is given with --name",
    "fresh": "a fork is there to reuse what has finished",
}
_KEPT = "the task and the sealed rows depend on it, and a fork keeps them"


def again_of(name: str) -> str:
    """What runs again when a setting is changed, as the end of a sentence."""
    return FORK_MAY_CHANGE[name].again


def checked_settings(before: Settings, given: Mapping[str, Any], role: str) -> tuple[Settings, dict[str, Any]]:
    """The fork's settings, and what of them is another than before.

    role: the step the fork begins at. Raises UsageError for a setting that a fork cannot change, there or at all, and
    InputError for a value that cannot be.
    """
    if refused := sorted(set(given) - FORK_MAY_CHANGE.keys()):
        name, known = refused[0], ", ".join(FORK_MAY_CHANGE)
        if name not in Settings.model_fields:
            near = get_close_matches(name, FORK_MAY_CHANGE, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"a fork may change {known}"
            raise UsageError(f"there is no setting {name!r}", hint=hint)
        raise UsageError(
            f"a fork cannot change {name!r}: {_REFUSED.get(name, _KEPT)}",
            hint=f"it may change {known}; for anything else start a new run, which reuses every training that is the same",
        )
    for name in given:
        last = FORK_MAY_CHANGE[name].read
        if _stage(role) > _stage(last):
            raise UsageError(
                f"changing {name!r} has no effect at the {role}'s step: it is last read by the {last}",
                hint=f"fork at a step of the {last} or before; `modelwright log RUN --steps` lists them",
            )
    try:
        after = Settings.model_validate({**before.model_dump(), **given})
    except ValidationError as error:
        from tools.intake.options import settings_problems

        raise InputError(settings_problems(error)) from None
    return after, {name: getattr(after, name) for name in given if getattr(after, name) != getattr(before, name)}


def _stage(role: str) -> int:
    return next(number for number, roles in enumerate(_STAGES) if role in roles)
