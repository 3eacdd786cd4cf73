"""Housekeeping: what is freed, and how it is known that nobody needs it.

- *Checkpoints.* A run needs its newest one to go on, or to be looked at. The others are for forks of earlier steps. A fork
  that was made has rows of its own, so pruning its parent takes nothing from it.
- *Artifacts.* Needed is what tools/references.py reaches. They are freed inside a write transaction of the catalogue, and
  only while nobody drives a run: whoever begins or takes up one writes its row first, and so waits until this is over;
  whatever it then puts into the store is later than the last look.
- *Journal, openings, lessons.* Rows stay, except those of removed runs that no other run rests on. The count of openings
  of a sealed test set never loses one.
- *Leftovers.* Temporary files nobody can still be writing, job folders of dead owners, folders and schemas of runs the
  catalogue does not know, which a kill can leave while a fork is made or a run removed.

Removing a run deletes its row first. A kill in between leaves leftovers, never half a run.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from state.errors import RunHeld
from tools.artifacts import ArtifactStore, open_artifacts, refs_in
from tools.catalogue import Catalogue, RunRow
from tools.database import BUSY_SECONDS, check_format, named_errors, open_database
from tools.drivers import drive_run, driver_of
from tools.home import home, run_folder, runs_folder
from tools.locks import hold_run
from tools.places import Place, Schema, run_place, store_url
from tools.references import idle_rows, needs_of
from tools.threadsql import DOOMED, PRUNE

TRIALS = "release-"
"""How the names of folders begin in which programs of a release are tried out (tools/release/running.py)."""
UNOWNED_AFTER = 3600.0
"""Seconds after which a run's folder that the catalogue does not know counts as left behind, not as being made."""


@dataclass(frozen=True)
class Pruned:
    """What pruning a run's database freed, or would free."""

    run: str
    checkpoints: int = 0
    size: int = 0
    """Bytes of content that go; after pruning, by how much the file became smaller."""
    skipped: str = ""
    """Why nothing was done."""


@dataclass(frozen=True)
class Collected:
    """Artifacts and journal rows that nobody needs."""

    artifacts: int = 0
    size: int = 0
    rows: int = 0
    skipped: str = ""


# ---- checkpoints ------------------------------------------------------------------------------------------------


def prune_run(run: RunRow, *, dry_run: bool = False) -> Pruned:
    """Delete the checkpoints a run does not need to go on, and give their space back to the disk.

    Holds the run's lock meanwhile; a run that is driven is skipped. Raises StoreError when the database cannot be used.
    """
    place = run_place(run.id)
    database = open_database(place, "run")
    try:
        if not database.exists():
            return Pruned(run.name, skipped="it has no database")
        with drive_run(run.id):
            if isinstance(place, Schema):
                from tools.postgres.housekeeping import prune_schema

                count, size = prune_schema(place, dry_run=dry_run)
                return Pruned(run.name, count, size)
            check_format(place, "run")
            with named_errors(place):
                return _prune_database(place, run, dry_run=dry_run)
    except RunHeld as error:
        return Pruned(run.name, skipped=error.message)
    finally:
        database.close()


def _prune_database(path: Path, run: RunRow, *, dry_run: bool) -> Pruned:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'").fetchone():
            return Pruned(run.name, skipped="it has no checkpoints")
        threads = [row[0] for row in connection.execute("SELECT DISTINCT thread_id FROM checkpoints")]
        doomed = [connection.execute(DOOMED, {"thread": thread}).fetchone() for thread in threads]
        count, size = sum(row[0] for row in doomed), sum(row[1] for row in doomed)
        if dry_run or not count:
            return Pruned(run.name, count, size)
        before = _size(path)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        for thread in threads:
            for statement in PRUNE:
                connection.execute(statement, {"thread": thread})
        connection.execute("COMMIT")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    return Pruned(run.name, count, max(0, before - _size(path)))


# ---- artifacts --------------------------------------------------------------------------------------------------


def collect(catalogue: Catalogue, *, without: Collection[str] = (), dry_run: bool = False) -> Collected:
    """Free the artifacts and journal rows that no run needs.

    without: ids of runs that count as removed, for a look ahead. While some run is driven nothing is freed, and the
    result says so. Raises StoreError when a run's database cannot be read, since then nobody knows what it needs.
    """
    artifacts = open_artifacts()
    if dry_run:
        references, rows = _unneeded(catalogue, artifacts, without)
        return Collected(len(references), _sizes(artifacts, references), len(rows))
    with catalogue.database.write(long=True) as db:
        driven = [row.name for row in catalogue.runs() if driver_of(row.id) is not None]
        if driven:
            return Collected(skipped=f"{', '.join(driven)} {'is' if len(driven) == 1 else 'are'} being driven")
        references, rows = _unneeded(catalogue, artifacts, ())
        size = _sizes(artifacts, references)
        for row in rows:
            db.execute("DELETE FROM journal WHERE key = ? AND run_id = ?", list(row))
        for reference in references:
            artifacts.delete(reference)
    return Collected(len(references), size, len(rows))


