"""The graph's shape: its drawing, its roles, its routes, and what it leaves behind when invoked without a session."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import typing
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args, get_type_hints

import psutil
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, Send

import modelwright
from graphs import candidate, modeling
from graphs.roleloop import on_role_loop
from state.candidate import Verdict
from state.errors import InputError
from state.settings import Settings
from tests.conformance.executor import is_running
from tests.support.command import ROOT
from tests.support.tables import loans
from tools.blocking import in_thread
from tools.locks import holder

SMALL = {"time_limit": 600, "iterations": 1, "candidates": 1, "folds": 2}
AFTER_THE_TEST = {"approve_release", "publisher"}


_there_before: set[int] = set()


@pytest.fixture(autouse=True)
def _earlier_children() -> None:
    """What other tests of this worker have started and keep, a database server for instance, is none of a run's."""
    _there_before.clear()
    _there_before.update(child.pid for child in psutil.Process().children())


def children() -> list[psutil.Process]:
    """Processes begun since the test began, at any depth."""
    found = [child for child in psutil.Process().children() if child.pid not in _there_before]
    for child in tuple(found):
        with suppress(psutil.NoSuchProcess):  # it ended while we looked
            found += child.children(recursive=True)
    return found


def drawing() -> str:
    return str(modelwright.graph.get_graph(xray=True).draw_mermaid())


def test_the_readme_draws_the_graph_as_it_is() -> None:
    """Between its markers the README holds exactly the mermaid text of the compiled graph."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- graph -->\s*```mermaid\n(.*?)```\s*<!-- /graph -->", text, re.DOTALL)
    assert found, "README.md has no mermaid block between <!-- graph --> and <!-- /graph -->"
    assert found.group(1).strip() == drawing().strip()


def test_every_role_is_a_node_and_xray_shows_the_branch() -> None:
    """The names a person sees in Studio; a node's role is in its metadata."""
    shown = modelwright.graph.get_graph(xray=True)
    inner = {name.removeprefix("candidate:") for name in shown.nodes if name.startswith("candidate:")}
    assert {"engineer", "check", "runner"} <= inner
    outer = set(modelwright.graph.get_graph().nodes) - {"__start__", "__end__"}
    assert outer == {
        "analyst",
        "examiner",
        "researcher",
        "approve_plan",
        "candidate",
        "strategist",
        "operations",
        "reviewer",
        "approve_release",
        "publisher",
    }
    roles = {(node.metadata or {}).get("role") for node in shown.nodes.values()} - {None}
    files = {path.stem for path in (ROOT / "nodes").glob("*.py")} - {"__init__"}
    assert roles == files


def test_the_drawing_needs_no_network() -> None:
    """A notebook cell that ends with the graph shows it, drawn here; a copy with a config does too."""
    for graph in (modelwright.graph, modelwright.graph.with_config(tags=["mine"])):
        shown = graph._repr_mimebundle_()
        assert set(shown) == {"text/plain", "text/html"}
        assert shown["text/html"].startswith("<svg")
        for name in ("analyst", "engineer", "approve plan", "publisher"):
            assert name in shown["text/html"]


@pytest.mark.parametrize(
    ("route", "graph"),
    [
        (modeling.after_approve_plan, modelwright.make_graph),
        (modeling.after_strategist, modelwright.make_graph),
        (modeling.after_reviewer, modelwright.make_graph),
        (candidate.after_check, candidate.build_candidate_graph),
        (candidate.after_runner, candidate.build_candidate_graph),
    ],
)
def test_routes_name_nodes_that_exist(route: Callable[..., Any], graph: Callable[[], Any]) -> None:
    """Every name in a route's Literal is a node, and the drawing has exactly those edges."""
    targets = literals(get_type_hints(route)["return"])
    shown = graph().get_graph()
    assert targets
    assert targets <= set(shown.nodes)
    source = route.__name__.removeprefix("after_")
    drawn = {edge.target for edge in shown.edges if edge.source == source}
    assert targets <= drawn
    assert drawn - targets <= {"candidate"}  # reached by Send


