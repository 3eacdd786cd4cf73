"""Version skew: a run begun with one graph and taken up with another is refused with the difference, or migrated."""

from __future__ import annotations

import asyncio
import operator
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from state.errors import VersionMismatch
from tools.checkpointbase import driving
from tools.checkpointrows import check_thread, read_thread
from tools.checkpoints import open_saver
from tools.fingerprint import GraphIdentity, differences, graph_shape, identity_of
from tools.places import Place
from tools.runlog import RunLog
from tools.skew import AddChannel, ChangeChannel, DropChannel, Migration, RenameNode, way

THREAD = "33333333-3333-4333-8333-333333333333"
CONFIG: Any = {"configurable": {"thread_id": THREAD}}


class Before(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]
    count: int
    old: str


class Added(Before, total=False):
    fresh: str


class Removed(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]
    count: int


class Retyped(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]
    count: list[int]
    old: str


def node(name: str) -> Callable[[Any], dict[str, Any]]:
    def work(state: Any) -> dict[str, Any]:
        return {"trail": [name]}

    work.__name__ = name
    return work


def ask(state: Any) -> dict[str, Any]:
    return {"trail": [f"asked: {interrupt({'question': 'go on?'})}"], "count": state.get("count", 0)}


def graph(
    schema: Any = Before, *, second: str = "second", extra: str = "", last: bool = True, skip: bool = False
) -> Any:
    """first → second (which waits for a person) → last."""
    made: Any = StateGraph(schema)
    made.add_node("first", lambda state: {"trail": ["first"], **({"count": 1} if schema is not Retyped else {})})
    made.add_node(second, ask)
    made.add_edge(START, "first")
    made.add_edge("first", extra or second)
    if extra:
        made.add_node(extra, node(extra))
        made.add_edge(extra, second)
    if last:
        made.add_node("last", node("last"))
        made.add_edge(second, END if skip else "last")
        made.add_edge("last", END)
        if skip:
            made.add_edge("first", "last")
    return made


async def drive(place: Place, made: Any, given: Any, *, migrations: tuple[Migration, ...] = (), **identity: Any) -> Any:
    """Drive a thread with a graph on our checkpointer, and return its state."""
    async with open_saver(place) as saver:
        compiled = made.compile(checkpointer=saver)
        saver.bind(replace(identity_of(compiled), **identity), migrations)
        await compiled.ainvoke(given, CONFIG, durability="sync")
        return await compiled.aget_state(CONFIG)


def begun(place: Place, made: Any | None = None) -> Any:
    """A thread that waits in its second step."""
    return asyncio.run(drive(place, made or graph(), {"trail": []}))


CHANGES: dict[str, tuple[Any, list[str]]] = {
    "node renamed": (
        graph(second="other"),
        [
            "node removed: second",
            "node added: other",
            "edge removed: first → second",
            "edge removed: second → last",
            "edge added: first → other",
            "edge added: other → last",
        ],
    ),
    "node added": (
        graph(extra="between"),
        [
            "node added: between",
            "edge removed: first → second",
            "edge added: between → second",
            "edge added: first → between",
        ],
    ),
    "node removed": (
        graph(last=False),
        [
            "node removed: last",
            "edge removed: last → __end__",
            "edge removed: second → last",
            "edge added: second → __end__",
        ],
    ),
    "edge changed": (
        graph(skip=True),
        ["edge removed: second → last", "edge added: first → last", "edge added: second → __end__"],
    ),
    "field added": (graph(Added), ["channel added: fresh: LastValue str"]),
    "field removed": (graph(Removed), ["channel removed: old: LastValue str"]),
    "field retyped": (graph(Retyped), ["channel changed: count: LastValue int, now LastValue list[int]"]),
}
"""Seven kinds of skew → the changed graph and the lines the refusal must hold."""


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_graph_is_refused_with_every_difference(kind: str, places: Callable[[str], Place]) -> None:
    """Nothing runs, nothing is written, nothing finishes; each difference stands in the message, and no other."""
    place, (changed, lines) = places("run"), CHANGES[kind]
    waiting = begun(place)
    inputs: tuple[Any, ...] = (None, Command(resume={waiting.interrupts[0].id: "yes"}), {"trail": ["again"]})
    for given in inputs:
        with pytest.raises(VersionMismatch, match="was made by graph 1-") as refused:
            asyncio.run(drive(place, changed, given))
        told = [line.removeprefix("  - ") for line in refused.value.message.splitlines()[1:]]
        assert sorted(told) == sorted(lines)
        assert "answered from the journal" in refused.value.hint
    state = asyncio.run(drive(place, graph(), Command(resume={waiting.interrupts[0].id: "yes"})))
    assert (state.values["trail"], state.next) == (["first", "asked: yes", "last"], ())


