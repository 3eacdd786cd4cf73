"""Workbenches lent to runs that no session of ours drives: a notebook's `ainvoke`, a script, the LangGraph server.

`graphs/session.py` opens the workbench of a run it drives, and closes it. Whoever invokes the graph directly knows
nothing of workbenches, so the nodes borrow one here: it is opened at the run's first step under the run's lock and with
the seconds the run has used so far, shared by its parallel branches, and closed when the run ends, waits or fails. When
nobody comes back (a stream that was left in the middle), it is closed after a while.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

from state.errors import RunPaused
from state.settings import Settings
from tools.budget import Budget
from tools.damage.standing import check_before_driving
from tools.drivers import drive_run
from tools.runs import register_run
from tools.store import open_catalogue
from tools.workbench import Workbench, close_workbench, open_workbench, opened_workbench

IDLE_SECONDS = 10.0
"""A lent workbench that no step uses for so long is closed; the next step opens it again."""


@dataclass
class _Loan:
    desk: Workbench
    held: ExitStack
    """Closes the workbench, then frees the run's lock."""
    steps: int = 0
    """Steps at work with it now."""
    how: str = ""
    """Why it will be closed: ended, waiting, paused or failed; what was first is what counts."""
    idle: threading.Timer | None = None


_loans: dict[str, _Loan] = {}
_lock = threading.RLock()
_stopped = threading.Event()


def borrow(run_id: str, settings: Settings) -> Workbench:
    """The workbench of a run: the session's when one drives it, else a lent one. Every borrow needs a `give_back`.

    Raises RunHeld when another process drives the run, RunPaused once `stop_lending` was called.
    """
    with _lock:
        if not lending():
            raise RunPaused(
                "paused: the process that drives this run is stopping", hint="`modelwright resume` continues"
            )
        loan = _loans.get(run_id)
        if loan is None:
            driven = opened_workbench(run_id)
            if driven is not None:
                return driven
            loan = _loans[run_id] = _lend(run_id, settings)
        if loan.idle is not None:
            loan.idle.cancel()
            loan.idle = None
        loan.steps += 1
        return loan.desk


def give_back(run_id: str, how: str) -> None:
    """One step is done with the workbench.

    how: "" when the run goes on; "ended", "waiting", "paused" or "failed" when it does not, so that the last step out
    closes the workbench. The last three become the run's status in the catalogue.
    """
    with _lock:
        loan = _loans.get(run_id)
        if loan is None:
            return
        loan.steps -= 1
        loan.how = loan.how or how
        if loan.steps > 0:
            return
        if loan.how:
            _close(run_id)
        else:
            loan.idle = threading.Timer(IDLE_SECONDS, reclaim, args=(run_id,))
            loan.idle.daemon = True
            loan.idle.start()


def is_lent(run_id: str) -> bool:
    """True when no session drives the run, so that what `ls` says about it is told by its own steps."""
    return run_id in _loans


def reclaim(run_id: str) -> None:
    """Close the run's lent workbench when no step uses it."""
    with _lock:
        loan = _loans.get(run_id)
        if loan is not None and loan.steps == 0:
            _close(run_id)


def lending() -> bool:
    """False once this process has been told to stop."""
    return not _stopped.is_set()


def stop_lending() -> None:
    """Pause every run that steps of this process drive: running programs are let finish, and no step begins any more.

    Returns when all of them stand still; they count as paused then.
    """
    _stopped.set()
    while True:
        with _lock:
            for run_id, loan in list(_loans.items()):
                loan.desk.draining = True
                reclaim(run_id)
            if not _loans:
                return
        time.sleep(0.05)


def _lend(run_id: str, settings: Settings) -> _Loan:
    with ExitStack() as held:
        drive = held.enter_context(drive_run(run_id))
        catalogue = open_catalogue()
        try:
            row = register_run(catalogue, run_id, settings)
            damaged = check_before_driving(catalogue, row, lent=True)
        finally:
            catalogue.close()
        budget = Budget(settings.time_limit, spent=row.active_seconds)
        held.callback(close_workbench, run_id)  # first: one left open without the lock would count as a session's
        held.callback(budget.save)
        desk = open_workbench(run_id, settings, budget=budget)
        drive.when_lost = desk.abandon
        for one in damaged:
            desk.note(f"damage: {one}; {one.way_out}")
        budget.persist = lambda seconds: desk.catalogue.add_active_seconds(run_id, seconds)
        desk.catalogue.update_run(run_id, status="running")
        return _Loan(desk, held.pop_all())


def _close(run_id: str) -> None:
    loan = _loans.pop(run_id)
    if loan.idle is not None:
        loan.idle.cancel()
    with loan.held:
        status = loan.how or "paused"
        if status != "ended":
            loan.desk.catalogue.update_run(run_id, status=status)
