"""Leaks planted in real tables are found with their rows; the same tables as they are say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.leak_tables import TARGETS, numeric_columns, real_table, review_table, shaken
from tools.leaks.duplicates import NAME as DUPLICATES
from tools.leaks.regroup import regroup
from tools.leaks.routes import columns_to_drop, wants_regrouping

TABLES = list(TARGETS)
OF_VALUES = ["diabetes", "cancer", "wine"]
"""Tables with enough measurements to regress one of them on the others."""
MEASURED = {"diabetes": "target", "cancer": "mean_texture", "wine": "alcohol"}


@pytest.mark.parametrize("name", TABLES)
def test_clean_tables_are_silent(tmp_path: Path, name: str) -> None:
    """Nothing but rows that repeat in the table itself is told, and those without a warning."""
    found = review_table(tmp_path, real_table(name), TARGETS[name])
    assert found.unusual() == []
    assert [one.severity for one in found.findings] in ([], ["info"])


@pytest.mark.parametrize("name", ["wine", "cancer", "titanic"])
def test_copied_rows(tmp_path: Path, name: str) -> None:
    """A tenth of the rows twice: a warning, pairs of equal rows as evidence, and the person is asked."""
    table = real_table(name)
    doubled = pd.concat([table, table.iloc[: len(table) // 10]], ignore_index=True)
    [finding] = review_table(tmp_path, doubled, TARGETS[name], keep="PassengerId" * (name == "titanic")).of(
        "leak-duplicates"
    )
    assert (finding.severity, finding.route) == ("warning", "ask")
    pairs = [[int(word) for word in line.replace("=", "").split() if word.isdigit()] for line in finding.evidence]
    assert all(abs(pair[0] - pair[1]) == len(table) for pair in pairs)


@pytest.mark.parametrize("name", ["wine", "diabetes", "titanic"])
def test_a_table_twice_is_dealt_anew(tmp_path: Path, name: str) -> None:
    """Every row twice leads back to planning: on new folds no row repeats across a border, and the sealed rows stay."""
    table = real_table(name)
    made = review_table(tmp_path, pd.concat([table, table], ignore_index=True), TARGETS[name])
    assert [one.route for one in made.of("leak-duplicates")] == ["fix"]
    wanted, reach = wants_regrouping(made.findings)
    assert wanted
    dealt = regroup(made.desk.artifacts, made.task, made.prepared, reach=reach, seed=0)
    assert dealt is not None
    task, prepared = dealt
    assert prepared.sealed_key == made.prepared.sealed_key
    assert "Dealt anew" in task.split.reason
    from tools.leaks import run_leak_checks

    checks, _ = run_leak_checks(made.desk, task, prepared, made.profile)
    assert next(check for check in checks if check.name == DUPLICATES).status == "passed"


@pytest.mark.parametrize("name", ["iris", "cancer", "titanic"])
def test_shaken_copies(tmp_path: Path, name: str) -> None:
    """A fifth of the rows once more, each number a little off and each text retyped: found, with the pairs."""
    table = real_table(name).drop(columns="PassengerId", errors="ignore")
    rows = np.arange(0, len(table), 5)
    [finding] = review_table(tmp_path, shaken(table, TARGETS[name], rows), TARGETS[name]).of("leak-near-duplicates")
    assert finding.severity == "warning"
    pairs = [[int(word) for word in line.split() if word.isdigit()] for line in finding.evidence]
    assert sum(rows[max(pair) - len(table)] == min(pair) for pair in pairs if max(pair) >= len(table)) >= 4


@pytest.mark.parametrize(("name", "digits"), [("iris", 1), ("wine", 1), ("diabetes", 2)])
def test_coarse_numbers_are_no_copies(tmp_path: Path, name: str, digits: int) -> None:
    """Rows of few digits lie on a grid and near each other by nature."""
    table = real_table(name)
    columns = numeric_columns(table, TARGETS[name])
    table[columns] = (table[columns] / table[columns].std()).round(digits)
    assert review_table(tmp_path, table, TARGETS[name]).of("leak-near") == []


def test_retyped_texts(tmp_path: Path) -> None:
    """Messages with a word changed, in other case or with other marks are copies; the same words in others are not."""
    words = (
        "the quick brown fox jumps over lazy dogs while seven wizards brew potent green tea near quiet rivers".split()
    )
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 14)) + f" {number}" for number in range(200)]
    label = rng.choice(["ham", "spam"], 200)
    plain = pd.DataFrame({"text": np.array(texts, dtype=object), "label": label.astype(object)})
    assert review_table(tmp_path / "a", plain, "label").of("leak-near") == []
    copies = plain.iloc[:40].assign(text=[text.upper().replace(" ", ",  ", 2) + "!" for text in texts[:40]])
    copies["text"] = copies["text"].astype(object)
    [finding] = review_table(tmp_path / "b", pd.concat([plain, copies], ignore_index=True), "label").of("leak-near")
    assert finding.severity == "warning"
    assert "agree" in finding.text


# ---- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "diabetes", "titanic"])
def test_a_column_that_encodes_the_target(tmp_path: Path, name: str) -> None:
    """The target in other numbers must go: an error with the column, whatever it is called."""
    table = real_table(name)
    table["code"] = table[TARGETS[name]] * 3.0 + 7.0
    made = review_table(tmp_path, table, TARGETS[name], keep="code")
    [finding] = made.of("leak-column")
    assert (finding.severity, finding.route, finding.data["column"]) == ("error", "fix", "code")
    assert finding.evidence[0].startswith("row 0: ")
    assert columns_to_drop(made.findings, made.task) == ["code"]


@pytest.mark.parametrize("name", ["cancer", "titanic"])
def test_a_column_that_is_filled_for_one_class_only(tmp_path: Path, name: str) -> None:
    """A date of death tells who died by being there."""
    table = real_table(name)
    rng = np.random.default_rng(0)
    table["closed"] = np.where(table[TARGETS[name]] == 1, rng.normal(size=len(table)), np.nan)
    [finding] = review_table(tmp_path, table, TARGETS[name], keep="closed").of("leak-column")
    assert finding.severity == "error"
    assert "missing" in finding.text


@pytest.mark.parametrize(("name", "way"), [("diabetes", "sum"), ("cancer", "ratio"), ("wine", "ratio")])
def test_two_columns_that_make_up_the_target(tmp_path: Path, name: str, way: str) -> None:
    """Price per unit and units, or parts of a sum: named as a pair, and the person is asked."""
    table, target = real_table(name), MEASURED[name]
    table[target] += 1.0 - table[target].min()
    rng = np.random.default_rng(0)
    part = rng.uniform(0.2, 3.0, len(table)) * table[target].mean()
    table["one"] = part
    table["other"] = table[target] - part if way == "sum" else table[target] / part
    found = review_table(tmp_path, table, target, kind="regression").of("leak-pair")
    assert ["one", "other"] in [finding.data["columns"] for finding in found]
    assert found[0].route == "ask"


@pytest.mark.parametrize("name", OF_VALUES)
def test_columns_made_of_later_targets(tmp_path: Path, name: str) -> None:
    """A lead and a centred mean know the future and must go; a lag and a mean of the past may stay."""
    table, target = real_table(name), MEASURED[name]
    table = table[[target]].assign(day=pd.date_range("2021-01-01", periods=len(table)))
    y = table[target]
    table["lead"] = y.shift(-2).fillna(y.mean()) * 2 + 1
    table["centred"] = y.rolling(5, center=True, min_periods=1).mean()
    table["lag"] = y.shift(2).fillna(y.mean())
    table["past"] = y.shift(1).rolling(4, min_periods=1).mean().fillna(y.mean())
    made = review_table(tmp_path, table, target, time_column="day", kind="regression", keep="lead")
    assert sorted(finding.data["column"] for finding in made.of("leak-future")) == ["centred", "lead"]
    assert {finding.route for finding in made.of("leak-future")} == {"fix"}


# ---- entities, time, drift ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cancer", "diabetes", "titanic"])
@pytest.mark.parametrize("planted", [False, True])
def test_time_travel(tmp_path: Path, name: str, planted: bool) -> None:
    """A random split of a target that moves with a date is told; a date that has nothing to do with it is not."""
    table, rng = real_table(name), np.random.default_rng(0)
    target = TARGETS[name]
    moved = table[target].rank() / len(table) + 0.3 * rng.normal(size=len(table))
    order = moved.rank(method="first") if planted else pd.Series(rng.permutation(len(table)), index=table.index)
    table["seen"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(order.astype(int) // 2, unit="D")
    found = review_table(tmp_path, table, target).of("leak-time-travel")
    assert [(one.severity, one.route, one.data["time_column"]) for one in found] == [
        ("warning", "ask", "seen")
    ] * planted
    assert all("later rows" in one.evidence[0] for one in found)


@pytest.mark.parametrize("name", ["iris", "cancer", "diabetes"])
@pytest.mark.parametrize("planted", [False, True])
def test_entities_known_to_both_sides(tmp_path: Path, name: str, planted: bool) -> None:
    """Batches that go with the target are told when the split does not keep them whole."""
    table, rng = real_table(name), np.random.default_rng(0)
    count = len(table) // 8
    moved = table[TARGETS[name]].rank() / len(table) + 0.1 * rng.normal(size=len(table))
    order = moved.rank(method="first") if planted else pd.Series(rng.permutation(len(table)))
    table["batch_id"] = rng.permutation(count)[((order.astype(int) - 1) * count // len(table)).clip(0, count - 1)]
    found = review_table(tmp_path, table.assign(batch_id=table["batch_id"].astype(float)), TARGETS[name]).of(
        "leak-groups"
    )
    assert [one.severity for one in found] == ["warning"] * planted


@pytest.mark.parametrize("name", ["cancer", "diabetes", "titanic"])
@pytest.mark.parametrize("planted", [False, True])
def test_a_test_file_that_differs(tmp_path: Path, name: str, planted: bool) -> None:
    """A given test file with one column in another unit is told apart, and the column is named."""
    table = real_table(name).drop(columns="PassengerId", errors="ignore")
    rows = np.random.default_rng(0).permutation(len(table))
    train, test = table.iloc[rows[150:]].reset_index(drop=True), table.iloc[rows[:150]].reset_index(drop=True)
    column = "Fare" if name == "titanic" else numeric_columns(table, TARGETS[name])[2]
    if planted:
        test[column] = test[column] * 1.6 + float(table[column].std())
    found = review_table(tmp_path, train, TARGETS[name], test=test).of("drift")
    assert [(one.severity, one.route, one.data["columns"][0]) for one in found] == [
        ("warning", "ask", column)
    ] * planted


def test_later_times_drift_without_a_warning(tmp_path: Path) -> None:
    """In a split by time a drifting column is a remark, and the time itself is none."""
    table = real_table("diabetes").assign(day=pd.date_range("2021-01-01", periods=442))
    table["bmi"] += np.linspace(0, 1, len(table))
    made = review_table(tmp_path, table, "target", time_column="day")
    [finding] = made.of("drift")
    assert (finding.severity, finding.route, finding.data["columns"][0]) == ("info", "report", "bmi")
