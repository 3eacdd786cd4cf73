"""Opening a table: from a file or a frame to canonical columns, a read spec, and notes a person should see."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from state.errors import InputError, Problem
from tools.intake import dialect, structure
from tools.intake.column import STANDARD_MISSING, Column
from tools.intake.header import first_row_is_data
from tools.intake.images import find_images
from tools.intake.sniff import Source, open_source
from tools.intake.types import file_signs, infer_columns
from tools.portable import reading

MIN_ROWS = 20
_DIALECT_BYTES = 1 << 25
SPEC_VERSION = 1


@dataclass
class Table:
    """A table as a person brought it, in canonical columns.

    frame: float64, datetime64[ns] and object (str or NaN) columns, in the file's order, index 0 … n-1.
    spec: how to read such a file again, as tools/portable/reading.py describes it.
    notes: sentences on what was detected, converted or read as missing.
    source_sha: SHA-256 (hex) of the file's bytes, or of a frame's content.
    path: the file as given; "" for a frame. raw_rows: data rows in it.
    infinite: column → the first (row, text) that were infinite or too large and became missing.
    """

    frame: pd.DataFrame
    spec: dict[str, Any]
    notes: list[str]
    source_sha: str
    path: str = ""
    raw_rows: int = 0
    infinite: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What messages call it."""
        return self.path or "the DataFrame"

    def place(self, row: int) -> str:
        """Where a row (counted from 0) stands: its line in a CSV file, else its number; both counted from 1."""
        if self.spec["format"] == "csv" and self.path:
            data = reading.unpack(Path(self.path).expanduser().read_bytes())
            text = reading.to_utf8(data, self.spec["encoding"])
            wanted = row + bool(self.spec.get("header", True))
            for count, (line, _) in enumerate(reading.records(text, self.spec)):
                if count == wanted:
                    return f"line {line}"
        return f"row {row + 1}"


def open_table(path: str | Path, *, min_rows: int = MIN_ROWS) -> Table:
    """Read a CSV, TSV, Parquet or Excel file (gzipped, or zipped alone), detecting how it is written.

    Raises InputError listing every problem found, each with file, line or column, and the cure.
    """
    opened = open_raw(path, min_rows=min_rows)
    return _finish(opened.raw, opened.spec, opened.notes, sha=opened.sha, path=str(path))


@dataclass(frozen=True)
class RawTable:
    """A file's columns before conversion, with its dialect (a spec without columns)."""

    raw: pd.DataFrame
    spec: dict[str, Any]
    notes: list[str]
    sha: str


def open_raw(path: str | Path, *, min_rows: int = MIN_ROWS, header: bool | None = None) -> RawTable:
    """Read a file without detecting column types; `header` says whether its first row holds names (None: detect).

    Raises InputError listing every problem found.
    """
    source = open_source(path)
    where, notes, spec = str(path), list(source.notes), blank_spec(source.format)
    if header is not None:
        spec["header"] = header
    try:
        raw, problems = _READERS[source.format](source, spec, notes, where)
    except ValueError as error:
        raw, problems = None, structure.problems_of(error, where)
    if raw is not None:
        problems += structure.size_problems(len(raw), where, min_rows)
    if problems or raw is None:
        misnamed = [Problem(note, where=where, cure="download it again") for note in source.notes]
        raise InputError([*misnamed, *problems])
    return RawTable(raw, spec, notes, source.sha)


def table_from_frame(frame: pd.DataFrame, *, min_rows: int = MIN_ROWS) -> Table:
    """A table from a DataFrame; named index levels become columns, other indexes are not used.

    Raises InputError listing every problem: several header levels, duplicate names, cells that are lists, mappings or
    bytes, too few rows.
    """
    where = "the DataFrame"
    if isinstance(frame.columns, pd.MultiIndex):
        cure = "join them: df.columns = ['_'.join(map(str, names)) for names in df.columns]"
        raise InputError(Problem("the columns have several header levels", where=where, cure=cure))
    notes: list[str] = []
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
        notes.append(f"The index became a column: {structure.listed(named)}.")
    elif isinstance(frame.index, pd.DatetimeIndex):
        notes.append(
            "The dates in the index have no name and were not used; df.rename_axis('date') makes them a column."
        )
    names = ["" if name is None or name != name else str(name) for name in frame.columns]
    raw = frame.set_axis(reading.column_names(names), axis=1)
    problems = structure.name_problems(list(raw.columns), where)
    problems += structure.cell_problems(raw, where) + structure.size_problems(len(raw), where, min_rows)
    if problems:
        raise InputError(problems)
    return _finish(raw.reset_index(drop=True), blank_spec("csv"), notes)


def blank_spec(form: str) -> dict[str, Any]:
    """A read spec with the usual dialect and no columns yet."""
    return {
        "version": SPEC_VERSION,
        "format": form,
        "delimiter": ",",
        "encoding": "utf-8",
        "decimal": ".",
        "thousands": None,
        "missing": list(STANDARD_MISSING),
        "quotechar": '"',
        "sheet": None,
        "columns": {},
    }


# ---- formats: each returns the unconverted columns (None when they cannot be made) and the problems found ------------

Raw = tuple[pd.DataFrame | None, list[Problem]]


def _read_parquet(source: Source, spec: dict[str, Any], notes: list[str], where: str) -> Raw:
    raw = reading.read_parquet(source.data)
    problems = structure.name_problems(list(raw.columns), where)
    return (None if problems else raw), problems


