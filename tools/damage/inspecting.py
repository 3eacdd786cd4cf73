"""The thorough look at a run: everything it consists of, read and held against what was written."""

from __future__ import annotations

from collections.abc import Callable

from state.errors import StoreError, VersionMismatch
from tools.catalogue import Catalogue, RunRow
from tools.damage.contents import checkpoint_damage, journal_damage, log_damage
from tools.damage.files import artifact_damage, input_damage, published_damage
from tools.damage.kinds import Damage, rebuild
from tools.damage.opening import exists, page_problems
from tools.damage.standing import standing_damage
from tools.places import run_place


def inspect_run(catalogue: Catalogue, run: RunRow) -> list[Damage]:
    """Everything of a run that is not as it was written, worst first. Reads all of it and writes nothing.

    Looked at: pages of the databases; the manifest; every checkpoint and write; every row of the log and of the run's
    journal; every artifact the run refers to; its data files; release and report. Raises VersionMismatch for formats of a
    newer version.
    """
    found = [*_of_catalogue(catalogue), *standing_damage(catalogue, run)]
    if not any(one.kind == "database" for one in found) and exists(run_place(run.id)):
        for look in (checkpoint_damage, log_damage):
            found += _looked(run, lambda look=look: look(run))  # type: ignore[misc]  # bound early
        found += _looked(run, lambda: artifact_damage(catalogue, run))
    if not any(one.kind == "catalogue" for one in found):
        found += journal_damage(catalogue, run)
        found += input_damage(catalogue, run)
    found += published_damage(run)
    unique = {(one.kind, one.what, one.where): one for one in found}
    return sorted(unique.values(), key=lambda one: one.heals)


def _of_catalogue(catalogue: Catalogue) -> list[Damage]:
    place = catalogue.database.place
    way_out = "`modelwright doctor --repair-catalogue` makes a new one from what can be read and from the runs' folders"
    return [
        Damage(kind="catalogue", what=what, where=str(place), way_out=way_out)
        for what in page_problems(place, "catalogue", thorough=True)
    ]


def _looked(run: RunRow, look: Callable[[], list[Damage]]) -> list[Damage]:
    """What a look finds; that it could not be taken is a finding too."""
    try:
        return look()
    except VersionMismatch:
        raise
    except StoreError as error:
        return [Damage(kind="database", what=error.message, where=str(run_place(run.id)), way_out=rebuild(run))]
