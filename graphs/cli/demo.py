"""The data set that comes with modelwright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphs.cli.gathering import gather_settings
from state.settings import Settings
from tools.store import open_catalogue

NAME = "titanic-demo"
TIME_LIMIT = "60s"


def demo_file() -> Path:
    """Path of the bundled table: the passengers of the Titanic, facts in the public record (Encyclopedia Titanica)."""
    return Path(__file__).resolve().parent / "titanic.csv"


def demo_settings(given: dict[str, Any]) -> Settings:
    """What the demo builds; options and environment may change its limits. No project's TOML is read."""
    fixed = {
        "data": str(demo_file()),
        "target": "Survived",
        "intent": "Predict which Titanic passengers survived.",
        "metric": "roc_auc",
        "name": _free_name(),
    }
    return gather_settings({**given, **fixed}, None, project=False, defaults={"time_limit": TIME_LIMIT})


def _free_name() -> str:
    """`titanic-demo`, with a number when there was a demo before."""
    catalogue = open_catalogue()
    try:
        taken = {row.name for row in catalogue.runs()}
    finally:
        catalogue.close()
    name, count = NAME, 2
    while name in taken:
        name, count = f"{NAME}-{count}", count + 1
    return name
