"""The commands that drive a run: build, resume, demo; with progress on stderr and the result on stdout."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from graphs.cli.lightstart import start_lightly
from graphs.cli.output import print_json
from graphs.cli.progress import open_progress
from state.settings import Settings
from tools.executors.early import early_worker


def build_command(settings: Settings, *, output_json: bool, began: float) -> None:
    """Build a model. began: monotonic time at which the command started, since the time limit covers all of it."""
    keep_private()
    start_lightly()
    with early_worker(), open_progress(began, settings.time_limit) as progress:
        from graphs import session

        outcome = session.start(settings, listener=progress, began=began)
    finish(outcome, output_json=output_json)


def drive_resume(
    reference: str,
    *,
    answers: dict[str, Any],
    overrides: dict[str, Any],
    output_json: bool,
    began: float,
    rebuild: bool = False,
) -> None:
    """Go on with a run, or through it again. began: monotonic time from which this counts against the run's limit."""
    _refuse_if_driven(reference)
    keep_private()
    start_lightly()
    with early_worker(), open_progress(began) as progress:
        if not rebuild:
            progress.recall(_earlier_events(reference))
        from graphs import session

        outcome = session.resume(
            reference, answers=answers, overrides=overrides, rebuild=rebuild, listener=progress, began=began
        )
    finish(outcome, output_json=output_json)


def _refuse_if_driven(reference: str) -> None:
    """Raises RunHeld before anything heavy is imported: who comes second is told so within a second."""
    from graphs.cli.screens import find_run
    from tools.drivers import check_driver

    check_driver(find_run(reference).id)


def keep_private() -> None:
    """Close this process's memory and environment, where keys and labels lie, to other processes of the same user.

    Only the command does so: a notebook's process is not ours to change. Where the system knows no such thing, nothing
    happens, and the sandbox is what remains.
    """
    from tools.executors.privileges import set_dumpable

    with suppress(OSError):
        set_dumpable(False)


def _earlier_events(reference: str) -> list[dict[str, Any]]:
    from graphs.cli.screens import find_run
    from tools.store import open_run_log

    log = open_run_log(find_run(reference).id)
    try:
        return log.events()
    finally:
        log.close()


def finish(outcome: Any, *, output_json: bool) -> None:
    """Show how the invocation ended; ask at once when it waits and a person sits at the terminal; exit with its code."""
    from graphs.cli.asking import ask_here
    from graphs.cli.screens import outcome_screen

    if outcome.status == "waiting" and not output_json and sys.stdin.isatty() and sys.stderr.isatty():
        answers = ask_here(outcome.waiting)
        if answers:
            # What came before is counted already, and the time the person took does not count.
            drive_resume(outcome.run_id, answers=answers, overrides={}, output_json=False, began=time.monotonic())
            return
    if output_json:
        print_json(
            {
                "run_id": outcome.run_id,
                "name": outcome.name,
                "status": outcome.status,
                "waiting": outcome.waiting,
                **outcome.summary,
            }
        )
    else:
        outcome_screen(outcome)
    sys.exit(outcome.exit_code)
