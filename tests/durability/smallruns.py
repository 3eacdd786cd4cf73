"""What can be done with runs of the small team: the same functions that the command line and Python call."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graphs import session
from graphs.forking import make_fork, plan_fork
from graphs.modeling import graph_fingerprint
from state.errors import RunHeld
from state.settings import Settings
from tests.durability.outcome import TIMES_OF_CANDIDATE
from tests.durability.small import small_world
from tools.places import catalogue_place
from tools.store import open_catalogue, open_run_log

SETTINGS: dict[str, Any] = {"time_limit": 86400, "jobs": 2, "iterations": 1}

_world = ExitStack()
"""Stays entered for the life of the process."""


def warm_up() -> None:
    """Import and compute whatever a command needs, so that its child does not have to."""
    import tools.executors.process
    import tools.migrations
    import tools.sandbox  # noqa: F401 - imported for what comes later

    _world.enter_context(small_world())
    graph_fingerprint()


def start(request: dict[str, Any]) -> dict[str, Any]:
    """Begin a run: {name, candidates, review}."""
    told = {name: request[name] for name in ("name", "candidates", "review")}
    return _told(session.start(Settings(**SETTINGS, **told)))


def resume(request: dict[str, Any]) -> dict[str, Any]:
    """Go on with a run: {name}, and {answer} for every question that is open."""
    found = session.resume(request["name"])
    if request.get("answer") and found.waiting:
        answers = {question["id"]: _answer(question, request["answer"]) for question in found.waiting}
        found = session.resume(request["name"], answers=answers)
    return _told(found)


def rebuild(request: dict[str, Any]) -> dict[str, Any]:
    """Go through a run again from its journal: {name}."""
    return _told(session.resume(request["name"], rebuild=True))


def _answer(question: dict[str, Any], word: str) -> dict[str, Any]:
    if question["gate"] == "plan" and word == "drop" and len(question["plans"]) > 1:
        return {"action": "approve", "drop": [question["plans"][0]["id"]]}
    if question["gate"] == "release" and word == "reject":
        return {"action": "reject", "reason": "not this one"}
    return {"action": "approve"}


def fork(request: dict[str, Any]) -> dict[str, Any]:
    """Fork a run: {name, at, settings, fork}. It is made, not driven."""
    planned = plan_fork(request["name"], request["at"], settings=request["settings"], name=request["fork"])
    return {"name": make_fork(planned).name}


def held(request: dict[str, Any]) -> dict[str, Any]:
    """Two drivers on one run: what the second is told."""
    from tools.drivers import drive_run

    catalogue = open_catalogue()
    run = catalogue.find_run(request["name"])
    catalogue.close()
    with drive_run(run.id):
        try:
            session.resume(request["name"])
        except RunHeld as refusal:
            return {"refused": refusal.message}
    return {"refused": ""}


def look(request: dict[str, Any]) -> dict[str, Any]:
    """All runs as the catalogue, their logs and their folders know them; nothing is written."""
    if not Path(str(catalogue_place())).exists():
        return {"runs": {}, "journal": []}
    catalogue = open_catalogue()
    try:
        runs = {run.name: _run(run) for run in catalogue.runs()}
        journal = catalogue.database.read("SELECT key, run_id, kind, state, attempt FROM journal ORDER BY number")
        openings = catalogue.openings("sealed")
    finally:
        catalogue.close()
    return {"runs": runs, "journal": journal, "openings": [[one["run_id"], one["candidate"]] for one in openings]}


def _run(run: Any) -> dict[str, Any]:
    log = open_run_log(run.id)
    try:
        candidates = {name: _plain(one.plain()) for name, one in log.candidates().items()}
        answers = [event["data"]["gate"] for event in log.events() if event["kind"] == "answer"]
    finally:
        log.close()
    folder = run.summary.get("folder")
    model = Path(folder, "model.json") if folder else None
    return {
        "id": run.id,
        "status": run.status,
        "parent": run.parent,
        "best": run.summary.get("best"),
        "candidates": candidates,
        "answers": answers,
        "model": json.loads(model.read_text()) if model else None,
    }


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in TIMES_OF_CANDIDATE}


def _told(found: session.Outcome) -> dict[str, Any]:
    return {"name": found.name, "status": found.status, "waiting": [one["gate"] for one in found.waiting]}


DOINGS = {"start": start, "resume": resume, "rebuild": rebuild, "fork": fork, "held": held, "look": look}
