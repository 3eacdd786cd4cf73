"""A warm process that forks a child for every command, so that a real kill -9 costs milliseconds and not an import.

Reads JSON lines and answers each with one: {do, home, …} → {end: "killed" | "code", code, kind, error, …}. The child sets
its own clock (an offset in seconds for ids of checkpoints) and its own limit on the size of files, as a full disk has.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from tests.support.command import ROOT

Reply = dict[str, Any]
Doing = Callable[[dict[str, Any]], dict[str, Any]]
PATIENCE = 900
"""Seconds of wall after which a command that should take one counts as hung. A starved machine is no bug."""


class Forge:
    """The calling side: one warm process, asked for one command at a time."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.forge"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def ask(self, do: str, home: Path, **more: Any) -> Reply:
        """Carry out one command in a child of the warm process. Raises AssertionError for an error that is a bug."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, "home": str(home), **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the warm process has ended")
        reply: Reply = json.loads(line)
        if reply.get("bug"):
            raise AssertionError(reply["bug"])
        return reply


# ---- in the warm process ------------------------------------------------------------------------------------------


def serve(doings: dict[str, Doing]) -> None:
    """Answer requests until stdin ends. The children of one request are gone before the next is read."""
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_forked(doings, request)), flush=True)


def _forked(doings: dict[str, Doing], request: dict[str, Any]) -> Reply:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_child(doings, request, writing)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return {"end": "killed"} if number == signal.SIGKILL else {"bug": f"died of signal {number}: {request}"}
    return {"end": "code", **json.loads(said)}


def _be_child(doings: dict[str, Doing], request: dict[str, Any], writing: int) -> None:
    code = 1
    try:
        signal.alarm(PATIENCE)
        _set_up(request)
        reply = _done(doings, request)
        os.write(writing, json.dumps(reply).encode())
        code = 0
    finally:
        os._exit(code)


def _set_up(request: dict[str, Any]) -> None:
    from langgraph.checkpoint.base import id as ids

    os.environ["MODELWRIGHT_HOME"] = request["home"]
    os.environ["DURABILITY_LEDGER"] = request["home"] + ".ledger"
    os.environ.pop("MODELWRIGHT_CRASH", None)
    if request.get("crash"):
        os.environ["MODELWRIGHT_CRASH"] = request["crash"]
    if offset := int(request.get("clock", 0)):
        shifted = SimpleNamespace(time_ns=lambda: time.time_ns() + offset * 10**9)
        ids.time = shifted  # type: ignore[assignment]  # all it uses of the module
    if size := int(request.get("disk", 0)):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _done(doings: dict[str, Doing], request: dict[str, Any]) -> Reply:
    from state.errors import ModelwrightError

    try:
        return {"code": 0, **doings[request["do"]](request)}
    except ModelwrightError as error:
        return {"code": error.exit_code, "kind": type(error).__name__, "error": f"{error.message} — {error.hint}"}
    except BaseException:  # noqa: BLE001 - handed on as what it is: a bug that the history has found
        return {"bug": f"{request}\n{traceback.format_exc()}"}


if __name__ == "__main__":
    from tests.durability.smallruns import DOINGS, warm_up

    warm_up()
    serve(DOINGS)
