"""Decisions that do not follow from the data alone are taken once, and kept in the journal.

A step decides by the clock (is there time for another iteration?), by what other runs have learned meanwhile, or by a
person's answer. Taken again at another moment, such a decision may come out otherwise: a step that is run again after a
kill would then go another way than what is already on record, and a run gone through again from the journal would train
what it never trained. So the first outcome is written down before it has any effect, keyed by what it is about, and given
to whoever asks again. Everything else a step decides by is content, and comes out the same.

The limits that a resume may change are part of the key: with more time the clock is asked anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from state.records import content_key

if TYPE_CHECKING:
    from tools.workbench import Workbench

KIND = "decision"
"""Kind of their rows in the journal."""
_LIMITS = ("time_limit", "run_timeout", "iterations", "candidates", "jobs")

Outcome = dict[str, Any]


class TimeLeft(NamedTuple):
    """Seconds left at a moment: until the limit, and of the search."""

    left: float
    search: float


def decide(
    desk: Workbench, about: str, subject: Any, make: Callable[[], Outcome], *, for_good: bool = False
) -> Outcome:
    """The outcome of a decision of this run: that of the first time, or of `make` when this is the first time.

    subject: plain data that tells this decision from others of its kind. for_good: other limits ask it not anew. Writes
    one row of the journal, durable when this returns.
    """
    return desk.journal.intend(_key(desk, about, subject, for_good), KIND, make)


def decided(desk: Workbench, about: str, subject: Any, *, for_good: bool = False) -> Outcome | None:
    """The outcome of a decision this run has taken, or None. Read-only."""
    return desk.journal.intention(_key(desk, about, subject, for_good))


def time_left(desk: Workbench, step: str, subject: Any) -> TimeLeft:
    """What the clock said when this step first asked."""
    said = decide(
        desk,
        f"time of {step}",
        subject,
        lambda: {"left": desk.budget.left(), "search": desk.budget.search_left()},
    )
    return TimeLeft(said["left"], said["search"])


def key_for_good(about: str, subject: Any) -> str:
    """The journal key of a decision that no limit bears on, for who has a journal and no workbench."""
    return content_key({"decision": about, "subject": subject, "limits": {}})


def _key(desk: Workbench, about: str, subject: Any, for_good: bool) -> str:
    if for_good:
        return key_for_good(about, subject)
    limits = {name: getattr(desk.settings, name) for name in _LIMITS}
    return content_key({"decision": about, "subject": subject, "limits": limits})
