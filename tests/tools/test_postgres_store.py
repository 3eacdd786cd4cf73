"""A schema of a shared database: made whole, refused when it is damaged or newer, and kept through lost connections."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.cli.doctor import _store
from state.errors import StoreError, UsageError, VersionMismatch
from tests.support.command import modelwright
from tests.support.postgres import Server
from tools.checkpoints import open_saver
from tools.damage.aside import set_aside
from tools.database import FORMATS, open_database
from tools.drivers import drive_run
from tools.home import run_folder
from tools.places import CATALOGUE_SCHEMA, Schema, masked, run_place, run_schema, store_url, use_store
from tools.postgres.database import PostgresDatabase
from tools.postgres.fencing import lease_holder
from tools.postgres.sql import storable, translated
from tools.postgres.tables import STEPS
from tools.pruning import remove_runs, sweep
from tools.store import Catalogue, RunLog, RunRow, open_catalogue, open_run_log

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(database_url: str) -> Schema:
    return Schema(database_url, CATALOGUE_SCHEMA)


def _row(number: int) -> RunRow:
    return RunRow(id=f"{number:08x}-0000", name=f"run-{number}", created="2025-01-01T00:00:00.000+00:00")


# ---- statements ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM runs WHERE id = ?", "SELECT * FROM runs WHERE id = %s"),
        ("x = :name AND y = ':name ? %'", "x = %(name)s AND y = ':name ? %%'"),
        ("'it''s ?' || ? || \"a?b\"", "'it''s ?' || %s || \"a?b\""),
        ("now()::text LIKE 'a%' AND 5 % ? = 1", "now()::text LIKE 'a%%' AND 5 %% %s = 1"),
    ],
)
def test_parameters_are_translated_outside_of_quotes(sql: str, expected: str) -> None:
    """Marks become the driver's, quoted text and casts stay what they are."""
    assert translated(sql) == expected


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20))
def test_every_text_can_be_stored(text: str) -> None:
    """NUL characters and lone surrogates are replaced, everything else stays."""
    (cleaned,) = storable([text])
    assert "\x00" not in cleaned
    cleaned.encode()
    assert len(cleaned) == len(text)
    if text.isascii() and "\x00" not in text:
        assert cleaned == text


def test_formats_of_files_and_schemas_are_the_same() -> None:
    """Each format number has its step for both kinds of database."""
    assert {kind: len(steps) for kind, steps in STEPS.items()} == FORMATS


# ---- the schema ----------------------------------------------------------------------------------------------


def test_looking_makes_nothing(place: Schema, postgres: Server) -> None:
    """Listing runs of an empty database leaves it empty."""
    assert Catalogue(place).runs() == []
    assert RunLog(Schema(place.url, run_schema("x"))).events() == []
    assert postgres.run("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'modelwright%'", place.url) == []


def test_a_newer_format_is_refused_naming_both(place: Schema, postgres: Server) -> None:
    """A schema of a later version is neither read nor written."""
    Catalogue(place).add_run(_row(1))
    postgres.run("UPDATE modelwright.format SET version = 7", place.url)
    for use in (Catalogue(place).runs, lambda: Catalogue(place).add_run(_row(2))):
        with pytest.raises(VersionMismatch, match=r"format 7; .* up to 2(.|\n)*upgrade modelwright"):
            use()


def test_a_schema_of_the_first_format_is_read_and_brought_up_to_date(place: Schema, postgres: Server) -> None:
    """A store that an earlier version made goes on: looking leaves it as it is, whoever opens it migrates it."""
    catalogue = Catalogue(place)
    catalogue.add_run(_row(1))
    catalogue.close()
    postgres.run(
        "ALTER TABLE modelwright.leases DROP COLUMN brief; UPDATE modelwright.format SET version = 1", place.url
    )
    insert = "INSERT INTO modelwright.leases VALUES ('r', 1, 'other', 1, '', '', now(), now() + interval '1 hour')"
    postgres.run(insert, place.url)
    holder = lease_holder(place.url, "r")
    assert holder is not None
    assert (holder["host"], holder["brief"]) == ("other", False)
    assert postgres.run("SELECT version FROM modelwright.format", place.url) == [(1,)]
    assert [one.name for one in Catalogue(place).runs()] == ["run-1"]
    assert postgres.run("SELECT version FROM modelwright.format", place.url) == [(2,)]
    assert postgres.run("SELECT brief FROM modelwright.leases", place.url) == [(False,)]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DROP TABLE modelwright.journal", "it lacks journal"),
        ("DROP TABLE modelwright.format", "not a catalogue database"),
        ("DELETE FROM modelwright.format", "not a catalogue database"),
        ("UPDATE modelwright.format SET kind = 'run'", "not a catalogue database"),
        ("DROP SCHEMA modelwright CASCADE; CREATE SCHEMA modelwright", "not a catalogue database"),
    ],
)
def test_a_damaged_schema_is_refused(place: Schema, postgres: Server, damage: str, said: str) -> None:
    """An emptied or replaced schema is never taken for a fresh one, and a write does not begin it anew."""
    Catalogue(place).add_run(_row(1))
    for statement in damage.split("; "):
        postgres.run(statement, place.url)
    for use in (Catalogue(place).runs, lambda: Catalogue(place).add_run(_row(2))):
        with pytest.raises(StoreError, match=said) as refused:
            use()
        assert "tester:***@" in str(refused.value)


