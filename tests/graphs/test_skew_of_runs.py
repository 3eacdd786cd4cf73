"""Version skew of real runs: a suspended build and a graph of another version, whoever drives it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph

import modelwright
from graphs import modeling
from graphs.forking import make_fork, plan_fork
from state.errors import VersionMismatch
from state.modeling import ModelingState
from tests.conftest import Built
from tests.support.copies import copy_of, effects
from tools.checkpointrows import check_thread, read_thread
from tools.places import run_place
from tools.skew import Migration, RenameNode


class OtherState(ModelingState, total=False):
    """The state of another version: the plans have become a table by id."""

    plans: dict[str, Any]  # type: ignore[misc]  # that it is another type is the point


class OtherGraph(StateGraph[Any, Any, Any, Any]):
    """The graph of another version: the node that waits for a person has another name."""

    def add_node(self, node: Any, *others: Any, **more: Any) -> Any:
        return super().add_node("plan_review" if node == "approve_plan" else node, *others, **more)

    def add_edge(self, start: Any, end: Any) -> Any:
        return super().add_edge(start, "plan_review" if end == "approve_plan" else end)

    def add_conditional_edges(self, source: str, *others: Any, **more: Any) -> Any:
        return super().add_conditional_edges("plan_review" if source == "approve_plan" else source, *others, **more)


VERSIONS = {
    "pending node renamed": ("StateGraph", OtherGraph, ["node removed: approve_plan", "node added: plan_review"]),
    "channel retyped": (
        "ModelingState",
        OtherState,
        ["channel changed: plans: LastValue list[dict[str, typing.Any]], now LastValue dict[str, typing.Any]"],
    ),
}


@pytest.fixture
def waiting(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelwright.Run:
    """A run that waits for a person's word on its plans."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(copy_of(built, tmp_path)))
    fork = make_fork(plan_fork("shared", "approve_plan", settings={"review": ["plan"]}, name="waits"))
    run = modelwright.resume(fork.id)
    assert run.status == "waiting"
    return run


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Switches to the graph of another version, as an upgrade would."""

    def switch(name: str) -> None:
        what, other, _ = VERSIONS[name]
        monkeypatch.setattr(modeling, what, other)
        modeling.graph_identity.cache_clear()

    yield switch
    monkeypatch.undo()
    modeling.graph_identity.cache_clear()


@pytest.mark.parametrize("kind", VERSIONS)
def test_a_suspended_run_is_refused_by_another_graph(kind: str, waiting: Any, versions: Any) -> None:
    """Resumed, answered, driven by the server's checkpointer or forked: refused with the difference, and it still waits."""
    question = waiting.waiting[0]["id"]
    rows = read_thread(run_place(waiting.id), waiting.id).checkpoints
    before = modeling.graph_identity()
    versions(kind)
    config: Any = {"configurable": {"thread_id": waiting.id}}

    async def by_server(given: Any) -> Any:
        graph = modeling.build_graph(checkpointer=modelwright.make_checkpointer())
        return await graph.ainvoke(given, config, context=modelwright.Settings())

    refused = []
    for attempt in (
        lambda: modelwright.resume("waits"),
        lambda: modelwright.resume("waits", answers={question: {"action": "approve"}}),
        lambda: asyncio.run(by_server(None)),
        lambda: asyncio.run(by_server({"data": "other.csv"})),
        lambda: plan_fork("waits", "examiner"),
    ):
        with pytest.raises(VersionMismatch, match=f"was made by graph {before.version}") as error:
            attempt()
        refused.append(error.value.message)
    for message in refused:
        for line in VERSIONS[kind][2]:
            assert f"  - {line}" in message.splitlines()
    assert modelwright.open_run("waits").status == "waiting"
    assert read_thread(run_place(waiting.id), waiting.id).checkpoints == rows


@pytest.mark.parametrize("driven", ["async", "sync"])
def test_a_run_under_another_checkpointer_is_refused_too(driven: str) -> None:
    """LangGraph's own checkpointers know nothing of graphs; what the state says is looked at before anything runs."""
    graph = modeling.build_graph(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.update_state(config, {"run_id": "1", "graph_version": "1-older"}, as_node="publisher")
    assert graph.get_state(config).next == ()
    with pytest.raises(VersionMismatch, match="was made by graph 1-older"):
        graph.invoke(None, config) if driven == "sync" else asyncio.run(graph.ainvoke(None, config))


def test_a_suspended_run_is_migrated_where_a_migration_is_written(
    waiting: Any, versions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits again in its renamed step, its log says why, its earlier steps can still be forked, and nothing ran twice."""
    question, before = waiting.waiting[0], modeling.graph_identity().version
    known = effects(Path(run_place(waiting.id)).parents[2], waiting.id)  # type: ignore[arg-type]  # a file, in this test
    versions("pending node renamed")
    steps = (RenameNode("approve_plan", "plan_review"),)
    written = Migration(1, before, modeling.graph_identity().version, "a clearer name", steps)
    monkeypatch.setattr(modeling, "MIGRATIONS", (written,))
    run = modelwright.resume("waits")
    assert run.status == "waiting"
    assert run.waiting[0]["plans"] == question["plans"]
    assert any(event["text"] == "brought up to today's graph: a clearer name" for event in run.log())
    with pytest.raises(modelwright.ModelwrightError, match="is not open any more"):
        modelwright.resume("waits", answers={question["id"]: {"action": "reject", "reason": "late"}})
    assert check_thread(run_place(run.id), run.id) == []
    assert effects(Path(run_place(run.id)).parents[2], run.id) == known  # type: ignore[arg-type]  # as above
    assert modelwright.resume("waits", answers={run.waiting[0]["id"]: {"action": "approve"}}).status == "done"
