"""What of a question a model gets to see: plain data, capped, masked, and fenced off as data.

Data never enters a prompt as instructions. Everything that stems from the table, from programs or from their output is
JSON inside a block whose delimiter carries a hash of the content, so that no content can close its own block. No row is
shown: numbers are summaries, and example values are left out where a column may identify people.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from state.profile import ColumnProfile, Profile
from state.questions import Parent, PlanQuestion, Question
from state.records import to_plain
from state.task import Task
from tools.experts.redaction import clean, shorten

FULL_COLUMNS = 60
"""Columns described in full; of further ones only name and kind are shown, and of very many only the count."""
NAMED_COLUMNS = 240
LABELS = 100
CANDIDATES = 60
PROGRAM = 24_000
"""Characters shown of a program that a plan builds on; of a longer one the start and the end."""
_NAME = 200
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_LONG_NUMBER = re.compile(r"\+?\d{9,}")


def excerpt(question: Question[Any]) -> dict[str, Any]:
    """The question as plain data fit for a prompt: every field, capped; `code` alone, which is to be mended, stays whole."""
    facts: dict[str, Any] = {}
    for name in type(question).model_fields:
        value = getattr(question, name)
        if isinstance(value, Task):
            facts[name] = task_excerpt(value)
        elif isinstance(value, Profile):
            facts[name] = profile_excerpt(value)
        elif name == "code":
            facts[name] = clean(value)
        elif name == "members":  # their programs are what an inference program is written from
            facts[name] = [capped(member, text=40_000) for member in value]
        elif isinstance(question, PlanQuestion) and name == "tried":
            facts[name] = _tried(question)
        elif name == "parents":
            facts[name] = [_parent(parent) for parent in value]
        elif name == "problems":
            facts[name] = [shorten(clean(problem), 4_000) for problem in value[:12]]
        else:
            facts[name] = capped(value, text=1_200, items=60)
    return facts


def _tried(question: PlanQuestion) -> list[Any]:
    """Earlier candidates: those the operations build on, and of the others the newest."""
    named = {name for operation in question.operations for name in operation.parents}
    places = range(len(question.tried))
    kept = sorted(places, key=lambda place: (question.tried[place].get("id") not in named, -place))[:CANDIDATES]
    left = len(places) - len(kept)
    shown: list[Any] = capped([question.tried[place] for place in sorted(kept)], text=1_200, items=CANDIDATES)
    return ([f"… {left} earlier ones"] if left else []) + shown


def _parent(parent: Parent) -> dict[str, Any]:
    """An earlier program, and what is known of it. The end of a traceback may quote a value of the table."""
    facts = capped({**parent.model_dump(exclude={"code"}), "problem": masked(parent.problem)})
    return {"facts": facts, "code": shorten(clean(parent.code), PROGRAM)}


def task_excerpt(task: Task) -> dict[str, Any]:
    """The task: what programs get, and what the framework knows beyond it."""
    for_program = task.for_program()
    kinds = for_program.pop("columns")
    return {
        **capped(for_program, text=_NAME, items=LABELS),
        "classes": [label if not isinstance(label, str) else _cut(label, _NAME) for label in task.classes[:LABELS]],
        "class_count": len(task.classes),
        "target": _cut(task.target, _NAME),
        "intent": _cut(task.intent, 2_000),
        "metric": {"name": task.metric.name, "better": task.metric.direction, "needs": task.metric.needs},
        "split": capped(task.split),
        "columns": {_cut(name, _NAME): kind for name, kind in list(kinds.items())[:NAMED_COLUMNS]},
        "column_count": len(kinds),
        "excluded": capped(task.excluded, items=40),
        "decisions": capped(task.decisions, text=300, items=20),
    }


def profile_excerpt(profile: Profile) -> dict[str, Any]:
    """The profile without histograms: the first columns in full, the next by name, the rest as a count."""
    plain = profile.columns
    return {
        "rows": profile.rows,
        "column_count": len(plain),
        "traits": list(profile.traits),
        "target": capped(profile.target, text=_NAME, items=50),
        "columns": [_column(column) for column in plain[:FULL_COLUMNS]],
        "further_columns": {_cut(column.name, _NAME): column.kind for column in plain[FULL_COLUMNS:NAMED_COLUMNS]},
        "duplicate_rows": profile.duplicate_rows,
        "group_candidates": capped(profile.group_candidates, items=10),
        "time_candidates": capped(profile.time_candidates, items=10),
        "correlated": capped(profile.correlated, items=20),
        "notes": [masked(_cut(note, 300)) for note in profile.notes[:20]],
    }


def _column(column: ColumnProfile) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": _cut(column.name, _NAME),
        "kind": column.kind,
        "missing": column.missing,
        "distinct": column.distinct,
        "stats": dict(column.stats),
    }
    if column.suspicion is not None:
        facts["suspicion"] = column.suspicion
        facts["evidence"] = masked(_cut(column.evidence, 200))
    if column.kind in ("text", "sequence", "image") or column.suspicion == "identifier":
        facts["stats"].pop("top", None)  # values of free text and of identifiers are rows of somebody
    else:
        facts["examples"] = [masked(_cut(example, 60)) for example in column.examples[:5]]
        top = facts["stats"].get("top")
        if isinstance(top, dict):
            facts["stats"]["top"] = {masked(_cut(str(value), 60)): count for value, count in list(top.items())[:12]}
    facts["stats"] = capped(facts["stats"], text=80, items=20)
    return facts


def masked(text: str) -> str:
    """The text without e-mail addresses and long numbers (telephone, card, person)."""
    return _LONG_NUMBER.sub("[number]", _EMAIL.sub("[e-mail]", text))


def capped(value: Any, *, text: int = 400, items: int = 40) -> Any:
    """Plain data whose strings have at most about `text` characters and whose containers at most `items` entries."""
    return _capped(clean(to_plain(value)), text, items)


def _capped(value: Any, text: int, items: int) -> Any:
    if isinstance(value, str):
        return shorten(value, text)
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {_cut(key, _NAME): _capped(item, text, items) for key, item in list(value.items())[:items]}
    if isinstance(value, list):
        kept = [_capped(item, text, items) for item in value[:items]]
        return kept + ([f"… {len(value) - items} more"] if len(value) > items else [])
    return value


def _cut(text: str, limit: int) -> str:
    cleaned = clean(text)
    assert isinstance(cleaned, str)
    return cleaned if len(cleaned) <= limit else cleaned[:limit] + "…"


def block(value: Any, name: str) -> str:
    """A delimited block of data: plain data as one line of JSON, text (a program) as it is."""
    body = value if isinstance(value, str) else json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False)
    mark = f"{name} {hashlib.sha256(body.encode('utf-8', 'replace')).hexdigest()[:12]}"
    return f"<<<{mark}\n{body}\n{mark}>>>"


__all__ = ["block", "capped", "excerpt", "masked", "profile_excerpt", "task_excerpt"]
