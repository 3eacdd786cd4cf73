"""Named crash points: a test aid that ends the process as `kill -9` would, at an exact moment.

`MODELWRIGHT_CRASH="after-effect:3"` kills the process when it passes `after-effect` for the third time. Without the
variable a crash point does nothing. Tests enumerate `CRASH_POINTS`, so a new point is added there first.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

from state.errors import UsageError

VARIABLE = "MODELWRIGHT_CRASH"

CRASH_POINTS = {
    "before-effect": "the journal says running; the effect has not begun",
    "after-effect": "the effect is finished; the journal does not know it",
    "after-journal": "the journal says done; whoever asked has not heard it",
    "mid-rename": "an artifact is complete under its temporary name",
    "after-checkpoint": "a checkpoint of the graph is durable; the next step has not begun",
}

_passed: Counter[str] = Counter()
_lock = threading.Lock()


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if the environment asks for it at this passing of `name`.

    Raises UsageError when the variable names no known point or no positive count.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, count = wanted.partition(":")
    if point not in CRASH_POINTS or not (count.isdigit() and int(count) > 0):
        raise UsageError(
            f"{VARIABLE}={wanted!r} is not <name>:<n>", hint=f"names are {', '.join(CRASH_POINTS)}; n counts from 1"
        )
    if name != point:
        return
    with _lock:
        _passed[name] += 1
        if _passed[name] == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
