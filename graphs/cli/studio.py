"""`modelwright studio`: the LangGraph server on this store, where only its owner can reach it."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

from graphs.cli.output import print_json, progress, results, say
from graphs.studioguard import STUDIO_PAGE, TOKEN_VARIABLE, Keys, checked_token, digest
from graphs.studioprocess import LOG, gone, server_process, wait_for
from state.errors import UsageError
from tools.home import home

DEFAULT_PORT = 2024


@dataclass(frozen=True)
class Secrets:
    """What opens the server. Shown once, kept nowhere: the server gets digests."""

    token: str
    page: str
    """Key of the hosted Studio page; empty when it is not let in."""
    chosen: bool
    """The token came from MODELWRIGHT_STUDIO_TOKEN."""


def studio_command(*, host: str, port: int | None, hosted: bool, browser: bool, output_json: bool) -> None:
    """Start the server, say how to reach it, and serve until Ctrl-C. Writes nothing but what runs write."""
    _check_extra()
    address, chosen_port = _loopback(host), _port(host, port)
    opened = _secrets(hosted)
    keys = Keys(digest(opened.token), digest(opened.page) if opened.page else "")
    with (
        tempfile.TemporaryDirectory(prefix="modelwright-studio-") as name,
        server_process(folder := Path(name), address, chosen_port, keys) as server,
        _stops() as stops,
    ):
        url = wait_for(server, folder / LOG, address, opened.token, stops)
        if url:
            _tell(url, opened, server.pid, folder, browser=browser, output_json=output_json)
            _serve(server, stops)
        _finish(server, folder / LOG, stops)


# ---- before it starts ---------------------------------------------------------------------------------------------


def _check_extra() -> None:
    if importlib.util.find_spec("langgraph_api") is None:
        raise UsageError(
            "the LangGraph server is not installed: it is an extra, under a license of its own (Elastic 2.0)",
            hint=f"{sys.executable} -m pip install 'modelwright[studio]'",
        )


def _loopback(host: str) -> str:
    """127.0.0.1, or another address of this machine that no other can reach."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if (address := ipaddress.IPv4Address(host)) == ipaddress.IPv4Address("127.0.0.1"):
            return str(address)
    except ValueError:
        pass
    raise UsageError(
        f"the server cannot listen at {host!r}: whoever reaches it may run programs here, so it stays on 127.0.0.1",
        hint=f"from another machine, use a tunnel: ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} THIS-MACHINE",
    )


def _port(host: str, port: int | None) -> int:
    """The port asked for, which must be free; else the usual one, or another when that is taken."""
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"there is no port {port}", hint="ports are 1 to 65535; without --port one is chosen")
    for wanted in (port or DEFAULT_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError as error:
                if port is not None:
                    raise UsageError(
                        f"port {port} cannot be used: {error.strerror}", hint="without --port a free one is chosen"
                    ) from None
                continue
            return int(probe.getsockname()[1])
    raise UsageError("no port of this machine is free", hint="end a program that listens on one")


def _secrets(hosted: bool) -> Secrets:
    chosen = os.environ.get(TOKEN_VARIABLE, "")
    token = checked_token(chosen) if chosen else secrets.token_urlsafe(32)
    return Secrets(token, secrets.token_urlsafe(32) if hosted else "", bool(chosen))


# ---- while it runs --------------------------------------------------------------------------------------------------


@contextmanager
def _stops() -> Iterator[list[int]]:
    """Counts the times we are asked to stop, by Ctrl-C or SIGTERM."""
    stops: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: stops.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(server: subprocess.Popen[str], stops: list[int]) -> None:
    """Until the server ends by itself or we are asked to stop."""
    while server.poll() is None and not stops:
        time.sleep(0.1)


def _finish(server: subprocess.Popen[str], log: Path, stops: list[int]) -> None:
    """Let the server pause its runs and end; at the second request, end it at once."""
    if not stops:
        raise gone(server, log)
    if server.poll() is None:
        say(progress(), "pausing: running programs are let finish; Ctrl-C once more ends them")
        assert server.stdin is not None
        server.stdin.close()
    while server.poll() is None and len(stops) < 2:
        time.sleep(0.1)


# ---- what a person sees -------------------------------------------------------------------------------------------


def _tell(url: str, opened: Secrets, pid: int, folder: Path, *, browser: bool, output_json: bool) -> None:
    page = f"{STUDIO_PAGE}/studio/?baseUrl={url}/key/{opened.page}" if opened.page else ""
    log = folder / LOG
    if output_json:
        shown = {"url": url, "token": opened.token, "studio": page, "pid": pid, "log": str(log)}
        print_json({**shown, "token": None} if opened.chosen else shown)
    else:
        token = f"the one in {TOKEN_VARIABLE}" if opened.chosen else opened.token
        written = f'os.environ["{TOKEN_VARIABLE}"]' if opened.chosen else f'"{opened.token}"'
        console = results()
        for line in (
            f"The LangGraph server runs on {home()}",
            f"  server  {url}",
            f"  token   {token}",
            f'  python  get_client(url="{url}", api_key={written})  # from langgraph_sdk',
            f"  studio  {page or 'add --hosted to let the hosted Studio page in'}",
            f"  log     {log}",
            "Every run is a thread there. Ctrl-C stops the server and pauses its runs.",
        ):
            say(console, line, indent=10 if line.startswith("  ") else 0)
    sys.stdout.flush()
    if page and browser:
        _open_browser(page, folder)


def _open_browser(page: str, folder: Path) -> None:
    """Through a private file: on a command line everybody on this machine could read the key."""
    path = folder / "open.html"
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f'<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(page)}">')
    webbrowser.open(path.as_uri())
