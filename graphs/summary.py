"""What `ls`, `show` and the Python call say about a run, from its state and its candidate log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from state.candidate import Candidate
from tools.keeping import KEPT
from tools.tracing import stored_numbers
from tools.workbench import Workbench


def ending(values: Mapping[str, Any]) -> Literal["done", "rejected", "failed"]:
    """How a run came out that goes no further: with a release, with a report only, or with neither."""
    release = values.get("release")
    if not release:
        return "failed"
    return "done" if release.get("folder") else "rejected"


def summarise(desk: Workbench, values: Mapping[str, Any]) -> dict[str, Any]:
    """What `ls` and `show` say about a run, from its state and its candidate log."""
    candidates = desk.log.candidates(values.get("candidates_version", 0))
    best = candidates.get(values.get("best", ""))
    score = best.score if best else None
    release = values.get("release") or {}
    verdict = values.get("verdict") or {}
    task = values.get("task") or {}
    return {
        "target": task.get("target"),
        "metric": task.get("metric"),
        "direction": task.get("direction"),
        "kind": task.get("kind"),
        "best": best.id if best else None,
        "title": best.plan.title if best else None,
        "members": [member.plain() for member in best.members] if best else [],
        "combination": best.combination.plain() if best and best.members else None,
        "predict_ms": best.predict_ms if best else None,
        "model_bytes": best.model_bytes if best else None,
        "score": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "expected": _told(desk, f"expected.{task.get('metric')}", best),
        "optimism": _told(desk, "optimism", best),
        "test": verdict.get("test"),
        "opening": verdict.get("opening"),
        "ladder": values.get("ladder", []),
        "verdict": verdict.get("decision"),
        "decision": (values.get("decision") or {}).get("reason"),
        "checks": verdict.get("checks", []),
        "warnings": [one["text"] for one in verdict.get("findings", []) if one["severity"] != "info"],
        "candidates": len([one for one in candidates.values() if not one.members]),
        "iterations": values.get("iteration", -1) + 1,
        "seconds": round(desk.budget.spent(), 2),
        "folder": release.get("folder"),
        "report": release.get("report"),
        "manifest": release.get("manifest"),
        "refit": release.get("refit"),
        **({KEPT: release[KEPT]} if release.get(KEPT) else {}),
    }


def _told(desk: Workbench, name: str, best: Candidate | None) -> dict[str, Any] | None:
    """A number of the chosen candidate as the run wrote it down: {value, low, high}; None when it did not."""
    number = stored_numbers(desk.log.events()).get(name)
    if number is None or best is None or number.candidate != best.id:
        return None
    return {"value": number.value, "low": number.low, "high": number.high}
