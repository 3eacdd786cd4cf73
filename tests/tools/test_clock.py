"""Clocks that jump: the newest checkpoint is always found, and no step runs twice, in files and in a shared database."""

from __future__ import annotations

import asyncio
import operator
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.base import id as checkpoint_ids
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from tools.checkpointbase import seed_id_clock
from tools.checkpoints import open_saver
from tools.places import Place, Schema

ROOT = Path(__file__).parents[2]
THREAD = "66666666-6666-4666-8666-666666666666"
CONFIG: Any = {"configurable": {"thread_id": THREAD}}
STEPS = 8


class State(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]


def _graph(before: Callable[[int], None] = lambda step: None) -> Any:
    """Steps in a line, each of which is noted by itself and in the state."""
    made: Any = StateGraph(State)

    def step(number: int) -> Callable[[Any], dict[str, Any]]:
        def work(state: Any) -> dict[str, Any]:
            before(number)
            return {"trail": [f"s{number}"]}

        return work

    for number in range(STEPS):
        made.add_node(f"s{number}", step(number))
        made.add_edge(f"s{number - 1}" if number else START, f"s{number}")
    return made


async def session(
    place: Place, *, start: bool = False, stop: str | None = None, before: Callable[[int], None] = lambda step: None
) -> list[str]:
    """One session of a run, up to a step; the newest state's trail."""
    async with open_saver(place) as saver:
        graph = _graph(before).compile(checkpointer=saver, interrupt_before=[stop] if stop else None)
        await graph.ainvoke({"trail": []} if start else None, CONFIG, durability="sync")
        trail: list[str] = (await graph.aget_state(CONFIG)).values["trail"]
        return trail


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the wall clock off by so many seconds, as ids of checkpoints see it."""
    real = time.time_ns

    def off(seconds: float) -> None:
        monkeypatch.setattr("langgraph.checkpoint.base.id.time.time_ns", lambda: real() + int(seconds * 10**9))

    return off


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forgets what this process knows of earlier ids, as a new one would."""
    return lambda: monkeypatch.setattr(checkpoint_ids, "_last_v6_timestamp", None)


WHOLE = [f"s{number}" for number in range(STEPS)]


@pytest.mark.parametrize("jumps", [(0, -3600), (0, 86_400, 0), (86_400, -86_400, 3600)], ids=str)
def test_a_clock_that_jumps_between_processes(
    jumps: tuple[int, ...],
    places: Callable[[str], Place],
    clock: Callable[[float], None],
    new_process: Callable[[], None],
) -> None:
    """An hour back, a day ahead and back, one way and the other: each process goes on where the last one stood."""
    place, done = places("run"), 0
    for number, jump in enumerate(jumps):
        new_process()
        clock(jump)
        trail = asyncio.run(session(place, start=not number, stop=f"s{done + 2}"))
        done += 2
        assert trail == WHOLE[:done]
    new_process()
    clock(-7200)
    assert asyncio.run(session(place)) == WHOLE


def test_a_clock_that_jumps_within_a_process(places: Callable[[str], Place], clock: Callable[[float], None]) -> None:
    """Back and forth from step to step, as a virtual machine's does that is stopped and continued."""
    jumps = (0, -3600, 86_400, -86_400, 0, -7200, 60, -60)
    trail = asyncio.run(session(places("run"), start=True, before=lambda step: clock(jumps[step])))
    assert trail == WHOLE


PROGRAM = """
import asyncio, sys, time
from langgraph.checkpoint.base import id as checkpoint_ids
from pathlib import Path
from tests.tools.test_clock import session
from tools.places import Schema
off, start, stop, *where = sys.argv[1:]
real = time.time_ns
checkpoint_ids.time.time_ns = lambda: real() + int(off) * 10**9
place = Schema(*where) if len(where) == 2 else Path(where[0])
print(*asyncio.run(session(place, start=start == "start", stop=stop or None)))
"""


@pytest.mark.parametrize("kind", ["file", pytest.param("schema", marks=pytest.mark.campaign)])
def test_processes_whose_clocks_differ(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Begun by a process an hour ahead, continued by one that is an hour behind: nothing runs twice."""
    where = [str(tmp_path / "run.db")]
    if kind == "schema":
        where = [request.getfixturevalue("database_url"), "modelwright_run_one"]
    said = []
    for off, start, stop in ((3600, "start", "s2"), (-3600, "", "")):
        command = [sys.executable, "-c", PROGRAM, str(off), start, stop, *where]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split())
    assert said == [WHOLE[:2], WHOLE]


def test_without_the_seed_the_newest_state_is_not_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Callable[[float], None],
    new_process: Callable[[], None],
) -> None:
    """The control: LangGraph itself loses what a process with an earlier clock has done."""
    path = tmp_path / "run.db"
    clock(3600)
    asyncio.run(session(path, start=True, stop="s2"))
    monkeypatch.setattr("tools.checkpoints.seed_id_clock", lambda identity: None)
    new_process()
    clock(0)
    assert len(asyncio.run(session(path, stop="s4"))) < 4


def test_a_server_that_was_open_before_follows_the_newest_id(
    tmp_path: Path, clock: Callable[[float], None], new_process: Callable[[], None]
) -> None:
    """A process that has been open for long sees a checkpoint written with a faster clock and writes past it."""
    path = tmp_path / "run.db"

    async def scene() -> list[str]:
        async with open_saver(path) as server:
            clock(3600)
            await session(path, start=True, stop="s1")  # the command line, an hour ahead
            new_process()
            clock(0)
            graph = _graph().compile(checkpointer=server)
            await graph.ainvoke(None, CONFIG, durability="sync")
            trail: list[str] = (await graph.aget_state(CONFIG)).values["trail"]
            return trail

    assert asyncio.run(scene()) == WHOLE


def test_the_id_clock_only_moves_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next id is greater than a seeded one from the future; an old or strange id changes nothing."""
    monkeypatch.setattr(checkpoint_ids, "_last_v6_timestamp", None)
    old = str(checkpoint_ids.uuid6())
    monkeypatch.setattr(checkpoint_ids, "_last_v6_timestamp", None)
    with monkeypatch.context() as ahead:
        now = time.time_ns()
        ahead.setattr("langgraph.checkpoint.base.id.time.time_ns", lambda: now + 10**15)
        future = str(checkpoint_ids.uuid6())
    monkeypatch.setattr(checkpoint_ids, "_last_v6_timestamp", None)
    seed_id_clock(future)
    for word in (old, "not an id", "11111111-1111-4111-8111-111111111111"):
        seed_id_clock(word)
    assert str(checkpoint_ids.uuid6()) > future > old


def test_the_newest_id_of_a_schema_is_compared_byte_by_byte(database_url: str) -> None:
    """Collations of a database do not decide which checkpoint is the newest."""
    place = Schema(database_url, "modelwright_run_one")

    async def scene() -> str:
        from langgraph.checkpoint.base import empty_checkpoint

        async with open_saver(place) as saver:
            for identity in ("1f00a-0", "1f00-b1"):
                config: Any = {"configurable": {"thread_id": THREAD, "checkpoint_ns": ""}}
                await saver.aput(config, {**empty_checkpoint(), "id": identity}, {"source": "loop", "step": 0}, {})
            found = await saver.aget_tuple({"configurable": {"thread_id": THREAD, "checkpoint_ns": ""}})
            assert found is not None
            return str(found.checkpoint["id"])

    assert asyncio.run(scene()) == "1f00a-0"
