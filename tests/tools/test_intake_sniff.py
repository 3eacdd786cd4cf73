"""What a file is: tables are opened, everything else is refused quickly and by name."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from state.errors import InputError
from tests.tools.intake_files import csv_text, people, write
from tools.intake.sniff import open_source


def refusal(path: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        open_source(path)
    assert all(problem.cure for problem in caught.value.problems)
    return str(caught.value)


def archive(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


def object_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}, 1], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (people().to_json(orient="records").encode(), "JSON"),
        (people().to_json(orient="records", lines=True).encode(), "JSON"),
        (b'{\n  "a": [\n 1, 2]}', "JSON"),
        (pickle.dumps(people()), "pickle"),
        (pickle.dumps({"a": 1}, protocol=0), "pickle"),
        (object_array(), "NumPy"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
        (b"SQLite format 3\x00" + b"\x00" * 100, "SQLite"),
        (b"@relation x\n@attribute a numeric\n@data\n1\n", "ARFF"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes(), "binary"),
        (b"", "empty"),
        (b"\n\n\r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (gzip.compress(csv_text().encode())[:-30], "truncated"),
        (gzip.compress(b"a,b\n" + b"0" * 60_000_000), "bomb"),
        (archive(a="1", b="2"), "2 files"),
        (archive(**{"x.csv": "0" * 60_000_000}), "bomb"),
        (b"PK\x03\x04" + b"junk" * 20, "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    """A file called .csv is judged by its content, and the message says what it is and what to do."""
    path = write(tmp_path, "data.csv", content)
    message = refusal(path)
    assert said in message
    assert str(path) in message


def test_nothing_is_unpickled_or_unpacked_to_disk(tmp_path: Path) -> None:
    """A pickle's code does not run, and a member called ../evil.csv is written nowhere."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    refusal(write(tmp_path, "a.csv", pickle.dumps(Evil())))
    open_source(write(tmp_path, "b.zip", archive(**{"../../evil.csv": csv_text()})))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.csv", "b.zip"]
    assert not (tmp_path.parent / "evil.csv").exists()


def test_places_that_are_no_files_end_at_once(tmp_path: Path) -> None:
    """Folders, pipes, devices, link loops, addresses and missing paths: a message each, and no waiting."""
    write(tmp_path, "passengers.csv", csv_text())
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    assert "passengers.csv" in refusal(tmp_path)
    assert "pipe or device" in refusal(tmp_path / "pipe")
    assert "pipe or device" in refusal("/dev/zero")
    assert "symbolic links" in refusal(tmp_path / "loop")
    assert "did you mean" in refusal(tmp_path / "pasengers.csv")
    assert "passengers.csv" in refusal(tmp_path / "passengers.parquet")
    assert "does not exist" in refusal(tmp_path / "nowhere" / "x.csv")
    assert "download" in refusal("https://example.org/x.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    """No permission is told as that."""
    path = write(tmp_path, "secret.csv", csv_text())
    path.chmod(0)
    assert "may not be read" in refusal(path)


def test_gzip_and_zip_are_told_by_content(tmp_path: Path) -> None:
    """Packed tables open whatever they are called; a false .gz name is remarked on."""
    text = csv_text()
    assert open_source(write(tmp_path, "a.csv", gzip.compress(text.encode()))).data == text.encode()
    assert open_source(write(tmp_path, "b.dat", archive(**{"x.csv": text, "__MACOSX/x": "junk"}))).data == text.encode()
    false = open_source(write(tmp_path, "c.csv.gz", text))
    assert "named like a gzip file but is none" in false.notes[0]


def test_odd_column_names_are_no_web_page(tmp_path: Path) -> None:
    """Names that look like markup, code or JSON are only names."""
    for header in ("<script>,b", "{0.__class__},b", '"a; DROP TABLE",b', "[x],b", "../../etc/passwd,b"):
        assert open_source(write(tmp_path, "a.csv", f"{header}\n1,2\n")).format == "csv"
