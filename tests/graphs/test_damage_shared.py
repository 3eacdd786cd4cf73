"""Damage in a store that machines share: what the catalogue says a run's schema held is held against what is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graphs import session
from state.errors import StoreError
from state.settings import Settings
from tests.durability.outcome import differences, outcome
from tests.durability.small import LEDGER, small_world
from tools.home import runs_folder
from tools.places import STORE_VARIABLE, run_place
from tools.postgres.database import PostgresDatabase
from tools.store import open_catalogue


def harm(run_id: str, sql: str) -> None:
    """Change a run's schema behind everybody's back, or drop it."""
    place = run_place(run_id)
    assert not isinstance(place, Path)
    database = PostgresDatabase(place, "run")
    try:
        if sql:
            database.session.run(sql)
        else:
            database.session.run(f'DROP SCHEMA "{place.name}" CASCADE')
    finally:
        database.close()


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("", "is not there"),
        pytest.param("DELETE FROM checkpoints", "holds no checkpoint", marks=pytest.mark.campaign),
        pytest.param("DELETE FROM events WHERE seq > 5", "table events: lost", marks=pytest.mark.campaign),
    ],
)
def test_a_lost_schema_is_named_and_the_run_rebuilt(
    sql: str, word: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a machine that has never seen the run: refused by name, rebuilt from the journal, nothing made again."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(STORE_VARIABLE, database_url)
    monkeypatch.setenv(LEDGER, str(tmp_path / "ledger"))
    settings = Settings(name="small", time_limit=86400, jobs=2, iterations=1, candidates=2, review=["release"])
    with small_world():
        assert session.start(settings).status == "waiting"
        known, made = outcome("small"), (tmp_path / "ledger").read_text()
        catalogue = open_catalogue()
        run_id = catalogue.find_run("small").id
        catalogue.close()
        shutil.rmtree(runs_folder() / run_id)
        harm(run_id, sql)
        with pytest.raises(StoreError, match=word) as refused:
            session.resume("small")
        assert "--rebuild" in refused.value.hint
        assert session.resume("small", rebuild=True).status == "waiting"
        assert differences(known, outcome("small")) == []
    assert (tmp_path / "ledger").read_text() == made
