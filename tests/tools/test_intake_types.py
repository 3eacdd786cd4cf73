"""What columns hold: numbers, dates, text; and what is read as missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tools.intake.column import STANDARD_MISSING, Column
from tools.intake.types import file_signs, infer_column, infer_columns
from tools.portable import reading


def look(values: Any, name: str = "c") -> Column:
    return infer_column(pd.Series(values, name=name))


def said(column: Column) -> str:
    return " ".join(" ".join(remark) for remark in column.remarks)


def test_plain_numbers_are_numbers() -> None:
    """Whole numbers, decimals, exponents, years and signs."""
    for values in (["1", "2", "30"], ["0.5", "-1.25", "+3"], ["1e5", "2E-3", "7"], ["1999", "2004", "2020"]):
        assert look(values * 10).type == "number"


@pytest.mark.parametrize("rows", [60, 6000])
def test_standard_markers_are_missing_and_said(rows: int) -> None:
    """A question mark in a column of numbers is missing, in short and in long columns."""
    column = look([str(i) if i % 3 else "?" for i in range(rows)])
    assert column.type == "number"
    assert f"'?' was read as missing {rows // 3}" in said(column)


_LONG = 25_000


@pytest.mark.parametrize(
    "late",
    ["7", "007", "1.5", "1e3", "1.234", "?", "", "NaN", "#VALUE!", "inf", "word", str(2**60), "+4", "-0", " 8"],
)
@pytest.mark.parametrize("form", ["{}", "{}.25", "{}.000", "1.{:03d}"])
def test_long_columns_are_judged_as_short_ones(late: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick way through long columns finds what the thorough one does, also what comes after the rows it begins with."""
    values = pd.Series([form.format(i % 500 + 1) for i in range(_LONG)] + [late] * 3, name="c", dtype="str")
    quick = infer_column(values)
    numbers = reading.conform(values.to_frame(), {"columns": {"c": quick.spec(".", None)}, "missing": STANDARD_MISSING})
    monkeypatch.setattr(reading, "LARGE", 10**9)
    thorough = infer_column(values)
    assert quick == thorough
    expected = reading.conform(
        values.to_frame(), {"columns": {"c": quick.spec(".", None)}, "missing": STANDARD_MISSING}
    )
    pd.testing.assert_frame_equal(numbers, expected)
    if quick.numbers is not None:
        np.testing.assert_array_equal(quick.numbers, expected["c"])


def test_words_for_missing_count_only_among_numbers_and_dates() -> None:
    """none, - and unknown are missing between numbers or dates, and categories in text."""
    assert look(["none", "1.5", "-", "2.5", "unknown", "3.5"] * 5).type == "number"
    dates = look([f"2020-01-{i % 28 + 1:02d}" for i in range(30)] + ["unknown"] * 10)
    assert dates.type == "datetime"
    assert "'unknown'" in said(dates)
    assert look(["none", "co-applicant", "guarantor"] * 10).type == "text"
    assert look(["unknown", "none", "-"] * 10).type == "text"
    assert look(["< 0 DM", "unknown", "> 200 DM"] * 10).type == "text"


def test_na_among_two_letter_codes_is_a_code() -> None:
    """North America is not missing; elsewhere NA is."""
    codes = look(["EU", "NA", "AS", "SA"] * 10)
    assert codes.missing is not None
    assert "NA" not in codes.missing
    assert look(["MALE", "NA", "FEMALE"] * 10).missing is None


def test_codes_and_long_numbers_stay_text() -> None:
    """007, postal codes and numbers beyond 2^53 keep every digit."""
    assert look([f"{i:03d}" for i in range(30)]).type == "text"
    assert look(["02134", "94110", "10001"] * 10).type == "text"
    assert look([f"{i:05d}" for i in range(6000)]).type == "text"
    long = look([str(2**60 + i) for i in range(30)])
    assert long.type == "text"
    assert "too long to be exact" in said(long)
    assert look(np.arange(30) + 2**60).type == "text"


def test_amounts_are_numbers_and_said() -> None:
    """Currency, per cent and thousands are understood and told."""
    money = look([f"${1000 + i:,}.50" for i in range(30)])
    assert (money.type, money.decimal, money.thousands) == ("number", ".", ",")
    assert "Currency" in said(money)
    assert "Per cent" in said(look([f"{i}%" for i in range(30)]))
    comma = look([f"{i},5" for i in range(30)])
    assert (comma.decimal, comma.thousands) == (",", None)


def test_an_ambiguous_comma_follows_the_rest_of_the_file() -> None:
    """1,234 is a thousand where other columns have decimal points, and a decimal where they have commas."""
    unclear = [f"{i + 1},{i:03d}" for i in range(30)]
    points = pd.DataFrame({"a": unclear, "b": [f"{i}.5" for i in range(30)]})
    commas = pd.DataFrame({"a": unclear, "b": [f"{i},5" for i in range(30)]})
    assert infer_columns(points)["a"].thousands == ","
    assert infer_columns(commas)["a"].decimal == ","
    assert infer_columns(points[["a"]])["a"].thousands == ","
    assert infer_columns(points[["a"]], semicolons=True)["a"].decimal == ","
    dotted = pd.DataFrame({"a": [f"{i + 1}.{i:03d}" for i in range(30)], "b": [f"{i},5" for i in range(30)]})
    found = infer_columns(dotted)
    assert (found["a"].decimal, found["a"].thousands) == (",", ".")
    assert file_signs(found) == (",", ".")


