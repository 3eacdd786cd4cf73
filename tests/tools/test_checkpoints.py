"""The checkpointer: a run goes on after kill -9, a wrong clock harms nobody, crafted and damaged rows are caught."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import ormsgpack
import pytest
from langgraph.graph import END, START, StateGraph

from state.errors import StoreError, UsageError, VersionMismatch
from tools.checkpoints import RunSaver, open_saver
from tools.fingerprint import graph_shape, graph_version
from tools.runlog import RunLog

ROOT = Path(__file__).parents[2]
CONFIG: Any = {"configurable": {"thread_id": "11111111-1111-4111-8111-111111111111"}}


class Count(TypedDict, total=False):
    n: int
    trail: Annotated[list[str], operator.add]


def _counter(steps: int = 3) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(Count)
    for step in range(steps):
        graph.add_node(f"s{step}", lambda state: {"n": state.get("n", 0) + 1, "trail": ["x"]})
        graph.add_edge(f"s{step - 1}" if step else START, f"s{step}")
    graph.add_edge(f"s{steps - 1}", END)
    return graph


async def _run(path: Path, graph_input: dict[str, Any] | None, steps: int = 3, stop: list[str] | None = None) -> Any:
    async with open_saver(path) as saver:
        graph = _counter(steps).compile(checkpointer=saver, interrupt_before=stop)
        await graph.ainvoke(graph_input, CONFIG, durability="sync")
        return (await graph.aget_state(CONFIG)).values


# ---- files ---------------------------------------------------------------------------------------------------


def test_a_run_shares_its_file_with_the_log(tmp_path: Path) -> None:
    """Checkpoints and events lie in one private file, whichever came first, and both survive a new process's eyes."""
    path = tmp_path / "runs" / "one" / "run.db"
    assert asyncio.run(_run(path, {"n": 0}))["n"] == 3
    log = RunLog(path)
    log.add_event("note", "analyst", "hello")
    assert asyncio.run(_run(path, {"n": 10}))["n"] == 13
    assert [row["text"] for row in log.events()] == ["hello"]
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_two_savers_of_a_file_take_turns(tmp_path: Path) -> None:
    """Each checkpoint is chained to its parent, whichever saver put that: both read everything as whole."""

    async def turns() -> tuple[Any, int]:
        async with open_saver(tmp_path / "run.db") as one, open_saver(tmp_path / "run.db") as other:
            for number in range(6):
                graph = _counter(6).compile(
                    checkpointer=(one, other)[number % 2], interrupt_before=[f"s{number + 1}"] if number < 5 else None
                )
                await graph.ainvoke(None if number else {"n": 0}, CONFIG, durability="sync")
            whole = [found async for found in one.alist(CONFIG)]
            chained = await one._fetched("SELECT count(*) FROM checkpoints WHERE parent_digest IS NOT NULL", [])
            assert chained[0][0] == len(whole) - 1
            return whole[0].checkpoint["channel_values"]["n"], len(whole)

    assert asyncio.run(turns()) == (6, 8)


def test_the_connection_is_durable_and_patient(tmp_path: Path) -> None:
    """Every checkpoint is synchronised in full, and another writer is waited for a minute."""

    async def pragmas() -> list[Any]:
        async with open_saver(tmp_path / "run.db") as saver:
            found = []
            for name in ("journal_mode", "synchronous", "busy_timeout"):
                async with saver.conn.execute(f"PRAGMA {name}") as cursor:
                    found += await cursor.fetchone() or []
            return found

    assert asyncio.run(pragmas()) == ["wal", 2, 60000]


def test_a_newer_or_foreign_file_is_refused(tmp_path: Path) -> None:
    """A file of a later format, an emptied one and somebody else's are named before anything is written."""
    path = tmp_path / "run.db"
    asyncio.run(_run(path, {"n": 0}))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.commit()
    connection.close()
    with pytest.raises(VersionMismatch, match="format 9"):
        asyncio.run(_run(path, None))
    path.write_bytes(b"")
    with pytest.raises(StoreError, match=r"run\.db' is not a run database"):
        asyncio.run(_run(path, None))


