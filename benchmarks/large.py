"""`make bench-large`: peak memory and wall of whole builds on tables of 100,000, 500,000 and 1,000,000 rows.

    python -m benchmarks.large [--write] [--folder build/large] [further options of benchmarks.quality]

The tables are drawn, so that nothing is downloaded: numbers (one with a long tail, some missing), categories of 5 to 400
values, dates, flags, and a target of interactions and noise. Cells are those of the campaign `large`; --write puts the
table between its markers in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import quality
from benchmarks.cells import path_of, read_cell
from benchmarks.provenance import ROOT
from benchmarks.publishing import DOCS, put_between
from benchmarks.toolbox import OURS

SIZES = (("rows_100k", 100_000, 30, 1.5), ("rows_500k", 500_000, 30, 3.0), ("rows_1m", 1_000_000, 50, 4.0))
"""Name, rows that modelwright reads, columns, and the gigabytes that are to be enough."""
HELD_BACK = 0.25
"""Share of the rows that the harness keeps for its own test, as of every set."""
_PLAIN_COLUMNS = 8
"""Columns that are not plain numbers."""


def table(rows: int, columns: int, seed: int = 0) -> pd.DataFrame:
    """A drawn table of so many rows and columns, and the target `y`."""
    draw = np.random.default_rng(seed)
    data: dict[str, Any] = {f"n{place}": draw.normal(size=rows).round(4) for place in range(columns - _PLAIN_COLUMNS)}
    codes = {name: draw.integers(0, values, rows) for name, values in (("c0", 5), ("c1", 30), ("c2", 400))}
    data |= {name: np.char.add("v", code.astype(str)) for name, code in codes.items()}
    data["tail"] = np.exp(draw.normal(size=rows)).round(3)
    data["count"] = draw.integers(0, 50, rows)
    data["flag"] = draw.integers(0, 2, rows)
    data["share"] = draw.random(rows).round(3)
    days = np.datetime64("2020-01-01") + draw.integers(0, 1000, rows).astype("timedelta64[D]")
    data["day"] = np.datetime_as_string(days, unit="D")
    signal = data["n0"] * data["n1"] + np.sin(2 * data["n2"]) + data["flag"] * data["tail"] / 2 + codes["c1"] % 7 / 5
    frame = pd.DataFrame(data)
    for name in ("n3", "tail", "c0"):
        frame.loc[draw.random(rows) < 0.05, name] = None
    frame["y"] = np.where(signal + draw.normal(size=rows) > np.median(signal), "yes", "no")
    return frame


def make(folder: Path) -> None:
    """Draw the tables into a folder, unless they are there."""
    if (folder / "datasets.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for name, rows, columns, _ in SIZES:
        drawn = table(round(rows / (1 - HELD_BACK)), columns)
        drawn.to_csv(folder / f"{name}.csv", index=False)
        told.append(
            {
                "name": name,
                "file": f"{name}.csv",
                "task": "binary",
                "target": "y",
                "positive": "yes",
                "metric": "roc_auc",
                "intent": "Predict y.",
                "origin": "drawn by benchmarks/large.py",
                "licence": "CC0-1.0",
                "rows": len(drawn),
                "columns": columns,
            }
        )
    (folder / "datasets.json").write_text(json.dumps(told, indent=1))


def text(limit: int) -> str:
    """Markdown: one row per size that is measured."""
    lines = [
        "| rows | columns | peak GB | to be enough, GB | wall s | ROC AUC | commit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows, columns, enough in SIZES:
        cell = read_cell(path_of("large", limit, name, 0, OURS))
        if cell is None:
            lines.append(f"| {rows:,} | {columns} | not measured | {enough:g} | | | |")
            continue
        score = "failed" if cell["score"] is None else f"{cell['score']:.4f}"
        peak = f"{cell['peak_mb'] / 1000:.2f}"
        lines.append(
            f"| {rows:,} | {columns} | {peak} | {enough:g} | {cell['wall']:.1f} | {score} | {cell['commit'][:7]} |"
        )
    return f"Limit {limit} s, two cores.\n\n" + "\n".join(lines)


def main() -> None:
    """Draw what is missing, measure what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "large")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--limit", type=int, default=60)
    options, rest = parser.parse_known_args()
    make(options.folder)
    given = ["--data", str(options.folder), "--name", "large", "--seeds", "1", "--limit", str(options.limit)]
    quality.main([*given, "--tools", OURS, *rest])
    if options.write:
        put_between(DOCS, "large", text(options.limit))
    print(text(options.limit))


if __name__ == "__main__":
    main()