def test_without_the_check_the_run_would_end_in_silence(tmp_path: Path) -> None:
    """The control: LangGraph itself finishes a run whose pending node was renamed, without a word."""

    async def unbound() -> Any:
        async with open_saver(tmp_path / "run.db") as saver:
            compiled = graph(second="other").compile(checkpointer=saver)
            await compiled.ainvoke(None, CONFIG, durability="sync")
            return await compiled.aget_state(CONFIG)

    begun(tmp_path / "run.db")
    state = asyncio.run(unbound())
    assert (state.values["trail"], state.next) == (["first"], ())


def test_looking_is_never_refused(tmp_path: Path) -> None:
    """State and history of a run of another graph can be read; an edit of its state cannot hide the difference."""

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            compiled = graph(second="other").compile(checkpointer=saver)
            saver.bind(identity_of(compiled))
            assert (await compiled.aget_state(CONFIG)).values["trail"] == ["first"]
            assert len([one async for one in compiled.aget_state_history(CONFIG)]) == 3
            with pytest.raises(VersionMismatch):
                await compiled.aupdate_state(CONFIG, {"trail": ["edited"]})

    begun(tmp_path / "run.db")
    asyncio.run(scene())
    assert len(read_thread(tmp_path / "run.db", THREAD).checkpoints) == 3


def test_langgraph_still_says_who_drives(tmp_path: Path) -> None:
    """A checkpoint is read to go on from it only by an invocation: what the check rests on."""
    seen: list[bool] = []

    async def scene() -> None:
        async with open_saver(tmp_path / "run.db") as saver:
            read = saver.aget_tuple

            async def watched(config: Any) -> Any:
                seen.append(driving(config))
                return await read(config)

            saver.aget_tuple = watched  # type: ignore[method-assign]  # to see with which configuration it is called
            compiled = graph().compile(checkpointer=saver)
            await compiled.aget_state(CONFIG)
            await compiled.ainvoke({"trail": []}, CONFIG, durability="sync")
            await compiled.aget_state(CONFIG)

    asyncio.run(scene())
    assert seen == [False, True, False]


# ---- packages ---------------------------------------------------------------------------------------------------


def test_upgraded_packages_are_harmless_and_told(places: Callable[[str], Place]) -> None:
    """A newer LangGraph goes on and says so once; the run's own log keeps it."""
    place = places("run")
    asyncio.run(drive(place, graph(), {"trail": []}, packages={"langgraph": "1.2.22"}))
    for _ in range(2):
        state = asyncio.run(drive(place, graph(), None, packages={"langgraph": "1.3.0"}))
    assert state.next == ("second",)
    log = RunLog(place)
    notes = [event["text"] for event in log.events()]
    log.close()
    assert notes == ["going on with upgraded packages: langgraph 1.2.22 → 1.3.0"]


def test_older_packages_are_refused(tmp_path: Path) -> None:
    """Nobody promises that an older LangGraph reads what a newer one wrote; a patch release back is no difference."""
    path = tmp_path / "run.db"
    asyncio.run(drive(path, graph(), {"trail": []}, packages={"langgraph": "1.3.1"}))
    with pytest.raises(VersionMismatch, match=r"langgraph 1\.3\.1 drove the run, 1\.2\.9 is installed"):
        asyncio.run(drive(path, graph(), None, packages={"langgraph": "1.2.9"}))
    assert asyncio.run(drive(path, graph(), None, packages={"langgraph": "1.3.0"})).next == ("second",)


def test_rows_from_before_fingerprints_go_by_their_state(tmp_path: Path) -> None:
    """A run of an earlier version names its graph in its state alone: it is refused by that, without the lines."""

    class Named(Before, total=False):
        graph_version: str

    path = tmp_path / "run.db"
    asyncio.run(drive(path, graph(Named), {"trail": [], "graph_version": "1-somewhat-older"}))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE checkpoints SET graph = NULL, digest = NULL, parent_digest = NULL")
    with pytest.raises(VersionMismatch, match="made by graph 1-somewhat-older, and the graph here is 1-") as refused:
        asyncio.run(drive(path, graph(Named), None))
    assert "\n" not in refused.value.message


# ---- migrations -------------------------------------------------------------------------------------------------


def fingerprint(made: Any) -> str:
    return identity_of(made.compile()).version


def migration(after: Any, *steps: Any, number: int = 1, before: Any = None) -> Migration:
    return Migration(number, fingerprint(before or graph()), fingerprint(after), "a test", tuple(steps))


MIGRATIONS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "node renamed": (graph(second="other"), (RenameNode("second", "other"),), {"count": 1}),
    "node appended": (graph(), (), {"count": 1}),
    "field added": (graph(Added), (AddChannel("fresh", "by default"),), {"count": 1, "fresh": "by default"}),
    "field removed": (graph(Removed), (DropChannel("old"),), {"count": 1}),
    "field retyped": (graph(Retyped), (ChangeChannel("count", lambda value: [value]),), {"count": [1]}),
}


