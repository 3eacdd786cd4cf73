"""The released model: plots, confusion, per-class numbers and its programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.report import curves
from tools.report.code import paint
from tools.report.facts import ReportFacts
from tools.report.plots import task_plots
from tools.report.scored import scored_sets
from tools.report.sources import Sources
from tools.report.words import share, tidy

MOST_CODE = 300_000
"""Characters of program text on the page; the rest lies in the run."""
MOST_CLASSES = 20


def quality(facts: ReportFacts, n: Sources) -> dict[str, Any]:
    """Plots and tables that fit the task."""
    sets = scored_sets(facts)
    view: dict[str, Any] = {"plots": task_plots(facts.task, sets, n), "confusion": None, "classes": []}
    if facts.task.is_classification and sets:
        one = sets[-1]
        matrix = curves.confusion(one.truth, one.guess, len(facts.task.classes))
        view["confusion"] = _confusion(matrix, facts) | {"rows_are": one.title}
        if facts.task.kind == "multiclass":
            table = sorted(curves.per_class(matrix, facts.task.classes), key=lambda row: -row["rows"])
            view["classes"] = table[:MOST_CLASSES]
            view["classes_more"] = max(0, len(table) - MOST_CLASSES)
    view["worst"] = [{"error": None, "values": {}} | row for row in facts.worst_rows[:10]]
    view["worst_columns"] = list(facts.worst_rows[0].get("values", {}))[:6] if facts.worst_rows else []
    return view


def _confusion(matrix: Any, facts: ReportFacts) -> dict[str, Any]:
    folded, names = curves.fold_rare(matrix, facts.task.classes)
    lines = []
    for index, name in enumerate(names):
        actual = int(folded[index].sum())
        cells = [
            {"rows": int(rows), "share": share(int(rows), actual), "part": int(rows) / actual if actual else 0.0}
            # Among the classes summed under one name nobody knows which were right.
            | {
                "tone": ""
                if index == column == len(names) - 1 < len(matrix) - 1
                else "right"
                if index == column
                else "wrong"
            }
            for column, rows in enumerate(folded[index])
        ]
        lines.append({"name": name, "cells": cells, "total": actual})
    return {"names": names, "lines": lines}


def programs(facts: ReportFacts) -> dict[str, Any]:
    """The code of each candidate, what is released first, up to MOST_CODE characters in all."""
    best = facts.candidate(facts.best)
    released = [best.id, *(member.candidate for member in best.members)] if best else []
    identities = [name for name in released if name in facts.programs]
    identities += [name for name in facts.programs if name not in identities]
    shown, room = [], MOST_CODE
    for identity in identities:
        code = facts.programs[identity]
        if len(code) > room:
            continue
        room -= len(code)
        candidate = facts.candidate(identity)
        shown.append(
            {
                "id": identity,
                "title": candidate.plan.title if candidate else "",
                "expert": candidate.expert if candidate else "",
                "released": identity in released,
                "effective": _effective(candidate.effective) if candidate else [],
                "code": paint(code),
                "lines": code.count("\n") + 1,
            }
        )
    return {"shown": shown, "more": len(facts.programs) - len(shown)}


def _effective(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, tidy(value) if isinstance(value, float) else str(value)) for key, value in parameters.items()]
