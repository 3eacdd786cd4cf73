"""Runs in the catalogue: names tell them apart, and a run nobody drives does not count as running."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import modelwright
from state.settings import Settings
from tools.home import home, run_folder
from tools.locks import hold_run
from tools.runs import readable_name, register_run, standing
from tools.store import Catalogue


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """The catalogue of a home of its own."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "home"))
    return Catalogue(home() / "catalogue.db")


def test_a_taken_name_gets_a_number(catalogue: Catalogue) -> None:
    """The second run that asks for a name is told apart from the first, the third from both."""
    settings = Settings(data="houses.csv", name="houses")
    names = [register_run(catalogue, str(uuid.uuid4()), settings).name for _ in range(3)]
    assert names == ["houses", "houses-2", "houses-3"]


def test_a_run_without_a_name_gets_a_readable_one(catalogue: Catalogue) -> None:
    """Two words chosen by the id; registering the same run twice changes nothing."""
    run_id = str(uuid.uuid4())
    first = register_run(catalogue, run_id, Settings(data="houses.csv"))
    assert first.name == readable_name(run_id, set())
    assert register_run(catalogue, run_id, Settings(data="houses.csv")) == first


def test_a_run_that_nobody_drives_was_interrupted(catalogue: Catalogue) -> None:
    """The catalogue says running as long as nobody says otherwise; the lock tells whether somebody drives it."""
    row = register_run(catalogue, str(uuid.uuid4()), Settings(data="houses.csv", name="houses"))
    with hold_run(run_folder(row.id)):
        assert standing(row) == "running"
    assert standing(row) == "interrupted"
    assert modelwright.open_run("houses").status == "interrupted"


def test_runs_that_begin_at_once_have_names_of_their_own(catalogue: Catalogue) -> None:
    """Each looks for a free name and takes it in one transaction."""
    catalogue.runs()
    settings, start = Settings(data="houses.csv", name="houses"), threading.Barrier(6)

    def register() -> str:
        own = Catalogue(home() / "catalogue.db")
        start.wait()
        try:
            return register_run(own, str(uuid.uuid4()), settings).name
        finally:
            own.close()

    with ThreadPoolExecutor(6) as pool:
        names = [one.result() for one in [pool.submit(register) for _ in range(6)]]
    assert sorted(names) == ["houses", *(f"houses-{number}" for number in range(2, 7))]
