"""modelwright: its own commands on the raw file, with target, metric, intent and limit as the only options."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from toolwork import Work, run, size_mb


def command(work: Work, *arguments: object, out: Path | None = None) -> None:
    """Become the command line, so that nothing of ours is measured with it."""
    environment = {**os.environ, "MODELWRIGHT_HOME": str(work.folder / "home"), "PYTHONPATH": work.root}
    if out is not None:
        target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(target, 1)
    words = [sys.executable, "-m", "modelwright", *map(str, arguments)]
    os.execve(sys.executable, words, environment)


def fit(work: Work) -> None:
    told = ["--target", work.target, "--metric", work.metric, "--intent", work.intent]
    told += ["--time-limit", work.limit, "--json"]
    command(work, "build", work.train, *told, out=work.folder / "summary.json")


def predict(work: Work) -> None:
    command(work, "predict", "last", work.test, "--out", work.folder / "predictions.csv")


def account(work: Work) -> None:
    """The release, loaded as anyone would, and what the run's log says of its own cost."""
    summary = json.loads((work.folder / "summary.json").read_text())
    measured = json.loads((work.folder / "fit-watched.json").read_text())
    release = Path(summary["folder"])
    work.note(
        "account",
        **told(summary),
        sealed_rows=json.loads((release / "manifest.json").read_text())["data"]["test_rows"],
        engine=engine_share(work, measured),
        size_mb=size_mb(release),
        **latency(work, release),
    )


def told(summary: dict[str, Any]) -> dict[str, Any]:
    """What the build said of its outcome."""
    names = ("title", "score", "low", "high", "expected", "test", "candidates", "iterations", "decision", "verdict")
    members = [one["candidate"] for one in summary["members"]]
    return {**{name: summary.get(name) for name in names}, "members": members}


def engine_share(work: Work, measured: dict[str, Any]) -> dict[str, float]:
    sys.path.insert(0, work.root)
    from benchmarks.engineshare import read_share

    return read_share(work.folder / "home" / "catalogue.db", measured["began"], measured["ended"])


def latency(work: Work, release: Path) -> dict[str, float]:
    """Seconds per 1,000 rows of the release's own inference module."""
    sys.path.insert(0, str(release / "model_inference"))
    import inference

    inference.load()
    return work.latency(inference.predict, inference.read(Path(work.test)))


if __name__ == "__main__":
    run(fit, predict, account)
