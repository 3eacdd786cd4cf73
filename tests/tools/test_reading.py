"""Reading a file by its spec, as a release does it."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tools.intake_files import write, write_xlsx
from tools.portable import reading


def spec(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "version": 1,
        "format": "csv",
        "delimiter": ",",
        "encoding": "utf-8",
        "decimal": ".",
        "thousands": None,
        "missing": ["", "NA", "?"],
        "quotechar": '"',
        "sheet": None,
        "columns": {
            "n": {"type": "number", "format": None},
            "t": {"type": "text", "format": None},
            "d": {"type": "datetime", "format": "ISO8601"},
        },
    }
    return {**base, **changes}


PLAIN = "n,t,d\n1.5,x,2020-01-31\n?,NA,\n-2e3,none,2020-02-01\n"


def check(frame: pd.DataFrame) -> None:
    assert [frame[name].dtype.name for name in frame] == ["float64", "object", "datetime64[ns]"]
    np.testing.assert_array_equal(frame["n"], [1.5, np.nan, -2000.0])
    assert frame["t"].tolist()[::2] == ["x", "none"]
    assert frame["t"].isna().tolist() == [False, True, False]
    assert frame["d"].tolist()[::2] == [pd.Timestamp("2020-01-31"), pd.Timestamp("2020-02-01")]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace("x", "\x00x").encode(),
        gzip.compress(PLAIN.encode()),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace("x", '"x"').replace("\n-", "\n\n-").encode(),
    ],
    ids=["plain", "BOM and CRLF", "CR", "UTF-16", "NUL", "gzip", "other delimiter", "quotes and blank lines"],
)
def test_ways_to_write_the_same_table_read_the_same(tmp_path: Path, content: bytes) -> None:
    """However the bytes are written, the table is the same; the name of the file does not matter."""
    check(reading.read_table(write(tmp_path, "table.data", content), spec()))


def test_parquet_excel_and_zip_are_told_by_content(tmp_path: Path) -> None:
    """A spec made from a CSV reads Parquet, Excel and a zipped file as well."""
    typed = pd.DataFrame(
        {"n": [1.5, None, -2000.0], "t": ["x", None, "none"], "d": pd.to_datetime(["2020-01-31", None, "2020-02-01"])}
    )
    typed.to_parquet(tmp_path / "a.csv")
    check(reading.read_table(tmp_path / "a.csv", spec()))
    rows = [["n", "t", "d"], [1.5, "x", "2020-01-31"], ["?", "NA", ""], [-2000, "none", "2020-02-01"]]
    check(reading.read_table(write_xlsx(tmp_path / "b.csv", {"empty": [], "data": rows}), spec()))
    with zipfile.ZipFile(tmp_path / "c.csv", "w") as archive:
        archive.writestr("inner.csv", PLAIN)
    check(reading.read_table(tmp_path / "c.csv", spec()))


def test_rows_keep_number_and_order_also_with_blank_cells(tmp_path: Path) -> None:
    """In a file of one column a blank line is a missing value, not a row less."""
    one = spec(columns={"n": {"type": "number", "format": None}})
    frame = reading.read_table(write(tmp_path, "one.csv", "n\n1\n\n3\n"), one)
    np.testing.assert_array_equal(frame["n"], [1.0, np.nan, 3.0])


def test_too_many_fields_name_the_line_and_never_shift(tmp_path: Path) -> None:
    """A long row is an error with its file line, counted over quoted line breaks; a short one is filled."""
    short = write(tmp_path, "short.csv", "n,t,d\n1,x\n2,y,2020-01-01\n")
    assert reading.read_table(short, spec())["d"].isna().tolist() == [True, False]
    long = write(tmp_path, "long.csv", 'n,t,d\n1,"two\nlines",2020-01-01\n2,y,2020-01-01,9\n')
    with pytest.raises(ValueError, match=r"long\.csv: line 4: 4 fields where the header has 3"):
        reading.read_table(long, spec())
    every = write(tmp_path, "every.csv", "n,t,d\n" + "0,1,x,2020-01-01\n" * 3)
    with pytest.raises(ValueError, match="all 3 rows have 4 fields"):
        reading.read_table(every, spec())


def test_an_open_quote_names_where_it_starts(tmp_path: Path) -> None:
    """A quote that is never closed is told with the line it starts on."""
    path = write(tmp_path, "quote.csv", 'n,t,d\n1,x,\n2,"open,\n3,y,\n')
    with pytest.raises(ValueError, match="line 3: a quote is opened and never closed"):
        reading.read_table(path, spec())


def test_missing_columns_are_all_named_and_extra_ones_kept(tmp_path: Path) -> None:
    """All absent columns are listed at once; columns the spec does not know stay as they are."""
    with pytest.raises(ValueError, match=r"missing columns: 'n', 'd'; found: 't', 'more'"):
        reading.read_table(write(tmp_path, "a.csv", "t,more\nx,1\n"), spec())
    frame = reading.read_table(write(tmp_path, "b.csv", "more,d,t,n\n1,2020-01-01,x,2\n"), spec())
    assert list(frame.columns) == ["more", "d", "t", "n"]
    assert frame["more"].tolist() == ["1"]


def test_damaged_and_dense_archives_are_refused(tmp_path: Path) -> None:
    """A truncated gzip and a decompression bomb end as a message."""
    packed = gzip.compress(PLAIN.encode() * 50)
    with pytest.raises(ValueError, match="truncated"):
        reading.read_table(write(tmp_path, "cut.gz", packed[: len(packed) // 2]), spec())
    with pytest.raises(ValueError, match="bomb"):
        reading.read_table(write(tmp_path, "bomb.gz", gzip.compress(b"n\n" + b"0" * 50_000_000)), spec())


def test_undecodable_bytes_name_line_and_offset(tmp_path: Path) -> None:
    """What is no text in the spec's encoding is told with its place."""
    with pytest.raises(ValueError, match=r"line 2: byte b'\\xe9' at offset 7"):
        reading.read_table(write(tmp_path, "latin.csv", b"n,t,d\n1\xe9,x,\n"), spec())
    frame = reading.read_table(write(tmp_path, "cp.csv", "n,t,d\n1,café,\n".encode("cp1252")), spec(encoding="cp1252"))
    assert frame["t"].tolist() == ["café"]
    frame = reading.read_table(write(tmp_path, "utf.csv", "n,t,d\n1,café,\n"), spec(encoding="cp1252"))
    assert frame["t"].tolist() == ["café"]


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "number"),
    [
        ("$1,234.50", ".", ",", 1234.5),
        ("€5", ".", None, 5),
        ("12 %", ".", None, 12),
        ("1.234,5", ",", ".", 1234.5),
        ("1 234,5", ",", " ", 1234.5),
        ("(1,200)", ".", ",", -1200),
        ("−5", ".", None, -5),
        ("USD 5", ".", None, 5),
        ("1.5e-3", ".", None, 0.0015),
    ],
)
def test_amounts_are_numbers(text: str, decimal: str, thousands: str | None, number: float) -> None:
    """Currency, per cent, brackets and separators are understood."""
    assert reading.parse_number(text, decimal, thousands) == number


