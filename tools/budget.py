"""The time of a run: what is left of the limit, what the search may still use, and what one job is granted.

Only active seconds count. Waiting for a person is taken out by `pause` and `resume`; a suspended machine is taken out
by the clock itself; what earlier sessions used is given at the start, and what this one uses is handed on by `save`, so
that a restart never resets the budget.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

RESERVED_SHARE = 0.12
"""Most of the limit kept back for review, packaging and report, …"""
RESERVED_SECONDS = 60.0
"""… which take no longer than this however long the limit is."""

LEAST_RESERVED = 6.0
"""What review, packaging and report take on the smallest table, where a share of a short limit would be too little."""

MORE_PER_CELL = 3e-7
"""Seconds they take longer for each cell of the table: 15 s on a million rows and 50 columns."""

Clock = Callable[[], float]


class Budget:
    """Seconds of one run. Thread-safe; knows nothing but the numbers and the clock it is given.

    total: the limit in seconds. spent: active seconds of earlier sessions.
    began: reading of `clock` at which this session began; now when None. A command line gives the moment the process
        started, since its limit covers that too.
    persist: called by `save` with the active seconds since the last save, to be added to what is stored.
    """

    def __init__(
        self,
        total: float,
        spent: float = 0.0,
        *,
        began: float | None = None,
        clock: Clock = time.monotonic,
        persist: Callable[[float], None] | None = None,
    ) -> None:
        if total <= 0 or spent < 0:
            raise ValueError(f"a budget needs a positive total and no negative spent seconds, not {total!r}, {spent!r}")
        self.total = float(total)
        self._earlier = float(spent)
        self._clock = clock
        self._began = clock() if began is None else began
        self.persist = persist
        self._lock = threading.RLock()
        self._saving = threading.Lock()
        """Held while seconds are handed on. `_lock` is not: who writes them may wait for somebody who reads this budget."""
        self._reserved = 0.0
        self._closing = LEAST_RESERVED
        self._waited = 0.0
        self._pauses = 0
        self._paused_at = 0.0
        self._saved = 0.0

    # ---- reading ----------------------------------------------------------------------------------------------

    def active(self) -> float:
        """Active seconds of this session: since its start, without pauses. Never falls."""
        with self._lock:
            now = self._clock()
            waiting = now - self._paused_at if self._pauses else 0.0
            return max(0.0, now - self._began - self._waited - waiting)

    def spent(self) -> float:
        """Active seconds of all sessions."""
        return self._earlier + self.active()

    def left(self) -> float:
        """Seconds until the limit, 0 when it is reached."""
        return max(0.0, self.total - self.spent())

    def search_left(self) -> float:
        """Seconds in which more candidates may be trained: what is left without the reserve."""
        return max(0.0, self.left() - self.reserved)

    def expired(self) -> bool:
        return self.left() <= 0.0

    @property
    def reserved(self) -> float:
        """Seconds kept back: for review, packaging and report, and for the final fits as predicted last."""
        least = min(self.closing, 0.4 * self.total)
        return max(least, min(RESERVED_SHARE * self.total, RESERVED_SECONDS)) + self._reserved

    @property
    def closing(self) -> float:
        """Seconds that review, packaging and report take at least on this table."""
        return self._closing

    def grant(self, wanted: float, *, final: bool = False) -> float:
        """Seconds one job may take: what it wants, or what is left of the search. 0 means that it must not start.

        final: the job belongs to the work the reserve is for, so it may use all that is left.
        """
        return max(0.0, min(wanted, self.left() if final else self.search_left()))

    # ---- telling ----------------------------------------------------------------------------------------------

    def reserve(self, seconds: float) -> None:
        """Keep back the predicted seconds of the final fits. Replaces the earlier prediction."""
        with self._lock:
            self._reserved = max(0.0, float(seconds))

    def tell_cells(self, cells: int) -> None:
        """Tell how large the table is (rows × columns), on which the last steps' seconds depend."""
        with self._lock:
            self._closing = LEAST_RESERVED + MORE_PER_CELL * cells

    def pause(self) -> None:
        """A person is waited for: the time from now on does not count. Pauses nest."""
        with self._lock:
            if self._pauses == 0:
                self._paused_at = self._clock()
            self._pauses += 1

    def resume(self) -> None:
        """End a pause. Raises RuntimeError when there is none."""
        with self._lock:
            if self._pauses == 0:
                raise RuntimeError("the budget is not paused")
            self._pauses -= 1
            if self._pauses == 0:
                self._waited += max(0.0, self._clock() - self._paused_at)

    def save(self) -> None:
        """Hand the active seconds since the last save to `persist`; called with each effect.

        What `persist` could not take (it raised) is handed over again with the next save.
        """
        with self._saving:
            active = self.active()
            if self.persist is not None and active > self._saved:
                self.persist(active - self._saved)
                self._saved = active