def test_events_may_be_written_from_the_loop_while_checkpoints_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Branches that checkpoint and a log written in between from the same thread never wait for each other forever."""
    # Short enough to see that somebody waits forever; a slow disk may keep several writers waiting for seconds.
    monkeypatch.setattr("tools.database.BUSY_SECONDS", 30.0)
    log = RunLog(tmp_path / "run.db")
    place: Any = {"configurable": {**CONFIG["configurable"], "checkpoint_ns": "", "checkpoint_id": "c"}}

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:

            async def branch(number: int) -> None:
                for step in range(8):
                    await saver.aput_writes(place, [("a", step), ("b", step)], f"task-{number}-{step}")

            async def talk() -> None:
                for _ in range(60):
                    await asyncio.sleep(0.0005)
                    log.add_event("note", "", "")

            await asyncio.gather(*(branch(number) for number in range(8)), talk(), talk())

    asyncio.run(scene())
    assert len(log.events()) == 120
    assert log.database.read("SELECT count(*) AS rows FROM writes") == [{"rows": 128}]


# ---- safety --------------------------------------------------------------------------------------------------


def _craft(path: Path, marker: Path) -> None:
    """Replace every stored checkpoint by one whose revival would call a function."""
    call = ormsgpack.packb(("subprocess", "getoutput", f"touch {marker}"))
    payload = ormsgpack.packb({"v": 4, "id": "x", "channel_values": {"n": ormsgpack.Ext(0, call)}})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE checkpoints SET type = 'msgpack', checkpoint = ?, digest = NULL", [payload])
    connection.commit()
    connection.close()


def test_a_crafted_row_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a database somebody sent executes nothing, whatever the environment says."""
    monkeypatch.delenv("LANGGRAPH_STRICT_MSGPACK", raising=False)
    path, marker = tmp_path / "run.db", tmp_path / "executed"
    asyncio.run(_run(path, {"n": 0}))
    _craft(path, marker)

    async def read(saver: RunSaver) -> Any:
        return await saver.aget_tuple({"configurable": {**CONFIG["configurable"], "checkpoint_ns": ""}})

    async def ours() -> Any:
        async with open_saver(path) as saver:
            return await read(saver.with_allowlist([("subprocess", "getoutput")]))

    found = asyncio.run(ours())
    assert not marker.exists()
    assert found.checkpoint["id"] == "x"


