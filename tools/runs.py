"""Runs by name: registering a run in the catalogue under a readable name."""

from __future__ import annotations

import hashlib

from state.errors import NotFound
from state.settings import Settings
from tools.store import Catalogue, RunRow

_FIRST = (
    "amber brisk calm clear deft early fair gentle hardy keen lively mellow neat noble plain quick quiet ready sharp "
    "steady sunny swift tidy vivid warm wise"
).split()
_SECOND = (
    "alder badger beech birch crane curlew dunlin elder falcon finch gannet hazel heron ibis kestrel larch linnet maple "
    "otter petrel plover rowan sorrel teal thrush willow wren"
).split()


def readable_name(run_id: str, taken: set[str]) -> str:
    """An adjective and a bird or tree, chosen by the id; with a number when it is taken."""
    number = int(hashlib.sha256(run_id.encode()).hexdigest(), 16)
    stem = f"{_FIRST[number % len(_FIRST)]}-{_SECOND[number // len(_FIRST) % len(_SECOND)]}"
    name, count = stem, 2
    while name in taken:
        name, count = f"{stem}-{count}", count + 1
    return name


def register_run(catalogue: Catalogue, run_id: str, settings: Settings) -> RunRow:
    """The run's row in the catalogue; added when it is not there yet. Writes the table `runs`."""
    try:
        return catalogue.run(run_id)
    except NotFound:
        from tools.catalogue import now

        taken = {row.name for row in catalogue.runs()}
        name = settings.name if settings.name and settings.name not in taken else ""
        row = RunRow(
            id=run_id,
            name=name or readable_name(run_id, taken),
            created=now(),
            updated=now(),
            status="running",
            data=settings.data,
            intent=settings.intent,
            settings=settings.model_dump(mode="json"),
        )
        catalogue.add_run(row)
        return row
