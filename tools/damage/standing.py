"""The cheap look before a run is driven on: is its database the one its manifest speaks of?

Without it a database that was lost would be begun anew, in silence. The look costs one pass over the file's pages and one
over the log's rows. What a checkpoint or an artifact holds is checked where it is used, and by `inspect_run`.
"""

from __future__ import annotations

from state.errors import StoreError, VersionMismatch
from tools.catalogue import Catalogue, RunRow
from tools.damage.kinds import Damage, rebuild, refusal
from tools.damage.opening import exists, page_problems
from tools.home import run_folder
from tools.places import Place, Schema, run_place
from tools.runlog import RunLog
from tools.runmanifest import (
    MANIFEST,
    RunManifest,
    finished_effects,
    has_checkpoint,
    look,
    mark_at,
    read_manifest,
    shared_manifest,
)


def check_before_driving(catalogue: Catalogue, run: RunRow, *, lent: bool = False) -> list[Damage]:
    """What the next driver of a run puts right by itself. Read-only.

    lent: the graph is invoked by somebody else, whose checkpoints may lie elsewhere.

    Raises StoreError, naming file and way out, when the run's database is not what it was; VersionMismatch for formats of
    a newer version.
    """
    found = standing_damage(catalogue, run, lent=lent)
    if fatal := [one for one in found if not one.heals]:
        raise refusal(run, fatal)
    return found


def standing_damage(catalogue: Catalogue, run: RunRow, *, lent: bool = False) -> list[Damage]:
    """Everything the cheap look finds. Raises VersionMismatch, and StoreError when the catalogue cannot be read."""
    done = finished_effects(catalogue, run.id)
    manifest, found = _manifest(catalogue, run)
    place = run_place(run.id)
    if not exists(place):
        return [*found, *_missing(run, place, manifest, done)]
    if problems := page_problems(place):
        return [*found, Damage(kind="database", what="; ".join(problems), where=str(place), way_out=rebuild(run))]
    try:
        found += _held_against(run, place, manifest, done, lent=lent)
    except VersionMismatch:
        raise
    except StoreError as error:
        found.append(Damage(kind="database", what=error.message, where=str(place), way_out=rebuild(run)))
    return [*found, *(_of_journal(catalogue, run, manifest, done) if manifest else [])]


def _manifest(catalogue: Catalogue, run: RunRow) -> tuple[RunManifest | None, list[Damage]]:
    if isinstance(run_place(run.id), Schema) and (shared := shared_manifest(catalogue, run.id)) is not None:
        return shared, []
    try:
        return read_manifest(run_folder(run.id)), []
    except VersionMismatch:
        raise
    except StoreError as error:
        path = run_folder(run.id) / MANIFEST
        way_out = "the next resume writes it anew, from a database that is whole by itself"
        return None, [Damage(kind="manifest", what=error.message, where=str(path), way_out=way_out, heals=True)]


def _missing(run: RunRow, place: Place, manifest: RunManifest | None, done: int) -> list[Damage]:
    """A database that is not there is no damage only when the run has not begun."""
    if manifest is not None and manifest.log:
        held = f"it held {_counted(manifest.checkpoints, 'checkpoint')} and {_events(manifest)}"
    elif evidence := _evidence(run, done):
        held = evidence
    else:
        return []
    return [Damage(kind="database", what=f"is not there; {held}", where=str(place), way_out=rebuild(run))]


def _held_against(run: RunRow, place: Place, manifest: RunManifest | None, done: int, *, lent: bool) -> list[Damage]:
    log = RunLog(place)
    try:
        found = _of_checkpoints(run, place, manifest, log, done, lent=lent)
        if manifest is not None:
            found += _of_log(run, place, manifest, log)
    finally:
        log.close()
    return found


def _of_checkpoints(
    run: RunRow, place: Place, manifest: RunManifest | None, log: RunLog, done: int, *, lent: bool
) -> list[Damage]:
    seen = look(log, run.id)
    what = ""
    if manifest is not None and manifest.newest:
        if not seen.checkpoints:
            what = f"holds no checkpoint of the run any more; it held {manifest.checkpoints}"
        elif not has_checkpoint(log, run.id, manifest.newest):
            what = f"fell behind: its newest checkpoint is {seen.newest}, and {manifest.newest} had been written"
    elif not seen.checkpoints and not lent:
        if log.database.read("SELECT 1 AS found FROM events WHERE kind = 'phase' LIMIT 1"):
            what = "holds no checkpoint, though steps have begun: they were lost, or the run was driven without ours"
        elif manifest is None and done:
            what = f"holds no checkpoint, though {_evidence(run, done)}"
    return [Damage(kind="database", what=what, where=str(place), way_out=rebuild(run))] if what else []


def _of_log(run: RunRow, place: Place, manifest: RunManifest, log: RunLog) -> list[Damage]:
    found = []
    for table, claimed in manifest.log.items():
        if not claimed.number:
            continue
        there = mark_at(log, table, claimed.number)
        if there.rows < claimed.rows:
            what = f"lost {claimed.rows - there.rows} of {claimed.rows} rows"
        elif there != claimed:
            what = f"has other content in its first {claimed.rows} rows than was written"
        else:
            continue
        found.append(Damage(kind="log", what=what, where=f"{place}, table {table}", way_out=rebuild(run)))
    return found


def _of_journal(catalogue: Catalogue, run: RunRow, manifest: RunManifest, done: int) -> list[Damage]:
    lost = manifest.finished - done
    if lost <= 0:
        return []
    what = f"lost {_counted(lost, 'finished effect')} of run {run.name!r} (of {manifest.finished})"
    way_out = "restore the catalogue from a backup; else what is needed of them is made again on resume"
    return [Damage(kind="journal", what=what, where=str(catalogue.database.place), way_out=way_out, heals=True)]


def _evidence(run: RunRow, done: int) -> str:
    """What the catalogue says about work done by a run; empty when there was none."""
    if not done and not run.active_seconds:
        return ""
    return f"the catalogue counts {run.active_seconds:.1f} s of work and {_counted(done, 'finished effect')}"


def _events(manifest: RunManifest) -> str:
    mark = manifest.log.get("events")
    return _counted(mark.rows if mark else 0, "event")


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")
