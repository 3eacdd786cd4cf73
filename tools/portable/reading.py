"""Read a table the way it was read when the model was built.

A read spec is a plain JSON mapping:

    {"version": 1, "format": "csv" | "parquet" | "excel",
     "delimiter": ";", "encoding": "utf-8", "decimal": ".", "thousands": null, "missing": ["", "NA", "?"],
     "quotechar": "\\"", "sheet": null,
     "columns": {name: {"type": "number" | "datetime" | "text" | "image", "format": "%Y %b" | null}}}

Optional keys: "escape" (a character that takes the next one literally), "skip_space" (ignore blanks after a
delimiter), "header" (false: the first line is data; columns are then called column_1, column_2, …). A column may
carry its own "missing", "decimal" and "thousands"; one of numbers a "unit" (see quantities.py); one of images has a "side"
(see images.py), and their paths count from "folder", that of the file when it is read from one. "pictures" holds cells of
images that are read already.

Frames that come out hold three kinds of columns only: numbers as float64, datetimes as datetime64[ns] without time
zone (UTC when the source had one), text as object dtype holding str or NaN. Infinite numbers become missing.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import importlib
import io
import re
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

Spec = Mapping[str, Any]
Series: TypeAlias = "pd.Series[Any]"
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

_CHUNK = 1 << 24
_END = b"\n\x03"  # a last line of our own: it is swallowed when a quote is still open
LARGE = 5000  # rows from which the quick way to read numbers is worth its start
LARGE_FILE = 1 << 25  # bytes from which the memory of reading counts
_BOMB_RATIO, _BOMB_FLOOR = 200, 1 << 25
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)


def read_table(path: str | Path, spec: Spec) -> pd.DataFrame:
    """The table in a CSV, Parquet or Excel file (gzipped or zipped alone, too), typed as `spec["columns"]` says.

    Rows keep their order and number; columns keep their order. Raises OSError when the file cannot be opened and
    ValueError, naming file and line, when it is no such table, a row has too many fields, or columns are missing.
    """
    try:
        folder = str(Path(path).resolve().parent)
        return conform(read_raw(Path(path).read_bytes(), spec), {"folder": folder, **spec})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_raw(raw: bytes, spec: Spec) -> pd.DataFrame:
    """The columns of a file's bytes before any conversion: all text for CSV and Excel, as stored for Parquet."""
    data = unpack(raw)
    kind = content_format(data)
    if kind == "parquet":
        return read_parquet(data)
    if kind == "excel":
        return with_header(read_sheet(data, spec.get("sheet"))[1], spec)
    return with_header(parse_csv(to_utf8(data, spec.get("encoding") or "utf-8"), spec), spec)


def conform(frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """A frame with the columns of `spec["columns"]` converted to their types; other columns are kept as they are.

    Raises ValueError listing every missing column. Values that cannot be read as a number or a date become missing.
    """
    wanted: Mapping[str, Any] = spec["columns"]
    in_index = [name for name in frame.index.names if name in wanted and name not in frame.columns]
    if in_index:
        frame = frame.reset_index(level=in_index)
    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise ValueError(f"missing columns: {', '.join(map(repr, absent))}; found: {_listed(frame.columns)}")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique()
        raise ValueError(f"column names appear twice: {_listed(twice)}")
    columns = {
        str(name): _converted(values, wanted[str(name)], spec) if name in wanted else values.reset_index(drop=True)
        for name, values in frame.items()
    }
    # Each column is an array of its own by now; gathering those of one type in a block would copy a large table again.
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), copy=len(frame) < LARGE)


def _listed(names: Any, most: int = 20) -> str:
    shown = [repr(name) for name in list(names)[:most]]
    return ", ".join(shown) + (", …" if len(names) > most else "")


# ---- bytes ----------------------------------------------------------------------------------------------------------


def unpack(raw: bytes) -> bytes:
    """The content of a gzip file or of a zip file with one member; other bytes as they are.

    Detection goes by content, never by name. Raises ValueError for damaged or suspiciously dense archives.
    """
    if raw[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
                return _bounded(stream, len(raw))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"the gzip file is truncated or damaged ({len(raw)} bytes; {error})") from error
    if raw[:4] == b"PK\x03\x04" and content_format(raw) == "csv":
        return _unzip(raw)
    return raw


