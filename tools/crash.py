"""Named crash points: a test aid that ends a process as `kill -9` would, at an exact moment.

`MODELWRIGHT_CRASH="after-effect:3"` kills the process when it passes `after-effect` for the third time. Without the
variable a crash point does nothing.

This is the one list of them. A test compares it with the tree, so a point is added here first, and another one kills a
run at each and resumes it. Points of the supervisor lie in a process that knows none of our packages and inherits none
of our environment: the executor counts jobs in its stead and tells the chosen one (`crash_wanted`), whose keeper then
kills itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

from state.errors import UsageError

VARIABLE = "MODELWRIGHT_CRASH"

SUPERVISOR_POINTS = {
    "before-receipt": "a program has ended; the supervisor has not written its receipt",
    "after-receipt": "a receipt is durable; nobody has been told",
}
"""Points at which the supervisor of a job dies, not the process that drives the run."""

CRASH_POINTS = {
    "after-register": "the catalogue knows the run; it has no checkpoint",
    "before-effect": "the journal says running; the effect has not begun",
    **SUPERVISOR_POINTS,
    "before-collect": "a receipt is known; nothing a job left is in the artifact store",
    "before-note": "all a job left is in the artifact store; the note that says so is not written",
    "after-effect": "the effect is finished; the journal does not know it",
    "after-journal": "the journal says done; whoever asked has not heard it",
    "mid-rename": "an artifact is complete under its temporary name",
    "after-record": "a candidate's record is in the log; the step that wrote it has not ended",
    "after-writes": "what a step gave is durable; the checkpoint that takes it up is not",
    "before-checkpoint": "a superstep has ended; its checkpoint is not written",
    "after-checkpoint": "a checkpoint of the graph is durable; the next step has not begun",
    "after-answer": "a person's answer is in the log; the step that asked has not ended",
    "after-opening": "the opening of the sealed test set is recorded; nothing has been predicted",
    "mid-report": "the report is complete under its temporary name",
    "before-publish": "all files of the release are durable; the folder is not in its place",
    "mid-publish": "an earlier release is out of the way; the new one is not in its place",
    "after-publish": "the release is in its place; the step has not ended",
    "before-fork": "a fork's database is written; the catalogue does not know the fork",
    "before-status": "the graph has ended; the catalogue says running",
    "after-status": "the catalogue says how the run ended; the command has not",
}
"""Every name → what has happened at it, and what has not."""

_passed: Counter[str] = Counter()
_lock = threading.Lock()


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if the environment asks for it at this passing of `name`.

    Raises UsageError when the variable names no known point or no positive count.
    """
    if crash_wanted(name):
        os.kill(os.getpid(), signal.SIGKILL)


def crash_wanted(name: str) -> bool:
    """Whether the environment asks for a death at this passing of `name`. Counts the passing.

    Raises UsageError as `crash_point` does.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return False
    point, _, count = wanted.partition(":")
    if point not in CRASH_POINTS or not (count.isdigit() and int(count) > 0):
        raise UsageError(
            f"{VARIABLE}={wanted!r} is not <name>:<n>", hint=f"names are {', '.join(CRASH_POINTS)}; n counts from 1"
        )
    if name != point:
        return False
    with _lock:
        _passed[name] += 1
        return _passed[name] == int(count)