def literals(kind: Any) -> set[str]:
    """The strings of all Literals inside a type."""
    if typing.get_origin(kind) is typing.Literal:
        return set(get_args(kind))
    return set().union(*(literals(part) for part in get_args(kind))) if get_args(kind) else set()


def test_nothing_leads_back_once_the_sealed_test_was_opened() -> None:
    """Every verdict that can follow the opening goes to the person or the publisher; the rest went back before it."""
    decisions = literals(Verdict.model_fields["decision"].annotation)
    state: Any = {"branches": [{"candidate_id": "i0-a"}]}
    went = {one: modeling.after_reviewer({**state, "verdict": {"decision": one}}) for one in decisions}
    assert went.pop("revise plan") == "researcher"
    assert went.pop("revise inference") == "operations"
    branches = went.pop("revise program")
    assert [type(one) for one in branches] == [Send]
    assert set(went) == {"accept", "reject"}
    assert set(went.values()) == AFTER_THE_TEST


def test_a_verdict_with_a_test_score_never_leads_back() -> None:
    """Custody holds in the route itself: an opened test set outweighs whatever the verdict says."""
    for decision in literals(Verdict.model_fields["decision"].annotation):
        verdict = {"decision": decision, "opening": {"number": 1}, "test": {"value": 0.5}}
        state: Any = {"branches": [{"candidate_id": "i0-a"}], "verdict": verdict}
        assert modeling.after_reviewer(state) in AFTER_THE_TEST


def test_from_the_release_question_there_is_only_publishing() -> None:
    """Behind the reviewer's acceptance nothing but the publisher and the end is reachable."""
    edges = modelwright.graph.get_graph().edges
    reached, ahead = set(), ["approve_release"]
    while ahead:
        place = ahead.pop()
        for edge in edges:
            if edge.source == place and edge.target not in reached:
                reached.add(edge.target)
                ahead.append(edge.target)
    assert reached == {"publisher", "__end__"}


# ---- invoked by others than our session -----------------------------------------------------------------------------


def test_ainvoke_without_a_checkpointer_leaves_a_run_and_no_process(home: Path, loans_csv: Path) -> None:
    """The plain graph builds; the run is in the catalogue; its workers are gone when it returns."""
    out = asyncio.run(modelwright.graph.ainvoke({"data": str(loans_csv), "target": "default"}, context=SMALL))
    assert Path(out["release"]["folder"]).is_dir()
    run = modelwright.open_run(out["run_id"])
    assert run.status == "done"
    assert run.score is not None
    assert run.summary["folder"] == out["release"]["folder"]
    assert not [one for one in children() if is_running(one.pid)]


def test_astream_waits_for_a_person_goes_on_and_begins_anew(home: Path, loans_csv: Path) -> None:
    """The plan's question comes as an interrupt, an answer finishes the run, and new input starts another one.

    The last is what submitting a form again in Studio does: the new settings count, nothing earlier is taken over.
    """
    graph = modelwright.build_graph(checkpointer=InMemorySaver())
    settings = Settings(data=str(loans_csv), target="default", review=["plan"], **SMALL)
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}

    async def talk() -> None:
        steps = [next(iter(one)) async for one in graph.astream({}, config, context=settings, stream_mode="updates")]
        assert steps == ["analyst", "examiner", "researcher", "__interrupt__"]
        run = modelwright.runs()[0]
        assert (run.id, run.status) == (config["configurable"]["thread_id"], "waiting")
        question = (await graph.aget_state(config)).interrupts[0]
        assert (run.waiting[0]["id"], run.waiting[0]["gate"]) == (question.id, "plan")
        form: Any = question.response_schema
        assert set(form["properties"]) >= {"action", "keep", "drop", "edit", "add", "reason"}
        assert form["properties"]["action"]["enum"] == ["approve", "reject"]
        out = await graph.ainvoke(Command(resume={question.id: {"action": "approve"}}), config)
        assert Path(out["release"]["folder"]).is_dir()
        assert run.refresh().status == "done"
        other = settings.model_copy(update={"metric": "accuracy"})
        again = await graph.ainvoke({}, config, context=other)
        assert "iteration 0" in again["__interrupt__"][0].value["question"]
        assert again["__interrupt__"][0].value["task"]["metric"] == "accuracy"
        assert modelwright.runs()[0].id == again["run_id"] != run.id

    asyncio.run(talk())
    assert not children()