def _read_excel(source: Source, spec: dict[str, Any], notes: list[str], where: str) -> Raw:
    spec["sheet"], cells, sheets = reading.read_sheet(source.data)
    if len(sheets) > 1:
        others = [sheet for sheet in sheets if sheet != spec["sheet"]]
        notes.append(f"Sheet {spec['sheet']!r} was read; the workbook also holds {structure.listed(others)}.")
    return _with_names(cells, spec, notes, where)


def _read_csv(source: Source, spec: dict[str, Any], notes: list[str], where: str) -> Raw:
    spec["encoding"], remark = dialect.detect_encoding(source.data)
    if remark:
        notes.append(remark)
    zeros = 0 if spec["encoding"].startswith(("utf-16", "utf-32")) else source.data.count(b"\x00")
    if zeros:
        line = source.data.count(b"\n", 0, source.data.find(b"\x00")) + 1
        notes.append(f"{zeros} NUL characters were left out, the first in line {line}.")
    data = reading.to_utf8(source.data, spec["encoding"])
    # The first records tell; of a large file the rest is not decoded for it.
    cut = data.rfind(b"\n", 0, _DIALECT_BYTES) + 1 if len(data) > _DIALECT_BYTES else 0
    found = dialect.detect_dialect(data[: cut or None].decode("utf-8"))
    spec |= {"delimiter": found.delimiter, "quotechar": found.quotechar}
    spec |= {"escape": found.escape} if found.escape else {}
    spec |= {"skip_space": True} if found.skip_space else {}
    cells = reading.parse_csv(data, spec)
    if found.delimiter not in ",\t" and cells.shape[1] > 1:
        notes.append(f"Cells are separated by {found.delimiter!r}.")
    swallowed = structure.swallowed_lines(data, spec, cells, where)
    if swallowed:
        return None, swallowed
    short = structure.short_rows(data, spec, cells)
    notes += [short] if short else []
    return _with_names(cells, spec, notes, where)


_READERS = {"csv": _read_csv, "parquet": _read_parquet, "excel": _read_excel}


def _with_names(cells: pd.DataFrame, spec: dict[str, Any], notes: list[str], where: str) -> Raw:
    """Name the columns by the first row; sets spec["header"] to False when that row is data."""
    if cells.empty:
        return None, [Problem("the file is empty", where=where, cure="check the export that wrote it")]
    first = [str(cell) for cell in cells.iloc[0]]
    if "header" not in spec and len(cells) > 2 and first_row_is_data(first, cells.iloc[1:]):
        spec["header"] = False
    if not spec.get("header", True):
        notes.append(
            f"The first line looks like data, so the columns are called column_1 … column_{len(first)}; "
            "add a header line to name them."
        )
    else:
        problems = structure.name_problems(reading.column_names(list(first)), where)
        if problems:
            return None, [*problems, *structure.size_problems(len(cells) - 1, where, 1)]
    raw = reading.with_header(cells, spec)
    empty = [name for name in raw.columns if re.fullmatch(r"unnamed_\d+", name)]
    if empty:
        notes.append(f"Columns without a name are called {structure.listed(empty)}.")
    return raw, []


# ---- conversion -----------------------------------------------------------------------------------------------------


def _finish(raw: pd.DataFrame, spec: dict[str, Any], notes: list[str], *, sha: str = "", path: str = "") -> Table:
    """Detect the column types, convert, and put everything together."""
    try:
        found = infer_columns(raw, semicolons=spec["delimiter"] == ";")
    except ValueError as error:
        raise InputError(structure.problems_of(error, path or "the DataFrame")) from error
    folder = Path(path).expanduser().resolve().parent if path else Path.cwd()
    pictures = find_images(raw, found, folder, path or "the DataFrame")
    spec["decimal"], spec["thousands"] = file_signs(found)
    spec["columns"] = {name: column.spec(spec["decimal"], spec["thousands"]) for name, column in found.items()}
    frame = reading.conform(_read_already(raw, found), {**spec, "pictures": pictures})
    infinite = {name: column.infinite for name, column in found.items() if column.infinite}
    return Table(frame, spec, notes + _sentences(found), sha or _frame_sha(frame), path, len(frame), infinite)


def _read_already(raw: pd.DataFrame, found: dict[str, Column]) -> pd.DataFrame:
    """The raw columns, with the numbers of those that were read as such while their type was looked for."""
    numbers = {name: column.numbers for name, column in found.items() if column.numbers is not None}
    if not numbers:
        return raw
    columns = {name: numbers.get(str(name), values) for name, values in raw.items()}
    return pd.DataFrame(columns, index=raw.index, copy=False)


def _frame_sha(frame: pd.DataFrame) -> str:
    """SHA-256 (hex) of names and content of a canonical frame."""
    digest = hashlib.sha256(repr([str(name) for name in frame.columns]).encode())
    for name in frame.columns:
        digest.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _sentences(found: dict[str, Column], most: int = 8) -> list[str]:
    """The columns' remarks as sentences, one for all columns with the same remark."""
    grouped: dict[str, list[str]] = {}
    for name, column in found.items():
        for what, detail in column.remarks:
            grouped.setdefault(what, []).append(f"{name!r} ({detail})" if detail else repr(name))
    return [
        f"{what}: {', '.join(places[:most])}"
        + (f" and {len(places) - most} more columns." if len(places) > most else ".")
        for what, places in grouped.items()
    ]
