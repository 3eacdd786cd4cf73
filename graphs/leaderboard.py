"""The candidate table as plain rows, for the terminal, Python and JSON alike."""

from __future__ import annotations

from typing import Any

from state.candidate import Candidate


def leaderboard_rows(candidates: list[Candidate], summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per candidate, best first, those without a score last."""
    higher = summary.get("direction") != "lower"
    scored = [one for one in candidates if one.score]
    rest = [one for one in candidates if not one.score]
    scored.sort(key=lambda one: one.score.value if one.score else 0.0, reverse=higher)
    return [_row(one, summary) for one in [*scored, *rest]]


def _row(one: Candidate, summary: dict[str, Any]) -> dict[str, Any]:
    score = one.score
    return {
        "id": one.id,
        "title": one.plan.title,
        "status": one.status,
        "score": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "folds": len(score.folds) if score else 0,
        "seconds": round(one.seconds, 2),
        "predict_ms": round(one.predict_ms, 2) if one.predict_ms else None,
        "model_bytes": one.model_bytes or None,
        "iteration": one.iteration,
        "operator": one.plan.operator,
        "parent": one.plan.parent,
        "expert": one.expert,
        "attempts": len(one.attempts),
        "best": one.id == summary.get("best"),
        "reason": one.reason,
    }
