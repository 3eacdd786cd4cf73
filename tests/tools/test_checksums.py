"""Checksums of checkpoint rows: whatever changes is found and named, and nothing that we do breaks the chain."""

from __future__ import annotations

import asyncio
import operator
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from state.errors import CheckpointDamaged, NotFound, StoreError
from tools.checkpointrows import check_thread, has_database, read_thread, salvage_thread
from tools.checkpoints import open_saver
from tools.checksums import chained, damage_of_thread
from tools.database import open_database
from tools.places import Place, Schema
from tools.runlog import RunLog

THREAD = "44444444-4444-4444-8444-444444444444"
COPY = "55555555-5555-4555-8555-555555555555"
CONFIG: Any = {"configurable": {"thread_id": THREAD}}
HEAD: Any = {"configurable": {"thread_id": THREAD, "checkpoint_ns": ""}}


class State(TypedDict, total=False):
    number: int
    share: float
    text: str
    trail: Annotated[list[str], operator.add]


def _graph(*, waits: bool = True) -> Any:
    made: Any = StateGraph(State)
    for step in range(4):
        made.add_node(f"s{step}", lambda state: {"number": state.get("number", 0) + 1, "trail": ["x" * 40]})
        made.add_edge(f"s{step - 1}" if step else START, f"s{step}")
    if waits:
        made.add_node("ask", lambda state: {"trail": [interrupt("go on?")]})
        made.add_edge("s3", "ask")
    return made


async def _driven(place: Place, given: Any = None, *, waits: bool = True) -> Any:
    async with open_saver(place) as saver:
        graph = _graph(waits=waits).compile(checkpointer=saver)
        await graph.ainvoke({"number": 0, "trail": []} if given is None else given, CONFIG, durability="sync")
        return (await graph.aget_state(CONFIG)).values


async def _read(place: Place, config: Any = HEAD) -> Any:
    async with open_saver(place) as saver:
        return await saver.aget_tuple(config)


async def _listed(place: Place) -> list[Any]:
    async with open_saver(place) as saver:
        return [one async for one in saver.alist(HEAD)]


def _change(place: Place, sql: str, parameters: Any = ()) -> None:
    database = open_database(place, "run")
    with database.write() as db:
        db.execute(sql, parameters)
    database.close()


# ---- damage that is found -----------------------------------------------------------------------------------------

CELLS = {
    "checkpoint": ("checkpoints", "checkpoint", "its content does not fit its checksum"),
    "metadata": ("checkpoints", "metadata", "its metadata does not fit its checksum"),
    "parent_checkpoint_id": ("checkpoints", "parent_checkpoint_id", "its content does not fit its checksum"),
    "parent_digest": ("checkpoints", "parent_digest", "its content does not fit its checksum"),
    "graph": ("checkpoints", "graph", "its content does not fit its checksum"),
    "value": ("writes", "value", "what task '"),
    "channel": ("writes", "channel", "what task '"),
    "task_path": ("writes", "task_path", "what task '"),
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_flipped_byte_in_any_cell_is_named(cell: str, tmp_path: Path) -> None:
    """File, thread, checkpoint and part stand in the error, with the way out; older rows are found by looking at all."""
    path = tmp_path / "run.db"
    asyncio.run(_driven(path))
    table, column, words = CELLS[cell]
    newest = asyncio.run(_read(path)).checkpoint["id"]
    with sqlite3.connect(path) as database:
        found = database.execute(f"SELECT rowid, {column} FROM {table} WHERE checkpoint_id = ?", [newest]).fetchone()
        content = found[1] if isinstance(found[1], bytes) else str(found[1] or "none").encode()
        for place in {0, len(content) // 2, len(content) - 1}:
            flipped = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
            cells = [flipped if isinstance(found[1], bytes) else flipped.decode(), found[0]]
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", cells)
            database.commit()
            with pytest.raises(CheckpointDamaged) as refused:
                asyncio.run(_read(path))
            for told in (str(path), THREAD, newest, words):
                assert told in refused.value.message
            assert "--rebuild" in refused.value.hint
            assert [str(one) for one in check_thread(path, THREAD)] == [refused.value.message.removeprefix("damaged: ")]
            with pytest.raises(CheckpointDamaged):
                asyncio.run(_listed(path))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE checkpoint_blobs SET blob = overlay(blob placing '\\x41'::bytea from length(blob))",
        "UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{channel_values,number}', '7')",
        "UPDATE checkpoints SET metadata = jsonb_set(metadata, '{step}', '99')",
        "UPDATE checkpoint_writes SET blob = blob || '\\x41'::bytea",
        "DELETE FROM checkpoint_blobs WHERE channel = 'trail'",
    ],
    ids=["blob", "value", "metadata", "write", "lost blob"],
)
def test_damage_in_a_schema_is_named(sql: str, database_url: str) -> None:
    """A changed or lost blob, value, metadata or write of a shared database is found, and the password is not shown."""
    place = Schema(database_url, "modelwright_run_one")
    asyncio.run(_driven(place))
    assert check_thread(place, THREAD) == []
    _change(place, sql)
    with pytest.raises(CheckpointDamaged, match="schema modelwright_run_one") as refused:
        asyncio.run(_read(place))
    assert ":***@" in refused.value.message
    assert check_thread(place, THREAD)
    with pytest.raises(CheckpointDamaged):
        read_thread(place, THREAD)


