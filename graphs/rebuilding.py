"""Driving a run that was damaged: the look before it, and going through it again from the journal.

A run whose database cannot be believed is gone through again from its first step, under its own id, with its settings and
its data. That gives the result it had, and trains nothing that had finished, because

1. whatever costs is an effect of the journal, which lies in the catalogue, keyed by content: the same program on the same
   rows with the same seed is answered, also a reply that was paid for and a person's answer;
2. what does not follow from content (the clock, the lessons of other runs) was decided once and is in the journal too
   (tools/decisions.py), and the data is held against the hash it had (tools/inputs.py);
3. the opening of the sealed test set is known by run, candidate and code, so it is the same opening, counted once.

What an effect left in the artifact store is looked at when it is answered; one that is gone or changed is made again, and
only that one. The old database is kept under another name, so nothing is destroyed that might be wanted.

Forks are the exception: the beginning of their history is their parent's, so they are forked again.
"""

from __future__ import annotations

from nodes.analyst import analyst
from nodes.examiner import examiner
from state.errors import StoreError, UsageError
from state.settings import Settings
from tools.damage.aside import set_aside
from tools.damage.kinds import Damage
from tools.damage.standing import check_before_driving
from tools.inputs import recorded, refuse_changed
from tools.journal import Journal
from tools.places import run_place
from tools.store import RunRow, open_catalogue
from tools.workbench import Workbench


def before_driving(run: RunRow) -> list[Damage]:
    """The cheap look at a run's database before it is driven on. Returns what driving puts right by itself.

    Raises StoreError, naming file and way out, when the database is not what it was: it is never begun anew in silence.
    """
    catalogue = open_catalogue()
    try:
        return check_before_driving(catalogue, run)
    finally:
        catalogue.close()


def tell_damage(desk: Workbench, found: list[Damage]) -> None:
    """Say in the run's log what was found and is put right on the way. Writes the table `events`."""
    for one in found:
        desk.say("note", "", f"damage: {one}; {one.way_out}", damage=one.plain())


def reframe(desk: Workbench) -> None:
    """Read and frame the run's data again from its file, which puts every artifact of it into the store again.

    Raises InputError when the file is no longer the one the run began with, StoreError when there is none.
    """
    examiner({"brief": analyst({}, desk)["brief"]}, desk)


def refuse_rebuild(run: RunRow, *, changed: bool) -> None:
    """Raise before anything is touched when a run cannot be gone through again. changed: settings are to be others.

    UsageError for other settings; StoreError for a fork, naming its parent; InputError when a file it began with is
    another one now, naming both hashes.
    """
    if changed:
        raise UsageError(
            "a run is rebuilt with the settings it had: what has finished belongs to them",
            hint="leave the options away; `modelwright resume` takes them once the run is rebuilt",
        )
    if run.parent is not None:
        raise StoreError(
            f"run {run.name!r} is a fork, and the beginning of its history is that of its parent {run.parent[:8]}",
            hint=f"fork the parent again: `modelwright log {run.parent[:8]} --steps` lists its steps; what this fork had "
            "finished is answered from the journal",
        )
    catalogue = open_catalogue()
    try:
        known = recorded(Journal(catalogue, run.id))
    finally:
        catalogue.close()
    if known is not None:
        refuse_changed(Settings.model_validate(run.settings), known)


def begin_again(run: RunRow) -> tuple[RunRow, str]:
    """Make room for a run that is gone through again: its row as before the first step, and what is to be told.

    To be called under the run's lock. Moves the database aside, and starts the run's clock anew: what it decided by the
    clock is in the journal.
    """
    aside = set_aside(run_place(run.id))
    catalogue = open_catalogue()
    try:
        fresh = catalogue.update_run(run.id, status="running", active_seconds=0.0)
    finally:
        catalogue.close()
    kept = f"its database was moved to {aside}" if aside else "there is no database of it"
    return fresh, f"the run is gone through again from its journal; {kept}"