def test_a_cancelled_run_and_a_bad_input_leave_no_process(home: Path, loans_csv: Path) -> None:
    """A run cancelled while programs run is paused, one whose input is refused has failed; neither keeps a worker."""

    async def cancel() -> None:
        given = {"data": str(loans_csv), "target": "default"}
        task = asyncio.ensure_future(modelwright.graph.ainvoke(given, context=Settings(**SMALL)))
        while not any(event["kind"] == "job" for run in modelwright.runs() for event in run.log()):
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert modelwright.runs()[0].status == "paused"
    assert not children()
    with pytest.raises(InputError, match="there is no column 'nothing'"):
        asyncio.run(modelwright.graph.ainvoke({"data": str(loans_csv), "target": "nothing"}, context=SMALL))
    assert modelwright.runs()[0].status == "failed"
    assert not children()


def test_a_stream_left_in_the_middle_is_let_go(home: Path, loans_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops listening between two steps leaves a run that is paused and unlocked after a while."""
    monkeypatch.setattr("graphs.desks.IDLE_SECONDS", 0.2)
    given = {"data": str(loans_csv), "target": "default"}

    async def listen() -> None:
        async for one in modelwright.graph.astream(given, context=Settings(**SMALL), stream_mode="updates"):
            if "examiner" in one:
                break
        while children() or holder(modelwright.runs()[0].folder):
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(listen(), 1200))
    assert modelwright.runs()[0].status == "paused"


def test_the_servers_checkpointer_shares_runs_with_the_python_call(home: Path, loans_csv: Path) -> None:
    """Begun by whoever holds the graph, answered through the run: both go on with the same thread."""
    graph = modelwright.build_graph(checkpointer=modelwright.make_checkpointer())
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
    assert asyncio.run(graph.aget_state(config)).values == {}
    assert modelwright.runs() == []
    settings = Settings(data=str(loans_csv), target="default", review=["plan"], **{**SMALL, "candidates": 2})
    first = asyncio.run(graph.ainvoke({}, config, context=settings))["__interrupt__"][0].value["plans"]
    run = modelwright.open_run(config["configurable"]["thread_id"])
    run.reject(f"no {first[0]['recipe']}")
    assert run.status == "waiting"
    state = asyncio.run(graph.aget_state(config))
    assert state.next == ("approve_plan",)
    assert state.interrupts[0].id == run.waiting[0]["id"]
    assert first[0]["recipe"] not in [plan["recipe"] for plan in state.interrupts[0].value["plans"]]


def test_threads_of_the_same_name_are_runs_of_their_own(home: Path, tmp_path: Path) -> None:
    """`"1"` in one script and `"1"` in the next do not meet in one candidate log."""
    config: Any = {"configurable": {"thread_id": "1"}}
    seen = []
    for number in (1, 2):
        path = tmp_path / f"{number}.csv"
        loans(120, seed=number).to_csv(path, index=False)
        graph = modelwright.build_graph(checkpointer=InMemorySaver())
        context = Settings(data=str(path), target="default", review=["plan"], **SMALL)
        seen.append(asyncio.run(graph.ainvoke({}, config, context=context))["run_id"])
    assert len(set(seen)) == 2
    assert len(modelwright.runs()) == 2


def test_a_cancelled_step_has_ended_when_its_cancellation_goes_on() -> None:
    """However often it is cancelled: its thread, or its task on the roles' loop, must not outlive the run's lock."""
    began, ended = threading.Event(), []

    def blocking() -> None:
        began.set()
        time.sleep(0.3)
        ended.append("thread")

    async def slow_to_end() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.3)
            ended.append("task")

    async def cancel_twice(work: Coroutine[Any, Any, None]) -> None:
        began.clear()
        task = asyncio.ensure_future(work)
        while not began.is_set():
            await asyncio.sleep(0.01)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.02)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_twice(in_thread(blocking)))
    assert ended == ["thread"]
    asyncio.run(cancel_twice(on_role_loop(slow_to_end())))
    assert ended == ["thread", "task"]
