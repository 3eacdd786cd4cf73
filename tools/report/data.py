"""The data section: columns with small histograms, the target, the split and who could see which rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from state.profile import ColumnProfile
from tools.report.facts import ReportFacts
from tools.report.marks import spark
from tools.report.words import count, share, tidy

MOST_COLUMNS = 60
MOST_LABELS = 20


def data(facts: ReportFacts) -> dict[str, Any]:
    """What the template's data section needs."""
    profile, task = facts.profile, facts.task
    shown = _chosen(facts)
    return {
        "columns": [_column(column, facts) for column in shown],
        "more": len(profile.columns) - len(shown),
        "kinds": _kinds(facts),
        "target": _target(facts),
        "excluded": [(name, why) for name, why in task.excluded.items()][:MOST_COLUMNS],
        "excluded_more": max(0, len(task.excluded) - MOST_COLUMNS),
        "correlated": profile.correlated[:10],
    }


def _chosen(facts: ReportFacts) -> list[ColumnProfile]:
    """Up to MOST_COLUMNS columns in file order: those with something to say and the important ones first of all."""
    columns = facts.profile.columns
    if len(columns) <= MOST_COLUMNS:
        return columns
    important = {name for name, drop, _ in sorted(facts.importance, key=lambda item: -item[1])[:30] if drop > 0}
    first = [column for column in columns if column.suspicion][:20]
    first += [column for column in columns if column.name in important and not column.suspicion]
    rest = [column for column in columns if not column.suspicion and column.name not in important]
    keep = {column.name for column in [*first, *rest][:MOST_COLUMNS]}
    return [column for column in columns if column.name in keep]


def _column(column: ColumnProfile, facts: ReportFacts) -> dict[str, Any]:
    excluded = facts.task.excluded.get(column.name)
    roles = []
    if column.name in facts.task.group_columns:
        roles.append("group")
    if column.name == facts.task.time_column:
        roles.append("time")
    return {
        "name": column.name,
        "kind": column.kind,
        "missing": share(column.missing, facts.profile.rows),
        "missing_share": column.missing / facts.profile.rows if facts.profile.rows else 0.0,
        "distinct": count(column.distinct),
        "picture": _picture(column),
        "range": _range(column),
        "suspicion": column.suspicion,
        "evidence": column.evidence,
        "excluded": excluded,
        "roles": roles,
        "examples": ", ".join(column.examples),
    }


def _picture(column: ColumnProfile) -> Any:
    if column.histogram:
        return spark([bar[1] for bar in column.histogram if len(bar) > 1], f"histogram of {column.name}")
    top = column.stats.get("top")
    if isinstance(top, Mapping) and top:
        return spark([float(rows) for rows in top.values()][:12], f"commonest values of {column.name}", gaps=True)
    return ""


def _range(column: ColumnProfile) -> str:
    """What the values look like, in a few words."""
    stats = column.stats
    if column.kind == "numeric" and "min" in stats:
        middle = f", median {tidy(stats['median'])}" if "median" in stats else ""
        return f"{tidy(stats['min'])} to {tidy(stats.get('max'))}{middle}"
    if column.kind == "datetime" and "first" in stats:
        return f"{_day(stats['first'])} to {_day(stats.get('last'))}"
    if column.kind == "text" and "mean_words" in stats:
        return f"about {tidy(stats['mean_words'], 2)} words"
    if column.kind == "sequence" and "mean_length" in stats:
        return f"about {tidy(stats['mean_length'], 3)} long, alphabet {stats.get('alphabet', '')}"
    top = stats.get("top")
    if isinstance(top, Mapping) and top:
        return ", ".join(str(value) for value in list(top)[:3])
    return ", ".join(column.examples[:3])


def _day(value: Any) -> str:
    return str(value).replace("T", " ").removesuffix(" 00:00:00")


def _kinds(facts: ReportFacts) -> str:
    """How many columns of each kind, in words."""
    kinds: dict[str, int] = {}
    for column in facts.profile.columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items(), key=lambda item: -item[1]))


def _target(facts: ReportFacts) -> dict[str, Any]:
    target, task = facts.profile.target, facts.task
    view: dict[str, Any] = {"name": target.name, "missing": target.missing, "distinct": target.distinct}
    view |= {"evidence": target.evidence, "labels": [], "stats": [], "bars": None}
    if task.is_classification and target.counts:
        total = sum(target.counts.values()) or 1
        most = max(target.counts.values()) or 1
        items = list(target.counts.items())
        view["labels"] = [
            {"label": label, "rows": rows, "share": share(rows, total), "part": rows / most}
            | {"positive": task.kind == "binary" and str(task.positive) == str(label)}
            for label, rows in items[:MOST_LABELS]
        ]
        view["labels_more"] = max(0, target.distinct - len(view["labels"]))
    else:
        view["stats"] = [
            (name, tidy(target.stats[key]))
            for key, name in (
                ("min", "least"), ("q25", "lower quartile"), ("median", "median"), ("mean", "mean"),
                ("q75", "upper quartile"), ("max", "most"), ("std", "standard deviation"), ("skew", "skew"),
            )
            if target.stats.get(key) is not None
        ]  # fmt: skip
        view["bars"] = _bars(facts.oof_labels)
    return view


def _bars(labels: np.ndarray | None) -> dict[str, Any] | None:
    """Histogram of a numeric target over the rows that were scored: shares for the drawing and the edges to print."""
    if labels is None or not len(labels):
        return None
    values = np.asarray(labels, dtype=float)
    rows, edges = np.histogram(values[np.isfinite(values)], bins=36)
    most = int(rows.max()) or 1
    return {"heights": [100 * int(row) / most for row in rows], "low": tidy(edges[0]), "high": tidy(edges[-1])}


def custody(facts: ReportFacts) -> dict[str, Any]:
    """How many rows were used for what, and the receipt of the sealed test set."""
    split, prepared = facts.task.split, facts.prepared
    open_rows = prepared.rows if prepared else None
    sealed = (
        prepared.sealed_rows if prepared else (facts.verdict.test.rows if facts.verdict and facts.verdict.test else 0)
    )
    parts = []
    if prepared and open_rows:
        whole = open_rows + sealed
        parts = [
            {"name": f"{split.folds} folds: train and validate", "rows": open_rows, "part": 100 * open_rows / whole},
            {"name": "sealed test", "rows": sealed, "part": 100 * sealed / whole},
        ]
    opening = facts.verdict.opening if facts.verdict else None
    return {"split": split, "parts": parts, "sealed": sealed, "opening": _receipt(opening), "prepared": prepared}


def _receipt(opening: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The receipt of the opening as lines."""
    if not opening:
        return []
    lines = []
    for key, value in opening.items():
        if isinstance(value, list):
            told = [
                str(item.get("name") or item.get("run") or item) if isinstance(item, Mapping) else str(item)
                for item in value
            ]
            value = ", ".join(told) if told else "none"
        lines.append((key.replace("_", " "), str(value)))
    return lines
