"""Open questions: several at once, answered in any order, by whoever, each once."""

from __future__ import annotations

import asyncio
import itertools
import operator
import uuid
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.errors import UnknownInterruptError
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from graphs.modeling import build_graph
from tools.homesaver import HomeSaver

STRICTLY = build_graph().config
"""How our graph is invoked whoever does it."""


class State(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]
    number: int


def ask(state: State) -> dict[str, Any]:
    return {"answers": [f"{state['number']}: {interrupt({'question': state['number']})}"]}


def asking() -> Any:
    """A graph that asks three questions at once, on our checkpointer, and resumed as strictly as ours is."""
    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_conditional_edges(START, lambda _: [Send("ask", {"number": number}) for number in range(3)], ["ask"])
    graph.add_edge("ask", END)
    compiled = graph.compile(checkpointer=HomeSaver())
    compiled.config = STRICTLY
    return compiled


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_several_open_questions_are_answered_in_any_order(order: tuple[int, ...], home: Path) -> None:
    """Each answer reaches its question, whichever comes first; one given twice, or to nobody, is refused without effect."""
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}

    async def answered() -> list[str]:
        await asking().ainvoke({}, config)
        ids = {one.value["question"]: one.id for one in (await asking().aget_state(config)).interrupts}
        for place, number in enumerate(order):
            with pytest.raises(UnknownInterruptError):
                await asking().ainvoke(Command(resume={"0" * 32: "nobody asked"}), config)
            await asking().ainvoke(Command(resume={ids[number]: f"answer {number}"}), config)
            left = {one.id for one in (await asking().aget_state(config)).interrupts}
            assert left == {ids[other] for other in order[place + 1 :]}
            with pytest.raises(UnknownInterruptError):
                await asking().ainvoke(Command(resume={ids[number]: "again"}), config)
        values: list[str] = (await asking().aget_state(config)).values["answers"]
        return values

    assert sorted(asyncio.run(answered())) == ["0: answer 0", "1: answer 1", "2: answer 2"]
