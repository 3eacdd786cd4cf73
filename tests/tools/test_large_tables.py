"""Large tables: what is read, stored and predicted in parts is the same as whole, and is held in memory once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.recipe_cases import CASES
from tools.executors import harness
from tools.intake.table import open_table
from tools.portable import reading, tables
from tools.recipes.catalogue import find_recipe
from tools.recipes.parts.dense import narrow_numbers
from tools.recipes.parts.folds import some_rows
from tools.recipes.recipe import most_rows


def _csv(rows: int) -> bytes:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=rows).round(3),
            "whole": rng.integers(0, 50, rows),
            "text": [f'says "{row}",\nthen ends' if row % 7 == 0 else f"naïve {row}" for row in range(rows)],
            "day": pd.date_range("2020-01-01", periods=rows, freq="h").astype(str),
            "y": rng.integers(0, 2, rows),
        }
    )
    frame.loc[5, "text"] = np.nan
    return frame.to_csv(index=False).encode()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_large_file_is_read_as_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    """Quotes, line breaks in cells, accents, missing cells: pyarrow and pandas read the same cells and types."""
    path = tmp_path / "table.csv"
    path.write_bytes(_csv(300).replace(b"\n", ends.encode()) if ends != "\n" else _csv(300))
    small = open_table(path)
    monkeypatch.setattr(reading, "LARGE_FILE", 1)
    large = open_table(path)
    assert large.spec == small.spec
    assert large.notes == small.notes
    pd.testing.assert_frame_equal(large.frame, small.frame)


def test_rows_of_odd_width_are_left_to_the_careful_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short rows are filled as ever, and rows that are too long are refused with their line."""
    monkeypatch.setattr(reading, "LARGE_FILE", 1)
    assert reading.parse_csv(b"a,b,c\n1,2,3\n4,5\n", {}).iloc[2].tolist()[:2] == ["4", "5"]
    with pytest.raises(reading.BrokenCsvError, match="line 3: 4 fields"):
        reading.parse_csv(b"a,b,c\n1,2,3\n1,2,3,4\n", {})


def test_rows_of_a_stored_table_come_alone(tmp_path: Path) -> None:
    """Rows by position, in the asked order and as often as asked, are those of the whole table."""
    texts = pd.Series([f"t{row % 9}" if row % 4 else np.nan for row in range(50)], dtype=object)
    frame = pd.DataFrame({"x": np.arange(50.0), "t": texts})
    tables.write_arrow(frame, tmp_path / "t.arrow")
    rows = np.array([7, 3, 3, 49, 0])
    part = tables.read_arrow(tmp_path / "t.arrow", rows=rows)
    pd.testing.assert_frame_equal(part, frame.iloc[rows].reset_index(drop=True))


def test_numbers_of_a_large_table_stay_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are mapped, outlive the file's name, and pandas copies them before it changes anything."""
    frame = pd.DataFrame({"x": np.arange(1000.0), "t": pd.Series(["a", "b"] * 500, dtype=object)})
    path = tmp_path / "t.arrow"
    tables.write_arrow(frame, path)
    monkeypatch.setattr(tables, "LARGE_FILE", 1)
    mapped = tables.read_arrow(path)
    assert not mapped["x"].to_numpy().flags.writeable
    path.unlink()
    pd.testing.assert_frame_equal(mapped, frame)
    part = mapped.iloc[10:20].reset_index(drop=True)
    part.loc[0, "x"] = -1.0
    assert (part["x"].iloc[0], mapped["x"].iloc[10]) == (-1.0, 10.0)


def test_predictions_in_batches_are_those_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job predicts many rows in parts, which changes no prediction; parts of different shapes are refused."""
    frame = pd.DataFrame({"x": np.arange(25.0)})

    class Doubling:
        @staticmethod
        def predict(model: Any, X: pd.DataFrame) -> np.ndarray:
            assert X.index[0] == 0
            return np.asarray(X["x"] * 2)

    class Odd:
        @staticmethod
        def predict(model: Any, X: pd.DataFrame) -> np.ndarray:
            return np.zeros((len(X), 1 + int(X["x"].iloc[0])))

    monkeypatch.setattr(harness, "BATCH", 10)
    assert np.array_equal(harness._predict(Doubling, None, frame), frame["x"] * 2)  # type: ignore[arg-type]
    with pytest.raises(harness.BadOutputError, match="different shapes"):
        harness._predict(Odd, None, frame)  # type: ignore[arg-type]


def test_the_encoded_table_is_narrow_and_models_that_keep_it_learn_from_a_part() -> None:
    """float32 throughout, infinities missing; a plan for a million rows names how many rows it learns from."""
    frame = pd.DataFrame({"a": [1.5, np.inf, 1e300], "b": [np.nan, -2.0, 3.0]})
    matrix = narrow_numbers(frame, ["a", "b"])
    assert matrix.dtype == np.float32
    assert np.isnan(matrix[1:, 0]).all()
    case = CASES["binary"]()
    large = case.profile.but(rows=1_000_000)
    for recipe in ("linear", "forest", "histogram", "text"):
        assert 0 < find_recipe(recipe).variants(case.task, large)[0].params["most"] < 1_000_000
        assert find_recipe(recipe).variants(case.task, case.profile)[0].params["most"] == 0
    assert most_rows(1_000, 1e9) == 0
    y = pd.Series(np.arange(3))
    kept, labels = some_rows(frame, y, 2, 1)
    assert kept.index.tolist() == [0, 1]
    assert kept["b"].tolist()[-1] == frame["b"][labels.iloc[-1]]
    assert some_rows(frame, y, 3, 1)[0] is frame
