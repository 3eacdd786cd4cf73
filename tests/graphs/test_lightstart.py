"""Commands that drive a run leave out of their start what no step uses, and nobody misses it."""

from __future__ import annotations

import subprocess
import sys

from tests.support.command import ROOT

PROGRAM = """
import sys
from graphs.cli.lightstart import PACKAGES, start_lightly
start_lightly()
import graphs.session
spared = {"httpx", "websockets", "langgraph_sdk.client", "langsmith.types.run"} & set(sys.modules)
assert not spared, spared

import langgraph_sdk, langsmith.types
from langgraph_sdk import Auth, get_client
from langgraph_sdk.client import get_client as same
from langsmith.types import Run
assert get_client is same is langgraph_sdk.get_client
assert Auth is langgraph_sdk.Auth and langgraph_sdk.__version__
assert Run is langsmith.types.Run
assert {type(sys.modules[name]).__name__ for name in PACKAGES} == {"module"}
try:
    langgraph_sdk.nothing_of_that_name
except AttributeError as error:
    print(error)
start_lightly()  # a second time changes nothing
assert get_client is langgraph_sdk.get_client
"""


def test_what_is_spared_comes_when_it_is_asked_for() -> None:
    """A driving process has no HTTP client loaded; whoever asks for one gets the real one, errors included."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "module 'langgraph_sdk' has no attribute 'nothing_of_that_name'" in done.stdout
