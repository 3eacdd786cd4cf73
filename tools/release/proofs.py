"""What a check of a release comes to, and when two tables of predictions count as the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from state.records import Record
from tools.release.manifest import machine
from tools.release.running import Runner

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-6
"""Largest relative difference of predictions on another machine or with other versions."""
Name = Literal["files", "manifest", "examples", "data", "rebuild"]


class Proof(Record):
    """What one check of a release came to."""

    name: Name
    status: Literal["passed", "failed", "skipped"]
    detail: str
    problems: list[str] = Field(default_factory=list)
    """For files: each difference, `path: what`."""


def passed(name: Name, detail: str) -> Proof:
    """The check was made and held."""
    return Proof(name=name, status="passed", detail=detail)


def failed(name: Name, detail: str, problems: list[str] | None = None) -> Proof:
    """The check was made and did not hold."""
    return Proof(name=name, status="failed", detail=detail, problems=problems or [])


def skipped(name: Name, why: str) -> Proof:
    """The check was not made."""
    return Proof(name=name, status="skipped", detail=why)


def table_of(path: Path) -> pd.DataFrame:
    """A CSV file with every cell as the text it is."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)


def compared(name: Name, got: pd.DataFrame, wanted: pd.DataFrame, differing: list[str], what: str) -> Proof:
    """Whether predictions are equal; to 1e-6 of their size where the environment differs in what `differing` says."""
    if list(got.columns) != list(wanted.columns) or len(got) != len(wanted):
        detail = f"{len(got)} lines with the columns {list(got.columns)} came for {len(wanted)} {what}"
        return failed(name, detail)
    if got.equals(wanted):
        return passed(name, f"{len(got)} {what}: predictions equal")
    gap = _largest_gap(got, wanted)
    detail = f"{len(got)} {what}: largest relative difference {gap:.2g}"
    if not differing:
        return failed(name, f"{detail}, on the same machine with the same versions")
    judged = passed if gap <= TOLERANCE else failed
    return judged(name, f"{detail} ({', '.join(differing)})")


def _largest_gap(got: pd.DataFrame, wanted: pd.DataFrame) -> float:
    """Largest difference of two tables of texts, relative to the value or to its column's mean size, the larger one.

    Infinite where a text that is no number differs, and where a number is not finite.
    """
    import numpy as np
    import pandas as pd

    largest = 0.0
    for name in wanted.columns:
        one, other = (pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float) for table in (got, wanted))
        if not (np.isfinite(one).all() and np.isfinite(other).all()):
            if not got[name].equals(wanted[name]):
                return float("inf")
            continue
        scale = np.maximum(np.abs(other), np.abs(other).mean() if len(other) else 1.0)
        gap = np.abs(one - other) / np.maximum(scale, np.finfo(float).tiny)
        largest = max(largest, float(gap.max(initial=0.0)))
    return largest


def differing_from(manifest: dict[str, Any], runner: Runner) -> list[str]:
    """In what the environment of the programs differs from the one that built the release."""
    there = {**manifest["versions"], "Python": manifest["python"]}
    here = runner.versions(list(manifest["versions"]))
    found = [
        f"{name} {here[name]} instead of {there[name]}" for name in there if here.get(name, there[name]) != there[name]
    ]
    return found + (["another machine"] if machine() != manifest["machine"] else [])
