"""The time budget: what counts, what is kept back, what is granted, and that restarts lose nothing."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tools.budget import RESERVED_SHARE, Budget


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_runs_until_the_limit(clock: Clock) -> None:
    """What is left falls with the clock, ends at zero, and then the budget is spent."""
    budget = Budget(60, clock=clock)
    assert (budget.left(), budget.spent(), budget.expired()) == (60, 0, False)
    clock.now += 45
    assert (budget.left(), budget.spent(), budget.expired()) == (15, 45, False)
    clock.now += 45
    assert (budget.left(), budget.search_left(), budget.expired()) == (0, 0, True)


def test_the_start_of_the_command_counts(clock: Clock) -> None:
    """The limit covers the seconds before the budget was made, and those of earlier sessions."""
    budget = Budget(60, spent=20, began=clock.now - 5, clock=clock)
    assert (budget.left(), budget.active(), budget.spent()) == (35, 5, 25)


def test_a_share_is_kept_back_for_review_and_release(clock: Clock) -> None:
    """The search leaves 12 % of a short limit, a minute of a long one, and the predicted final fits besides."""
    assert Budget(60, clock=clock).search_left() == pytest.approx(52.8)
    assert Budget(36_000, clock=clock).search_left() == pytest.approx(35_940)
    budget = Budget(60, clock=clock)
    budget.reserve(20)
    assert budget.search_left() == pytest.approx(32.8)
    budget.reserve(5)
    assert (budget.search_left(), budget.reserved) == (pytest.approx(47.8), pytest.approx(12.2))


def test_large_tables_are_left_more_time_at_the_end(clock: Clock) -> None:
    """What is kept back grows with rows × columns: review and release of a million rows take longer."""
    budget = Budget(60, clock=clock)
    budget.tell_cells(1_000 * 10)
    assert budget.search_left() == pytest.approx(52.8)
    budget.tell_cells(1_000_000 * 50)
    assert (budget.closing, budget.search_left()) == (pytest.approx(21), pytest.approx(39))


def test_a_job_is_granted_what_it_wants_or_what_is_left(clock: Clock) -> None:
    """A search job never gets seconds of the reserve; a final job may use them; nothing left means nothing granted."""
    budget = Budget(100, clock=clock)
    assert budget.grant(10) == 10
    assert budget.grant(1000) == pytest.approx(88)
    clock.now += 90
    assert budget.grant(5) == 0
    assert budget.grant(5, final=True) == 5
    assert budget.grant(50, final=True) == pytest.approx(10)
    assert budget.grant(-1, final=True) == 0


def test_waiting_for_a_person_does_not_count(clock: Clock) -> None:
    """Time between pause and resume is taken out, also while it lasts, and pauses may nest."""
    budget = Budget(60, clock=clock)
    clock.now += 10
    budget.pause()
    clock.now += 86_400
    assert budget.left() == 50
    budget.pause()
    clock.now += 5
    budget.resume()
    clock.now += 5
    budget.resume()
    clock.now += 1
    assert budget.left() == 49
    with pytest.raises(RuntimeError, match="not paused"):
        budget.resume()


def test_active_seconds_are_handed_on_once(clock: Clock) -> None:
    """Saving hands over what is new since the last save; what could not be stored is handed over the next time."""
    stored: list[float] = []
    broken = True

    def persist(seconds: float) -> None:
        if broken:
            raise OSError("disk full")
        stored.append(seconds)

    budget = Budget(60, clock=clock, persist=persist)
    clock.now += 3
    with pytest.raises(OSError, match="disk full"):
        budget.save()
    broken = False
    budget.save()
    budget.save()
    clock.now += 2
    budget.save()
    assert stored == [3, 2]


def test_nonsense_is_refused() -> None:
    """A limit that is not positive is a mistake of the caller."""
    for total, spent in ((0, 0), (-1, 0), (10, -1)):
        with pytest.raises(ValueError, match="positive total"):
            Budget(total, spent)


def test_threads_may_pause_and_save_at_once() -> None:
    """Concurrent use of the real clock neither loses nor doubles seconds."""
    stored: list[float] = []
    budget = Budget(1000, persist=stored.append)

    def work() -> None:
        for _ in range(200):
            budget.pause()
            budget.save()
            budget.resume()
            budget.save()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    budget.pause()  # from here on no second is added, however late the next line comes
    budget.save()
    assert sum(stored) == pytest.approx(budget.active(), abs=1e-6)


class Sessions(RuleBasedStateMachine):
    """Any history of work, waiting, reserving, saving and restarting keeps the books straight."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.stored = 0.0
        self.worked = 0.0
        self.unsaved = 0.0
        self.pauses = 0
        self.begin()

    def begin(self) -> None:
        self.budget = Budget(100.0, spent=self.stored, clock=self.clock, persist=self.persist)

    def persist(self, seconds: float) -> None:
        assert seconds > 0
        self.stored += seconds

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        if not self.pauses:
            self.worked += seconds
            self.unsaved += seconds

    @rule()
    def pause(self) -> None:
        self.budget.pause()
        self.pauses += 1

    @precondition(lambda self: self.pauses)
    @rule()
    def resume(self) -> None:
        self.budget.resume()
        self.pauses -= 1

    @rule(seconds=st.floats(0, 200))
    def reserve(self, seconds: float) -> None:
        self.budget.reserve(seconds)

    @rule()
    def save(self) -> None:
        self.budget.save()
        self.unsaved = 0.0
        assert self.stored == pytest.approx(self.worked, abs=1e-6)

    @rule()
    def restart(self) -> None:
        self.worked -= self.unsaved  # a killed process loses what it had not saved, and no more
        self.unsaved, self.pauses = 0.0, 0
        self.clock.now = 5.0  # another process, another clock
        self.begin()

    @invariant()
    def books_are_straight(self) -> None:
        budget = self.budget
        assert budget.spent() == pytest.approx(self.worked, abs=1e-6)
        assert budget.left() == pytest.approx(max(0.0, 100.0 - self.worked), abs=1e-6)
        assert 0.0 <= budget.search_left() <= max(0.0, budget.left() - RESERVED_SHARE * 100.0) + 1e-9
        assert budget.expired() == (budget.left() == 0.0)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


@given(total=st.floats(1, 1e6), spent=st.floats(0, 1e6), wanted=st.floats(-10, 1e6), fits=st.floats(0, 1e6))
def test_no_grant_exceeds_what_is_left(total: float, spent: float, wanted: float, fits: float) -> None:
    """Whatever is asked for, a grant is never negative, never more than asked, never beyond the limit or the reserve."""
    clock = Clock()
    budget = Budget(total, spent=spent, clock=clock)
    budget.reserve(fits)
    search, final = budget.grant(wanted), budget.grant(wanted, final=True)
    assert 0 <= search <= final <= max(0.0, wanted)
    assert final <= budget.left()
    assert search <= max(0.0, total - spent - fits) + 1e-9
