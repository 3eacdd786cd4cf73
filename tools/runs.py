"""Runs by name and standing: registering a run in the catalogue, and what has become of it."""

from __future__ import annotations

import hashlib

from state.errors import NotFound
from state.settings import Settings
from tools.drivers import driver_of
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
    return _numbered(f"{_FIRST[number % len(_FIRST)]}-{_SECOND[number // len(_FIRST) % len(_SECOND)]}", taken)


def free_name(catalogue: Catalogue, wanted: str) -> str:
    """The name, with a number when another run has it: names must tell runs apart."""
    return _numbered(wanted, {row.name for row in catalogue.runs()})


def _numbered(stem: str, taken: set[str]) -> str:
    name, count = stem, 2
    while name in taken:
        name, count = f"{stem}-{count}", count + 1
    return name


def standing(row: RunRow) -> str:
    """The state of a run as it really is: one that counts as running while nobody drives it was interrupted."""
    if row.status == "running" and driver_of(row.id) is None:
        return "interrupted"
    return row.status


def register_run(catalogue: Catalogue, run_id: str, settings: Settings) -> RunRow:
    """The run's row in the catalogue; added when it is not there yet. Writes the table `runs`.

    A name that another run has gets a number: names must tell runs apart.
    """
    try:
        return catalogue.run(run_id)
    except NotFound:
        from tools.catalogue import now

        # One transaction, so that two runs that begin at the same moment do not both find the name free.
        with catalogue.database.write(run_id):
            taken = {row.name for row in catalogue.runs()}
            row = RunRow(
                id=run_id,
                name=_numbered(settings.name, taken) if settings.name else readable_name(run_id, taken),
                created=now(),
                updated=now(),
                status="running",
                data=settings.data,
                intent=settings.intent,
                settings=settings.model_dump(mode="json"),
            )
            catalogue.add_run(row)
        return row