def test_a_row_put_back_from_an_older_copy_is_found(tmp_path: Path) -> None:
    """A row that is whole in itself, and not the one its child follows from: another checkpoint under the same id."""
    path = tmp_path / "run.db"
    asyncio.run(_driven(path))
    rows = read_thread(path, THREAD)
    second = sorted(rows.checkpoints)[1]
    (other,) = chained([rows.edited(rows.checkpoints[second], {"number": 77})])
    cells = [other["checkpoint"], other["parent_digest"], other["digest"], second[1]]
    _change(path, "UPDATE checkpoints SET checkpoint = ?, parent_digest = ?, digest = ? WHERE checkpoint_id = ?", cells)
    (damage,) = check_thread(path, THREAD)
    assert (damage.part, damage.checkpoint) == ("chain", sorted(rows.checkpoints)[2][1])
    third: Any = {"configurable": {**HEAD["configurable"], "checkpoint_id": damage.checkpoint}}
    with pytest.raises(CheckpointDamaged, match=f"does not follow from checkpoint '{second[1]}'"):
        asyncio.run(_read(path, third))


def test_a_missing_row_is_found_and_pruning_is_not(tmp_path: Path) -> None:
    """A hole in a history is damage; a history that only begins later was pruned."""
    path = tmp_path / "run.db"
    asyncio.run(_driven(path))
    identities = sorted(identity for _, identity in read_thread(path, THREAD).checkpoints)
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    _change(path, "DELETE FROM checkpoints WHERE checkpoint_id = ?", [identities[2]])
    (damage,) = check_thread(path, THREAD)
    assert (damage.part, damage.checkpoint) == ("missing", identities[3])
    _change(copy, "DELETE FROM checkpoints WHERE checkpoint_id < ?", [identities[3]])
    assert check_thread(copy, THREAD) == []
    salvaged, damage_of_copy = salvage_thread(path, THREAD)
    assert (len(salvaged.checkpoints), len(damage_of_copy)) == (len(identities) - 1, 1)


def test_a_table_that_was_removed_is_named(tmp_path: Path) -> None:
    """A database without one of its tables is damaged: it is not begun anew."""
    path = tmp_path / "run.db"
    asyncio.run(_driven(path))
    _change(path, "DROP TABLE checkpoints")
    with pytest.raises(StoreError, match="it lacks checkpoints"):
        asyncio.run(_driven(path))


