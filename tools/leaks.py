"""The mechanical leak review that needs no training: what lies on both sides of a border, and what gives the target away.

Each check looks at the prepared data as programs and the sealed test will meet it, and returns a Check with its
Findings. Rows in evidence are counted as in the labelled table, from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from state.candidate import Check, Finding
from state.profile import Profile
from state.task import Prepared, Task
from tools.artifacts import ArtifactStore
from tools.folds import Fold, Rows
from tools.profiling.columns import SAMPLE, encode
from tools.profiling.suspicion import target_suspicion
from tools.splits import fold_rows

Result = tuple[Check, list[Finding]]
_SHOWN = 5
"""Rows or pairs named as evidence."""
_WORTH_A_WARNING = 0.01
"""Share of repeated rows from which a score is noticeably flattered."""


class HasArtifacts(Protocol):
    """Whatever holds the artifact store of a run."""

    artifacts: ArtifactStore


@dataclass(frozen=True)
class Sides:
    """The prepared data on both sides of every border."""

    features: pd.DataFrame
    known: pd.DataFrame
    """Columns label, source_row [, group, time] of the open rows, in the order of `features`."""
    sealed_features: pd.DataFrame
    hidden: pd.DataFrame
    """The same of the sealed rows."""
    folds: list[Fold]

    @property
    def open_rows(self) -> Rows:
        return self.known["source_row"].to_numpy().astype(np.int64)

    @property
    def sealed_rows(self) -> Rows:
        return self.hidden["source_row"].to_numpy().astype(np.int64)


def run_leak_checks(
    desk: HasArtifacts, task: Task, prepared: Prepared, profile: Profile
) -> tuple[list[Check], list[Finding]]:
    """All checks on the prepared data of a run. Reads artifacts, writes nothing, opens no score of the sealed rows.

    A finding about a column carries it as `data["column"]`; severity error means that it must go.
    """
    store = desk.artifacts
    names = [feature.name for feature in task.features]
    sides = Sides(
        store.get_frame(prepared.features)[names],
        store.get_frame(prepared.labels),
        store.get_frame(prepared.sealed_features)[names],
        store.get_frame(prepared.sealed_labels),
        fold_rows(prepared, store),
    )
    results = [
        check_duplicates(sides, task),
        check_groups(sides, task, profile),
        check_time(sides, task),
        check_columns(sides, task),
    ]
    return [check for check, _ in results], [finding for _, findings in results for finding in findings]


def check_duplicates(sides: Sides, task: Task) -> Result:
    """Rows whose features equal those of a row on the other side of the sealed border or of a fold."""
    name = "duplicates across borders"
    both = pd.concat([sides.features, sides.sealed_features], ignore_index=True)
    hashes = pd.util.hash_pandas_object(both, index=False).to_numpy()
    count = len(sides.features)
    pairs = _first_pairs(hashes[:count], hashes[count:])
    inside, tested = _repeated_in_folds(hashes[:count], sides.folds)
    if not len(pairs) and not inside:
        return Check(name=name, status="passed", detail="no row repeats across a border"), []
    detail = f"{len(pairs)} of {len(hashes) - count} sealed rows and {inside} of {tested} validation rows repeat a training row"
    if len(np.unique(hashes)) < 0.5 * len(hashes):
        return Check(
            name=name, status="passed", detail=f"{detail}; the columns allow few combinations, so they would"
        ), []
    labels = np.concatenate([sides.known["label"].to_numpy(), sides.hidden["label"].to_numpy()])
    with_label = pd.util.hash_array(labels) + hashes * np.uint64(31)
    same = len(_first_pairs(with_label[:count], with_label[count:]))
    same_inside, _ = _repeated_in_folds(with_label[:count], sides.folds)
    share = max(same / max(1, len(hashes) - count), same_inside / max(1, tested))
    detail += f"; {same} and {same_inside} of them with the same target"
    flattering = share >= _WORTH_A_WARNING
    finding = Finding(
        id="leak-duplicates",
        source="review",
        topic="leak",
        severity="warning" if flattering else "info",
        text=detail + (": scores are better than on rows nobody has seen" if flattering else ""),
        evidence=[f"row {sides.open_rows[a]} = sealed row {sides.sealed_rows[b]}" for a, b in pairs[:_SHOWN]],
        data={"sealed": len(pairs), "validation": inside, "share_with_same_target": round(share, 5)},
    )
    return Check(name=name, status="found", detail=detail), [finding]


def _repeated_in_folds(hashes: np.ndarray[Any, Any], pairs: list[Fold]) -> tuple[int, int]:
    """Validation rows that repeat a training row of their fold, and validation rows in all."""
    repeated = sum(int(np.isin(hashes[valid], hashes[train]).sum()) for train, valid in pairs)
    return repeated, sum(len(valid) for _, valid in pairs)


def _first_pairs(opened: np.ndarray[Any, Any], sealed: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """For each sealed row that repeats an open one: (position of the first such open row, its own position)."""
    distinct, first = np.unique(opened, return_index=True)
    if not len(distinct):
        return []
    place = np.minimum(np.searchsorted(distinct, sealed), len(distinct) - 1)
    return [(int(first[place[i]]), int(i)) for i in np.flatnonzero(distinct[place] == sealed)]


def check_groups(sides: Sides, task: Task, profile: Profile) -> Result:
    """The same entity on both sides: an error where the split promised otherwise, else a remark on what scores mean."""
    name = "groups across borders"
    if "group" in sides.known:
        groups, sealed = sides.known["group"].to_numpy(), sides.hidden["group"].to_numpy()
        crossing = set(groups) & set(sealed)
        for train, valid in sides.folds:
            crossing |= set(groups[train]) & set(groups[valid])
        crossing -= {""}  # rows without a group belong to none
        if not crossing:
            count = len(set(groups) | set(sealed))
            return Check(name=name, status="passed", detail=f"each of {count} groups lies on one side"), []
        shown = sorted(map(str, crossing))[:_SHOWN]
        detail = f"{len(crossing)} groups lie on both sides of a border"
        finding = Finding(
            id="leak-groups", source="review", topic="leak", severity="error", text=detail, evidence=shown, data={}
        )
        return Check(name=name, status="found", detail=detail), [finding]
    columns = [column for column in profile.group_candidates if column in sides.features]
    if task.split.kind == "time" or not columns:
        return Check(name=name, status="skipped", detail="no groups in this split"), []
    column = columns[0]
    shared = np.isin(
        sides.sealed_features[column].to_numpy(dtype=object).astype(str),
        np.unique(sides.features[column].to_numpy(dtype=object).astype(str)),
    )
    text = (
        f"{column!r} looks like repeated entities, and {float(shared.mean()) if len(shared) else 1.0:.0%} of the sealed "
        "rows belong to ones that training knows: scores hold for known ones, not for new ones"
    )
    finding = Finding(id="leak-groups", source="review", topic="groups", text=text, data={"group_column": column})
    return Check(name=name, status="found", detail=text), [finding]


def check_time(sides: Sides, task: Task) -> Result:
    """In a split by time every training row must lie before every row it is judged on."""
    name = "time order"
    if "time" not in sides.known:
        return Check(name=name, status="skipped", detail="the split is not by time"), []
    times, sealed = sides.known["time"], sides.hidden["time"]
    late = []
    for fold, (train, valid) in enumerate(sides.folds):
        if times.iloc[train].max() >= times.iloc[valid].min():
            late.append(f"fold {fold}: training reaches {times.iloc[train].max()}")
    # A test file that a person gave may cover any time; only our own sealed rows are promised to be the latest.
    if not task.split.test_given and len(sealed) and times.max() >= sealed.min():
        late.append(f"sealed rows begin {sealed.min()}, training reaches {times.max()}")
    if not late:
        return Check(name=name, status="passed", detail="all training rows lie before those they are judged on"), []
    detail = "training rows lie at or after rows they are judged on"
    finding = Finding(id="leak-time", source="review", topic="leak", severity="error", text=detail, evidence=late)
    return Check(name=name, status="found", detail=detail), [finding]


def check_columns(sides: Sides, task: Task) -> Result:
    """Columns that copy, encode or alone nearly predict the target, among those that programs see."""
    name = "columns that give the target away"
    target = encode("label", sides.known["label"])
    rows = np.unique(np.linspace(0, len(sides.known) - 1, min(len(sides.known), SAMPLE)).astype(np.int64))
    findings = []
    for feature in task.features:
        suspect = target_suspicion(encode(feature.name, sides.features[feature.name]), target, task.kind, rows)
        if suspect is None:
            continue
        certain = suspect[0] in {"copy of the target", "encodes the target"}
        findings.append(
            Finding(
                id=f"leak-column-{feature.name}",
                source="review",
                topic="leak",
                severity="error" if certain else "warning",
                text=f"column {feature.name!r}, {suspect[0]}: {suspect[1]}",
                evidence=_examples(sides, feature.name),
                data={"column": feature.name, "suspicion": suspect[0]},
            )
        )
    if not findings:
        return Check(
            name=name, status="passed", detail=f"none of {len(task.features)} columns tells the target alone"
        ), []
    listed = ", ".join(repr(str(finding.data["column"])) for finding in findings[:_SHOWN])
    return Check(name=name, status="found", detail=f"suspiciously strong alone: {listed}"), findings


def _examples(sides: Sides, column: str) -> list[str]:
    rows = np.argsort(sides.open_rows, kind="stable")[:_SHOWN]
    return [
        f"row {sides.open_rows[row]}: {str(sides.features[column].iloc[row])[:40]!r} with target "
        f"{sides.known['label'].iloc[row]!r}"
        for row in rows
    ]
