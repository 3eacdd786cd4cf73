"""One cell of the comparison: one tool on one set and one seed, measured, scored and kept as a JSON file.

    results/cells/CAMPAIGN/LIMITs/SET/SEED/TOOL.json

A cell that is there is not measured again while it is valid: same tool version, same machine, same split, and measured
beside the same source tree of modelwright (`beside`), so that one table never mixes versions. The peers' may be kept
when modelwright changed; their date is in the cell.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import sets
from benchmarks.provenance import ROOT, commit, machine, tree_hash
from benchmarks.toolbox import OURS, Tool

CELLS = ROOT / "benchmarks" / "results" / "cells"
CORES = 2
FORMAT = 3
_TAIL = 2000


@dataclass(frozen=True)
class Split:
    """The outer split of one set and seed, written to a folder; all tools read the same two files."""

    folder: Path
    one: dict[str, Any]
    seed: int
    reference: dict[str, Any]
    """{trivial, seasonal_naive}: scores of the best constant and of the last known season."""
    truth: Any
    digest: str
    """Of both files' bytes."""
    rows: tuple[int, int]


@contextmanager
def opened_split(data: Path, one: dict[str, Any], seed: int) -> Iterator[Split]:
    """Write train.csv and test.csv of a set and seed to a folder that is removed at the end."""
    train, test = sets.outer_split(sets.raw_table(data, one), one, seed)
    truth = sets.truth_of(one, test)
    sep = one.get("csv", {}).get("sep", ",")
    with tempfile.TemporaryDirectory(prefix="mwb-") as scratch:
        folder = Path(scratch)
        digest = hashlib.sha256()
        for name, table in (("train", train), ("test", test)):
            table.to_csv(folder / f"{name}.csv", index=False, sep=sep)
            digest.update((folder / f"{name}.csv").read_bytes())
        reference = {
            "trivial": sets.constant_score(one, train, truth),
            "seasonal_naive": sets.seasonal_naive_score(one, train, test),
        }
        yield Split(folder, one, seed, reference, truth, digest.hexdigest()[:12], (len(train), len(test)))


def path_of(campaign: str, limit: int, name: str, seed: int, tool: str, cells: Path | None = None) -> Path:
    """Where a cell lies."""
    return (cells or CELLS) / campaign / f"{limit}s" / name / str(seed) / f"{tool}.json"


def read_cell(path: Path) -> dict[str, Any] | None:
    """A cell, or None where there is none, or one of another format, or half a file."""
    try:
        cell = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return cell if isinstance(cell, dict) and cell.get("format") == FORMAT else None


def write_cell(path: Path, cell: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(cell, indent=1, default=str))
    beside.replace(path)


def measure(tool: Tool, split: Split, limit: int) -> dict[str, Any]:
    """Run a tool on a split: fit, predict in a fresh process, account; then score its predictions."""
    one = split.one
    cell: dict[str, Any] = {
        "format": FORMAT,
        "set": one["name"],
        "seed": split.seed,
        "tool": tool.name,
        "limit": limit,
        "metric": one["metric"],
        "time_ordered": one.get("split") == "time",
        "rows": list(split.rows),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(),
        "version": tool.version,
        "beside": tree_hash(),
        "commit": commit(),
        "split": split.digest,
        **split.reference,
        "score": None,
        "failed": None,
    }
    with tempfile.TemporaryDirectory(prefix="mwb-") as scratch:
        work = Path(scratch)
        job = _write_job(work, tool, split, limit)
        cell |= _fitted(work, tool, job, limit)
        if cell["failed"] is None:
            cell |= _predicted(work, tool, job, split)
        if cell["failed"] is None:
            cell |= _accounted(work, tool, job)
    return cell


def _write_job(work: Path, tool: Tool, split: Split, limit: int) -> Path:
    one = split.one
    time_ordered = one.get("split") == "time"
    job = {
        "tool": tool.name,
        "variant": tool.variant,
        "train": str(split.folder / "train.csv"),
        "test": str(split.folder / "test.csv"),
        "target": one["target"],
        "task": one["task"],
        "metric": one["metric"],
        "intent": one["intent"],
        "positive": one.get("positive"),
        "limit": limit,
        "seed": split.seed,
        "cores": CORES,
        "csv": one.get("csv", {}),
        "time_column": one["time_column"] if time_ordered else None,
        "keys": one.get("group_columns", []) if time_ordered else [],
        "work": str(work),
        "root": str(ROOT),
    }
    path = work / "job.json"
    path.write_text(json.dumps(job))
    return path


