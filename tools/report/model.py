"""The released model: plots, confusion, per-class numbers, its programs, and how it is used and rebuilt."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from tools.report import curves
from tools.report.code import paint
from tools.report.facts import ReportFacts
from tools.report.plots import task_plots
from tools.report.scored import scored_sets
from tools.report.words import share, tidy

MOST_CODE = 300_000
"""Characters of program text on the page; the rest lies in the run."""
MOST_CLASSES = 20


def quality(facts: ReportFacts) -> dict[str, Any]:
    """Plots and tables that fit the task."""
    sets = scored_sets(facts)
    view: dict[str, Any] = {"plots": task_plots(facts.task, sets), "confusion": None, "classes": []}
    if facts.task.is_classification and sets:
        one = sets[-1]
        matrix = curves.confusion(one.truth, one.guess, len(facts.task.classes))
        view["confusion"] = _confusion(matrix, facts) | {"rows_are": one.title}
        if facts.task.kind == "multiclass":
            table = sorted(curves.per_class(matrix, facts.task.classes), key=lambda row: -row["rows"])
            view["classes"] = table[:MOST_CLASSES]
            view["classes_more"] = max(0, len(table) - MOST_CLASSES)
    view["segments_scored"] = any(segment.get("score") is not None for segment in facts.segments)
    view["segments"] = [{"rows": None, "score": None, "note": ""} | segment for segment in facts.segments[:15]]
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


def usage(facts: ReportFacts) -> list[dict[str, str]]:
    """Commands that use the released model; empty without a release."""
    if not facts.release_folder:
        return []
    name = str(facts.run.get("name") or facts.run.get("id") or "last")
    folder = shlex.quote(facts.release_folder)
    return [
        {
            "what": "On the command line",
            "code": f"modelwright predict {shlex.quote(name)} new.csv --out predictions.csv",
        },
        {
            "what": "Without modelwright, with nothing but the release's own requirements",
            "code": f"cd {folder}\npython -m venv .venv && . .venv/bin/activate\npip install -r requirements.txt\n"
            "python model_inference/inference.py --input new.csv --output predictions.csv",
        },
        {
            "what": "In Python",
            "code": f"import modelwright\n\nrun = modelwright.open_run({name!r})\nrun.predict(frame)",
        },
    ]


def reproduce(facts: ReportFacts) -> list[tuple[str, str]]:
    """What one needs to get the same result again."""
    run, prepared = facts.run, facts.prepared
    settings = run.get("settings") or {}
    lines = [
        ("run", f"{run.get('name', '')} ({run.get('id', '')})" if run.get("name") else str(run.get("id") or "")),
        ("seed", str(settings.get("seed", ""))),
        ("data", PurePath(str(settings.get("data") or "")).name),
        ("data hash", prepared.source if prepared else ""),
        ("split", f"{facts.task.split.kind}, {facts.task.split.folds} folds"),
        ("sandbox", str(run.get("tier") or "")),
        ("train again", _train_again(facts)),
    ]
    return [(name, value) for name, value in lines if value]


def _train_again(facts: ReportFacts) -> str:
    if not facts.release_folder:
        return ""
    name = PurePath(str((facts.run.get("settings") or {}).get("data") or "")).name or "data.csv"
    return f"python model_training/train.py --data {shlex.quote(name)}"


def versions(facts: ReportFacts) -> list[tuple[str, str]]:
    """Library versions of the run."""
    return [(str(name), str(version)) for name, version in dict(facts.run.get("versions") or {}).items()]
