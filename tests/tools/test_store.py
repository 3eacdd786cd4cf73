"""Catalogue and run log: what they keep, how runs are found, and how damaged or foreign files are refused."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.candidate import Candidate, Plan
from state.errors import NotFound, StoreError, UsageError, VersionMismatch
from tools.home import home, run_folder
from tools.places import Place
from tools.store import Catalogue, RunLog, RunRow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def log(places: Callable[[str], Place]) -> Iterator[RunLog]:
    """An empty log, in a file and in a shared database."""
    log = RunLog(places("run"))
    yield log
    log.close()


@pytest.fixture
def catalogue_file(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "catalogue.db")


@pytest.fixture
def log_file(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "one" / "run.db")


def _run(number: int, name: str = "") -> RunRow:
    return RunRow(id=f"{number:08x}-0000", name=name or f"run-{number}", created="2025-01-01T00:00:00.000+00:00")


def _candidate(name: str, title: str = "t", status: str = "done") -> Candidate:
    return Candidate(id=name, iteration=0, plan=Plan(id=name, title=title, rationale="r"), status=status)


# ---- home ----------------------------------------------------------------------------------------------------


def test_the_home_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is made by us is for its owner only; looking up a run's folder creates nothing."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "home"))
    assert home() == tmp_path / "home"
    assert home().stat().st_mode & 0o777 == 0o700
    assert not run_folder("abc").exists()
    for crafted in ("../x", "a/b", "", ".", "-x"):
        with pytest.raises(UsageError, match="not a run id"):
            run_folder(crafted)


def test_without_the_variable_the_user_data_folder_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting is needed: the platform's user data folder is taken."""
    monkeypatch.delenv("MODELWRIGHT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert home().is_relative_to(tmp_path)
    assert home().name == "modelwright"


# ---- runs ----------------------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_added(catalogue: Catalogue) -> None:
    """Every field of a run survives, updates included, in another process's eyes too."""
    row = _run(1).but(settings={"jobs": 2, "experts": {"engineer": "x"}}, parent="0", data="d.csv", intent="é")
    catalogue.add_run(row)
    catalogue.update_run(row.id, status="done", summary={"score": 0.5})
    catalogue.add_active_seconds(row.id, 1.5)
    catalogue.add_active_seconds(row.id, 2.0)
    found = Catalogue(catalogue.database.place).run(row.id)
    assert found == row.but(status="done", summary={"score": 0.5}, active_seconds=3.5, updated=found.updated)
    assert found.updated > row.created


def test_runs_are_found_the_way_people_name_them(catalogue: Catalogue) -> None:
    """`last`, a name, an id and the beginning of an id all lead to the run; a name goes before an id."""
    for row in (_run(0xAB, "tidy-fox"), _run(0xCD, "calm-owl"), _run(0xEF, "000000ab")):
        catalogue.add_run(row)
    assert catalogue.find_run("last").id == "000000ef-0000"
    assert catalogue.find_run("tidy-fox").id == "000000ab-0000"
    assert catalogue.find_run("000000cd-0000").name == "calm-owl"
    assert catalogue.find_run("000000C").name == "calm-owl"
    assert catalogue.find_run("000000ab").id == "000000ef-0000"
    assert [row.name for row in catalogue.runs(limit=2)] == ["000000ab", "calm-owl"]


def test_what_is_not_found_is_answered_with_the_nearest_names(catalogue: Catalogue) -> None:
    """A typo gets a suggestion, an empty home gets the command that starts a run."""
    with pytest.raises(NotFound, match="nothing was built yet"):
        catalogue.find_run("last")
    catalogue.add_run(_run(1, "tidy-fox"))
    with pytest.raises(NotFound, match="did you mean 'tidy-fox'"):
        catalogue.find_run("tidy-fix")
    with pytest.raises(NotFound, match="`modelwright ls`"):
        catalogue.find_run("")
    with pytest.raises(NotFound, match="zzz"):
        catalogue.run("zzz")


def test_an_ambiguous_name_is_refused_with_the_choices(catalogue: Catalogue) -> None:
    """Two runs of one name, or two ids with one beginning, are listed with their ids."""
    catalogue.add_run(_run(0x11, "same"))
    catalogue.add_run(_run(0x12, "same"))
    for text in ("same", "0000001"):
        with pytest.raises(UsageError, match=r"fits 2 runs: 00000012-0000 .*00000011-0000"):
            catalogue.find_run(text)


def test_nonsense_is_not_stored(catalogue: Catalogue) -> None:
    """An unknown status or field, or a second run of one id, is refused and changes nothing."""
    catalogue.add_run(_run(1))
    with pytest.raises(ValueError, match="status"):
        catalogue.update_run(_run(1).id, status="sleeping")
    with pytest.raises(ValueError, match="colour"):
        catalogue.update_run(_run(1).id, colour="red")
    with pytest.raises(UsageError, match="exists already"):
        catalogue.add_run(_run(1, "other"))
    assert catalogue.run(_run(1).id).status == "running"


def test_looking_creates_nothing(tmp_path: Path) -> None:
    """Listing runs in a home where nothing was built leaves no file behind."""
    catalogue, log = Catalogue(tmp_path / "home" / "catalogue.db"), RunLog(tmp_path / "home" / "run.db")
    assert catalogue.runs() == []
    assert catalogue.openings("k") == []
    assert (log.events(), log.candidates(), log.exchanges()) == ([], {}, [])
    assert not (tmp_path / "home").exists()


def test_reading_does_not_import_pandas(catalogue_file: Catalogue, log_file: RunLog) -> None:
    """Commands that only look start quickly: neither sqlite-utils nor pandas is imported for reading."""
    catalogue_file.add_run(_run(1))
    log_file.add_event("note", "analyst", "hello")
    log_file.put_candidate(_candidate("a"))
    script = (
        "import sys; from pathlib import Path; from tools.store import Catalogue, RunLog\n"
        "catalogue, log = Catalogue(Path(sys.argv[1])), RunLog(Path(sys.argv[2]))\n"
        "assert catalogue.find_run('last') and catalogue.runs() and log.events() and log.candidates()\n"
        "print({'pandas', 'numpy', 'sqlite_utils', 'langgraph'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(catalogue_file.database.place), str(log_file.database.place)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "set()\n", done.stderr


# ---- openings ------------------------------------------------------------------------------------------------


def test_openings_of_a_test_set_are_counted_across_runs(catalogue: Catalogue) -> None:
    """Each opening gets the next number and names the earlier ones; a repeated step gets its receipt again."""
    catalogue.add_run(_run(1, "first"))
    facts = {"code_hash": "c", "data_hash": "d"}
    one = catalogue.open_test("rows", run_id=_run(1).id, candidate="a", **facts)
    two = catalogue.open_test("rows", run_id="other", candidate="b", **facts)
    again = catalogue.open_test("rows", run_id=_run(1).id, candidate="a", **facts)
    elsewhere = catalogue.open_test("other rows", run_id="other", candidate="b", **facts)
    assert (one["number"], two["number"], elsewhere["number"]) == (1, 2, 1)
    assert one["earlier"] == []
    assert two["earlier"] == [{"run": _run(1).id, "name": "first", "candidate": "a", "when": one["when"]}]
    assert again == one
    assert [row["candidate"] for row in catalogue.openings("rows")] == ["a", "b"]


# ---- the run log ---------------------------------------------------------------------------------------------


def test_events_come_back_in_order(log: RunLog) -> None:
    """Events keep their order, text and data, whatever characters a program printed."""
    numbers = [log.add_event("note", "runner", f"text {index} \udcff", {"index": index}) for index in range(3)]
    assert numbers == [1, 2, 3]
    assert [(row["seq"], row["text"], row["data"]) for row in log.events(after=1)] == [
        (2, "text 1 ?", {"index": 1}),
        (3, "text 2 ?", {"index": 2}),
    ]


def test_events_of_many_threads_are_all_there(log: RunLog) -> None:
    """Writers at the same time lose nothing and never share a number."""
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(log.add_event("job", "runner", "") for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 81)) == [row["seq"] for row in log.events()]


def test_a_later_record_replaces_an_earlier_one_and_versions_look_back(log: RunLog) -> None:
    """The newest record of each candidate is shown; with a version, exactly what was known at that version."""
    first = log.put_candidate(_candidate("a", status="running"))
    second = log.put_candidate(_candidate("b"))
    third = log.put_candidate(_candidate("a", status="done"))
    assert first < second < third
    assert {name: one.status for name, one in log.candidates(second).items()} == {"a": "running", "b": "done"}
    assert {name: one.status for name, one in log.candidates().items()} == {"a": "done", "b": "done"}
    assert list(log.candidates()) == ["a", "b"]
    assert log.candidates(0) == {}


def test_what_another_log_appends_is_seen(places: Callable[[str], Place]) -> None:
    """A log that has read its rows takes in those of another process."""
    one, other = RunLog(places("log")), RunLog(places("log"))
    one.put_candidate(_candidate("a", "first"))
    assert list(one.candidates()) == list(other.candidates()) == ["a"]
    version = other.put_candidate(_candidate("b"))
    other.put_candidate(_candidate("a", "second"))
    assert {name: found.plan.title for name, found in one.candidates().items()} == {"a": "second", "b": "t"}
    assert one.candidates(version)["a"].plan.title == "first"
    for log in (one, other):
        log.close()


def test_a_log_that_was_made_anew_is_read_as_it_is(log_file: RunLog) -> None:
    """What was read of a file that is gone is not told of the one that lies there now."""
    log_file.put_candidate(_candidate("a"))
    log_file.put_candidate(_candidate("b"))
    assert list(log_file.candidates()) == ["a", "b"]
    log_file.database.drop()
    assert log_file.candidates() == {}
    log_file.put_candidate(_candidate("c"))
    log_file.put_candidate(_candidate("d"))
    assert list(log_file.candidates()) == ["c", "d"]


def test_an_identical_repeat_appends_nothing(log: RunLog) -> None:
    """A step that is run again puts the same record and gets the same version; an older state of it is a new row."""
    running, done = _candidate("a", status="running"), _candidate("a")
    assert log.put_candidate(running) == log.put_candidate(running) == 1
    assert log.put_candidate(done) == log.put_candidate(done) == 2
    assert log.put_candidate(running) == 3


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_interleaving_of_repeated_puts_gives_the_same_view(data: st.DataObject, tmp_path_factory: object) -> None:
    """However branches interleave and however often each put is repeated, the latest view is the same."""
    histories = data.draw(
        st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=4), min_size=1)
    )
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    log = RunLog(tmp_path_factory.mktemp("log") / "run.db")
    waiting = {name: list(titles) for name, titles in histories.items()}
    views: dict[int, dict[str, str]] = {}
    while waiting:
        name = data.draw(st.sampled_from(sorted(waiting)))
        record = _candidate(name, waiting[name].pop(0))
        if not waiting[name]:
            del waiting[name]
        got = {log.put_candidate(record) for _ in range(data.draw(st.integers(1, 3)))}
        assert len(got) == 1
        views[max([*views, *got])] = {one: c.plan.title for one, c in log.candidates().items()}
    assert {one: c.plan.title for one, c in log.candidates().items()} == {
        name: titles[-1] for name, titles in histories.items()
    }
    for version, view in views.items():
        assert {one: c.plan.title for one, c in log.candidates(version).items()} == view
    log.close()


