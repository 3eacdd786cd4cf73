"""Slot seconds that programs already begun will still need, so that nothing is begun which cannot end beside them."""

from __future__ import annotations


class Promises:
    """What each running candidate is expected to use, in slot seconds. Lives in memory: whatever is decided by it is
    kept by `tools.decisions` and not asked again. Used from the event loop's thread alone."""

    def __init__(self) -> None:
        self._ahead: dict[str, float] = {}
        self.any_kept = False
        """Whether a program has given valid predictions. Its candidate is on record only after its last fold."""

    def promise(self, who: str, seconds: float) -> None:
        """Set what a candidate is expected to use from now on; replaces what was said before."""
        self._ahead[who] = max(0.0, seconds)

    def used(self, who: str, seconds: float) -> None:
        """Take away what has been run."""
        if who in self._ahead:
            self._ahead[who] = max(0.0, self._ahead[who] - seconds)

    def end(self, who: str) -> None:
        self._ahead.pop(who, None)

    def ahead(self, but: str) -> float:
        """Slot seconds promised to all others."""
        return sum(seconds for who, seconds in self._ahead.items() if who != but)
