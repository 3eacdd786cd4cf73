"""Scores of parts: each with an interval, and none is called worse for bad luck."""

from __future__ import annotations

import numpy as np
import pandas as pd

from state.task import Feature
from tests.tools.task_cases import task_of
from tools.segments import score_segments

FEATURES = [
    Feature(name="city", kind="category"),
    Feature(name="floor", kind="numeric"),
    Feature(name="size", kind="numeric"),
    Feature(name="note", kind="text"),
]


def table(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    city = np.array(["Bern", "Genf", "Uri", None], dtype=object)[rng.integers(0, 4, rows)]
    floor = rng.integers(0, 4, rows).astype(float)
    return pd.DataFrame({"city": city, "floor": floor, "size": rng.random(rows), "note": "text"})


def test_a_part_that_is_worse_is_named() -> None:
    """Errors are double in one city; that city is marked, nothing else is, and its interval holds its score."""
    rng = np.random.default_rng(0)
    features = table(800, rng)
    y = rng.normal(size=800)
    error = rng.normal(size=800) * np.where(features["city"] == "Uri", 2.0, 1.0)
    found = score_segments(task_of("mae", 0, features=FEATURES), y, y + error, features)
    assert [one.name for one in found if one.worse] == ["city=Uri"]
    assert {one.name for one in found} >= {"city=missing", "floor=0", "floor=3"}
    assert {one.column for one in found} == {"city", "floor"}
    assert all(one.low <= one.score <= one.high for one in found)
    assert sum(one.rows for one in found if one.column == "city") == 800


def test_parts_that_differ_by_luck_are_not_called_worse() -> None:
    """In 40 tables with nothing to find, a part is called worse in about one of twenty at most."""
    rng = np.random.default_rng(1)
    task, called = task_of("accuracy", 2, features=FEATURES), 0
    for repeat in range(40):
        features = table(400, rng)
        y = rng.integers(0, 2, 400)
        chance = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.3, 400), 0, 1)
        found = score_segments(task, y, np.column_stack([1 - chance, chance]), features, seed=repeat)
        called += any(one.worse for one in found)
    assert called <= 6


def test_groups_are_parts_too() -> None:
    """The groups of a split come first, largest first; small ones and rows without a group are left out."""
    rng = np.random.default_rng(2)
    groups = pd.Series(["north"] * 90 + ["south"] * 60 + ["tiny"] * 5 + [""] * 45)
    y = rng.normal(size=200)
    task = task_of("mae", 0, split="group", group_columns=["region"])
    found = score_segments(task, y, y + rng.normal(size=200), pd.DataFrame(index=range(200)), groups=groups)
    assert [(one.name, one.rows) for one in found] == [("region=north", 90), ("region=south", 60)]
    units = groups.factorize()[0]
    whole = score_segments(
        task, y, y + rng.normal(size=200), pd.DataFrame(index=range(200)), groups=groups, units=units
    )
    assert all(one.high - one.low > 0.1 for one in whole)  # one group: its rows are drawn, there is nothing else


def test_a_perfect_part_is_not_sure() -> None:
    """Every row right in a small part leaves room for a wrong one."""
    rng = np.random.default_rng(5)
    features = table(200, rng)
    y = rng.integers(0, 2, 200)
    chance = np.where(features["city"] == "Uri", y, np.clip(0.3 + 0.4 * y + rng.normal(0, 0.3, 200), 0, 1))
    found = score_segments(task_of("macro_f1", features=FEATURES), y, np.column_stack([1 - chance, chance]), features)
    perfect = next(one for one in found if one.name == "city=Uri")
    assert (perfect.score, perfect.high) == (1.0, 1.0)
    assert 0.7 < perfect.low < 0.97


def test_a_part_without_a_score_is_left_out() -> None:
    """A part with one class only has no area under the curve; the others have."""
    rng = np.random.default_rng(3)
    features = table(300, rng)
    y = rng.integers(0, 2, 300)
    y[(features["city"] == "Bern").to_numpy()] = 1
    chance = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.3, 300), 0, 1)
    found = score_segments(task_of("roc_auc", features=FEATURES), y, np.column_stack([1 - chance, chance]), features)
    assert "city=Bern" not in {one.name for one in found}
    assert "city=Genf" in {one.name for one in found}


def test_large_tables_are_looked_at_in_part() -> None:
    """Scores are of all rows; the spread of a large table is that of its size, not of the rows drawn from."""
    rng = np.random.default_rng(4)
    features = table(40_000, rng)
    y = rng.normal(size=40_000)
    found = score_segments(task_of("mae", 0, features=FEATURES), y, y + rng.normal(size=40_000), features)
    widths = [one.high - one.low for one in found]
    assert max(widths) < 0.05  # 1.2 · 2 · 1.96 / √10,000 for a quarter of the rows
    assert min(widths) > 0.01
