"""Whose remaining folds are granted first, when those of all programs at work cannot end in the time left.

Candidates begin side by side and each runs its first fold. Where the time allows all their folds nobody waits. Where it
does not, whoever happened to end first would take the time of a better one; so they wait until every first fold has
ended, and are then asked in the order of their scores on it (successive halving with one step).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf, isfinite

PLENTY = 0.8
"""Part of the slot seconds left that the folds of all may need before they have to wait for each other."""


@dataclass(frozen=True)
class _FirstFold:
    seconds: float
    gain: float


class Standing:
    """The programs at work on their folds. Lives in memory, as whatever comes of it is kept by `tools.decisions`. Used from
    the event loop's thread alone; who waits here holds no slot."""

    def __init__(self) -> None:
        self._first: set[str] = set()
        """At work on the first fold, or waiting for a slot."""
        self._asking: dict[str, _FirstFold] = {}
        self._changed = asyncio.Event()

    def begin(self, who: str) -> None:
        self._first.add(who)

    def end(self, who: str) -> None:
        """It has its answer, or needs none any more: the next one may ask."""
        self._first.discard(who)
        self._asking.pop(who, None)
        self._tell()

    def needed(self, seconds: float, folds: int) -> float:
        """Slot seconds for the folds of all that have not been answered, if each takes as long as it did or `seconds`."""
        asking = sum(one.seconds * (folds - 1) for one in self._asking.values())
        return asking + len(self._first) * seconds * folds

    async def turn(self, who: str, seconds: float, gain: float, folds: int, room: float) -> None:
        """Come back when it is `who`'s turn to ask for its other folds; `end` must follow.

        seconds, gain: of its first fold; higher gains are better. folds: that each candidate is run on. room: slot
        seconds the search has left. Candidates with the same gain go by name.
        """
        self._first.discard(who)
        self._asking[who] = _FirstFold(seconds, gain if isfinite(gain) else -inf)
        if self.needed(seconds, folds) <= PLENTY * room:
            return
        self._tell()
        while self._first or self._best() != who:
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _best(self) -> str:
        return min(self._asking, key=lambda who: (-self._asking[who].gain, who))