def test_bytes_flipped_anywhere_in_the_file_are_found_or_harmless(tmp_path: Path) -> None:
    """A hundred flips at random places: each is named, or all rows are exactly what they were."""
    path, hurt = tmp_path / "run.db", tmp_path / "hurt.db"
    asyncio.run(_driven(path))
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content, whole = path.read_bytes(), read_thread(path, THREAD)
    dice, found = random.Random(5), 0
    for _ in range(100):
        place = dice.randrange(len(content))
        hurt.write_bytes(content[:place] + bytes([content[place] ^ (1 << dice.randrange(8))]) + content[place + 1 :])
        for side in ("-wal", "-shm"):
            hurt.with_name(hurt.name + side).unlink(missing_ok=True)
        try:
            damage = check_thread(hurt, THREAD)
        except StoreError as error:
            found += str(hurt) in error.message
            continue
        found += bool(damage)
        if not damage:
            rows = read_thread(hurt, THREAD)
            assert (rows.checkpoints, rows.writes) == (whole.checkpoints, whole.writes)
    assert found > 15


# ---- what is no damage --------------------------------------------------------------------------------------------


def test_whole_threads_stay_whole(places: Callable[[str], Place]) -> None:
    """Copied, pruned, continued, and with one invocation deleted: the chain holds, and all can be read."""
    place = places("run")

    async def scene() -> None:
        async with open_saver(place) as saver:
            graph = _graph(waits=False).compile(checkpointer=saver)
            for number in ("one", "two", "three"):
                await graph.ainvoke({"number": 0}, {**CONFIG, "metadata": {"run_id": number}}, durability="sync")
            await saver.acopy_thread(THREAD, COPY)
            await saver.adelete_for_runs(["two"])

    asyncio.run(scene())
    for thread in (THREAD, COPY):
        assert check_thread(place, thread) == []
        assert len(read_thread(place, thread).checkpoints) == 2 * 6

    async def pruned() -> None:
        async with open_saver(place) as saver:
            await saver.aprune([THREAD])
            newest = await saver.newest(THREAD)
            assert newest is not None
            assert (newest.count, newest.digest is not None) == (1, True)
            assert await saver.newest("nobody") is None

    asyncio.run(pruned())
    asyncio.run(_driven(place, {"number": 5}, waits=False))
    assert check_thread(place, THREAD) == []
    rows = read_thread(place, THREAD)
    assert len(rows.checkpoints) == 1 + 6
    assert rows.newest()["number"] == 9


def test_rows_of_an_earlier_version_are_accepted_and_told(tmp_path: Path) -> None:
    """Tables without our columns get them; their rows count as unchecked, and what follows is checked again."""
    from tools.fingerprint import identity_of

    path = tmp_path / "run.db"
    asyncio.run(_driven(path))
    for table, columns in {"checkpoints": ("graph", "digest", "parent_digest"), "writes": ("digest",)}.items():
        for column in columns:
            _change(path, f"ALTER TABLE {table} DROP COLUMN {column}")
    _change(path, "DROP TABLE graphs")
    before = read_thread(path, THREAD)
    assert before.unchecked() == len(before.checkpoints)

    async def scene() -> None:
        async with open_saver(path) as saver:
            graph = _graph().compile(checkpointer=saver)
            saver.bind(identity_of(graph))
            for _ in range(2):
                await graph.ainvoke({"number": 0}, CONFIG, durability="sync")

    asyncio.run(scene())
    rows = read_thread(path, THREAD)
    assert rows.unchecked() == len(before.checkpoints) < len(rows.checkpoints)
    assert check_thread(path, THREAD) == []
    log = RunLog(path)
    notes = [event["text"] for event in log.events()]
    log.close()
    assert notes == ["checkpoints of an earlier version have no checksum; those written from now on have one"]