def _unneeded(
    catalogue: Catalogue, artifacts: ArtifactStore, without: Collection[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    needs = needs_of(catalogue, artifacts, without)
    kept = {row.id for row in catalogue.runs()} - set(without)
    rows = idle_rows(catalogue, needs, kept)
    needed = needs.references.union(_noted(kept))
    return [reference for reference in artifacts.refs() if reference not in needed], rows


def _noted(runs: Iterable[str]) -> Iterator[str]:
    """What jobs of these runs have in the store though the journal has not heard of it: the process was killed in between.

    The next resume adopts it, and would have to run a finished job again without it.
    """
    from tools.executors.folders import read_json

    for run in runs:
        for note in (home() / "jobs" / run).glob("*/*/collected.json"):
            yield from refs_in(read_json(note) or {})


def _sizes(artifacts: ArtifactStore, references: Iterable[str]) -> int:
    return sum(artifacts.size(reference) for reference in references)


# ---- runs -------------------------------------------------------------------------------------------------------


def remove_runs(catalogue: Catalogue, runs: Collection[RunRow]) -> int:
    """Remove runs with their folders (release and report too), and return the bytes these took.

    Raises RunHeld before anything is removed when one of them is driven. What only they needed is freed by `collect`.
    """
    with ExitStack() as held:
        for run in runs:
            held.enter_context(drive_run(run.id))
        size = sum(_folder_size(run_folder(run.id)) for run in runs)
        with catalogue.database.write() as db:
            for run in runs:
                db.execute("DELETE FROM runs WHERE id = ?", [run.id])
        for run in runs:
            size += _drop_schema(run_place(run.id))
            shutil.rmtree(run_folder(run.id), ignore_errors=True)
            shutil.rmtree(home() / "jobs" / run.id, ignore_errors=True)
    return size


def _drop_schema(place: Place) -> int:
    """Remove a run's database, and what was put aside of it, where they lie apart from the run's folder; the bytes they took."""
    if not isinstance(place, Schema):
        return 0
    from tools.postgres.housekeeping import kept_aside

    return sum(_drop(one) for one in [place, *kept_aside(place)])


def _drop(place: Schema) -> int:
    database = open_database(place, "run")
    try:
        size = database.size()
        database.drop()
        return size
    finally:
        database.close()


# ---- leftovers --------------------------------------------------------------------------------------------------


def sweep(catalogue: Catalogue, *, dry_run: bool = False) -> list[Place]:
    """Remove what dead processes left behind, and say what it was. Safe beside processes that are at work."""
    url = store_url()
    known = {row.id for row in catalogue.runs()}
    found: list[Place] = [
        folder
        for folder in runs_folder().iterdir()
        if folder.is_dir()
        and folder.name not in known
        and time.time() - _touched(folder) > UNOWNED_AFTER
        and driver_of(folder.name) is None
    ]
    if url is not None:
        from tools.postgres.housekeeping import unowned_schemas

        found += unowned_schemas(url, known, UNOWNED_AFTER)
    if dry_run:
        return found
    for one in found:
        if isinstance(one, Schema):
            _drop_schema(one)
        else:
            # Under its lock, and only if it is still unknown: a run may have begun there since.
            with suppress(RunHeld), hold_run(one):
                if one.name not in {row.id for row in catalogue.runs()}:
                    shutil.rmtree(one, ignore_errors=True)
    open_artifacts().sweep()
    sweep_jobs()
    return found


def sweep_jobs() -> None:
    """Remove the job folders that dead owners left: unfinished attempts at once, receipts and kept logs after a week.

    Those of runs that are driven are left to their drivers. What trying out a release left behind goes as a whole.
    """
    from tools.executors.folders import JobFolders, is_in_use

    root = home() / "jobs"
    for folder in root.iterdir() if root.is_dir() else ():
        if not folder.is_dir() or folder.is_symlink() or driver_of(folder.name) is not None:
            continue
        if folder.name.startswith(TRIALS):
            if not is_in_use(folder / "jobs") and time.time() - _touched(folder) > UNOWNED_AFTER:
                shutil.rmtree(folder, ignore_errors=True)
            continue
        if any(folder.iterdir()):
            folders = JobFolders(folder)
            folders.sweep()
            folders.close()
        try:
            folder.rmdir()
        except OSError:  # something in it is still needed
            continue


def tidy_on_resume(run_id: str) -> None:
    """What a driver removes before it takes up a run, whose lock it holds: temporary files and dead owners' job folders."""
    with suppress(OSError):  # what cannot be removed is no reason not to go on
        for leftover in run_folder(run_id).glob(".report.html.*"):
            leftover.unlink(missing_ok=True)
        open_artifacts().sweep()
        sweep_jobs()


def _touched(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.glob("*")) if path.exists()), default=0.0)


def _size(path: Path) -> int:
    """Bytes of a database and its log of writes."""
    return sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}-wal")) if one.exists())


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
