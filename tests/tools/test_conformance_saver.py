"""LangGraph's own conformance suite, run against every checkpointer of ours: all capabilities, none left out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES

from tools.checkpoints import open_saver
from tools.homesaver import HomeSaver
from tools.places import Place, Schema

Factory = Callable[[], AsyncGenerator[Any, None]]


def hold_against(name: str, factory: Factory) -> None:
    """Every capability LangGraph knows is there, and every one of its tests passes."""
    report = asyncio.run(validate(checkpointer_test(name=name)(factory)))
    failures = {capability: result.failures for capability, result in report.results.items() if result.failures}
    assert failures == {}
    assert {name for name, result in report.results.items() if result.passed} == {one.value for one in ALL_CAPABILITIES}
    assert sum(result.tests_passed for result in report.results.values()) > 60


def run_savers(place: Callable[[], Place]) -> Factory:
    async def factory() -> AsyncGenerator[Any, None]:
        async with open_saver(place()) as saver:
            yield saver

    return factory


async def home_savers() -> AsyncGenerator[Any, None]:
    yield HomeSaver()


def test_the_saver_of_a_file_conforms(tmp_path: Path) -> None:
    """Checkpoints in a run's own file."""
    hold_against("RunSaver", run_savers(lambda: tmp_path / f"{uuid.uuid4()}.db"))


def test_the_saver_of_a_home_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of every run of a home, each in its own file: what the LangGraph server uses."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path))
    hold_against("HomeSaver", home_savers)


def test_the_saver_of_a_schema_conforms(database_url: str) -> None:
    """Checkpoints in a schema of a shared database."""
    hold_against("PostgresRunSaver", run_savers(lambda: Schema(database_url, f"modelwright_run_{uuid.uuid4().hex}")))


@pytest.mark.campaign  # a schema is made for each of its threads
def test_the_saver_of_a_shared_home_conforms(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints of every run of a shared database, each in a schema of its own."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("MODELWRIGHT_STORE", database_url)
    hold_against("HomeSaver on PostgreSQL", home_savers)
