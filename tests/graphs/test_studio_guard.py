"""Who gets into the LangGraph server: the guard in front of it, and what `modelwright studio` refuses to start."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from graphs import studioguard, studiothreads
from graphs.cli import studio
from graphs.studioguard import PASSED, Guard, Keys, checked_token, digest
from graphs.studioserver import server_settings
from state.errors import UsageError
from state.settings import Settings
from tests.support.command import ROOT, environment, modelwright
from tools.pruning import remove_runs
from tools.runs import register_run
from tools.store import open_catalogue

TOKEN, PAGE_KEY, PORT = "a-token-nobody-guesses", "the-key-of-the-hosted-page", 2024
PAGE = "https://smith.langchain.com"
GOOD = {"host": f"127.0.0.1:{PORT}", "x-api-key": TOKEN}


def knock(path: str = "/runs", kind: str = "http", *, page: bool = False, **headers: str | list[str] | None) -> Any:
    """Send a request to a guard: what it let through (its scope), or the status it answered with."""
    passed: list[Any] = []
    sent: list[Any] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope)

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {**GOOD, **{name.replace("_", "-"): value for name, value in headers.items()}}
    listed = [(name, one) for name, value in given.items() for one in (value if isinstance(value, list) else [value])]
    scope = {
        "type": kind,
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "server": ("127.0.0.1", PORT),
        "headers": [(name.encode(), value.encode()) for name, value in listed if value is not None],
    }
    guard = Guard(inside, Keys(digest(TOKEN), digest(PAGE_KEY) if page else ""))
    asyncio.run(guard(scope, receive, send))
    return passed[0] if passed else sent[0].get("status", sent[0]["type"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": None, "authorization": f"Bearer {TOKEN}"},
        {"x-api-key": None, "authorization": f"bearer {TOKEN}"},
        {"host": f"localhost:{PORT}"},
        {"host": f"[::1]:{PORT}"},
        {"origin": f"http://127.0.0.1:{PORT}"},
        {"origin": f"http://localhost:{PORT}"},
    ],
)
def test_whoever_has_the_token_gets_in(headers: dict[str, Any]) -> None:
    """The token in either header, under any name of this machine, from a program or from the server's own origin."""
    assert knock(**headers)[PASSED] is True


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {"x-api-key": None}),
        (401, {"x-api-key": ""}),
        (401, {"x-api-key": TOKEN[:-1]}),
        (401, {"x-api-key": None, "authorization": f"Basic {TOKEN}"}),
        (401, {"x-api-key": None, "authorization": TOKEN}),
        (401, {"x-api-key": digest(TOKEN)}),
        (401, {"x-api-key": "töken"}),
        (403, {"host": None}),
        (403, {"host": "127.0.0.1"}),
        (403, {"host": "127.0.0.1:2025"}),
        (403, {"host": f"evil.example:{PORT}"}),
        (403, {"host": f"127.0.0.1.evil.example:{PORT}"}),
        (403, {"host": f"127.0.0.1:{PORT}@evil.example"}),
        (403, {"host": [f"127.0.0.1:{PORT}", f"evil.example:{PORT}"]}),
        (403, {"origin": "https://evil.example"}),
        (403, {"origin": "null"}),
        (403, {"origin": ""}),
        (403, {"origin": f"https://127.0.0.1:{PORT}"}),
        (403, {"origin": "http://127.0.0.1:8888"}),
        (403, {"origin": PAGE}),
        (403, {"origin": [f"http://127.0.0.1:{PORT}", "https://evil.example"]}),
    ],
)
def test_everybody_else_stays_outside(status: int, headers: dict[str, Any]) -> None:
    """No token, a near one, another Host, another origin, two of either: refused with the reason, over HTTP and sockets."""
    assert knock(**headers) == status
    assert knock(kind="websocket", **headers) == "websocket.close"


def test_the_hosted_page_gets_in_by_its_key_and_only_that_page() -> None:
    """The key is part of the address, is taken off it, and opens nothing without the page's origin or for others."""
    path = f"/key/{PAGE_KEY}/threads/search"
    let_in = knock(path, page=True, origin=PAGE, x_api_key=None)
    assert (let_in["path"], let_in["raw_path"]) == ("/threads/search", b"/threads/search")
    assert knock(f"/key/{PAGE_KEY}", page=True, origin=PAGE, x_api_key=None)["path"] == "/"
    assert knock(path, page=True, x_api_key=None) == 401
    assert knock(path, page=True, origin="https://evil.example", x_api_key=None) == 403
    assert knock(path, origin=PAGE, x_api_key=None) == 403
    assert knock("/key/wrong/threads/search", page=True, origin=PAGE, x_api_key=None) == 403
    assert knock("/threads/search", page=True, origin=PAGE) == 403


