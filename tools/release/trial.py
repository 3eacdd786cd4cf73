"""Stand-alone driver of an inference trial: runs a release's inference program on real and on odd rows.

Executed as a script job in a process of its own, from a folder that holds `release/` (the runtime files) and
`rows.parquet` (real rows as read, target included). Imports nothing but the release's inference program and pandas.

Writes to the working folder what the trials in `--only` make, by default all of them: whole.csv (the command line, on all
rows), reordered.csv (columns reversed), single.csv (row by row), odd.csv (missing values and unseen categories), speed.json
(milliseconds of predictions; a file of its own, since it differs from one time to the next); and trial.json
({"problems": [...]}).
"""

import argparse
import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pandas as pd


def main() -> int:
    """Run every trial; a trial that fails becomes a problem in trial.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--singles", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=["speed", *TRIALS], default=["speed", *TRIALS])
    options = parser.parse_args()
    problems: list[str] = []
    sys.path.insert(0, str(options.release / "model_inference"))
    rows = pd.read_parquet(options.rows)
    if "speed" in options.only:
        Path("speed.json").write_text(json.dumps(run_clock(rows)))
    for name, trial in TRIALS.items():
        if name not in options.only:
            continue
        try:
            trial(options, rows)
        except Exception:  # noqa: BLE001 - whatever a written inference program does is a finding, not our failure
            problems.append(f"{name}: {traceback.format_exc(limit=-3)}")
    Path("trial.json").write_text(json.dumps({"problems": problems}))
    return 0


def run_clock(rows: pd.DataFrame) -> dict[str, float]:
    """Milliseconds of the first prediction, which imports and loads, then of one row and of 1,000, the best of a few.

    Empty when a prediction fails: the trials say so.
    """
    many = pd.concat([rows] * (1000 // max(1, len(rows)) + 1), ignore_index=True).head(1000)
    try:
        found = {"first call": _timed(rows.head(1))}
        found["1 row"] = _quickest(rows.head(1))
        found["1000 rows"] = _quickest(many)
    except Exception:  # noqa: BLE001 - whatever a written inference program does is a finding of the trials
        return {}
    return found


def _quickest(frame: pd.DataFrame) -> float:
    """The best of three times, of one where that is long."""
    once = _timed(frame)
    return once if once > 150 else min(once, _timed(frame), _timed(frame))


def _timed(frame: pd.DataFrame) -> float:
    started = time.perf_counter()
    predict(frame)
    return round(1000 * (time.perf_counter() - started), 3)


def run_whole(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    """The command line as a user runs it, on all rows."""
    code = released().main(["--input", str(options.rows), "--output", "whole.csv"])
    if code:
        raise RuntimeError(f"inference.py ended with {code} on {len(rows)} real rows")


def run_reordered(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    """The same rows with their columns in reverse order."""
    predict(rows[rows.columns[::-1]]).to_csv("reordered.csv", index=False)


def run_single(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    """The first rows, each on its own."""
    some = rows.head(options.singles)
    parts = [predict(some.iloc[[position]].reset_index(drop=True)) for position in range(len(some))]
    pd.concat(parts).to_csv("single.csv", index=False)


def run_odd(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    """Rows with every column missing in turn, all missing at once, and text that was never seen (but for pictures)."""
    row = rows.head(1)
    odd = []
    for name in list(rows.columns)[:40]:
        one = row.copy()
        one[name] = None
        odd.append(one)
    unseen = row.copy()
    for name in rows.columns:
        if str(row[name].iloc[0]).startswith("image:"):  # a picture: other text there is no image, and rightly refused
            continue
        if not pd.api.types.is_numeric_dtype(rows[name]) and not pd.api.types.is_datetime64_any_dtype(rows[name]):
            unseen[name] = "never seen before"
    predict(pd.concat([*odd, unseen], ignore_index=True)).to_csv("odd.csv", index=False)


def released() -> Any:
    """The inference program of the release that is tried; its folder is on the path."""
    return importlib.import_module("inference")


def predict(frame: pd.DataFrame) -> pd.DataFrame:
    """The release's own predict function."""
    table: pd.DataFrame = released().predict(frame)
    return table


TRIALS = {"whole file": run_whole, "columns reordered": run_reordered, "row by row": run_single, "odd rows": run_odd}

if __name__ == "__main__":
    sys.exit(main())
