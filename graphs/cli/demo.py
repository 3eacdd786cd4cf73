"""The data set that comes with modelwright."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def demo_file() -> Path:
    """Path of the bundled table: the passengers of the Titanic, facts in the public record (Encyclopedia Titanica)."""
    return Path(__file__).resolve().parent / "titanic.csv"


def demo_settings() -> dict[str, Any]:
    return {
        "data": str(demo_file()),
        "target": "Survived",
        "intent": "Predict which Titanic passengers survived.",
        "metric": "roc_auc",
        "name": "titanic-demo",
    }
