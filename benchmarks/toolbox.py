"""The tools that are compared: which script, which environment, and what makes a measured cell of one still valid."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.provenance import ROOT, SOURCE, tree_hash

PEERS = ROOT / "benchmarks" / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
OURS = "modelwright"
ANCHORS = ("autogluon_best", "autogluon_medium")
_SHARED = ("benchmarks/peers/toolwork.py", "benchmarks/sets.py", "benchmarks/watching.py")


@dataclass(frozen=True)
class Tool:
    """One column of the comparison."""

    name: str
    title: str
    script: Path
    variant: str = ""
    peer: bool = True
    """True when it runs in the peers' environment."""
    timed: bool = True
    """True when it is told the limit; boosting takes the seconds it takes."""
    only_time: bool = False
    """True when it is for sets split in time only; it stands beside the table then, and is neither anchor nor ranked."""

    @property
    def python(self) -> Path:
        return PEERS_PYTHON if self.peer else Path(sys.executable)

    @property
    def version(self) -> str:
        """A hash of all that a cell of this tool depends on: its script, what all share, and its environment's pins.

        modelwright's is that of its own source tree too.
        """
        own = [self.script.relative_to(ROOT).as_posix()] if self.script.is_relative_to(ROOT) else []
        pins = ["benchmarks/peers/requirements.txt"] if self.peer else ["constraints.txt"]
        return tree_hash([*_SHARED, *own, *pins, *(SOURCE if self.name == OURS else [])])


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(OURS, "modelwright", PEERS / "tool_modelwright.py", peer=False),
        Tool("autogluon_best", "AutoGluon best", PEERS / "tool_autogluon.py", "best_quality"),
        Tool("autogluon_medium", "AutoGluon medium", PEERS / "tool_autogluon.py", "medium_quality"),
        Tool("flaml", "FLAML", PEERS / "tool_flaml.py"),
        Tool("boosting", "boosting", PEERS / "tool_boosting.py", peer=False, timed=False),
        Tool("autogluon_series", "AutoGluon series", PEERS / "tool_series.py", "best_quality", only_time=True),
    )
}