def test_a_damaged_thread_is_not_copied(places: Callable[[str], Place]) -> None:
    """New checksums would make damage look whole: copying refuses, and the target stays empty."""
    place = places("run")
    asyncio.run(_driven(place))
    table = "checkpoint_writes" if isinstance(place, Schema) else "writes"
    _change(place, f"UPDATE {table} SET channel = 'elsewhere' WHERE channel = 'trail'")

    async def scene() -> None:
        async with open_saver(place) as saver:
            with pytest.raises(CheckpointDamaged):
                await saver.acopy_thread(THREAD, COPY)
            assert [one async for one in saver.alist({"configurable": {"thread_id": COPY}})] == []

    asyncio.run(scene())


def test_any_value_survives(places: Callable[[str], Place]) -> None:
    """NaN, infinities, NUL characters, large and tiny numbers, long and strange texts come back as they were."""
    place = places("run")
    values = {
        "number": 2**63 - 1,
        "share": float("inf"),
        "text": "a\x00b \N{SNOWMAN} \\x41" + "long " * 200,
        "trail": ["\x00", "1.0", ""],
    }
    for share in (float("inf"), float("nan"), 1e300, 1e-300, 1.0, -0.0, 1e20, 0.1):
        given = {**values, "share": share}

        async def put(given: dict[str, Any] = given) -> Any:
            async with open_saver(place) as saver:
                graph: Any = StateGraph(State)
                graph.add_node("s", lambda state: {})
                graph.add_edge(START, "s")
                compiled = graph.compile(checkpointer=saver)
                config = {**CONFIG, "metadata": {"note": "a\x00b", "odd": float("nan"), "share": 1e22}}
                await compiled.ainvoke({**given, "trail": []}, config, durability="sync")
                return (await compiled.aget_state(CONFIG)).values

        found = asyncio.run(put())
        assert repr(found["share"]) == repr(share)
        assert {**found, "share": 0, "trail": []} == {**given, "share": 0, "trail": []}
        assert check_thread(place, THREAD) == []


def test_an_edited_copy_leaves_its_ancestors_as_they_were(database_url: str) -> None:
    """A fork's edit changes one checkpoint; in a schema, where checkpoints share values, the others keep theirs."""
    from tools.checkpointrows import write_thread

    place, target = Schema(database_url, "modelwright_run_one"), Schema(database_url, "modelwright_run_two")
    asyncio.run(_driven(place))
    rows = read_thread(place, THREAD)
    newest = rows.newest_place()
    assert newest is not None
    rows.checkpoints[newest] = rows.edited(rows.checkpoints[newest], {"trail": ["edited"], "number": -1})
    database = open_database(target, "run")
    with database.write() as db:
        write_thread(db, target, rows)
    database.close()
    made = read_thread(target, THREAD)
    assert made.values(newest) == {**rows.values(newest), "trail": ["edited"], "number": -1}
    for one in rows.checkpoints.keys() - {newest}:
        assert made.values(one) == rows.values(one)
    assert check_thread(target, THREAD) == []
    state = asyncio.run(_driven(target, {"text": "on"}, waits=True))
    assert state["trail"][0] == "edited"


def test_looking_creates_nothing(places: Callable[[str], Place]) -> None:
    """A place that holds nothing is said to, and still holds nothing afterwards."""
    place = places("run")
    assert not has_database(place)
    with pytest.raises(NotFound, match="is not there"):
        read_thread(place, THREAD)
    assert not has_database(place)


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    """The chain is made from parents to children, however the rows lie."""
    path = tmp_path / "run.db"
    asyncio.run(_driven(path))
    rows = list(read_thread(path, THREAD).checkpoints.values())
    random.Random(1).shuffle(rows)
    again = {(row["checkpoint_ns"], row["checkpoint_id"]): row for row in chained(rows)}
    assert again == read_thread(path, THREAD).checkpoints
    assert damage_of_thread("", again, []) == []
