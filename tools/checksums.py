"""Checksums of checkpoint rows, chained: a flipped byte is found, and it is named where it lies.

Every row carries a digest of all its other cells. A checkpoint's digest also covers its parent's, which the row repeats:

    digest(row) = part(keys, parent's id, parent's digest, graph, content) + "." + part(keys, metadata)

So three kinds of damage are told apart. A cell that changed does not fit its own row's digest, and the half that fails
says whether content or metadata is hurt. A row that was replaced whole by another valid one (an older backup of a page)
fits its own digest, not the one its child repeats. A row that is gone, though its child repeats its digest, is missed
unless everything before it is gone as well, which is what pruning leaves. The newest row has no child: that it is gone is
known by the run's manifest alone.

What tasks wrote has a digest per row and no chain. A lost row there means that its task runs again, and its effects are
answered from the journal.

Rows written before there were digests, or by LangGraph's own saver, have none. They are accepted and counted as unchecked;
what is written on top of them is checked again.

The digests find accidents, not forgery: 64 bits each half, without a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from state.errors import CheckpointDamaged

Row = dict[str, Any]
Place = tuple[str, str]
"""Checkpoint namespace (empty for the main graph) and checkpoint id."""
Part = Literal["checkpoint", "metadata", "writes", "chain", "missing", "database"]

_KEYS = ("thread_id", "checkpoint_ns", "checkpoint_id")
_CONTENT = (*_KEYS, "parent_checkpoint_id", "parent_digest", "graph", "type", "checkpoint")
_METADATA = (*_KEYS, "metadata")
_WRITE = (*_KEYS, "task_id", "task_path", "idx", "channel", "type", "value")


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong with a thread's rows."""

    place: str
    """The file, or the schema."""
    thread: str
    namespace: str
    """Empty for the main graph."""
    checkpoint: str
    """Id of the checkpoint; empty when the database as a whole is meant."""
    part: Part
    what: str
    """What is wrong, as the end of a sentence."""

    def __str__(self) -> str:
        if not self.checkpoint:
            return f"{self.place!r}: {self.what}"
        branch = f" of branch {self.namespace!r}" if self.namespace else ""
        return f"{self.place!r}: checkpoint {self.checkpoint!r}{branch} of thread {self.thread!r}: {self.what}"

    def error(self) -> CheckpointDamaged:
        return CheckpointDamaged(
            f"damaged: {self}",
            hint=f"`modelwright resume {self.thread} --rebuild` builds its state again from what is finished and "
            "recorded, without training anything twice; or restore a backup",
        )


# ---- digests ----------------------------------------------------------------------------------------------------


def checkpoint_digest(row: Mapping[str, Any]) -> str:
    """The digest a checkpoint's row should carry: two halves of 16 hex digits, for content and metadata."""
    return f"{_hashed(row, _CONTENT)}.{_hashed(row, _METADATA)}"


def write_digest(row: Mapping[str, Any]) -> str:
    """The digest a row of `writes` should carry: 16 hex digits."""
    return _hashed(row, _WRITE)


def _hashed(row: Mapping[str, Any], names: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        cell = row[name]
        content = b"" if cell is None else cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "replace")
        digest.update(b"%s %d %s\n" % (b"n" if cell is None else b"v", len(content), content))
    return digest.hexdigest()[:16]


# ---- verification -----------------------------------------------------------------------------------------------


def damage_of_checkpoint(place: str, row: Mapping[str, Any]) -> Damage | None:
    """What is wrong with a checkpoint's row by itself; None when it is whole, or has no digest."""
    if row["digest"] is None:
        return None
    told, found = str(row["digest"]), checkpoint_digest(row)
    if told == found:
        return None
    hurt: Part = "metadata" if told.partition(".")[0] == found.partition(".")[0] else "checkpoint"
    return _damage(place, row, hurt, f"its {'metadata' if hurt == 'metadata' else 'content'} does not fit its checksum")


def damage_of_writes(place: str, rows: Iterable[Mapping[str, Any]]) -> Damage | None:
    """The first of these rows of `writes` that does not fit its digest."""
    for row in rows:
        if row["digest"] is not None and str(row["digest"]) != write_digest(row):
            task = f"what task {row['task_id']!r} wrote to {row['channel']!r} does not fit its checksum"
            return _damage(place, row, "writes", task)
    return None


def damage_of_link(place: str, row: Mapping[str, Any], parent_digest: str | None) -> Damage | None:
    """What is wrong between a row and its parent. `parent_digest`: that of the parent's row; None: it is not there."""
    if row["digest"] is None or row["parent_digest"] is None or parent_digest is None:
        return None
    if row["parent_digest"] == parent_digest:
        return None
    what = f"it does not follow from checkpoint {row['parent_checkpoint_id']!r}, its parent: one of them was replaced"
    return _damage(place, row, "chain", what)


def damage_of_thread(place: str, checkpoints: Mapping[Place, Row], writes: Iterable[Row]) -> list[Damage]:
    """Everything that is wrong with the rows of one thread, oldest first."""
    oldest: dict[str, str] = {}
    for namespace, identity in checkpoints:
        oldest[namespace] = min(identity, oldest.get(namespace, identity))
    found: list[Damage | None] = []
    for (namespace, identity), row in sorted(checkpoints.items()):
        hurt = damage_of_checkpoint(place, row)
        if hurt is not None:
            found.append(hurt)
            continue
        parent = checkpoints.get((namespace, row["parent_checkpoint_id"] or ""))
        if parent is not None:
            found.append(damage_of_link(place, row, parent["digest"]))
        elif row["parent_digest"] is not None and identity != oldest[namespace]:
            what = f"its parent {row['parent_checkpoint_id']!r} is missing, though older ones are there"
            found.append(_damage(place, row, "missing", what))
    found += [damage_of_writes(place, [row]) for row in writes]
    return [damage for damage in found if damage is not None]


def unchecked(checkpoints: Iterable[Mapping[str, Any]]) -> int:
    """How many of these rows have no digest."""
    return sum(row["digest"] is None for row in checkpoints)


def _damage(place: str, row: Mapping[str, Any], part: Part, what: str) -> Damage:
    return Damage(place, str(row["thread_id"]), str(row["checkpoint_ns"]), str(row["checkpoint_id"]), part, what)


# ---- sealing ----------------------------------------------------------------------------------------------------


def chained(rows: Collection[Row]) -> list[Row]:
    """Checkpoint rows of one thread with their digests made anew, parents before children.

    A row whose parent is not among them begins a chain of its own.
    """
    known = {(row["checkpoint_ns"], row["checkpoint_id"]): row for row in rows}
    digests: dict[Place, str] = {}
    done: list[Row] = []
    for start in sorted(known):
        line: list[Place] = []
        place: Place | None = start
        while place in known and place not in digests and place not in line:
            line.append(place)
            parent = known[place]["parent_checkpoint_id"]
            place = (place[0], parent) if parent else None
        for one in reversed(line):
            row = known[one]
            row = {**row, "parent_digest": digests.get((one[0], row["parent_checkpoint_id"] or ""))}
            row["digest"] = digests[one] = checkpoint_digest(row)
            done.append(row)
    return done


def sealed(rows: Iterable[Row]) -> list[Row]:
    """Rows of `writes` with their digests made anew."""
    return [{**row, "digest": write_digest(row)} for row in rows]