@pytest.mark.parametrize("path", ["/deploy", "/deploy/x", "/internal/truncate"])
def test_what_sends_the_project_away_or_empties_the_server_is_closed(path: str) -> None:
    """Routes of the development server that no part of this needs are not there, token or not."""
    assert knock(path) == 404


def test_the_servers_own_client_passes() -> None:
    """Requests inside the process come through no socket; their mark cannot be set by a request."""
    passed: list[Any] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope)

    async def nothing(*_: Any) -> None: ...

    scope = {"type": "http", "root_path": "/noauth", "path": "/runs", "headers": []}
    asyncio.run(Guard(inside, Keys(digest(TOKEN)))(scope, nothing, nothing))  # type: ignore[arg-type]  # nothing is received
    assert passed[0][PASSED] is True


def test_langgraph_json_says_what_the_command_serves() -> None:
    """A bare `langgraph dev` in a checkout has the same guard, hooks and checkpointer."""
    told = json.loads((ROOT / "langgraph.json").read_text())
    assert {name: told[name] for name in server_settings(False)} == server_settings(False)


def test_without_a_token_a_bare_server_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The application refuses to be loaded, and says what to do; a token that was set is taken, and no child inherits it."""
    code = "import modelwright; modelwright.studio_app"
    refused = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "start it with `modelwright studio`" in refused.stderr
    monkeypatch.setattr(studioguard, "_keys", [])
    monkeypatch.setenv(studioguard.TOKEN_VARIABLE, TOKEN)
    assert studioguard.keys() == Keys(digest(TOKEN))
    assert studioguard.TOKEN_VARIABLE not in os.environ


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.org", "::", "127.0.0.2", ""])
def test_only_this_machine(host: str, tmp_path: Path) -> None:
    """Any address another machine could reach is refused with the reason, exit code 2."""
    with pytest.raises(UsageError, match="stays on 127\\.0\\.0\\.1"):
        studio.studio_command(host=host, port=None, hosted=False, browser=False, output_json=True)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A port somebody listens on cannot be had; the message says which and what to do."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = modelwright("studio", "--port", port, home=tmp_path / "home")
    assert done.code == 2
    assert f"port {port} cannot be used" in done.err
    assert "without --port" in done.err


def test_without_the_extra_the_command_names_the_line_to_type(tmp_path: Path) -> None:
    """The server is no part of a plain installation; the message holds what installs it."""
    code = (
        "import sys; from importlib.machinery import PathFinder as Finder\n"
        "class Plain:\n"
        "    @staticmethod\n"
        "    def find_spec(name, *where):\n"
        "        extra = name.split('.')[0] in {'langgraph_api', 'langgraph_cli', 'langgraph_runtime', 'starlette'}\n"
        "        return None if extra else Finder.find_spec(name, *where)\n"
        "sys.meta_path[sys.meta_path.index(Finder)] = Plain\n"
        "sys.argv = ['modelwright', 'studio']; import modelwright; modelwright.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'modelwright[studio]'" in done.stderr


@pytest.mark.parametrize(
    "token", ["short", "with a space in between", "töken-that-is-long-enough", "line\nline-line-line"]
)
def test_a_weak_token_is_refused(token: str) -> None:
    """A token a person chose has a length and fits into a header."""
    with pytest.raises(UsageError, match="no usable token"):
        checked_token(token)


def test_a_run_that_is_too_old_to_be_shown_keeps_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thread the server deletes its checkpoints; so only those of runs that were removed go."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setattr(studiothreads, "MOST_RUNS", 2)
    catalogue, deleted = open_catalogue(), []

    class Client:
        """The server's own client, as far as it is asked here."""

        @property
        def threads(self) -> Client:
            return self

        async def search(self, **_: Any) -> list[str]:
            return ["there"]

        async def delete(self, run_id: str) -> None:
            deleted.append(run_id)

    async def shown(*_: Any) -> bool:
        return True

    monkeypatch.setattr(studiothreads.Threads, "_show", shown)
    threads = studiothreads.Threads(Client())
    runs = []
    for _ in range(3):
        runs.append(register_run(catalogue, str(uuid.uuid4()), Settings(data="houses.csv")))
        asyncio.run(threads.look())
    assert deleted == []
    remove_runs(catalogue, runs[:1])
    for _ in range(2):
        asyncio.run(threads.look())
    assert deleted == [runs[0].id]
    catalogue.close()
