"""The loop of the roles: what a role began has ended before its run's lock is free."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from graphs.roleloop import _role_loop, on_role_loop
from state.errors import ArtifactMissing, StoreError
from state.release import ReleaseMember
from state.settings import Settings
from tests.support.programs import table
from tests.tools.task_cases import task_of
from tools.drivers import drive_run
from tools.journal import Journal
from tools.memberjobs import predict_members
from tools.runs import register_run
from tools.store import open_catalogue
from tools.workbench import close_workbench, open_workbench

SLEEPS = "import time\n\ndef predict(model, X):\n    time.sleep(600)\n"


def test_a_role_leaves_no_task_behind() -> None:
    """Whatever a role begins has ended when its step goes on, and what it left behind says so in the error's notes."""
    ended: list[str] = []

    async def slow(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append(name)
            raise StoreError(f"{name} could not be noted")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("first")

    async def role() -> None:
        await asyncio.gather(slow("one"), slow("two"), fails())

    async def step() -> None:
        try:
            await on_role_loop(role())
        finally:
            ended.append("step")

    with pytest.raises(ValueError, match="first") as raised:
        asyncio.run(step())
    assert sorted(ended[:2]) == ["one", "two"]
    assert ended[2:] == ["step"]
    assert sorted(raised.value.__notes__) == [
        "Beside it: StoreError: one could not be noted",
        "Beside it: StoreError: two could not be noted",
    ]


def test_beside_a_missing_artifact_no_training_runs_on(home: Path) -> None:
    """Two real jobs side by side, one of which cannot begin: when the error leaves, the other is over and on record.

    Before, its row said so only after the run's lock was free, to whoever drove the run then.
    """
    run = str(uuid.uuid4())
    settings = Settings(jobs=2)
    catalogue = open_catalogue()
    register_run(catalogue, run, settings)
    with drive_run(run):
        desk = open_workbench(run, settings)
        try:
            features, program = desk.artifacts.put_frame(table()[0]), desk.artifacts.put_text(SLEEPS)
            model = {"model.json": desk.artifacts.put_json({})}
            gone = desk.artifacts.put_text("not for long")
            desk.artifacts.delete(gone)
            members = [
                ReleaseMember(candidate=name, weight=0.5, program=one, model=model)
                for name, one in (("lacks its program", gone), ("sleeps", program))
            ]
            work = predict_members(desk, task_of("roc_auc"), members, features, label="side by side")
            with pytest.raises(ArtifactMissing):
                asyncio.run(on_role_loop(work))
            assert asyncio.all_tasks(_role_loop()) == set()
        finally:
            close_workbench(run)
    told = Journal(catalogue, run).entries()
    catalogue.close()
    assert {row["state"] for row in told} == {"failed"}, told
