"""A running `modelwright studio`, and ways to talk to it: as the SDK does, and as a web page does."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.support.command import environment

T = TypeVar("T")
CONTEXT = {"target": "default", "time_limit": 600, "iterations": 1, "candidates": 2, "folds": 2, "jobs": 1}


class Studio:
    """`modelwright studio --json` in a process of its own, started in `folder`, on `folder`/home."""

    def __init__(self, folder: Path, *options: str, **more: str) -> None:
        self.home = folder / "home"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modelwright", "studio", "--json", *options],
            cwd=folder,
            env=environment(self.home, **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.told = self._told()
        self.url: str = self.told["url"]
        self.token: str = self.told["token"] or more.get("MODELWRIGHT_STUDIO_TOKEN", "")
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is left of it is killed; the server ends with the command that started it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def _told(self) -> dict[str, Any]:
        """What the command prints when it is ready: one JSON document, closed by a brace of its own."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if line.rstrip() == "}":
                found: dict[str, Any] = json.loads("".join(lines))
                return found
        assert self.process.stderr is not None
        raise AssertionError(self.process.stderr.read())

    @property
    def log(self) -> str:
        """What the server has logged; it is gone with the server."""
        return Path(self.told["log"]).read_text(errors="replace")

    def children(self) -> list[psutil.Process]:
        """Processes the server has started."""
        return psutil.Process(self.told["pid"]).children(recursive=True)

    def stop(self) -> tuple[int, str]:
        """Ask it to stop, as Ctrl-C does; its exit code and what it said on stderr. Killed when it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        timer = threading.Timer(600, self.process.kill)
        timer.start()
        try:
            _, err = self.process.communicate()
        finally:
            timer.cancel()
        return self.process.returncode, err

    def talk(self, conversation: Callable[[Any, str], Awaitable[T]]) -> T:
        """Hold a conversation with the server: it gets a client of the SDK and the assistant's id."""
        from langgraph_sdk import get_client

        async def held() -> T:
            client = get_client(url=self.url, api_key=self.token)
            try:
                return await conversation(client, (await client.assistants.search())[0]["assistant_id"])
            finally:
                await client.aclose()

        return asyncio.run(held())

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> tuple[int, dict[str, str], str]:
        """One raw request: status, headers, text. Headers that are None are left out, `_` stands for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            data = body if isinstance(body, str | bytes) else None if body is None else json.dumps(body)
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            sent = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/json", **given}
            if data is not None:
                sent["Content-Length"] = str(len(data))
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(data.encode() if isinstance(data, str) else data)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()
