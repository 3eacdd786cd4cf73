"""What the tools of the quality benchmark share: reading their job, tables, and writing predictions and figures.

Each tool is a script of its own beside this file, run as

    python tool_NAME.py fit|predict|account JOB.json

fit        takes train.csv, target, metric and limit, and leaves a model in the job's folder. Its wall is the tool's wall.
predict    a fresh process: loads that model, reads test.csv, writes predictions.csv.
account    not timed from outside: how quick a loaded model predicts, how big it is, what it is made of; account.json.

JOB.json: {tool, variant, train, test, target, task, metric, intent, positive, limit, seed, cores, csv, time_column, keys,
work, root}. task: binary, multiclass or regression · positive: the positive label as in the file, or null · csv: arguments
of `pandas.read_csv` · time_column: of sets split in time, else null · keys: columns that name a series · work: folder of
this cell · root: the project's folder.
predictions.csv: one line per test row, `prediction` and, for classes, `proba_<label>` for each.

This file runs in the peers' environment as well as in ours, so it imports nothing but pandas.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

LEAST_ROWS = 1000
"""Latency is told per this many rows; smaller tables are repeated, so that a call's fixed cost weighs the same."""


@dataclass(frozen=True)
class Work:
    """One job of a tool, see the module's docstring."""

    told: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.told[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def folder(self) -> Path:
        """Where the tool may write."""
        return Path(self.told["work"])

    @property
    def model(self) -> Path:
        """Where its model lies."""
        return self.folder / "model"

    @property
    def classes(self) -> bool:
        return bool(self.told["task"] != "regression")

    def table(self, name: str) -> pd.DataFrame:
        """`train` or `test` as pandas reads it."""
        return pd.read_csv(self.told[name], **self.told["csv"])

    def training(self) -> tuple[pd.DataFrame, pd.Series]:
        """Fields and labels of the rows whose label is known."""
        frame = self.table("train")
        frame = frame[frame[self.told["target"]].notna()].reset_index(drop=True)
        return frame.drop(columns=self.told["target"]), frame[self.told["target"]]

    def fields(self) -> pd.DataFrame:
        """The test rows without their labels."""
        return self.table("test").drop(columns=self.told["target"])

    def note(self, part: str, **figures: Any) -> None:
        """Leave figures for the cell; part: `fit` or `account`."""
        (self.folder / f"{part}.json").write_text(json.dumps(figures, default=str))

    def write(self, prediction: Any, shares: Any = None, labels: Any = ()) -> None:
        """Write predictions.csv. shares: (rows, classes) in the order of `labels`."""
        table = pd.DataFrame({"prediction": list(prediction)})
        for place, label in enumerate(labels):
            table[f"proba_{label}"] = shares[:, place]
        table.to_csv(self.folder / "predictions.csv", index=False)

    def latency(self, predict: Callable[[pd.DataFrame], Any], fields: pd.DataFrame | None = None) -> dict[str, float]:
        """Seconds per 1,000 rows of a loaded model: one call on the test rows, after one on its first five.

        Where rows stand for themselves, a small test table is repeated to at least 1,000 rows.
        """
        rows = self.fields() if fields is None else fields
        if self.told["time_column"] is None and len(rows) < LEAST_ROWS:
            rows = pd.concat([rows] * -(-LEAST_ROWS // len(rows)), ignore_index=True)
        predict(rows.head(5))
        began = time.perf_counter()
        predict(rows)
        return {"latency": (time.perf_counter() - began) / len(rows) * 1000, "latency_rows": len(rows)}


def size_mb(folder: Path) -> float:
    """Megabytes (10^6 bytes) of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def in_time_order(work: Work, fields: pd.DataFrame, labels: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """The rows sorted by the job's time column, which is read as dates; as they are without one."""
    column = work.time_column
    if column is None:
        return fields, labels
    fields = with_dates(work, fields)
    order = fields[column].argsort(kind="stable")
    return fields.iloc[order].reset_index(drop=True), labels.iloc[order].reset_index(drop=True)


def with_dates(work: Work, fields: pd.DataFrame) -> pd.DataFrame:
    """The job's time column as dates."""
    column = work.time_column
    if column is None:
        return fields
    # As text first: a year that was read as a number would be taken for nanoseconds.
    return fields.assign(**{column: pd.to_datetime(fields[column].astype(str), format="mixed")})


def run(fit: Callable[[Work], None], predict: Callable[[Work], None], account: Callable[[Work], None]) -> None:
    """The script's entry: does what its first argument says."""
    work = Work(json.loads(Path(sys.argv[2]).read_text()))
    {"fit": fit, "predict": predict, "account": account}[sys.argv[1]](work)