def _bounded(stream: Any, packed: int) -> bytes:
    limit, parts, size = max(_BOMB_FLOOR, packed * _BOMB_RATIO), [], 0
    while chunk := stream.read(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise ValueError(f"{packed} packed bytes unpack to more than {limit}: refused as a decompression bomb")
    return b"".join(parts)


def _unzip(raw: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
            if len(members) != 1:
                names = _listed([member.filename for member in members], 10)
                raise ValueError(f"the zip file holds {len(members)} files ({names}); one is expected")
            if members[0].flag_bits & 1:
                raise ValueError(f"{members[0].filename!r} in the zip file is encrypted")
            with archive.open(members[0]) as stream:
                return _bounded(stream, members[0].compress_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"the zip file is damaged ({error})") from error


def content_format(data: bytes) -> str:
    """`parquet`, `excel` or, for anything else, `csv`: told by content."""
    if data[:4] == b"PAR1":
        return "parquet"
    if data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return "excel"
    if data[:4] == b"PK\x03\x04":
        try:
            names = zipfile.ZipFile(io.BytesIO(data)).namelist()
        except zipfile.BadZipFile:
            return "csv"
        if "content.xml" in names or any(name.startswith("xl/workbook") for name in names):
            return "excel"
    return "csv"


def to_utf8(data: bytes, encoding: str = "utf-8") -> bytes:
    """Text as UTF-8 without byte order mark and NUL characters: by its mark, else UTF-8 when valid, else `encoding`.

    Raises ValueError naming the first byte that cannot be decoded, and its line.
    """
    marked = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    try:
        if marked or encoding.lower().startswith(("utf-16", "utf-32")):
            data = data.decode(marked or encoding).encode("utf-8")
        elif not data.isascii():
            data = _as_utf8(data, encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        bad = data[error.start : error.start + 1]
        raise ValueError(f"line {line}: byte {bad!r} at offset {error.start} is no {error.encoding} text") from error
    if b"\x00" in data:
        data = data.replace(b"\x00", b"")
    return data.replace(b"\r", b"\n") if b"\n" not in data else data  # old Macintosh line ends


def _as_utf8(data: bytes, encoding: str) -> bytes:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK):  # decoded whole, a large file would take up to four times its size
            decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
    except UnicodeDecodeError:
        return data.decode(encoding).encode("utf-8")
    return data


# ---- formats --------------------------------------------------------------------------------------------------------


class BrokenCsvError(ValueError):
    """CSV data whose rows or quotes do not fit together; `faults` names each line and what is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def parse_csv(data: bytes, spec: Spec) -> pd.DataFrame:
    """All cells of UTF-8 CSV data as text, the header among them as first row. Short rows are filled with "".

    Raises BrokenCsvError naming the lines of rows with too many fields, or the line where an unclosed quote starts.
    """
    delimiter = _delimiter(data, spec)
    if delimiter == " ":
        data = _squeezed(data)
    single = delimiter.encode() not in data[: data.find(b"\n") + 1 or None]
    if single:  # a blank line is then a missing value, except at start and end
        data = data.strip(b"\r\n") + b"\n"
    if len(data) >= LARGE_FILE and not single and (cells := _parse_large(data, delimiter, spec)) is not None:
        return cells
    try:
        return pd.read_csv(
            io.BytesIO(data),
            sep=delimiter,
            header=None,  # the header's width then binds every row, so that none is ever shifted
            dtype=str,
            na_filter=False,
            quotechar=spec.get("quotechar") or '"',
            escapechar=spec.get("escape"),
            skipinitialspace=bool(spec.get("skip_space")),
            skip_blank_lines=not single,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        raise ValueError("the file is empty") from None
    except pd.errors.ParserError as error:
        raise BrokenCsvError(faults(data, {**spec, "delimiter": delimiter}) or [str(error)]) from error


def _parse_large(data: bytes, delimiter: str, spec: Spec) -> pd.DataFrame | None:
    """All cells as text, read by pyarrow in about a quarter of the memory pandas takes for it.

    None where pyarrow is absent or finds a row of another width; pandas then reads the data, or says what is wrong.
    """
    try:
        import pyarrow as pa
        import pyarrow.csv

        dtype = pd.StringDtype(na_value=np.nan)
    except (ImportError, TypeError):  # pandas 2 has no such text
        return None
    arrow: Any = pyarrow.csv
    quote = spec.get("quotechar") or '"'
    line = data[: data.find(b"\n") + 1 or None].decode("utf-8", "replace")
    first = next(csv.reader([line], delimiter=delimiter, quotechar=quote), [])
    names = [str(place) for place in range(len(first))]
    if spec.get("skip_space") or not names:
        return None
    quoted = quote.encode() in data or bool(spec.get("escape"))  # else each line is a row, and told apart faster
    try:
        table = arrow.read_csv(
            pa.BufferReader(data),
            read_options=arrow.ReadOptions(column_names=names, block_size=_CHUNK),
            parse_options=arrow.ParseOptions(
                delimiter=delimiter,
                quote_char=quote,
                escape_char=spec.get("escape") or False,
                newlines_in_values=quoted,
            ),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowException:
        return None
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.large_string(): dtype}.get)
    return frame.set_axis(range(len(names)), axis=1)


def _squeezed(data: bytes) -> bytes:
    """Cells separated by any number of blanks and tabs, separated by one blank."""
    return re.sub(rb"(?m)^ | $", b"", re.sub(rb"[ \t]+", b" ", data.replace(b"\r\n", b"\n")))


def _delimiter(data: bytes, spec: Spec) -> str:
    """The spec's delimiter, unless another one finds more of the expected columns in the first line."""
    csv.field_size_limit(sys.maxsize)
    planned: str = spec.get("delimiter") or ","
    expected = set(spec.get("columns") or ())
    line = data[: data.find(b"\n") + 1 or None].decode("utf-8", "replace").strip("\r\n")
    found = {sign: len(expected.intersection(next(csv.reader([line], delimiter=sign), []))) for sign in ",;\t|"}
    best = max(found, key=lambda sign: found[sign])
    return best if found[best] > found.get(planned, 0) else planned


def records(data: bytes, spec: Spec) -> Iterator[tuple[int, list[str]]]:
    """Every record of UTF-8 CSV data with the file line it starts on (1-based); blank lines are skipped."""
    csv.field_size_limit(sys.maxsize)
    delimiter = spec.get("delimiter") or ","
    reader = csv.reader(
        io.StringIO((_squeezed(data) if delimiter == " " else data).decode("utf-8"), newline=""),
        delimiter=delimiter,
        quotechar=spec.get("quotechar") or '"',
        escapechar=spec.get("escape"),
        skipinitialspace=bool(spec.get("skip_space")),
    )
    start = 1
    for record in reader:
        if record:
            yield start, record
        start = reader.line_num + 1


def faults(data: bytes, spec: Spec, most: int = 5) -> list[str]:
    """What keeps CSV data from being a table: rows with too many fields, a quote that is never closed."""
    found: list[str] = []
    lengths: Counter[int] = Counter()
    width, line, record = 0, 1, [""]
    for line, record in records(data + _END, spec):
        if not width:
            width = len(record)
            continue
        lengths[len(record)] += 1
        if len(record) > width and len(found) < most:
            found.append(f"line {line}: {len(record)} fields where the header has {width}")
    unclosed = record != [_END.decode().strip()]
    rows = lengths.total() - (not unclosed)
    if rows > 1 and lengths[width + 1] == rows:
        found = [f"all {rows} rows have {width + 1} fields where the header has {width}; it lacks a name"]
    more = sum(count for length, count in lengths.items() if length > width) - most
    if more > 0 and len(found) == most:
        found[-1] += f", and {more} more such lines"
    return [*found, f"line {line}: a quote is opened and never closed"] if unclosed else found


def with_header(cells: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """The cells with their first row taken as column names, or named column_1, … when the spec says there is none."""
    if cells.empty:
        raise ValueError("the file is empty")
    first = cells.iloc[0].tolist()
    if spec.get("header", True) or not set(first).isdisjoint(spec.get("columns") or ()):
        names = column_names(first)
        cells = cells.iloc[1:].reset_index(drop=True)
    else:
        names = [f"column_{place}" for place in range(1, cells.shape[1] + 1)]
    if len(set(names)) < len(names):
        raise ValueError(f"column names appear twice: {_listed(sorted({n for n in names if names.count(n) > 1}))}")
    return cells.set_axis(names, axis=1)


def column_names(header: list[Any]) -> list[str]:
    """The header's cells as they are; an empty one becomes unnamed_<position, from 1>."""
    return [str(name) if str(name).strip() else f"unnamed_{place}" for place, name in enumerate(header, 1)]


def read_parquet(data: bytes) -> pd.DataFrame:
    """The columns of a Parquet file. Raises ValueError when it is damaged or holds nested columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the Parquet file cannot be read ({str(error).splitlines()[0]})") from error
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    if nested:
        raise ValueError(f"columns {_listed(nested)} are nested; flatten them to one value per cell")
    table = table.rename_columns(column_names(table.column_names))
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    return frame


def read_sheet(data: bytes, sheet: str | None = None) -> tuple[str, pd.DataFrame, list[str]]:
    """A sheet of a workbook as text cells without blank rows: its name, the cells, and the names of all sheets.

    Formulas count by their stored values; macros are ignored. Takes the first sheet that holds anything when `sheet`
    is None or absent. Raises ValueError when the workbook cannot be read.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise ValueError("reading Excel files needs a library: pip install python-calamine") from error
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        name, rows = "", []
        for name in [sheet] if sheet and sheet in book.sheet_names else book.sheet_names:
            rows = [row for row in book.get_sheet_by_name(name).to_python() if any(cell != "" for cell in row)]
            if rows:
                break
    except (CalamineError, OSError) as error:
        raise ValueError(f"the Excel file cannot be read ({error})") from error
    cells = pd.DataFrame([[_cell(value) for value in row] for row in rows], dtype=object)
    return name, cells, list(book.sheet_names)


def _cell(value: Any) -> str:
    """A typed value as the text a CSV file would hold."""
    if isinstance(value, bool | np.bool_):
        return "True" if value else "False"
    if isinstance(value, float | np.floating):
        value = float(value)
        return str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# ---- conversion -----------------------------------------------------------------------------------------------------


def _converted(values: Series, column: Spec, spec: Spec) -> Series:
    kind, markers = column["type"], column.get("missing", spec.get("missing")) or []
    if kind == "number":
        decimal = column.get("decimal") or spec.get("decimal") or "."
        thousands = column.get("thousands", spec.get("thousands"))
        return pd.Series(to_numbers(values, decimal, thousands, markers, column.get("unit")), copy=False)
    if kind == "datetime":
        return pd.Series(to_datetimes(values, column.get("format")), copy=False)
    texts = to_text(values, markers)
    if kind == "image":
        images = importlib.import_module(f"{__package__}.images")
        texts = images.to_images(texts, int(column["side"]), spec.get("folder", "."), spec.get("pictures"))
    return pd.Series(texts, dtype=object, copy=False)


def to_numbers(
    values: Series,
    decimal: str = ".",
    thousands: str | None = None,
    missing: Iterable[str] = (),
    unit: str | None = None,
) -> Array:
    """A column as float64 (n,), texts with a unit in that unit; what is no number, and infinities, become NaN."""
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        numbers = values.dt.total_seconds().to_numpy(dtype=float, na_value=np.nan)
    elif pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    elif isinstance(values.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        raise ValueError(f"column {values.name!r} holds dates where numbers are expected")
    else:
        plain = plain_numbers(values, missing) if decimal == "." and len(values) >= LARGE else None
        if plain is None:
            codes, texts = distinct(values)
            plain = np.append(parse_cells(texts, decimal, thousands, unit), np.nan)[codes]
        numbers = plain
    return np.where(np.isfinite(numbers), numbers, np.nan)


def plain_numbers(values: Series, missing: Iterable[str] = ()) -> Array | None:
    """A text column as float64 (n,), quickly, when each cell is a plain number, empty or a missing marker; else None."""
    try:
        import pyarrow as pa
        import pyarrow.compute
    except ImportError:
        return None
    if not isinstance(values.dtype, pd.StringDtype) and not pd.api.types.is_object_dtype(values.dtype):
        return None
    pc: Any = pyarrow.compute

    def cast(cells: Any) -> Any:
        try:  # looking for markers takes several times as long as casting
            return pc.cast(pc.if_else(pc.equal(cells, ""), None, cells), pa.float64())
        except pa.ArrowException:
            empty = pc.is_in(cells, value_set=pa.array(["", *missing], cells.type))
            return pc.cast(pc.if_else(empty, None, cells), pa.float64())

    try:
        cells = pa.array(values, from_pandas=True)
        if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
            return None
        cast(cells[:1000])  # where most texts show that they are none
        numbers: Array = cast(cells).to_numpy(zero_copy_only=False)
    except (pa.ArrowException, OverflowError):
        return None
    return numbers


def to_datetimes(values: Series, form: str | None) -> Array:
    """A column as datetime64[ns] (n,), UTC when it has time zones; what does not follow the format becomes NaT."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return _nanoseconds(pd.DatetimeIndex(values))
    codes, texts = distinct(values)
    return np.append(parse_datetimes(texts, form), np.datetime64("NaT", "ns"))[codes]


def to_text(values: Series, missing: Iterable[str] = ()) -> Array:
    """A column as object array (n,) of str, NaN where a cell is empty or holds a missing marker."""
    codes, texts = distinct(values)
    markers = {"", *missing}
    kept = [np.nan if text.strip() in markers else text for text in texts]
    pool = np.empty(len(kept) + 1, dtype=object)
    pool[:] = [*kept, np.nan]
    return pool[codes]


def distinct(values: Series) -> tuple[Array, list[str]]:
    """Codes (n,) into the distinct values written as text; -1 where a value is missing.

    Whole numbers are written without a decimal point, booleans as True and False, dates in ISO form.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    try:
        codes, pool = pd.factorize(values)
    except TypeError as error:
        raise ValueError(f"column {values.name!r} holds lists or mappings; one value per cell is expected") from error
    texts = pool.tolist()
    if any(type(text) is not str for text in texts):
        texts = [_cell(text) for text in texts]
    return codes, texts


_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_MONEY = re.compile(r"[$€£¥₹%\s\u00a0\u202f]|\b(USD|EUR|GBP|CHF|JPY|CAD|AUD|INR|CNY)\b")


def parse_cells(texts: list[str], decimal: str, thousands: str | None, unit: str | None) -> Array:
    """Texts as float64 (n,), with a unit where the column has one (see quantities.py)."""
    if unit is None:
        return parse_numbers(texts, decimal, thousands)
    quantities = importlib.import_module(f"{__package__}.quantities")
    found: Array = quantities.parse_quantities(texts, unit, lambda text: parse_number(text, decimal, thousands))
    return found


def parse_numbers(texts: list[str], decimal: str = ".", thousands: str | None = None) -> Array:
    """Texts as float64 (n,): currency signs, per cent signs (12% is 12) and accounting brackets are taken off.

    A thousands sign counts only between groups of three digits. What is no number becomes NaN.
    """
    if decimal == ".":
        try:
            if not any("_" in text for text in texts):  # Python would read 2016_07 as a number
                return np.array(texts, dtype=object).astype(float)
        except ValueError:
            pass
    return np.array([parse_number(text, decimal, thousands) for text in texts], dtype=float)


def parse_number(text: str, decimal: str = ".", thousands: str | None = None) -> float:
    """One text as a number, NaN when it is none."""
    text = text.strip().replace("\u2212", "-")
    if not text or len(text) > 60 or not (any(map(str.isdigit, text)) or "inf" in text.lower()):
        return float("nan")
    if text[0] == "(" and text[-1] == ")":
        text = "-" + text[1:-1]
    if thousands:
        blank = r"[ \u00a0\u202f]" if thousands == " " else re.escape(thousands)
        text = re.sub(
            rf"(?<![\d.])([1-9]\d{{0,2}})((?:{blank}\d{{3}})+)(?!\d)", lambda m: re.sub(r"\D", "", m[0]), text
        )
    if not _PLAIN.fullmatch(text):
        text = _MONEY.sub("", text) if not re.search(r"\d\s+\d", text) else ""
    if decimal != ".":
        text = "" if "." in text else text.replace(decimal, ".")
    return float(text) if _PLAIN.fullmatch(text) else float("nan")


def parse_datetimes(texts: list[str], form: str | None) -> Array:
    """Texts as datetime64[ns] (n,), UTC when they carry time zones; NaT for what does not follow the format.

    Formats: strptime's, "ISO8601", and two for periods, which become their first day: "%Y Q%q" (1956 Q1, 1956Q1,
    1956-Q1) and "%G W%V" (1978 W01).
    """
    if form == "%Y Q%q":
        texts = [re.sub(r"^(\d{4})[\s-]*Q([1-4])$", _quarter, text.strip(), flags=re.IGNORECASE) for text in texts]
        form = "%Y-%m"
    elif form == "%G W%V":
        texts = [re.sub(r"^(\d{4})[\s-]*W(\d{1,2})$", r"\1-\2-1", text.strip(), flags=re.IGNORECASE) for text in texts]
        form = "%G-%V-%u"
    stripped = pd.Index([text.strip() for text in texts], dtype=object)
    stamps = pd.to_datetime(stripped, format=form or "ISO8601", errors="coerce", utc=True)
    return _nanoseconds(stamps.tz_localize(None))


def _quarter(match: re.Match[str]) -> str:
    return f"{match[1]}-{int(match[2]) * 3 - 2:02d}"


def _nanoseconds(stamps: pd.DatetimeIndex) -> Array:
    in_range = (stamps.year > 1677) & (stamps.year < 2262)  # what 64-bit nanoseconds can hold
    return stamps.where(in_range).to_numpy().astype("datetime64[ns]")
