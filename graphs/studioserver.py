"""The process of the LangGraph server that `modelwright studio` starts, and how it ends.

It is what `langgraph dev` runs, called where its settings can be given: without files of pickles, without a search for
another port's owner, and with an end to the wait for open streams. The process lives as long as its standard input is
open. So it ends when it is told to, and also when the command that started it was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from importlib import import_module
from typing import Any

from graphs.studioguard import Keys, settings_of_http, use_keys

RUNS_AT_A_TIME = 4
STREAM_SECONDS = 5
"""How long open streams may hold up the end."""


def server_settings(hosted: bool) -> dict[str, Any]:
    """What the server is to serve; `langgraph.json` of a checkout says the same."""
    return {
        "graphs": {
            "modelwright": {
                "path": "modelwright:make_graph",
                "description": "Data and an intent in, a reviewed model folder and a report out",
            }
        },
        "checkpointer": {"path": "modelwright.make_checkpointer"},
        "auth": {"path": "modelwright:studio_auth", "disable_studio_auth": True},
        "http": settings_of_http(hosted),
    }


def main() -> None:
    """Serve until standard input ends. Its first line says how: {host, port, token, page}, the last two as digests."""
    told = json.loads(sys.stdin.readline())
    use_keys(Keys(told["token"], told["page"]))
    threading.Thread(target=_end_with_input, name="modelwright-end", daemon=True).start()
    # By name, since it comes without types.
    import_module("langgraph_api.cli").run_server(
        told["host"],
        told["port"],
        reload=False,
        open_browser=False,
        n_jobs_per_worker=RUNS_AT_A_TIME,
        disable_persistence=True,
        timeout_graceful_shutdown=STREAM_SECONDS,
        proxy_headers=False,
        server_header=False,
        **server_settings(bool(told["page"])),
    )


def _end_with_input() -> None:
    """Wait for the end of standard input; then pause the runs and end the server."""
    sys.stdin.read()
    from graphs.desks import stop_lending

    stop_lending()
    os.kill(os.getpid(), signal.SIGTERM)
