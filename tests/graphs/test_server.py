"""The graph in the LangGraph server, driven over HTTP as Studio drives it; and the same run from the command line."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from state.settings import Settings
from tests.support.command import ROOT, environment, modelwright
from tests.support.tables import loans

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("langgraph_api") is None, reason="the LangGraph server is not installed (extra studio)"
)

T = TypeVar("T")
CONTEXT = {"target": "default", "time_limit": 120, "iterations": 1, "candidates": 2, "folds": 3}


class Server:
    """A running `langgraph dev` on loopback."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.log = folder / "server.log"
        self.data = folder / "loans.csv"
        loans().to_csv(self.data, index=False)
        project = folder / "project"
        for name in ("state", "tools", "nodes", "graphs"):
            shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("modelwright.py", "pyproject.toml", "langgraph.json"):
            shutil.copy(ROOT / name, project)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        surroundings = environment(self.home, LANGSMITH_TRACING="false", LANGGRAPH_CLI_NO_ANALYTICS="1", PYTHONPATH="")
        self.process = subprocess.Popen(
            [Path(sys.executable).parent / "langgraph", "dev", "--no-browser", "--no-reload", "--port", str(port)],
            cwd=project,
            env=surroundings,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> None:
        give_up = time.monotonic() + 180
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/ok").close()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
            else:
                return
        raise AssertionError(self.log.read_text(errors="replace"))

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.wait()
        yield server
    finally:
        server.close()


def talk(server: Server, conversation: Callable[[Any, str], Awaitable[T]]) -> T:
    """Hold a conversation with the server: it gets a client of the SDK and the assistant's id."""
    from langgraph_sdk import get_client

    async def held() -> T:
        client = get_client(url=server.url)
        return await conversation(client, (await client.assistants.search())[0]["assistant_id"])

    return asyncio.run(held())


def test_studio_gets_form_and_graph(server: Server) -> None:
    """Settings are the context's form, data and target the input's; xray shows the branch's steps."""

    async def look(client: Any, assistant: str) -> tuple[Any, Any]:
        return await client.assistants.get_schemas(assistant), await client.assistants.get_graph(assistant, xray=True)

    schemas, graph = talk(server, look)
    assert set(schemas["context_schema"]["properties"]) == set(Settings.model_fields)
    assert set(schemas["input_schema"]["properties"]) == {"data", "intent", "target"}
    names = {node["id"] for node in graph["nodes"]}
    assert {
        "analyst",
        "approve_plan",
        "publisher",
        "candidate:engineer",
        "candidate:check",
        "candidate:runner",
    } <= names
    roles = {node["id"]: node.get("metadata", {}).get("role") for node in graph["nodes"]}
    assert roles["approve_plan"] == "approver"


def test_asked_in_the_server_answered_there_and_on_the_command_line(server: Server) -> None:
    """A run waits for its plan in the server and goes on there; its release is approved from a terminal.

    While it waits, nothing of it is left running in the server, so the command line may take over at once.
    """

    async def begin(client: Any, assistant: str) -> tuple[str, Any, Any]:
        thread = (await client.threads.create())["thread_id"]
        context = {**CONTEXT, "data": str(server.data), "review": ["plan", "release"], "name": "studio"}
        await client.runs.wait(thread, assistant, input={}, context=context)
        plan = (await client.threads.get_state(thread))["interrupts"][0]
        assert server.children() == []
        assert modelwright("show", "studio", "--json", home=server.home).json()["status"] == "waiting"
        keep = plan["value"]["plans"][0]["id"]
        answer = {plan["id"]: {"action": "approve", "keep": [keep]}}
        await client.runs.wait(thread, assistant, command={"resume": answer})
        return thread, plan, (await client.threads.get_state(thread))["interrupts"][0]

    thread, plan, release = talk(server, begin)
    assert plan["value"]["gate"] == "plan"
    assert "action" in plan["response_schema"]["properties"]
    assert release["value"]["gate"] == "release"
    assert server.children() == []
    done = modelwright("approve", thread[:8], "--json", home=server.home)
    assert done.code == 0, done.err
    assert Path(done.json()["folder"]).is_dir()
    state = talk(server, lambda client, _: client.threads.get_state(thread))
    assert state["next"] == []
    assert state["values"]["release"]["folder"] == done.json()["folder"]


def test_a_refused_input_is_an_error_of_the_run(server: Server) -> None:
    """The thread says what is wrong with the data; the run has failed, and nothing stays behind."""

    async def ask(client: Any, assistant: str) -> tuple[Any, Any]:
        thread = (await client.threads.create())["thread_id"]
        context = {**CONTEXT, "data": str(server.data), "target": "defualt"}
        told = await client.runs.wait(thread, assistant, input={}, context=context, raise_error=False)
        return told, await client.threads.get_state(thread)

    told, state = talk(server, ask)
    assert told["__error__"]["error"] == "InputError"
    assert "there is no column 'defualt'" in state["tasks"][0]["error"]
    assert server.children() == []


def test_nothing_blocked_the_servers_loop(server: Server) -> None:
    """The development server raises at the first blocking call in its loop; it found none in all of the above."""
    assert "Blocking call" not in server.log.read_text(errors="replace")