def test_exchanges_come_back(log: RunLog) -> None:
    """Questions, answers and what they cost survive, also the ones without an answer."""
    log.put_exchange("engineer", "builtin", {"plan": "p"}, {"code": "c"}, 10, 20, 0.5, 1.5, True, "")
    log.put_exchange("engineer", "openai:x", {"plan": "p"}, None, error="no answer")
    first, second = log.exchanges()
    assert (first["answer"], first["tokens_out"], first["cost"], first["cached"]) == ({"code": "c"}, 20, 0.5, True)
    assert (second["answer"], second["error"], second["cached"]) == (None, "no answer", False)


# ---- files ---------------------------------------------------------------------------------------------------


def test_files_are_private_and_durable(catalogue_file: Catalogue) -> None:
    """The database and its side files are readable by their owner only, in WAL mode with full synchronisation."""
    catalogue_file.add_run(_run(1))
    folder = catalogue_file.database.path.parent
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["catalogue.db", "catalogue.db-shm", "catalogue.db-wal"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert catalogue_file.database.read("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert catalogue_file.database.read("PRAGMA synchronous") == [{"synchronous": 2}]
    assert catalogue_file.database.read("PRAGMA busy_timeout") == [{"timeout": 60000}]


def _change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_format_is_refused_naming_both(catalogue_file: Catalogue) -> None:
    """A file of a later version is neither read nor changed; the message names both formats and the way out."""
    catalogue_file.add_run(_run(1))
    catalogue_file.close()
    _change(catalogue_file.database.path, "PRAGMA user_version=7")
    with pytest.raises(VersionMismatch, match=r"format 7; .* up to 2(.|\n)*upgrade modelwright"):
        Catalogue(catalogue_file.database.path).runs()


def test_a_file_of_the_first_format_is_brought_up_to_date(catalogue_file: Catalogue) -> None:
    """A catalogue that an earlier version made goes on with what it holds."""
    catalogue_file.add_run(_run(1))
    catalogue_file.close()
    path = catalogue_file.database.path
    _change(path, "PRAGMA user_version=1")
    _change(path, "DELETE FROM _sqlite_migrations WHERE name LIKE 'm002%'")
    assert [one.id for one in Catalogue(path).runs()] == [_run(1).id]
    assert Catalogue(path).database.read("PRAGMA user_version") == [{"user_version": 2}]
    assert len(Catalogue(path).database.read("SELECT 1 FROM _sqlite_migrations")) == 2


@pytest.mark.parametrize("content", [b"", b"this is no database at all, and long enough to be read as a header " * 3])
def test_an_emptied_or_overwritten_file_is_refused(catalogue_file: Catalogue, content: bytes) -> None:
    """A damaged catalogue is never taken for a fresh one: it is named, and a write does not begin it anew."""
    catalogue_file.add_run(_run(1))
    catalogue_file.close()
    path = catalogue_file.database.path
    path.write_bytes(content)
    for use in (catalogue_file.runs, lambda: catalogue_file.add_run(_run(2))):
        with pytest.raises(StoreError, match=r"catalogue\.db(.|\n)*restore the file from a backup"):
            use()
    assert path.read_bytes() == content


def test_another_kind_of_database_is_refused(log: RunLog) -> None:
    """A run's database in the place of the catalogue is recognised."""
    log.add_event("note", "", "")
    log.close()
    with pytest.raises(StoreError, match="is not a catalogue database"):
        Catalogue(log.database.place).runs()


def test_processes_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    """Several processes creating and writing the same file at the same moment lose nothing."""
    path = tmp_path / "run.db"
    script = "import sys; from pathlib import Path; from tools.store import RunLog; log = RunLog(Path(sys.argv[1]))\n"
    script += "[log.add_event('note', '', '') for _ in range(10)]"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(path)]
    workers = [subprocess.Popen(command, cwd=ROOT, env=environment) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert [row["seq"] for row in RunLog(path).events()] == list(range(1, 31))
    assert not list(tmp_path.glob(".run.db*"))


def test_a_failed_transaction_leaves_nothing(catalogue: Catalogue) -> None:
    """What a block wrote before it raised is undone."""
    catalogue.add_run(_run(1))

    def add_and_fail() -> None:
        with catalogue.database.write():
            catalogue.add_run(_run(2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert [row.name for row in catalogue.runs()] == ["run-1"]
