"""Where everything durable lies: one private folder, `MODELWRIGHT_HOME` or the user data folder.

catalogue.db    runs, journal, openings of test sets, lessons
artifacts/      content-addressed files
runs/<id>/      one folder per run: run.db (checkpoints, events, candidates), run.lock
stores/<key>/   artifacts/ (a cache) and runs/ of a database that machines share, when one is named (tools/places.py)
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from platformdirs import user_data_path

from state.errors import StoreError, UsageError
from tools.disk import is_full, named

STORE_VARIABLE = "MODELWRIGHT_STORE"
"""Names a database that machines share, by URL."""
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


def home() -> Path:
    """The absolute path of our folder, created with mode 0700 if it is not there.

    A folder that exists already keeps its mode; what we create inside is private all the same.
    """
    told = os.environ.get("MODELWRIGHT_HOME", "").strip()
    return private_folder(Path(told).expanduser().absolute() if told else user_data_path("modelwright"))


def local_folder() -> Path:
    """Where this machine's files of the store in use lie: the home itself, or a folder of its own for a shared database.

    So housekeeping in one store never takes what belongs to another for left behind.
    """
    url = os.environ.get(STORE_VARIABLE, "").strip()
    if not url:
        return home()
    place = url.partition("://")[2].partition("?")[0].rpartition("@")[2]  # host and database, nothing secret
    return home() / "stores" / hashlib.sha256(place.encode()).hexdigest()[:12]


def runs_folder() -> Path:
    """The folder that holds one folder per run, created if it is not there."""
    return private_folder(local_folder() / "runs")


def run_folder(run_id: str) -> Path:
    """The folder of a run. It is created by whoever first writes into it, so that looking leaves no trace.

    Raises UsageError for anything that is not a plain run id, since the id becomes part of a path.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is not a run id", hint="`modelwright ls` lists the runs with their ids")
    return runs_folder() / run_id


def private_folder(path: Path) -> Path:
    """Create a folder readable by its owner only, with missing parents; an existing one is left as it is."""
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(
            f"{str(path)!r} cannot be a folder: a file stands in its way",
            hint="move that file away, or set MODELWRIGHT_HOME to another folder",
        ) from error
    except OSError as error:
        if is_full(error):
            raise named(error, path) from error
        raise StoreError(
            f"the folder {str(path)!r} cannot be created: {error.strerror}",
            hint="set MODELWRIGHT_HOME to a folder you may write to",
        ) from error
    return path
