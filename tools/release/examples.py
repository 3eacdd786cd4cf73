"""examples/ of a release: a few rows, written so that its own reader gets them back, and their predictions."""

from __future__ import annotations

from typing import Any

import pandas as pd

from state.errors import ModelwrightError
from state.jobs import Job, Limits, Receipt
from tools.artifacts import ArtifactStore

_PREDICTIONS = "predictions.csv"


def example_job(
    files: dict[str, str], rows: pd.DataFrame, read_spec: dict[str, Any], *, artifacts: ArtifactStore, limits: Limits
) -> Job:
    """The job that lets a release predict its example rows, from the very files that are published.

    files: path in the release → reference, as `runtime_files` gives them. `example_predictions` reads the receipt.
    """
    return Job(
        kind="script",
        files={
            **{f"release/{path}": reference for path, reference in files.items()},
            "input.csv": artifacts.put(input_csv(rows, read_spec)),
        },
        params={
            "argv": [
                "release/model_inference/inference.py",
                *("--input", "in/input.csv"),
                *("--output", f"out/{_PREDICTIONS}"),
            ]
        },
        limits=limits,
        label="example rows",
    )


def example_predictions(receipt: Receipt, *, artifacts: ArtifactStore) -> pd.DataFrame:
    """The output table of an `example_job`, every cell as the text it was written as."""
    if not receipt.ok:
        raise ModelwrightError(
            f"the released model could not predict its example rows: {receipt.error or receipt.status}",
            hint="`modelwright log` shows what the inference program said",
        )
    with artifacts.get(receipt.outputs[_PREDICTIONS]) as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False, na_filter=False)


def input_csv(rows: pd.DataFrame, read_spec: dict[str, Any]) -> bytes:
    """Rows as a CSV file in the dialect of the read spec. Missing values are empty fields.

    rows: canonical columns (float64, datetime64[ns], text with NaN), feature columns only or more.
    """
    table = pd.DataFrame({name: _spelled(rows[name], read_spec) for name in rows.columns}, dtype=object)
    escape = read_spec.get("escape")
    text: str = table.to_csv(
        index=False,
        header=bool(read_spec.get("header", True)),
        sep=read_spec.get("delimiter") or ",",
        quotechar=read_spec.get("quotechar") or '"',
        escapechar=escape,
        lineterminator="\n",
    )
    return text.encode(read_spec.get("encoding") or "utf-8", errors="replace")


def predictions_csv(table: pd.DataFrame) -> bytes:
    """The output table as inference.py writes it."""
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")


def _spelled(values: pd.Series, read_spec: dict[str, Any]) -> pd.Series:
    """A column as texts the spec reads back as the same values."""
    column = read_spec["columns"].get(values.name, {})
    if column.get("type") == "number":
        mark = column.get("decimal") or read_spec.get("decimal") or "."
        return values.astype("float64").astype(object).map(lambda number: _number(number, mark), na_action="ignore")
    if column.get("type") == "datetime":
        pattern = column.get("format")
        return values.astype(object).map(lambda moment: _moment(moment, pattern), na_action="ignore")
    return values


def _number(number: float, mark: str) -> str:
    """Shortest text that reads back as the same number; integers without a fraction, as people write them."""
    whole = number.is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else repr(float(number)).replace(".", mark)


def _moment(moment: pd.Timestamp, pattern: str | None) -> str:
    if not pattern or pattern == "ISO8601":
        return str(moment.isoformat(sep=" "))
    if pattern == "%Y Q%q":
        return f"{moment.year} Q{moment.quarter}"
    return str(moment.strftime(pattern))
