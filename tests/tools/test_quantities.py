"""Durations and numbers with units: read as numbers, told in the unit, and read alike by a release."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tools.intake.table import open_table, table_from_frame
from tools.intake.types import infer_column
from tools.portable.quantities import duration, parse_quantities
from tools.portable.reading import parse_number, read_table
from tools.release.examples import input_csv


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3h 20min", 12_000),
        ("00:12:30", 750),
        ("1 day 4 hours", 100_800),
        ("2h30m", 9_000),
        ("-90 s", -90),
        ("1 days 03:20:00", 98_400),
        ("PT3H20M", 12_000),
        ("1,5 h", 5_400),
        ("250 ms", 0.25),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    """In words, by the clock, and in ISO 8601."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "12 kg", "h", "10-20", "3 h until 5 h"])
def test_other_texts_are_no_durations(text: str) -> None:
    """Texts without a number, of other units, or with more around them."""
    assert np.isnan(duration(text))


def test_a_column_of_quantities_becomes_numbers_and_says_so(home: Path, tmp_path: Path) -> None:
    """Units and durations are taken off with a note, mixed units of one kind are converted, a release reads the same."""
    rows = 40
    frame = pd.DataFrame(
        {
            "weight": [f"{10 + row / 4} kg" if row % 3 else f"{10_000 + 250 * row} g" for row in range(rows)],
            "took": [f"{row % 5 + 1}h {row % 60}min" for row in range(rows)],
            "speed": [f"{20 + row} km/h" for row in range(rows)],
            "y": np.arange(rows),
        }
    )
    frame.loc[3, "weight"] = "unknown"
    path = tmp_path / "things.csv"
    frame.to_csv(path, index=False)
    table = open_table(path)
    assert {name: table.spec["columns"][name].get("unit") for name in frame} == {
        "weight": "kg",
        "took": "duration",
        "speed": "km/h",
        "y": None,
    }
    assert table.frame["weight"][6] == pytest.approx(11.5)
    assert np.isnan(table.frame["weight"][3])
    assert table.frame["took"][7] == 3 * 3600 + 7 * 60
    assert any("numbers in kg" in note for note in table.notes)
    assert any("seconds" in note for note in table.notes)
    pd.testing.assert_frame_equal(read_table(path, table.spec), table.frame)
    # Example rows of a release are written without the unit.
    (tmp_path / "rows.csv").write_bytes(input_csv(table.frame, table.spec))
    pd.testing.assert_frame_equal(read_table(tmp_path / "rows.csv", table.spec), table.frame)


@pytest.mark.parametrize(
    "values",
    [
        ["1st", "2nd", "3rd"],
        ["12 Jan", "13 Feb", "14 Mar"],
        ["5 kg", "3 m", "7 s"],
        ["12:30", "13:45", "09:10"],
        ["2 doors", "4 doors", "2 doors"],
        ["10 Downing St", "221b Baker St", "4 Privet Drive"],
        ["3A", "4B", "5C"],
    ],
)
def test_what_only_resembles_quantities_stays_as_it_was(values: list[str]) -> None:
    """Ordinals, dates, units of different kinds, times of day, kinds, addresses and codes."""
    column = infer_column(pd.Series(values * 15, name="x", dtype=object))
    assert column.unit is None


def test_thousands_and_decimal_signs_go_with_units() -> None:
    """The signs of a unit's numbers are found as for plain ones."""
    table = table_from_frame(
        pd.DataFrame({"area": [f"{row + 1}.{row:03d},5 m2" for row in range(30)], "y": np.arange(30.0)})
    )
    assert table.frame["area"].tolist() == [1000 * (row + 1) + row + 0.5 for row in range(30)]
    assert parse_quantities(["5", "7 t", "x"], "kg", lambda text: parse_number(text)).tolist()[:2] == [5.0, 7000.0]
