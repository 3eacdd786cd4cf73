"""Taking a run back: what its candidate log says after its thread goes on from an older checkpoint.

A graph state names the newest row of the log that belongs to it, and everything up to that row is its past. That is a
line, while a thread that is taken back branches: what the abandoned part appended lies before what the new part will
append, and would count as its past. So before the thread goes on, the log is brought to say again what it said at that
checkpoint, by appending: each candidate's record of that time once more, and for a candidate that did not exist yet one that
says so. Nothing is removed, and doing it twice appends nothing.
"""

from __future__ import annotations

from tools.store import open_run_log

_GONE = "the run was taken back to before this was tried"


def take_back(run_id: str, version: int) -> None:
    """Bring the candidate log to what it said at `version`. Writes the run's tables `candidates` and `events`."""
    log = open_run_log(run_id)
    try:
        then = log.candidates(version)
        for name, candidate in log.candidates().items():
            log.put_candidate(then.get(name) or candidate.but(status="dropped", reason=_GONE))
        log.add_event("note", "", "taken back to an earlier checkpoint in the LangGraph server")
    finally:
        log.close()
