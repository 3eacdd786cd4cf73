"""Real tables for the leak review: those that come with scikit-learn, and the passengers of the demo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from graphs.cli.demo import demo_file
from state.candidate import Check, Finding
from state.profile import Profile
from state.settings import Settings
from state.task import Feature, Prepared, Task
from tools.artifacts import FolderArtifacts
from tools.framing import canonical_labels, frame_task
from tools.intake.table import open_table
from tools.leaks import run_leak_checks
from tools.profiling.profile import profile_table
from tools.splits import deal, prepare

TARGETS = {"iris": "target", "wine": "target", "cancer": "target", "diabetes": "target", "titanic": "Survived"}


@cache
def _read(name: str) -> pd.DataFrame:
    if name == "titanic":
        return open_table(demo_file()).frame
    from sklearn import datasets

    loaders: dict[str, Callable[..., object]] = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }
    table = loaders[name](as_frame=True).frame.astype(float)  # type: ignore[attr-defined]  # a Bunch
    return table.rename(columns=lambda column: str(column).replace(" ", "_"))


def real_table(name: str) -> pd.DataFrame:
    """A copy of one of the tables in `TARGETS`, canonical columns."""
    return _read(name).copy()


@dataclass
class Desk:
    """All the mechanical checks need."""

    artifacts: FolderArtifacts


@dataclass
class Reviewed:
    """A table framed, dealt, prepared and reviewed."""

    desk: Desk
    task: Task
    prepared: Prepared
    profile: Profile
    checks: dict[str, Check]
    findings: list[Finding]

    def of(self, start: str) -> list[Finding]:
        """Findings whose id begins so."""
        return [finding for finding in self.findings if finding.id.startswith(start)]

    def unusual(self) -> list[str]:
        """What was told about a table in which nothing was planted, beside rows that repeat in the table as it is."""
        return [finding.id for finding in self.findings if finding.id != "leak-duplicates"]


def review_table(
    folder: Path,
    frame: pd.DataFrame,
    target: str,
    *,
    keep: str = "",
    test: pd.DataFrame | None = None,
    **settings: object,
) -> Reviewed:
    """Review a table as a build would prepare it. keep: a column that programs get although the profile refuses it."""
    if test is not None:
        settings["test_data"] = "given"
    made = Settings.model_validate({"target": target, **settings})
    profile = profile_table(frame, target, made.intent)
    task = frame_task(made, frame, profile, target)
    if keep and keep not in {one.name for one in task.features}:
        task = task.but(features=[*[one.plain() for one in task.features], Feature(name=keep, kind="numeric").plain()])
    labels, known = canonical_labels(frame[target], task.kind)
    frame = frame[known].reset_index(drop=True)
    desk = Desk(FolderArtifacts(folder))
    given = None if test is None else (test, canonical_labels(test[target], task.kind)[0])
    dealt = deal(task, frame, labels, seed=0)
    spec = desk.artifacts.put_json({})
    prepared = prepare(frame, labels, dealt, task, desk.artifacts, read_spec=spec, source="", test=given)
    checks, findings = run_leak_checks(desk, task, prepared, profile)
    return Reviewed(desk, task, prepared, profile, {check.name: check for check in checks}, findings)


def numeric_columns(frame: pd.DataFrame, target: str) -> list[str]:
    """The columns of numbers beside the target."""
    return [name for name in frame.select_dtypes("number").columns if name != target]


def shaken(frame: pd.DataFrame, target: str, rows: np.ndarray, amount: float = 1e-4) -> pd.DataFrame:
    """Copies of rows with every number moved by a ten-thousandth of its spread, and every text retyped."""
    rng = np.random.default_rng(1)
    copies = frame.iloc[rows].copy()
    for name in frame.columns:
        if name == target:
            continue
        if pd.api.types.is_numeric_dtype(copies[name].dtype):
            copies[name] += amount * float(frame[name].std()) * rng.normal(size=len(copies))
        elif copies[name].dtype.kind in "OUT":
            copies[name] = copies[name].map(lambda text: text if pd.isna(text) else f" {str(text).upper()}  ")
    return pd.concat([frame, copies], ignore_index=True)