def _fitted(work: Path, tool: Tool, job: Path, limit: int) -> dict[str, Any]:
    """Wall, CPU and memory of the tool's fit, and whether it failed. The hard limit is three times the limit and a minute."""
    figures = watched(work, tool, job, "fit", deadline=3 * limit + 60)
    found = {name: figures[name] for name in ("wall", "cpu_seconds", "peak_mb", "memory_by", "left_behind")}
    found["failed"] = _failure(work, "fit", figures)
    found["fit"] = _noted(work, "fit")
    return found


def _predicted(work: Path, tool: Tool, job: Path, split: Split) -> dict[str, Any]:
    figures = watched(work, tool, job, "predict", deadline=600)
    if failed := _failure(work, "predict", figures):
        return {"failed": failed}
    found = {"predict_seconds": figures["wall"], "predict_peak_mb": figures["peak_mb"]}
    try:
        predictions = pd.read_csv(work / "predictions.csv", dtype={"prediction": str})
        return {**found, "score": sets.score(split.one, split.truth, predictions)}
    except (OSError, ValueError, KeyError) as error:
        return {**found, "failed": f"its predictions cannot be scored: {type(error).__name__}: {error}"[-_TAIL:]}


def _accounted(work: Path, tool: Tool, job: Path) -> dict[str, Any]:
    """Latency, size and what the tool says of its model. Without it the cell is still good, and says what is missing."""
    figures = watched(work, tool, job, "account", deadline=600)
    if failed := _failure(work, "account", figures):
        return {"account_failed": failed}
    noted = _noted(work, "account")
    return {"latency": noted.pop("latency"), "size_mb": noted.pop("size_mb"), "account": noted}


def watched(work: Path, tool: Tool, job: Path, verb: str, deadline: float) -> dict[str, Any]:
    """Run one verb of a tool under watching.py, which measures and ends it; its figures, see there."""
    spec, out = work / f"{verb}-spec.json", work / f"{verb}-watched.json"
    spec.write_text(
        json.dumps(
            {
                "argv": [str(tool.python), str(tool.script), verb, str(job)],
                "cwd": str(work),
                "env": plain_environment(work),
                "cores": CORES,
                "deadline": deadline,
                "stdout": str(work / f"{verb}.out"),
                "stderr": str(work / f"{verb}.err"),
                "out": str(out),
            }
        )
    )
    # A session of its own: Ctrl-C reaches only us, and we end it with all it started.
    watcher = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks" / "watching.py"), str(spec)], start_new_session=True
    )
    try:
        watcher.wait()
    except BaseException:  # Ctrl-C, mostly: it goes on, with nothing left running
        watcher.terminate()
        watcher.wait()
        raise
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def plain_environment(work: Path) -> dict[str, str]:
    """A person's plain environment: no thread counts set, nothing of ours, offline, scratch files in the cell's folder."""
    ours = ("MODELWRIGHT_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    return {**kept, "TMPDIR": str(scratch), "HF_HUB_OFFLINE": "1", "LANGSMITH_TRACING": "false"}


def _failure(work: Path, verb: str, figures: dict[str, Any]) -> str | None:
    told = (work / f"{verb}.err").read_text(errors="replace").strip() or "nothing on standard error"
    if figures["killed"]:
        return f"{told[-_TAIL:]}\n{verb} did not end: killed after {figures['wall']:.0f} s"
    if figures["code"] == 0:
        return None
    return f"{verb} ended with code {figures['code']}: {told[-_TAIL:]}"


def _noted(work: Path, part: str) -> dict[str, Any]:
    path = work / f"{part}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def set_aside(paths: list[Path], cells: Path | None = None) -> None:
    """Move cells out of the table, to `aside/`, where they can still be looked at; a second one replaces the first."""
    root = cells or CELLS
    for path in paths:
        place = root / "aside" / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, place)


def is_valid(cell: dict[str, Any], tool: Tool, *, beside: str, keep_peers: bool) -> bool:
    """Whether a cell may stand in a table with modelwright's tree `beside`."""
    if cell["version"] != tool.version or cell["machine"] != machine():
        return False
    return cell["beside"] == beside or (keep_peers and tool.name != OURS)