def test_a_table_lost_under_way_is_named(place: Schema, postgres: Server) -> None:
    """Also a handle that has been at work says what is gone."""
    catalogue = Catalogue(place)
    catalogue.add_run(_row(1))
    postgres.run("DROP TABLE modelwright.runs", place.url)
    with pytest.raises(StoreError, match="is damaged"):
        catalogue.runs()


def test_processes_that_start_at_once_make_one_schema(database_url: str) -> None:
    """Several processes creating and writing the same log at the same moment lose nothing, and numbers are unbroken."""
    script = "import sys; from tools.places import Schema; from tools.store import RunLog\n"
    script += f"log = RunLog(Schema({database_url!r}, 'modelwright_run_x'))\n"
    script += "[log.add_event('note', '', '') for _ in range(10)]"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    workers = [subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    log = RunLog(Schema(database_url, "modelwright_run_x"))
    assert [row["seq"] for row in log.events()] == list(range(1, 31))


def test_rows_that_bring_their_numbers_do_not_collide_with_later_ones(database_url: str) -> None:
    """A fork copies rows with their numbers; what it appends comes after them."""
    log = RunLog(Schema(database_url, "modelwright_run_x"))
    row = {"time": "t", "kind": "note", "role": "", "text": "copied", "data": "{}"}
    with log.database.write() as db:
        db.insert_many("events", ({**row, "seq": number} for number in (3, 7, 1001)))
    assert log.add_event("note", "", "new") == 1002


def test_a_dropped_schema_is_gone_and_can_be_made_again(database_url: str) -> None:
    """Removing a run's schema leaves nothing of it; dropping it twice is harmless."""
    log = RunLog(Schema(database_url, "modelwright_run_x"))
    log.add_event("note", "", "one")
    assert log.database.size() > 0
    log.database.drop()
    log.database.drop()
    assert not log.database.exists()
    assert log.events() == []
    assert log.add_event("note", "", "again") == 1


def test_every_run_has_a_schema_of_its_own() -> None:
    """Names stay short and apart, whatever is a run id."""
    ids = ["a" * 64, "a" * 63 + "b", "A-b", "a-b", "a_b", "ab", "3f2b8c1e-0000-4000-8000-000000000001"]
    names = [run_schema(one) for one in ids]
    assert len(set(names)) == len(ids)
    assert all(len(name) <= 63 and name.startswith("modelwright_run_") for name in names)


class Counted(TypedDict):
    """The state of a small graph."""

    count: int


# ---- connections ---------------------------------------------------------------------------------------------


def test_a_connection_lost_while_idle_is_opened_again(place: Schema, postgres: Server) -> None:
    """A restart of the server, or its impatience, between two statements is not noticed."""
    catalogue = Catalogue(place)
    catalogue.add_run(_row(1))
    postgres.disconnect(place.url)
    catalogue.add_run(_row(2))
    postgres.disconnect(place.url)
    assert [row.name for row in catalogue.runs()] == ["run-2", "run-1"]


def test_the_checkpointer_opens_a_lost_connection_again(
    database_url: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph whose connection the server drops between two steps reads and writes on; no step is lost."""
    from langgraph.graph import END, START, StateGraph

    monkeypatch.setattr("tools.postgres.saver._IDLE_SECONDS", 0.0)
    graph = StateGraph(Counted)

    def dropping(state: Counted) -> dict[str, int]:
        postgres.disconnect(database_url)
        return {"count": state["count"] + 1}

    for name in ("one", "two"):
        graph.add_node(name, dropping)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", END)

    async def drive() -> tuple[Any, int]:
        config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
        async with open_saver(Schema(database_url, "modelwright_run_dropped")) as saver:
            done = await graph.compile(checkpointer=saver).ainvoke({"count": 0}, config, durability="sync")
            return done, len([one async for one in saver.alist(config)])

    assert asyncio.run(drive()) == ({"count": 2}, 4)


def test_a_connection_lost_in_a_transaction_undoes_it(place: Schema, postgres: Server) -> None:
    """It is an error that says so, nothing of the transaction is kept, and the handle works on."""
    catalogue = Catalogue(place)
    catalogue.add_run(_row(1))

    def cut_off() -> None:
        with catalogue.database.write():
            catalogue.add_run(_row(2))
            postgres.disconnect(place.url)
            catalogue.add_run(_row(3))

    with pytest.raises(StoreError, match=r"cannot be used(.|\n)*a write in progress was undone"):
        cut_off()
    assert [row.name for row in catalogue.runs()] == ["run-1"]
    catalogue.add_run(_row(4))
    assert [row.name for row in catalogue.runs()] == ["run-4", "run-1"]


def test_a_failed_transaction_leaves_nothing(place: Schema) -> None:
    """A broken constraint is raised as it is, undoes the block, and the handle works on."""
    catalogue = Catalogue(place)
    catalogue.add_run(_row(1))

    def twice() -> None:
        with catalogue.database.write() as db:
            catalogue.add_run(_row(2))
            db.execute("INSERT INTO runs SELECT * FROM runs")

    with pytest.raises(Exception, match="duplicate key"):
        twice()
    assert [row.name for row in catalogue.runs()] == ["run-1"]


def test_writers_take_turns(place: Schema) -> None:
    """What is read inside a write holds until it is committed: two handles counting together lose nothing."""
    import threading

    Catalogue(place).add_run(_row(1))

    def count() -> None:
        database = open_database(place, "catalogue")
        for _ in range(20):
            with database.write() as db:
                seconds = database.read("SELECT active_seconds FROM runs")[0]["active_seconds"]
                db.execute("UPDATE runs SET active_seconds = ?", [seconds + 1.0])
        database.close()

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Catalogue(place).run(_row(1).id).active_seconds == 60.0


def test_numbers_that_are_none_survive(place: Schema) -> None:
    """NaN and infinity are stored as such in columns of numbers."""
    Catalogue(place).add_run(_row(1))
    database = PostgresDatabase(place, "catalogue")
    with database.write() as db:
        db.execute("UPDATE runs SET active_seconds = ?", [float("inf")])
    assert database.read("SELECT active_seconds FROM runs")[0]["active_seconds"] == float("inf")


# ---- what a person gets wrong --------------------------------------------------------------------------------


def test_a_password_is_never_shown() -> None:
    """Whatever the URL looks like, its password is masked where the store is named."""
    for url in (
        "postgresql://me:se:cret@host/db",
        "postgresql://me:se@cret@host/db",
        "postgres://host/db?user=me&password=secret&x=1",
    ):
        assert "cret" not in masked(url)
        assert "cret" not in str(Schema(url, "s")) + repr(Schema(url, "s"))
        assert "host" in masked(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:secret@host/db", "is not a PostgreSQL URL"),
        ("postgresql://me:sec@ret@host/db", "as %40"),
    ],
)
def test_another_kind_of_url_is_refused(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store named by option or variable must be one; a refused one is not kept."""
    monkeypatch.delenv("MODELWRIGHT_STORE", raising=False)
    with pytest.raises(UsageError, match=said):
        use_store(url)
    assert store_url() is None
    monkeypatch.setenv("MODELWRIGHT_STORE", url)
    with pytest.raises(UsageError, match=said):
        store_url()


def test_a_server_that_is_not_there_is_named(tmp_path: Path, postgres: Server) -> None:
    """The message says which server, without the password, and what to do; the command line prints just that."""
    for url, said in (
        (f"postgresql://me:wrongsecret@127.0.0.1:{postgres.port}/postgres", "password authentication failed"),
        (postgres.url("nowhere"), '"nowhere" does not exist'),
        ("postgresql://me:wrongsecret@127.0.0.1:1/postgres", "Connection refused"),
    ):
        with pytest.raises(StoreError, match=said) as refused:
            Catalogue(Schema(url, CATALOGUE_SCHEMA)).runs()
        assert refused.value.hint.startswith("check")
        assert "wrongsecret" not in str(refused.value)
        assert postgres.password not in str(refused.value)
    done = modelwright("ls", "--store", "postgresql://me:wrongsecret@127.0.0.1:1/postgres", home=tmp_path / "home")
    assert (done.code, done.out) == (1, "")
    assert "Connection refused" in done.err
    assert "wrongsecret" not in done.err


def test_doctor_shows_the_store(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which store, which version of the server, and whether it can be reached; no password."""
    monkeypatch.delenv("MODELWRIGHT_STORE", raising=False)
    assert _store() == ("files in the home folder", [])
    monkeypatch.setenv("MODELWRIGHT_STORE", postgres.url())
    said, problems = _store()
    assert "tester:***@127.0.0.1" in said
    assert "PostgreSQL 1" in said
    assert problems == []
    monkeypatch.setenv("MODELWRIGHT_STORE", "postgresql://me:wrongsecret@127.0.0.1:1/postgres")
    said, problems = _store()
    assert "not usable" in said
    assert len(problems) == 1
    assert "wrongsecret" not in said + problems[0]


def test_without_the_extra_the_way_to_install_it_is_said(tmp_path: Path) -> None:
    """Where psycopg is missing, the command says the exact line; a store in files needs nothing of it."""
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import modelwright; sys.argv = ['modelwright', *sys.argv[1:]]; modelwright.main()"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MODELWRIGHT_HOME": str(tmp_path / "home")}
        return subprocess.run([sys.executable, "-c", script, *words], env=environment, capture_output=True, text=True)

    refused = run("ls", "--store", "postgresql://localhost/db")
    assert refused.returncode == 2
    assert "pip install 'modelwright[postgres]'" in refused.stderr
    assert run("ls").returncode == 0


# ---- housekeeping --------------------------------------------------------------------------------------------


def test_schemas_that_no_run_owns_are_swept(
    place: Schema, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill left while a fork was made goes after an hour; schemas of known and of driven runs, young ones, and
    those of other programs stay. So do the folders of runs that lie in files of the same home."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "home"))
    in_files = run_folder("in-files")
    RunLog(in_files / "run.db").add_event("note", "", "")
    os.utime(in_files / "run.db", (0, 0))
    os.utime(in_files, (0, 0))
    monkeypatch.setenv("MODELWRIGHT_STORE", place.url)
    catalogue = open_catalogue()
    catalogue.add_run(_row(1))
    for name in (_row(1).id, "left-behind", "driven", "young"):
        log = open_run_log(name)
        log.add_event("note", "", "")
        log.close()
        if name == _row(1).id:  # the run was rebuilt: what was put aside is old, and stays with its run
            set_aside(run_place(name))
            log = open_run_log(name)
            log.add_event("note", "", "")
            log.close()
            aside = f"{run_schema(name)}_aside_1"
            postgres.run(f"UPDATE \"{aside}\".format SET made = now() - interval '2 hours'", place.url)
        if name != "young":
            postgres.run(f"UPDATE \"{run_schema(name)}\".format SET made = now() - interval '2 hours'", place.url)
    postgres.run("CREATE SCHEMA modelwright_run_of_somebody", place.url)
    with drive_run("driven"):
        assert [str(one) for one in sweep(catalogue, dry_run=True)] == [str(run_place("left-behind"))]
        assert len(sweep(catalogue)) == 1
        assert sweep(catalogue) == []
    kept = {
        str(name)
        for (name,) in postgres.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'modelwright_run%'", place.url)
    }
    others = {run_schema("driven"), run_schema("young"), "modelwright_run_of_somebody"}
    assert kept == {run_schema(_row(1).id), f"{run_schema(_row(1).id)}_aside_1", *others}
    remove_runs(catalogue, [catalogue.run(_row(1).id)])
    left = postgres.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'modelwright_run%'", place.url)
    assert {str(name) for (name,) in left} == others
    assert (in_files / "run.db").exists()
    catalogue.close()


def test_a_transaction_that_has_much_else_to_do_is_waited_for(place: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends a transaction that stands still, but not one that said it would."""
    Catalogue(place).add_run(_row(1))  # with a connection of its own, whose making takes many statements
    # Much longer than a busy machine lets a process wait between two statements.
    monkeypatch.setattr("tools.postgres.session.idle_seconds", lambda: 2.0)
    catalogue = Catalogue(place)
    with catalogue.database.write(long=True):
        time.sleep(3.0)
        catalogue.add_run(_row(2))

    def stand_still() -> None:
        with catalogue.database.write():
            time.sleep(3.0)
            catalogue.add_run(_row(3))

    with pytest.raises(StoreError, match=r"cannot be used(.|\n)*stood still"):
        stand_still()
    assert [row.name for row in catalogue.runs()] == ["run-2", "run-1"]
