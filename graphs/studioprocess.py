"""The process of the LangGraph server as its starter sees it: begun, waited for, asked to stop.

The server gets digests of its secrets through its standard input, which stays open as long as it is to live: so it also
ends when its starter is killed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from graphs.studioguard import Keys
from state.errors import ModelwrightError, SafetyRefused
from tools.home import home

LOG = "server.log"
START_SECONDS = 180.0
_START = "import modelwright; from graphs.studioserver import main; main()"
_FOREIGN = ("LANGGRAPH_", "LANGSMITH_", "LANGCHAIN_", "LANGSERVE_", "MODELWRIGHT_STUDIO")
"""Settings of other servers and tracers: none of them may change how this one behaves, or send runs elsewhere."""


@contextmanager
def server_process(folder: Path, host: str, port: int, keys: Keys) -> Iterator[subprocess.Popen[str]]:
    """The server's process, begun in a private folder, which gets its log; at the end of the block it is gone."""
    with (folder / LOG).open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C of the terminal is ours to hand on
        )
    assert server.stdin is not None
    told = {"host": host, "port": port, "token": keys.token, "page": keys.page}
    try:
        server.stdin.write(json.dumps(told) + "\n")
        server.stdin.flush()
        yield server
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        with suppress(BrokenPipeError):  # it was gone before it had read its settings
            server.stdin.close()


def _environment() -> dict[str, str]:
    """Ours, without what would change the server or trace runs elsewhere; and the way to this very modelwright."""
    spec = importlib.util.find_spec("modelwright")
    assert spec is not None
    assert spec.origin is not None
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN) and name != "MOUNT_PREFIX"
    }
    paths = [str(Path(spec.origin).parent), *filter(None, [kept.get("PYTHONPATH")])]
    return {
        **kept,
        "MODELWRIGHT_HOME": str(home()),
        "MODELWRIGHT_STUDIO_FOLDER": os.getcwd(),
        "PYTHONPATH": os.pathsep.join(paths),
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "LOG_LEVEL": kept.get("LOG_LEVEL", "WARNING"),
    }


def wait_for(server: subprocess.Popen[str], log: Path, host: str, token: str, stops: list[int]) -> str:
    """Wait until the server listens and its guard stands. Its URL; empty when `stops` says that it is to end before.

    Raises SafetyRefused when a request without the token gets through, ModelwrightError when there is no server in time.
    """
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        if stops:
            return ""
        if port := _listening(server):
            url = f"http://{host}:{port}"
            if _status(f"{url}/ok") == 401 and _status(f"{url}/ok", token) == 200:
                return url
            raise SafetyRefused(
                "the server does not keep its door: a request without the token was answered, or one with it was not",
                hint="this release of langgraph-api is not one we know: install the versions of constraints.txt",
            )
        time.sleep(0.1)
    raise gone(server, log)


def _listening(server: subprocess.Popen[str]) -> int | None:
    """The port this very process listens on: asking any other would give the token away."""
    try:
        found = psutil.Process(server.pid).net_connections("tcp")
    except psutil.Error:
        return None
    return next((one.laddr.port for one in found if one.status == psutil.CONN_LISTEN), None)


def _status(url: str, token: str = "") -> int:
    request = urllib.request.Request(url, headers={"x-api-key": token} if token else {})  # noqa: S310 - our own server
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through somebody's proxy
    try:
        with opener.open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def gone(server: subprocess.Popen[str], log: Path) -> ModelwrightError:
    """Why there is no server, with its last words."""
    last = log.read_text(errors="replace").strip().splitlines()[-12:]
    what = "did not come up in time" if server.poll() is None else f"ended by itself (code {server.poll()})"
    return ModelwrightError("\n  ".join([f"the LangGraph server {what}; its last words:", *last]))