def test_plain_state_passes_the_strict_serializer_silently(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What we keep in state needs no exception from strictness: nothing is blocked, nothing warned about."""
    plain = {"n": 1, "trail": ["a", "ü"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(_run(tmp_path / "run.db", plain))["trail"] == ["a", "ü", "x", "x", "x"]
    assert not caplog.records


def test_a_cut_checkpoint_is_named(tmp_path: Path) -> None:
    """A damaged row is named with its file, and the message says what to do."""
    path = tmp_path / "run.db"
    asyncio.run(_run(path, {"n": 0}))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE checkpoints SET checkpoint = substr(checkpoint, 1, 40)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=r"run\.db': checkpoint '.*its content does not fit its checksum(.|\n)*backup"):
        asyncio.run(_run(path, None))


# ---- kill -9 -------------------------------------------------------------------------------------------------

DRIVER = """
import asyncio, sys
from pathlib import Path
from tests.tools.test_checkpoints import _run
print(asyncio.run(_run(Path(sys.argv[1]), {"n": 0} if sys.argv[2] == "start" else None, 5))["n"])
"""


def test_kill_after_a_checkpoint_loses_nothing(tmp_path: Path) -> None:
    """Killed right after the third checkpoint, the run goes on from there in another process and ends as it should."""

    def drive(word: str, crash: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MODELWRIGHT_CRASH": crash}
        command = [sys.executable, "-c", DRIVER, str(tmp_path / "run.db"), word]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    killed = drive("start", "after-checkpoint:3")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = drive("resume")
    assert resumed.stdout == "5\n", resumed.stderr


# ---- the shape of a graph --------------------------------------------------------------------------------------


class Inner(TypedDict, total=False):
    n: int


class Renamed(TypedDict, total=False):
    m: int


class Retyped(TypedDict, total=False):
    n: str


def _nested(
    outer: str = "work", inner: str = "train", schema: type = Inner, extra: bool = False, other: str = "end"
) -> Any:
    part = StateGraph(schema)
    part.add_node(inner, lambda state: {})
    part.add_edge(START, inner)
    whole = StateGraph(Inner)
    whole.add_node(outer, part.compile())
    whole.add_node("end", lambda state: {})
    whole.add_node("other", lambda state: {})
    if extra:
        whole.add_node("new", lambda state: {})
        whole.add_edge("new", END)

    def route(state: Inner) -> Literal["end", "other"]:
        return "end"

    whole.add_edge(START, outer)
    whole.add_conditional_edges(outer, route)
    whole.add_edge("end", END if other == "end" else "other")
    whole.add_edge("other", END)
    return whole.compile()


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    """The same graph has the same version here, again, and in another process with other hashes."""
    script = "from tests.tools.test_checkpoints import _nested; from tools.fingerprint import graph_version\n"
    script += "print(graph_version(_nested()))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert graph_version(_nested()) == graph_version(_nested()) == done.stdout.strip()


@pytest.mark.parametrize(
    "change",
    [{"outer": "job"}, {"inner": "fit"}, {"schema": Renamed}, {"schema": Retyped}, {"extra": True}, {"other": "x"}],
    ids=["node renamed", "inner node renamed", "channel renamed", "channel retyped", "node added", "edge changed"],
)
def test_the_fingerprint_changes_with_the_graph(change: dict[str, Any]) -> None:
    """A renamed node (also inside a subgraph), another channel, another type, a new node or edge is seen."""
    assert graph_version(_nested(**change)) != graph_version(_nested())
    assert graph_shape(_nested(**change)) != graph_shape(_nested())


def test_the_fingerprint_does_not_depend_on_code_or_checkpointer(tmp_path: Path) -> None:
    """A node may do its work differently, and the graph may have a checkpointer or none: the run can go on."""

    async def with_saver() -> str:
        async with open_saver(tmp_path / "run.db") as saver:
            return graph_version(_counter().compile(checkpointer=saver))

    assert asyncio.run(with_saver()) == graph_version(_counter().compile())


# ---- whole threads ---------------------------------------------------------------------------------------------

OTHER: Any = {"configurable": {"thread_id": "22222222-2222-4222-8222-222222222222"}}


def _thread(config: Any, namespace: str = "") -> Any:
    return {"configurable": {**config["configurable"], "checkpoint_ns": namespace}}


async def _listed(saver: RunSaver, config: Any, namespace: str = "") -> list[Any]:
    return [one async for one in saver.alist(_thread(config, namespace))]


async def _stopped(saver: RunSaver, config: Any = CONFIG) -> Any:
    """A thread that has two steps behind it and one to come."""
    graph = _counter().compile(checkpointer=saver, interrupt_before=["s2"])
    await graph.ainvoke({"n": 0}, config, durability="sync")
    return graph


def test_pruning_keeps_the_newest_checkpoint_and_the_run_goes_on(tmp_path: Path) -> None:
    """Only the newest checkpoint is left, with its writes; the run ends as it would have, and other threads are whole."""

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            graph = await _stopped(saver)
            await _stopped(saver, OTHER)
            (newest, *older), others = await _listed(saver, CONFIG), await _listed(saver, OTHER)
            assert older
            await saver.aput_writes(newest.config, [("n", 7)], "a task")
            await saver.aprune([CONFIG["configurable"]["thread_id"], "nobody"])
            (left,) = await _listed(saver, CONFIG)
            assert (left.checkpoint, left.pending_writes) == (newest.checkpoint, [("a task", "n", 7)])
            assert await _listed(saver, OTHER) == others
            assert saver.conn.in_transaction is False
            assert (await graph.ainvoke(None, CONFIG, durability="sync"))["n"] == 3

    asyncio.run(scene())


def test_pruning_keeps_branches_that_have_not_ended(tmp_path: Path) -> None:
    """A branch's namespace keeps its newest checkpoint while its step is still the newest, and goes when it has passed."""

    async def put(saver: RunSaver, namespace: str) -> None:
        from langgraph.checkpoint.base import empty_checkpoint

        await saver.aput(
            _thread(CONFIG, namespace), empty_checkpoint(), {"source": "loop", "step": 0, "parents": {}}, {}
        )

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            for namespace in ("candidate:old", "", "candidate:a", "candidate:a", "candidate:b"):
                await put(saver, namespace)
            newest = (await _listed(saver, CONFIG, "candidate:a"))[0]
            await saver.aprune([CONFIG["configurable"]["thread_id"]])
            left = {name: await _listed(saver, CONFIG, f"candidate:{name}") for name in ("old", "a", "b")}
            assert {name: len(found) for name, found in left.items()} == {"old": 0, "a": 1, "b": 1}
            assert left["a"][0].checkpoint["id"] == newest.checkpoint["id"]

    asyncio.run(scene())


def test_pruning_everything(tmp_path: Path) -> None:
    """The strategy `delete` leaves nothing of the thread; an unknown strategy is named, and nothing goes."""

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            await _stopped(saver)
            thread = CONFIG["configurable"]["thread_id"]
            with pytest.raises(UsageError, match="no strategy 'newest'"):
                await saver.aprune([thread], strategy="newest")
            assert await _listed(saver, CONFIG)
            await saver.aprune([thread], strategy="delete")
            assert await _listed(saver, CONFIG) == []
            async with saver.conn.execute("SELECT count(*) FROM writes") as cursor:
                assert tuple(await cursor.fetchone() or ()) == (0,)

    asyncio.run(scene())


def test_a_copied_thread_is_the_same_and_apart(tmp_path: Path) -> None:
    """All checkpoints, metadata and writes are there under the other id, in order; what follows is its own."""

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            graph = await _stopped(saver)
            source, target = CONFIG["configurable"]["thread_id"], OTHER["configurable"]["thread_id"]
            await saver.acopy_thread(source, target)
            before, copied = await _listed(saver, CONFIG), await _listed(saver, OTHER)
            for one, other in zip(before, copied, strict=True):
                assert (one.checkpoint, one.metadata) == (other.checkpoint, other.metadata)
                assert one.pending_writes == other.pending_writes
            assert (await graph.ainvoke(None, OTHER, durability="sync"))["n"] == 3
            assert await _listed(saver, CONFIG) == before
            with pytest.raises(UsageError, match="holds checkpoints already"):
                await saver.acopy_thread(source, target)
            await saver.acopy_thread("nobody", "someone")
            assert [one async for one in saver.alist({"configurable": {"thread_id": "someone"}})] == []

    asyncio.run(scene())


def test_checkpoints_of_one_invocation_are_deleted(tmp_path: Path) -> None:
    """What the invocations of these ids wrote is gone, in every namespace; the others' checkpoints stay."""

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            graph = _counter().compile(checkpointer=saver)
            for number in ("one", "two"):
                config = {**CONFIG, "metadata": {"run_id": number}}
                await graph.ainvoke({"n": 0}, config, durability="sync")
            await saver.adelete_for_runs(["one", "nobody"])
            assert {one.metadata["run_id"] for one in await _listed(saver, CONFIG)} == {"two"}  # type: ignore[typeddict-item]
            async with saver.conn.execute("SELECT DISTINCT checkpoint_id FROM writes") as cursor:
                kept = {row[0] for row in await cursor.fetchall()}
            assert kept <= {one.checkpoint["id"] for one in await _listed(saver, CONFIG)}

    asyncio.run(scene())


def test_threads_are_handled_from_outside_the_loop(tmp_path: Path) -> None:
    """The methods without an a serve other threads, and refuse the loop's own, which they would block."""

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            await _stopped(saver)
            source, target = CONFIG["configurable"]["thread_id"], OTHER["configurable"]["thread_id"]
            with pytest.raises(asyncio.InvalidStateError):
                saver.prune([source])
            await asyncio.to_thread(saver.copy_thread, source, target)
            await asyncio.to_thread(saver.prune, [source])
            await asyncio.to_thread(saver.delete_for_runs, ["nobody"])
            assert (len(await _listed(saver, CONFIG)), len(await _listed(saver, OTHER))) == (1, 4)

    asyncio.run(scene())
