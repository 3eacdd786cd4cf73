"""`modelwright studio` on a database that machines share: the runs of every machine, answered from this one."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from state.errors import EXIT_WAITING
from tests.graphs.test_studio import shown
from tests.support.command import modelwright
from tests.support.studio import Studio
from tests.support.tables import loans

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(
        importlib.util.find_spec("langgraph_api") is None, reason="the LangGraph server is not installed (extra studio)"
    ),
]

SMALL = "--target default --iterations 1 --candidates 1 --folds 2 --time-limit 120 --jobs 1 --json".split()


def test_a_run_of_another_machine_is_answered_in_the_server(database_url: str, tmp_path: Path) -> None:
    """Begun on one machine, which is lost; shown and answered by a server on a second; released on a third."""
    data, store = tmp_path / "loans.csv", {"MODELWRIGHT_STORE": database_url}
    loans().to_csv(data, index=False)
    asked = modelwright(
        "build", data, *SMALL, "--review", "plan,release", "--name", "far", home=tmp_path / "first", **store
    )
    assert asked.code == EXIT_WAITING, asked.err
    shutil.rmtree(tmp_path / "first")
    run = asked.json()["run_id"]

    async def answered(client: Any, assistant: str) -> tuple[Any, Any]:
        thread = await shown(client, run, status="waiting")
        question = next(iter(thread["interrupts"].values()))[0]
        await client.runs.wait(run, assistant, command={"resume": {question["id"]: {"action": "approve"}}})
        return question, await client.threads.get_state(run)

    (tmp_path / "second").mkdir()
    with Studio(tmp_path / "second", **store) as studio:
        question, state = studio.talk(answered)
        assert database_url not in studio.log
        code, said = studio.stop()
    assert code == 0, said
    assert question["value"]["gate"] == "plan"
    assert [one["value"]["gate"] for one in state["interrupts"]] == ["release"]

    done = modelwright("approve", "far", "--json", home=tmp_path / "third", **store)
    assert done.code == 0, done.err
    assert Path(done.json()["folder"]).is_dir()
    assert done.json()["best"] == state["values"]["best"]