def test_few_unreadable_cells_are_missing_many_make_text() -> None:
    """Below two in a hundred they are dropped and said; above, the column stays text."""
    few = look([str(i) for i in range(200)] + ["abc", "n5"])
    assert few.type == "number"
    assert "'abc'" in said(few)
    assert look([str(i) for i in range(200)] + [f"x{i}" for i in range(20)]).type == "text"
    assert look([str(i) for i in range(60)] + ["not measured"] * 20).type == "number"


def test_infinite_cells_are_kept_track_of() -> None:
    """Rows and texts of the first infinite cells are known."""
    assert look(["1", "2"] * 20 + ["1e400", "inf"]).infinite == [(40, "1e400"), (41, "inf")]
    assert look([1.0] * 30 + [np.inf]).infinite == [(30, "inf")]


@pytest.mark.parametrize(
    ("example", "form"),
    [
        ("%Y-%m-%d", "ISO8601"),
        ("%Y-%m", "ISO8601"),
        ("%Y-%m-%dT%H:%M:%S", "ISO8601"),
        ("%Y %b", "%Y %b"),
        ("%b %Y", "%b %Y"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d-%b-%Y", "%d-%b-%Y"),
        ("%B %d, %Y", "%B %d, %Y"),
        ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M %p"),
        ("%d/%m/%y", "%d/%m/%y"),
        ("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M"),
        ("%G W%V", "%G W%V"),
    ],
)
def test_date_formats_are_found(example: str, form: str) -> None:
    """Common ways to write dates and periods."""
    stamps = pd.date_range("2001-01-03", periods=80, freq="17D") + pd.Timedelta(hours=7)
    column = look([stamp.strftime(example) for stamp in stamps])
    assert (column.type, column.format) == ("datetime", form)


def test_quarters_are_dates() -> None:
    """1956 Q1 is a quarter."""
    assert look([f"{1956 + i // 4} Q{i % 4 + 1}" for i in range(40)]).format == "%Y Q%q"


def test_day_or_month_first_is_decided_from_the_data_and_said() -> None:
    """A day above 12 decides; else the order of rows; else a habit, and the person is told."""
    ordered = pd.to_datetime([f"2020-{month:02d}-{day:02d}" for month in range(1, 13) for day in (4, 8, 11)])
    by_day = [stamp.strftime("%d/%m/%Y") for stamp in ordered]
    by_month = [stamp.strftime("%m/%d/%Y") for stamp in ordered]
    assert look(by_day).format == "%d/%m/%Y"
    assert "order of time" in said(look(by_day))
    assert look(by_month).format == "%m/%d/%Y"
    unclear = look(["01/02/2020", "05/05/2020", "03/03/2020"] * 10)
    assert unclear.format == "%m/%d/%Y"
    assert "does not tell" in said(unclear)


def test_time_zones_and_packed_dates() -> None:
    """Zoned times become UTC and say so; yyyymmdd is a date only where the name says so."""
    zoned = look([f"2020-01-{i % 28 + 1:02d}T10:00:00+02:00" for i in range(30)])
    assert "UTC" in said(zoned)
    packed = [f"202001{i % 28 + 1:02d}" for i in range(30)]
    assert look(packed, "order_date").format == "%Y%m%d"
    assert look(packed, "amount").type == "number"
    assert look([str(1990 + i) for i in range(30)], "year").type == "number"
    assert look([int(text) for text in packed], "date").format == "%Y%m%d"


@pytest.mark.parametrize(
    "values",
    [
        ["10-20", "30-40", "50-60"],
        ["1.2.3", "1.10.2", "2.0.1"],
        ["12:30", "13:45", "09:10"],
        ["A/5 21171", "PC 17599", "113803"],
        ["555-1234", "555-9876", "555-1111"],
        ["may be", "march on", "sat down"],
        ["True", "False", "True"],
        ["GATTACA", "CCGT", "AAA"],
        ["192.168.0.1", "10.0.0.1", "8.8.8.8"],
    ],
)
def test_what_resembles_dates_and_numbers_stays_text(values: list[str]) -> None:
    """Ranges, versions, times, tickets, phone numbers, words and addresses."""
    assert look(values * 15).type == "text"


def test_typed_columns_keep_their_meaning() -> None:
    """Booleans and categories are text, durations numbers, nullable integers numbers."""
    assert look(pd.array([True, None] * 15, dtype="boolean")).type == "text"
    assert look(pd.Categorical([1, 2, 3] * 10)).type == "text"
    assert look(pd.array([1, None] * 15, dtype="Int64")).type == "number"
    assert look(pd.to_timedelta(np.arange(30), unit="h")).type == "number"
    assert look(pd.date_range("2020-01-01", periods=30, tz="UTC")).type == "datetime"
    assert "several types" in said(look([1, "a", None, 2.5] * 10))
    assert look(["", "", "NA"] * 10).type == "number"
