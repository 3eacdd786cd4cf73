"""How a text file is written: encoding, delimiter, quotes."""

from __future__ import annotations

import pytest

from tests.tools.intake_files import csv_text, people
from tools.intake.dialect import Dialect, detect_dialect, detect_encoding


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    """Each common delimiter is found, with free text holding the others."""
    frame = people().assign(remark="first, second; third | fourth")
    assert detect_dialect(frame.to_csv(index=False, sep=delimiter)).delimiter == delimiter


def test_decimal_commas_do_not_pass_for_delimiters() -> None:
    """Semicolons between cells win over the commas inside numbers."""
    text = "a;b;c\n" + "\n".join(f"{i},5;{i},25;{i},125" for i in range(40))
    assert detect_dialect(text).delimiter == ";"


def test_few_bad_rows_do_not_hide_the_delimiter() -> None:
    """One row too long and one too short leave the delimiter as it is."""
    lines = csv_text().splitlines()
    lines[10] += ",9,9"
    lines[20] = "1"
    assert detect_dialect("\n".join(lines)).delimiter == ","


def test_one_column_of_prose_is_not_cut() -> None:
    """Commas in the cells of a single column separate nothing."""
    text = "text\n" + "\n".join(f"hello, number {i}, how are you" for i in range(30))
    assert detect_dialect(text).delimiter != ","


def test_numbers_in_aligned_columns_are_split_at_blanks() -> None:
    """Columns separated by any number of blanks are columns."""
    text = "  a    b\n" + "\n".join(f"  {i}   {i * 7}" for i in range(30))
    assert detect_dialect(text).delimiter == " "


def test_quotes_escapes_and_blanks_after_delimiters() -> None:
    """Single quotes, backslash escapes and ", " are recognised."""
    quoted = people().to_csv(index=False, quotechar="'", quoting=2)
    assert detect_dialect(quoted).quotechar == "'"
    escaped = 'a,b\n"say \\"hi\\" now",1\n"x",2\n' * 20
    assert detect_dialect(escaped).escape == "\\"
    assert detect_dialect('a,b\n"C:\\dir\\",1\n' * 20).escape is None
    assert detect_dialect(csv_text().replace(",", ", ")) == Dialect(",", skip_space=True)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("name\nnaïve café\nrésumé\n", "cp1252"),
        ("price\n€5\nit’s\n", "cp1252"),
        ("город\nМосква\nКиев\n" * 5, "cp1251"),
        ("都市\n東京\n大阪\n" * 5, "cp932"),
    ],
)
def test_encodings_other_than_utf_8_are_found_and_said(text: str, encoding: str) -> None:
    """Western and foreign code pages are told apart, and the person is told."""
    found, said = detect_encoding(text.encode(encoding))
    assert found == encoding
    assert encoding in said


def test_unicode_encodings_are_found() -> None:
    """UTF-8 goes without saying; UTF-16 with or without its mark is said."""
    assert detect_encoding("naïve".encode()) == ("utf-8", "")
    assert detect_encoding(csv_text().encode("utf-16"))[0] == "utf-16"
    assert detect_encoding(csv_text().encode("utf-16-le"))[0] == "utf-16-le"
    assert detect_encoding(csv_text().encode("utf-16-be"))[0] == "utf-16-be"


def test_mixed_encodings_are_an_error_with_their_place() -> None:
    """A stray byte in UTF-8 text is named with line and offset instead of being guessed at."""
    data = ("a\n" + "café\n" * 20).encode() + "café\n".encode("cp1252")
    with pytest.raises(ValueError, match=r"line 22: byte b'\\xe9' at offset"):
        detect_encoding(data)