@pytest.mark.parametrize("kind", MIGRATIONS)
def test_a_written_migration_carries_a_suspended_run_over(kind: str, places: Callable[[str], Place]) -> None:
    """The run waits in its new graph as it did in the old one, is answered, and ends there with nothing lost or twice."""
    place, (changed, steps, values) = places("run"), MIGRATIONS[kind]
    before = graph(last=False) if kind == "node appended" else graph()
    begun(place, before)
    written = (migration(changed, *steps, before=before),)
    waiting = asyncio.run(drive(place, changed, None, migrations=written))
    assert waiting.next == ("other" if kind == "node renamed" else "second",)
    assert {name: value for name, value in waiting.values.items() if name != "trail"} == values
    state = asyncio.run(drive(place, changed, Command(resume={waiting.interrupts[0].id: "yes"})))
    assert state.values["trail"] == ["first", "asked: yes", "last"]
    assert state.next == ()
    assert check_thread(place, THREAD) == []
    rows = read_thread(place, THREAD)
    assert {row["graph"] for row in rows.checkpoints.values()} == {fingerprint(changed)}
    log = RunLog(place)
    events = [event for event in log.events() if event["kind"] == "migrated"]
    log.close()
    assert [event["text"] for event in events] == ["brought up to today's graph: a test"]


def test_migrations_follow_one_another(tmp_path: Path) -> None:
    """Two releases further on, both migrations are applied, in the order in which they lead here."""
    path, between, last = tmp_path / "run.db", graph(second="other"), graph(Added, second="third")
    begun(path)
    written = (
        migration(last, RenameNode("other", "third"), AddChannel("fresh", ""), number=2, before=between),
        migration(between, RenameNode("second", "other")),
    )
    assert way(written, fingerprint(last), fingerprint(between)) is None
    state = asyncio.run(drive(path, last, None, migrations=written))
    assert (state.next, state.values["fresh"]) == (("third",), "")


def test_a_migration_that_fails_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    """All or nothing: a step that cannot convert a value changes no row."""
    path = tmp_path / "run.db"
    waiting = begun(path)
    before = read_thread(path, THREAD)
    written = (migration(graph(Retyped), ChangeChannel("count", lambda value: value["no"])),)
    with pytest.raises(TypeError):
        asyncio.run(drive(path, graph(Retyped), None, migrations=written))
    after = read_thread(path, THREAD)
    assert (after.checkpoints, after.writes) == (before.checkpoints, before.writes)
    state = asyncio.run(drive(path, graph(), Command(resume={waiting.interrupts[0].id: "yes"})))
    assert state.values["trail"] == ["first", "asked: yes", "last"]


def branching(branch: str = "branch", inner: str = "train") -> Any:
    """One branch for each number, as a subgraph of two steps, the second of which waits."""

    class Branch(TypedDict, total=False):
        number: int
        trail: Annotated[list[str], operator.add]

    class Out(TypedDict):
        trail: Annotated[list[str], operator.add]

    part: Any = StateGraph(Branch, output_schema=Out)
    part.add_node(inner, lambda state: {"trail": [f"trained {state['number']}"]})
    part.add_node("wait", lambda state: {"trail": [f"{state['number']}: {interrupt({'question': state['number']})}"]})
    part.add_edge(START, inner)
    part.add_edge(inner, "wait")
    whole: Any = StateGraph(Before)
    whole.add_node(branch, part.compile())
    whole.add_conditional_edges(START, lambda _: [Send(branch, {"number": number}) for number in (1, 2)], [branch])
    return whole


@pytest.mark.parametrize("new", [{"branch": "candidate"}, {"inner": "fit"}], ids=["the branch", "a step in it"])
def test_branches_are_carried_over(new: dict[str, str], places: Callable[[str], Place]) -> None:
    """A renamed subgraph or a renamed step inside one: every branch goes on and all of them end."""
    place, changed = places("run"), branching(**new)
    steps = {"candidate": RenameNode("branch", "candidate"), "fit": RenameNode("train", "fit", graph="branch")}
    begun(place, branching())
    written = (migration(changed, steps[next(iter(new.values()))], before=branching()),)
    waiting = asyncio.run(drive(place, changed, None, migrations=written))
    answers = {one.id: f"answer {one.value['question']}" for one in waiting.interrupts}
    assert len(answers) == 2
    state = asyncio.run(drive(place, changed, Command(resume=answers)))
    assert sorted(state.values["trail"]) == ["1: answer 1", "2: answer 2", "trained 1", "trained 2"]
    assert state.next == ()


def test_the_lines_are_the_ones_a_person_reads() -> None:
    """Differences name what was removed and added, and a channel that holds something else once, not twice."""
    before: GraphIdentity = identity_of(graph().compile())
    after = graph_shape(graph(Retyped, second="other").compile())
    lines = differences(before.shape, after)
    assert lines[:2] == ["node removed: second", "node added: other"]
    assert lines[-1] == "channel changed: count: LastValue int, now LastValue list[int]"
    assert differences(after, after) == []