@pytest.mark.parametrize("text", ["0,123", "1,2,3", "1_0", "5 km", "2-3", "1 2", "", "abc", "0x1F", "12:30"])
def test_what_only_resembles_a_number_is_none(text: str) -> None:
    """Groups of other than three digits, units, ranges and codes are no numbers."""
    assert np.isnan(reading.parse_number(text, ".", ","))


def test_quick_and_careful_number_reading_agree() -> None:
    """Long columns are read another way than short ones, to the same last bit."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=reading.LARGE) * 10.0 ** rng.integers(-12, 12, reading.LARGE)
    texts = pd.Series([repr(float(value)) for value in values])
    texts.iloc[::7] = "NA"
    quick = reading.to_numbers(texts, missing=["NA"])
    careful = np.concatenate([reading.to_numbers(texts.iloc[:100]), reading.to_numbers(texts.iloc[100:4000])])
    np.testing.assert_array_equal(quick[:4000], careful)
    assert reading.plain_numbers(texts, ["NA"]) is not None
    assert reading.plain_numbers(pd.Series(["1", "$2"])) is None


def test_infinite_numbers_become_missing() -> None:
    """No infinity reaches a model, whichever way it came."""
    assert np.isnan(reading.to_numbers(pd.Series(["inf", "-inf", "1e400"]))).all()
    assert np.isnan(reading.to_numbers(pd.Series([np.inf, -np.inf]))).all()


def test_dates_of_every_kind() -> None:
    """Time zones become UTC, periods their first day, impossible dates missing."""
    assert str(reading.parse_datetimes(["2020-01-01 10:00+02:00"], None)[0]) == "2020-01-01T08:00:00.000000000"
    quarters = reading.parse_datetimes(["1956 Q1", "1957-Q4", "Q1"], "%Y Q%q")
    assert [str(stamp)[:10] for stamp in quarters] == ["1956-01-01", "1957-10-01", "NaT"]
    assert str(reading.parse_datetimes(["1978 W01"], "%G W%V")[0])[:10] == "1978-01-02"
    assert np.isnat(reading.parse_datetimes(["9999-12-31", "no date"], "ISO8601")).all()
    assert str(reading.parse_datetimes(["1976 Jul"], "%Y %b")[0])[:10] == "1976-07-01"


def test_a_frame_conforms_as_its_file_does(tmp_path: Path) -> None:
    """Typed frames end in the same columns as text: booleans, categories, whole floats and named indexes included."""
    wanted = spec(
        columns={
            "flag": {"type": "text", "format": None},
            "code": {"type": "text", "format": None},
            "day": {"type": "datetime", "format": None},
            "7": {"type": "number", "format": None},
        }
    )
    frame = pd.DataFrame(
        {"flag": [True, False], "code": pd.Categorical([7.0, np.nan]), 7: ["3", "x"]},
        index=pd.DatetimeIndex(["2020-01-01 01:00", "2020-01-02"], tz="Europe/Paris", name="day"),
    )
    typed = reading.conform(frame, wanted)
    assert typed["flag"].tolist() == ["True", "False"]
    assert typed["code"].tolist()[0] == "7"
    assert typed["day"].iloc[0] == pd.Timestamp("2020-01-01")
    np.testing.assert_array_equal(typed["7"], [3.0, np.nan])
    assert isinstance(typed.index, pd.RangeIndex)


def test_a_column_may_have_its_own_signs_and_markers() -> None:
    """A column's own decimal sign and missing markers go before those of the file."""
    wanted = spec(
        decimal=",",
        thousands=".",
        columns={
            "eu": {"type": "number", "format": None},
            "us": {"type": "number", "format": None, "decimal": ".", "thousands": None},
            "continent": {"type": "text", "format": None, "missing": [""]},
        },
    )
    typed = reading.conform(pd.DataFrame({"eu": ["1.234,5"], "us": ["1.5"], "continent": ["NA"]}), wanted)
    assert typed.iloc[0].tolist() == [1234.5, 1.5, "NA"]


def test_nested_parquet_columns_are_refused(tmp_path: Path) -> None:
    """Lists in cells are named, not stringified."""
    pd.DataFrame({"tags": [["a"], ["b"]], "n": [1, 2]}).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(ValueError, match="'tags'"):
        reading.read_table(tmp_path / "n.parquet", spec())


def test_files_without_header_keep_their_column_numbers(tmp_path: Path) -> None:
    """Columns of a headerless file are called by position; a header someone added is recognised."""
    wanted = spec(header=False, columns={"column_2": {"type": "number", "format": None}})
    assert reading.read_table(write(tmp_path, "a.csv", "x,1\ny,2\n"), wanted)["column_2"].tolist() == [1.0, 2.0]
    assert reading.read_table(write(tmp_path, "b.csv", "column_2\n1\n2\n"), wanted)["column_2"].tolist() == [1.0, 2.0]
