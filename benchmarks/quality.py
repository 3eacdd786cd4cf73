"""`make bench-quality`: modelwright against HistGradientBoosting on every set, several seeds, resumable by cell.

Each cell is one JSON file in benchmarks/results/cells; a cell that is there is not measured again. Both tools run back
to back on one set, in processes of their own, on the same cores. Writes benchmarks/results/quality.json and prints the
table that docs/benchmarks.md holds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import sets

ROOT = Path(__file__).resolve().parent
CELLS = ROOT / "results" / "cells"


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent.parent / "shared" / "datasets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=60, help="seconds for modelwright")
    parser.add_argument("--only", nargs="*", default=[], help="names of sets")
    parser.add_argument("--table", action="store_true", help="print the table of what is measured, measure nothing")
    options = parser.parse_args()
    chosen = [one for one in sets.load_sets(options.data) if not options.only or one["name"] in options.only]
    if not options.table:
        for seed in range(options.seeds):
            for one in chosen:
                cell(options.data, one, seed, options.limit)
    report = table(chosen, options.seeds, options.limit)
    print(report)


def cell(folder: Path, one: dict[str, Any], seed: int, limit: int) -> None:
    """Measure one set and seed with both tools, unless it is there."""
    place = CELLS / f"{one['name']}-{seed}-{limit}s.json"
    if place.is_file():
        return
    train, test = sets.outer_split(sets.raw_table(folder, one), one, seed)
    truth = sets.truth_of(one, test)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        sep = one.get("csv", {}).get("sep", ",")
        train.to_csv(work / "train.csv", index=False, sep=sep)
        test.to_csv(work / "test.csv", index=False, sep=sep)
        found: dict[str, Any] = {"set": one["name"], "seed": seed, "limit": limit, "date": time.strftime("%Y-%m-%d")}
        found["constant"] = sets.constant_score(one, train, truth)
        found["seasonal_naive"] = sets.seasonal_naive_score(one, train, test)
        found["boosting"] = run_boosting(work, one, seed, truth)
        found["modelwright"] = run_modelwright(work, one, limit, truth)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found, indent=1))
    ours, theirs = found["modelwright"].get("score"), found["boosting"].get("score")
    print(
        f"{one['name']:<24} seed {seed}  modelwright {ours}  boosting {theirs}  {found['modelwright']['wall']:.1f} s",
        flush=True,
    )


def run_modelwright(work: Path, one: dict[str, Any], limit: int, truth: Any) -> dict[str, Any]:
    """The command line on the raw file, with target, metric, intent and limit as the only options."""
    environment = {**os.environ, "MODELWRIGHT_HOME": str(work / "home")}
    command = [sys.executable, "-m", "modelwright", "build", str(work / "train.csv")]
    command += ["--target", one["target"], "--metric", one["metric"], "--intent", one["intent"]]
    command += ["--time-limit", str(limit), "--json"]
    began = time.monotonic()
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT.parent)
    wall = time.monotonic() - began
    if built.returncode:
        return {"wall": wall, "failed": built.stderr[-2000:]}
    summary = json.loads(built.stdout)
    command = [
        sys.executable,
        "-m",
        "modelwright",
        "predict",
        "last",
        str(work / "test.csv"),
        "--out",
        str(work / "ours.csv"),
    ]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT.parent)
    latency = time.monotonic() - began
    if done.returncode:
        return {"wall": wall, "failed": done.stderr[-2000:]}
    predictions = pd.read_csv(work / "ours.csv", dtype={"prediction": str})
    return {
        "score": sets.score(one, truth, predictions),
        "wall": wall,
        "predict_seconds": latency,
        "oof": summary["score"],
        "test": summary["test"],
        "title": summary["title"],
        "members": [member["candidate"] for member in summary["members"]],
        "candidates": summary["candidates"],
        "decision": summary["decision"],
    }


def run_boosting(work: Path, one: dict[str, Any], seed: int, truth: Any) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.boosting",
        "--train",
        str(work / "train.csv"),
        "--test",
        str(work / "test.csv"),
    ]
    command += ["--target", one["target"], "--task", one["task"], "--csv", json.dumps(one.get("csv", {}))]
    command += ["--seed", str(seed), "--out", str(work / "theirs.csv")]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT.parent)
    wall = time.monotonic() - began
    if done.returncode:
        return {"wall": wall, "failed": done.stderr[-2000:]}
    return {"score": sets.score(one, truth, pd.read_csv(work / "theirs.csv", dtype={"prediction": str})), "wall": wall}


def table(chosen: list[dict[str, Any]], seeds: int, limit: int) -> str:
    """One row per set: mean scores, error ratio to boosting, wall seconds; what is not reached is marked."""
    lines = [
        "| set | metric | constant | seasonal naive | boosting | modelwright | error ratio | wall s | reached |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    summary = []
    for one in chosen:
        cells = [
            json.loads(path.read_text())
            for path in (CELLS / f"{one['name']}-{seed}-{limit}s.json" for seed in range(seeds))
            if path.is_file()
        ]
        if not cells:
            continue
        row = _row(one, cells)
        summary.append(row)
        lines.append(
            f"| {row['set']} | {row['metric']} | {_n(row['constant'])} | {_n(row['seasonal_naive'])} | {_n(row['boosting'])} "
            f"| {_n(row['modelwright'])} | {_n(row['ratio'])} | {_n(row['wall'])} | {row['reached']} |"
        )
    (ROOT / "results").mkdir(exist_ok=True)
    (ROOT / "results" / "quality.json").write_text(json.dumps(summary, indent=1) + "\n")
    return "\n".join(lines)


def _row(one: dict[str, Any], cells: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    ours = mean([cell["modelwright"].get("score") for cell in cells])
    theirs = mean([cell["boosting"].get("score") for cell in cells])
    constant = mean([cell["constant"] for cell in cells])
    naive = mean([cell["seasonal_naive"] for cell in cells])
    ratio = None if ours is None or theirs is None else sets.error(one, ours) / sets.error(one, theirs)
    good = ours is not None and constant is not None and sets.error(one, ours) < sets.error(one, constant)
    good = good and (naive is None or (ours is not None and sets.error(one, ours) < sets.error(one, naive)))
    reached = "yes" if good and ratio is not None and ratio <= 1.02 else "no"
    return {
        "set": one["name"],
        "metric": one["metric"],
        "seeds": len(cells),
        "constant": constant,
        "seasonal_naive": naive,
        "boosting": theirs,
        "modelwright": ours,
        "ratio": ratio,
        "wall": max(cell["modelwright"]["wall"] for cell in cells),
        "reached": reached,
    }


def _n(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()
