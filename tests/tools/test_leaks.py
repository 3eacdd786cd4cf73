"""The leak review: planted leaks are found with their rows, clean data pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.candidate import Check, Finding
from state.settings import Settings
from state.task import Feature
from tools.artifacts import FolderArtifacts
from tools.framing import canonical_labels, frame_task
from tools.leaks import run_leak_checks
from tools.profiling.profile import profile_table
from tools.splits import Dealt, deal, prepare

RNG = np.random.default_rng(0)


@dataclass
class Desk:
    artifacts: FolderArtifacts


def reviewed(
    tmp_path: Path,
    frame: pd.DataFrame,
    target: str,
    keep: str = "",
    swap: bool = False,
    **settings: object,
) -> tuple[dict[str, Check], list[Finding]]:
    """Frame, deal, prepare and review a table. `keep`: a column to use although it was excluded; `swap`: break the deal."""
    made = Settings.model_validate(settings)
    profile = profile_table(frame, target, made.intent)
    task = frame_task(made, frame, profile, target)
    if keep:
        task = task.but(features=[*[one.plain() for one in task.features], Feature(name=keep, kind="numeric").plain()])
    labels, known = canonical_labels(frame[target], task.kind)
    frame = frame[known].reset_index(drop=True)
    dealt = deal(task, frame, labels, seed=0)
    if swap:  # one training row of the first fold trades places with a sealed one
        opened, sealed = dealt.open_rows.copy(), dealt.sealed_rows.copy()
        opened[0], sealed[0] = sealed[0], opened[0]
        dealt = Dealt(opened, sealed, dealt.folds)
    desk = Desk(FolderArtifacts(tmp_path))
    spec = desk.artifacts.put_json({})
    prepared = prepare(frame, labels, dealt, task, desk.artifacts, read_spec=spec, source="")
    checks, findings = run_leak_checks(desk, task, prepared, profile)
    return {check.name: check for check in checks}, findings


def clean(rows: int = 300) -> pd.DataFrame:
    x = RNG.normal(size=(rows, 3))
    return pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=x[:, 0] + RNG.normal(size=rows))


def test_clean_data_pass(tmp_path: Path) -> None:
    """Nothing is found in a table without leaks; what does not apply is skipped, not passed."""
    checks, findings = reviewed(tmp_path, clean(), "y")
    assert findings == []
    assert {name: check.status for name, check in checks.items()} == {
        "duplicates across borders": "passed",
        "near duplicates across borders": "passed",
        "groups across borders": "skipped",
        "time order": "skipped",
        "time travel": "skipped",
        "columns that know the future": "skipped",
        "columns that give the target away": "passed",
        "pairs of columns that give the target away": "passed",
        "training and sealed rows look alike": "passed",
    }
    assert all((check.extent == "skipped") == (check.status == "skipped") for check in checks.values())


def test_repeated_rows_are_found_with_their_places(tmp_path: Path) -> None:
    """A tenth of the rows copied: a warning that names pairs of equal rows."""
    frame = clean()
    frame = pd.concat([frame, frame.iloc[:40]], ignore_index=True)
    checks, findings = reviewed(tmp_path, frame, "y")
    assert checks["duplicates across borders"].status == "found"
    finding = findings[0]
    assert finding.severity == "warning"
    one, other = (int(part.split()[-1]) for part in finding.evidence[0].split(" = "))
    assert abs(one - other) == 300


def test_repeated_features_with_other_targets_are_no_warning(tmp_path: Path) -> None:
    """Equal descriptions with different outcomes flatter no score."""
    frame = clean()
    frame = pd.concat([frame, frame.iloc[:40].assign(y=RNG.normal(size=40))], ignore_index=True)
    _, findings = reviewed(tmp_path, frame, "y")
    assert [finding.severity for finding in findings] == ["info"]


def test_few_combinations_are_no_leak(tmp_path: Path) -> None:
    """Three yes-or-no columns repeat by nature."""
    frame = pd.DataFrame(RNG.integers(0, 2, (300, 3)).astype(float), columns=["a", "b", "c"])
    checks, findings = reviewed(tmp_path, frame.assign(y=RNG.normal(size=300)), "y")
    assert findings == []
    assert "few combinations" in checks["duplicates across borders"].detail


@pytest.mark.parametrize("swap", [False, True])
def test_a_group_on_both_sides_is_an_error(tmp_path: Path, swap: bool) -> None:
    """An honest grouped deal passes; one traded row is found."""
    frame = clean().assign(patient_id=np.repeat(np.arange(30.0), 10))
    checks, findings = reviewed(tmp_path, frame, "y", swap=swap, group_columns=["patient_id"])
    assert checks["groups across borders"].status == ("found" if swap else "passed")
    assert [finding.severity for finding in findings if finding.id == "leak-groups"] == ["error"] * swap


@pytest.mark.parametrize("swap", [False, True])
def test_later_times_in_training_are_an_error(tmp_path: Path, swap: bool) -> None:
    """A deal forward in time passes; one row from the future is found."""
    frame = clean().assign(day=pd.date_range("2020-01-01", periods=300))
    checks, findings = reviewed(tmp_path, frame, "y", swap=swap, time_column="day")
    assert checks["time order"].status == ("found" if swap else "passed")
    assert [finding.severity for finding in findings if finding.id == "leak-time"] == ["error"] * swap


@pytest.mark.parametrize(("effect", "found"), [(0.0, []), (1.0, [("info", "ask")]), (4.0, [("warning", "ask")])])
def test_known_entities_that_tell_the_target_are_remarked_on(
    tmp_path: Path, effect: float, found: list[tuple[str, str]]
) -> None:
    """A random split over shops is no error; what the score means is said where the shop matters for the target."""
    shop = RNG.integers(0, 30, 300)
    frame = clean().assign(shop_code=shop.astype(float))
    frame["y"] += effect * RNG.normal(size=30)[shop]
    _, findings = reviewed(tmp_path, frame, "y")
    told = [finding for finding in findings if finding.topic == "groups"]
    assert [(finding.severity, finding.route) for finding in told] == found
    assert all("not for new ones" in finding.text and finding.evidence[0].startswith("shop_code") for finding in told)


@pytest.mark.parametrize(
    ("leak", "severity"),
    [
        (lambda y: y, "error"),
        (lambda y: 3 * y + 2, "error"),
        (lambda y: np.exp(y), "warning"),
    ],
)
def test_columns_that_give_the_target_away(tmp_path: Path, leak: object, severity: str) -> None:
    """Copies and encodings must go, columns that are merely too good are a warning; both name the column."""
    frame = clean().assign(leak=lambda table: leak(table["y"]))  # type: ignore[operator]
    _, findings = reviewed(tmp_path, frame, "y", keep="leak" if severity == "error" else "")
    assert [(finding.data["column"], finding.severity) for finding in findings] == [("leak", severity)]
    assert findings[0].evidence[0].startswith("row 0:") or "row" in findings[0].evidence[0]


def test_a_class_in_disguise(tmp_path: Path) -> None:
    """A renamed class column that a program would see is an error."""
    frame = clean().assign(y=lambda table: np.where(table["y"] > 0, "high", "low"))
    frame = frame.assign(y=frame["y"].astype(object), leak=np.where(frame["y"] == "high", 8.0, 5.0))
    _, findings = reviewed(tmp_path, frame, "y", keep="leak")
    assert [(finding.data["column"], finding.severity) for finding in findings] == [("leak", "error")]
