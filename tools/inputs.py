"""The data a run works on: which files they were when it began, and that they are the same when it reads them again.

A run reads its files once; from then on it works on stored copies. It comes back to the files when it is killed before the
copies are made, or when it is gone through again (graphs/rebuilding.py), maybe weeks later. A file that is another one by
then would make another run of it, without a word. So hash and stored copy are kept in the journal with the first reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from state.errors import ArtifactDamaged, ArtifactMissing, InputError, Problem, StoreError
from state.settings import Settings
from tools.decisions import decide, key_for_good
from tools.intake.request import Request, check_request
from tools.intake.sniff import file_hash
from tools.intake.table import Table
from tools.journal import Journal
from tools.several import several_of_brief
from tools.workbench import Workbench

_ABOUT = "input"


def request_of(desk: Workbench) -> Request:
    """The checked input of a run: as this process has read it, else read again, else the stored copy.

    Raises InputError with every problem of a first reading, or naming both hashes when a file is no longer the one the run
    began with; StoreError when neither file nor copy is there.
    """
    if desk.request is not None:
        return desk.request
    known = recorded(desk.journal)
    if known is None:
        return check_request(desk.settings)
    refuse_changed(desk.settings, known)
    files = [path for path in (desk.settings.data, desk.settings.test_data) if path]
    if desk.settings.data and all(Path(path).expanduser().exists() for path in files):
        return check_request(desk.settings)
    desk.note(
        "the data is taken from the stored copy: " + ("its file is gone" if files else "no file holds it"), "analyst"
    )
    return _stored(desk, known)


def remember(desk: Workbench, request: Request, brief: dict[str, Any]) -> None:
    """Keep which data the run began with: hashes of its files, and references of the stored copies. Once."""
    decide(
        desk,
        _ABOUT,
        {},
        lambda: {
            **{name: brief[name] for name in ("source", "test_source", "table", "test_table", "read_spec")},
            "target": request.target,
            "target_reason": request.target_reason,
            "notes": request.table.notes,
        },
        for_good=True,
    )


def recorded(journal: Journal) -> dict[str, Any] | None:
    """What `remember` kept of a run; None when it has not read its data yet. Read-only."""
    return journal.intention(key_for_good(_ABOUT, {}))


def refuse_changed(settings: Settings, known: dict[str, Any]) -> None:
    """Raise InputError, naming both hashes, when a file of the run is there and is another than the run began with."""
    problems = [
        Problem(
            f"the file is not the one this run began with: its SHA-256 is {found}, and it was {was}",
            where=path,
            cure="put the original back; for the new data start a new run: `modelwright build`",
        )
        for path, was, found in changed_files(settings, known)
    ]
    if problems:
        raise InputError(problems)


def changed_files(settings: Settings, known: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Files of the run that are there and have other content: path, hash as it was, hash as it is."""
    changed = []
    for path, was in ((settings.data, known["source"]), (settings.test_data, known["test_source"])):
        if path and was and Path(path).expanduser().exists() and (found := file_hash(path)) != was:
            changed.append((path, was, found))
    return changed


def _stored(desk: Workbench, known: dict[str, Any]) -> Request:
    try:
        table = Table(
            frame=desk.artifacts.get_frame(known["table"]),
            spec=desk.artifacts.get_json(known["read_spec"]),
            notes=known["notes"],
            source_sha=known["source"],
            path=desk.settings.data,
        )
        test = None if known["test_table"] is None else desk.artifacts.get_frame(known["test_table"])
    except (ArtifactMissing, ArtifactDamaged) as error:
        lost = f"{desk.settings.data!r} is gone" if desk.settings.data else "the data was given as a DataFrame"
        raise StoreError(
            f"the data of the run cannot be read again: {lost}, and of its stored copy {error.message}",
            hint="put the file back where it was, or restore the artifacts folder from a backup; else build again",
        ) from error
    several = several_of_brief(desk.settings, table.frame, known["target"])
    return Request(desk.settings, table, test, known["target"], known["target_reason"], several)
