"""What must be equal after any history: winner, programs, predictions, scores and model files of a finished run.

Left out, because they tell when and how long and nothing else:

    of a job's result       fit_seconds, predict_seconds, predict_ms; of its outputs speed.json;
                            of its receipt seconds, cpu_seconds, peak_mb, log
    of a candidate          seconds, fit_seconds, predict_ms; of an attempt seconds; of its plan estimate_seconds
    of the summary          run_id, name, seconds, folder, report, manifest (it names the run and its date)
    of the opening          run_id, name, when
    of the release folder   manifest.json, MODEL_CARD.md, report.html: they name the run, its date and its seconds
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from state.candidate import Candidate
from tools.catalogue import RunRow
from tools.journal import Journal
from tools.store import open_catalogue, open_run_log

TIMES_OF_RESULT = frozenset({"fit_seconds", "predict_seconds", "predict_ms"})
TIMES_OF_CANDIDATE = frozenset({"seconds", "fit_seconds", "estimate_seconds", "predict_ms"})
TOLD = ("target", "metric", "best", "title", "members", "score", "low", "high", "expected", "optimism", "test")
TOLD_TOO = ("ladder", "verdict", "decision", "checks", "warnings", "candidates", "iterations", "refit")
NAMES_OF_RUN = frozenset({"manifest.json", "MODEL_CARD.md", "report.html"})
JOBS = ("fold", "fit", "predict", "explain", "script")


def outcome(name: str) -> dict[str, Any]:
    """Everything that must be equal, of a finished run of the home and store the environment names."""
    catalogue = open_catalogue()
    try:
        run = catalogue.find_run(name)
        log = open_run_log(run.id)
        try:
            candidates = {one.id: _candidate(one) for one in log.candidates().values()}
        finally:
            log.close()
        journal = Journal(catalogue, run.id)
        openings = [
            _opening(one) for one in catalogue.openings(str((run.summary.get("opening") or {}).get("sealed_key")))
        ]
        return {
            "status": run.status,
            "summary": {part: run.summary.get(part) for part in (*TOLD, *TOLD_TOO)},
            "candidates": candidates,
            "jobs": {entry["key"]: _job(journal, entry) for entry in journal.entries() if entry["kind"] in JOBS},
            "release": _files(run),
            "openings": openings,
        }
    finally:
        catalogue.close()


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two outcomes differ, as readable lines; empty when they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted(one.keys() | other.keys(), key=str)
            for line in differences(one.get(key), other.get(key), f"{place}/{key}")
        ]
    return [] if one == other else [f"{place}: {str(one)[:200]} ≠ {str(other)[:200]}"]


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {name: value for name, value in _without(candidate.plain(), TIMES_OF_CANDIDATE).items() if name != "expert"}


def _job(journal: Journal, entry: dict[str, Any]) -> dict[str, Any]:
    result = journal.result(entry["key"]) or {}
    return {
        "kind": entry["kind"],
        "state": entry["state"],
        "status": result.get("status"),
        "outputs": {name: ref for name, ref in (result.get("outputs") or {}).items() if name != "speed.json"},
        "result": _without(result.get("result", {}), TIMES_OF_RESULT),
    }


def _opening(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("sealed_key", "candidate", "code_hash", "data_hash")}


def _files(run: RunRow) -> dict[str, str]:
    folder = Path(run.summary.get("folder") or "/nowhere")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in NAMES_OF_RUN
    }


def _without(value: Any, names: frozenset[str]) -> Any:
    """Plain data without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    return value


def sizes(one: dict[str, Any]) -> Counter[str]:
    """How much an outcome compares, so that an empty one is never taken for equality."""
    return Counter({part: len(value) for part, value in one.items() if isinstance(value, dict | list)})
