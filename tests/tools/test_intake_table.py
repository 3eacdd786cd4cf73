"""Opening tables: files as people bring them, and DataFrames."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from tests.tools.intake_files import ROWS, column_file, csv_text, people, write, write_xlsx
from tools.intake.table import open_table, table_from_frame
from tools.portable import reading

TYPES = {"height": "number", "children": "number", "city": "text", "born": "datetime", "bought": "text"}


def types(spec: dict[str, object]) -> dict[str, str]:
    columns = spec["columns"]
    assert isinstance(columns, dict)
    return {name: column["type"] for name, column in columns.items()}


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_table(path)
    assert all(problem.cure for problem in caught.value.problems)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        csv_text().encode(),
        csv_text(sep=";", decimal=",").encode(),
        csv_text(sep="\t").encode(),
        csv_text(sep="|").encode(),
        b"\xef\xbb\xbf" + csv_text().replace("\n", "\r\n").encode(),
        csv_text().replace("\n", "\r").encode(),
        csv_text().encode("utf-16"),
        gzip.compress(csv_text().encode()),
        csv_text(quoting=1).encode(),
        csv_text().replace(",", ", ").encode(),
    ],
    ids=["csv", "semicolon", "tab", "pipe", "BOM", "CR", "UTF-16", "gzip", "quoted", "blanks"],
)
def test_however_a_table_is_written_it_opens_the_same(tmp_path: Path, content: bytes) -> None:
    """The canonical frame is the same for every dialect, and reading again by the spec gives it again."""
    path = write(tmp_path, "people.csv", content)
    table = open_table(path)
    reference = people()
    assert types(table.spec) == TYPES
    np.testing.assert_array_equal(table.frame["height"], reference["height"])
    assert table.frame["city"].tolist() == reference["city"].tolist()
    assert table.frame["born"].tolist() == pd.to_datetime(reference["born"]).tolist()
    assert [kind.name for kind in table.frame.dtypes] == ["float64", "float64", "object", "datetime64[ns]", "object"]
    spec = json.loads(json.dumps(table.spec))
    pd.testing.assert_frame_equal(reading.read_table(path, spec), table.frame)
    assert table.source_sha == hashlib.sha256(content).hexdigest()
    assert table.raw_rows == ROWS


def test_parquet_and_excel_open(tmp_path: Path) -> None:
    """Typed files give the same columns; of several sheets the first with cells is read, and that is said."""
    people().to_parquet(tmp_path / "p.parquet")
    assert types(open_table(tmp_path / "p.parquet").spec) == TYPES
    rows: list[list[object]] = [list(people().columns), *people().to_numpy().tolist()]
    path = write_xlsx(tmp_path / "p.xlsx", {"cover": [], "data": rows, "old": [["x"]]})
    table = open_table(path)
    assert types(table.spec) == TYPES
    assert table.spec["sheet"] == "data"
    assert "'cover', 'old'" in table.notes[0]
    pd.testing.assert_frame_equal(reading.read_table(path, table.spec), table.frame)
    write(tmp_path, "bad.parquet", b"PAR1" + b"junk" * 30)
    assert "cannot be read" in refusal(tmp_path / "bad.parquet")


def test_what_was_detected_is_said(tmp_path: Path) -> None:
    """Dialect, encoding and what was read as missing stand in the notes."""
    text = csv_text(sep=";").replace("Rome", "Genève").replace(";2;", ";?;")
    notes = " ".join(open_table(write(tmp_path, "a.csv", text.encode("cp1252"))).notes)
    for words in ("separated by ';'", "cp1252", "'?' was read as missing: 'children'"):
        assert words in notes


def test_no_category_is_lost(tmp_path: Path) -> None:
    """none, unknown, - and None are categories in text columns."""
    words = ["none", "unknown", "-", "None", "co-applicant"]
    table = open_table(column_file(tmp_path, kind=words * 10, n=list(range(50))))
    assert table.frame["kind"].tolist() == words * 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,y\n", "no row of data"),
        ("a,b,y\n" + "1,2,3\n" * 5, "5 rows of data; at least 20"),
        ("a,b,a,y,y\n" + "1,2,3,4,5\n" * 30, "'y' appears 2 times, as columns 4, 5"),
        ("a,b\n" + "1,2\n" * 30 + "1,2,3\n", "line 32: 3 fields where the header has 2"),
        ("a,b\n" + "0,1,2\n" * 30, "all 30 rows have 3 fields"),
        ("a,b\n" + "1,2\n" * 30 + '1,"open\n1,2\n', "line 32: a quote is opened and never closed"),
        ("a,b\n1,2\n" + '1,"open\n' + "1,2\n" * 30 + '1,x"\n' + "1,2\n" * 30, "line 3: a quote is opened and closed"),
    ],
)
def test_broken_tables_are_refused_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    """File, line or column, and the cure; nothing is shifted or renamed silently."""
    path = write(tmp_path, "broken.csv", text)
    message = refusal(path)
    assert said in message
    assert str(path) in message


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """Every long row and every duplicate name is listed, not only the first."""
    lines = csv_text().splitlines()
    lines[3] += ",1"
    lines[8] += ",1,1"
    message = refusal(write(tmp_path, "long.csv", "\n".join(lines)))
    assert "line 4: 6 fields" in message
    assert "line 9: 7 fields" in message
    message = refusal(write(tmp_path, "names.csv", "a,a,b,b\n" + "1,2,3,4\n" * 3))
    assert "'a'" in message
    assert "'b'" in message
    message = refusal(write(tmp_path, "no.csv.gz", "no gzip\n"))
    assert "named like a gzip" in message
    assert "no row of data" in message


def test_short_rows_and_nul_characters_are_said(tmp_path: Path) -> None:
    """What is filled or left out is counted, with the first lines."""
    lines = csv_text().splitlines()
    lines[5], lines[9] = "170.5,1", "171"
    notes = " ".join(open_table(write(tmp_path, "short.csv", "\n".join(lines))).notes)
    assert "2 rows have too few fields (line 6, 10)" in notes
    notes = " ".join(open_table(write(tmp_path, "nul.csv", csv_text().replace("Oslo", "Os\x00lo"))).notes)
    assert "NUL characters were left out" in notes


def test_a_missing_header_is_noticed(tmp_path: Path) -> None:
    """Data in the first line is not taken for names; names that are numbers stay names."""
    table = open_table(write(tmp_path, "bare.csv", csv_text(header=False)))
    assert len(table.frame) == ROWS
    assert list(table.frame.columns)[:2] == ["column_1", "column_2"]
    assert "add a header line" in " ".join(table.notes)
    pd.testing.assert_frame_equal(reading.read_table(tmp_path / "bare.csv", table.spec), table.frame)
    wide = open_table(write(tmp_path, "wide.csv", "1990,1991,1992\n" + "5,6,7.5\n" * 30))
    assert list(wide.frame.columns) == ["1990", "1991", "1992"]
    year = open_table(write(tmp_path, "year.csv", "country,2020\n" + "Chad,5.5\nPeru,7.5\n" * 15))
    assert list(year.frame.columns) == ["country", "2020"]
    words = open_table(write(tmp_path, "words.csv", "red,small\n" + "red,small\nblue,big\n" * 20))
    assert len(words.frame) == 41


def test_columns_without_a_name_get_one(tmp_path: Path) -> None:
    """An empty header cell, as R and pandas write for row names, becomes a name and a note."""
    table = open_table(write(tmp_path, "r.csv", people().to_csv()))
    assert str(table.frame.columns[0]) == "unnamed_1"
    assert "unnamed_1" in " ".join(table.notes)


def test_a_long_text_cell_with_line_breaks_is_fine(tmp_path: Path) -> None:
    """Quoted line breaks and a cell of megabytes are data; the line of a later row counts them."""
    frame = people().assign(
        essay=["one\ntwo\nthree" if i == 2 else "x" * (2_000_000 if i == 4 else 3) for i in range(ROWS)]
    )
    frame.to_csv(tmp_path / "e.csv", index=False)
    table = open_table(tmp_path / "e.csv")
    assert len(table.frame["essay"].iloc[4]) == 2_000_000
    assert (table.place(2), table.place(3)) == ("line 4", "line 7")


def test_infinite_cells_are_missing_and_remembered(tmp_path: Path) -> None:
    """Infinities do not enter the frame, but where they were is known."""
    table = open_table(column_file(tmp_path, a=["1.5"] * 30 + ["1e400", "inf"], y=[1] * 32))
    assert table.frame["a"].isna().sum() == 2
    assert table.infinite == {"a": [(30, "1e400"), (31, "inf")]}
    assert table.place(30) == "line 32"


def test_decimal_commas_and_amounts_survive_the_spec(tmp_path: Path) -> None:
    """A file with decimal commas, points for thousands, currency and codes reads the same by its spec."""
    rows = [f"{i % 28 + 1}.{i % 12 + 1}.2020;{i},5;{i + 1}.{i:03d};€ {i},25;{i:03d};{i}.5" for i in range(40)]
    path = write(tmp_path, "eu.csv", "day;weight;people;price;code;point\n" + "\n".join(rows))
    table = open_table(path)
    assert table.frame.iloc[3].tolist() == [pd.Timestamp("2020-04-04"), 3.5, 4003.0, 3.25, "003", 3.5]
    pd.testing.assert_frame_equal(reading.read_table(path, table.spec), table.frame)


def mixed_frame(rows: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "category": pd.Categorical(["u", "v"] * (rows // 2)),
            "flag": [True, False] * (rows // 2),
            "maybe": pd.array([True, None] * (rows // 2), dtype="boolean"),
            "count": pd.array([1, None] * (rows // 2), dtype="Int64"),
            "when": pd.date_range("2020-01-01 10:00", periods=rows, tz="Europe/Paris"),
            "took": pd.to_timedelta(np.arange(rows), unit="min"),
            "mixed": [1, "a", None, 2.5] * (rows // 4),
            "text": pd.array(["x", None] * (rows // 2), dtype="string"),
            "small": np.arange(rows, dtype="float32"),
            7: range(rows),
        }
    )


def test_a_dataframe_becomes_the_same_canonical_columns() -> None:
    """Every dtype pandas has for tables ends as number, datetime or text, and conforming again changes nothing."""
    table = table_from_frame(mixed_frame())
    expected = ["text", "text", "text", "number", "datetime", "number", "text", "text", "number", "number"]
    assert list(types(table.spec).values()) == expected
    assert table.frame["flag"].tolist()[:2] == ["True", "False"]
    assert table.frame["when"].iloc[0] == pd.Timestamp("2020-01-01 09:00")
    assert table.frame["mixed"].tolist()[1:4:2] == ["a", "2.5"]
    pd.testing.assert_frame_equal(reading.conform(mixed_frame(), table.spec), table.frame)
    assert table.source_sha == table_from_frame(mixed_frame()).source_sha
    assert table.source_sha != table_from_frame(mixed_frame().assign(small=1.0)).source_sha


def test_a_named_index_becomes_a_column() -> None:
    """Dates in a named index are not lost."""
    frame = pd.DataFrame({"v": np.arange(30.0)}, index=pd.date_range("2020-01-01", periods=30, name="day"))
    table = table_from_frame(frame)
    assert list(table.frame.columns) == ["day", "v"]
    pd.testing.assert_frame_equal(reading.conform(frame, table.spec), table.frame)
    assert "no name" in table_from_frame(frame.rename_axis(None)).notes[0]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame(np.zeros((30, 2)), columns=["a", "a"]), "'a' appears 2 times"),
        (pd.DataFrame(np.zeros((30, 2)), columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])), "header levels"),
        (pd.DataFrame({"a": [[1]] * 30, "b": [{}] * 30}), "column 'b' holds cells of type dict"),
        (pd.DataFrame({"a": [b"x"] * 30}), "type bytes"),
        (pd.DataFrame({"a": np.zeros(30, dtype=complex)}), "complex"),
        (pd.DataFrame({"a": [1.0]}), "1 row of data"),
        (pd.DataFrame(), "no row of data"),
    ],
)
def test_frames_that_are_no_tables_are_refused(frame: pd.DataFrame, said: str) -> None:
    """Header levels, duplicate names, containers, too few rows."""
    with pytest.raises(InputError, match=said):
        table_from_frame(frame)
