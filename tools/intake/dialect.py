"""How a text file is written: encoding, delimiter, quotes."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from dataclasses import dataclass

_DELIMITERS = (",", ";", "\t", "|")
_FOREIGN = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp932", "euc_jp", "gb18030", "big5", "euc_kr")
_SAMPLE_CHARACTERS = 400_000
_SAMPLE_RECORDS = 400
_CLEAN = re.compile(
    r"\s*(?:[+-]?[\d.,' ]*\d%?|[$€£¥]\s?[\d.,]+|[+-]?\d*[.,]?\d+[eE][+-]?\d+|[\w.:/+-]+(?: [\w.:/+-]+){0,5}|)\s*"
)
"""Cells that look like one value: a number, an amount, a code, a date, a few words, nothing."""


@dataclass(frozen=True)
class Dialect:
    """How cells are separated and quoted."""

    delimiter: str
    quotechar: str = '"'
    escape: str | None = None
    skip_space: bool = False


def detect_encoding(data: bytes) -> tuple[str, str]:
    """The text encoding of a file's bytes, and a sentence about it ("" for plain UTF-8).

    Raises ValueError naming the line and offset of the first bad byte when encodings are mixed.
    """
    if data[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        return "utf-32", "The file is encoded as UTF-32."
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", "The file is encoded as UTF-16."
    head = data[:4096]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 8 and head[offset::2].count(0) > len(head) * 0.3:
            return name, f"The file is encoded as {name.upper()} without a byte order mark."
    if data.isascii():
        return "utf-8", ""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _other_encoding(data, error)
    return "utf-8", ""


def _other_encoding(data: bytes, error: UnicodeDecodeError) -> tuple[str, str]:
    multibyte = len(re.findall(rb"[\xc3-\xf4][\x80-\xbf]+", data))
    valid = rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x00-\x7f]+"
    strays = len(re.sub(valid, b"", data))
    if multibyte > 3 * strays:
        line = data.count(b"\n", 0, error.start) + 1
        bad = data[error.start : error.start + 1]
        raise ValueError(
            f"line {line}: byte {bad!r} at offset {error.start} is no UTF-8, which the rest of the file is"
        ) from error
    name = _guess(data)
    return name, f"The file is not UTF-8; it was read as {name}."


def _guess(data: bytes) -> str:
    """The likeliest encoding of text that is not UTF-8.

    Words with a few accents are Western; words of nothing but foreign letters are told apart by their statistics.
    """
    telling = b"\n".join([line for line in data[:4_000_000].split(b"\n") if not line.isascii()][:2000])[:200_000]
    words = [word for word in re.findall(rb"[A-Za-z\x80-\xff]{2,}", telling) if not word.isascii()]
    foreign = sum(len(re.findall(rb"[\x80-\xff]", word)) > 0.6 * len(word) for word in words)
    candidates = [*(_by_statistics(telling) if foreign > 0.5 * len(words) else []), "cp1252"]
    for name in candidates:
        try:
            data.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return "latin-1"


def _by_statistics(telling: bytes) -> list[str]:
    from charset_normalizer import from_bytes

    best = from_bytes(telling, cp_isolation=list(_FOREIGN)).best()
    return [best.encoding] if best is not None else []


def detect_dialect(text: str) -> Dialect:
    """How the cells of CSV text are separated and quoted, judged from its first records.

    The delimiter is the one under which records have the header's number of fields and cells look like single values.
    """
    sample = _sample(text)
    quote = _quotechar(sample)
    inner = rf"{quote}[^,;\t|\r\n]"  # a quote that does not end its cell
    escape = "\\" if re.search(rf"\\{inner}", sample) and not re.search(quote + inner, sample) else None
    scores = {sign: _score(sample, Dialect(sign, quote, escape)) for sign in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda sign: scores[sign])
    if scores[best] == 0:
        return Dialect(" " if _is_aligned(sample) else _unused(text, sample), quote, escape)
    rows = _rows(sample, Dialect(best, quote, escape))[1:]
    later = [cell for row in rows for cell in row[1:] if cell]
    spaced = bool(later) and sum(cell.startswith(" ") for cell in later) > 0.9 * len(later)
    return Dialect(best, quote, escape, spaced)


def _unused(text: str, sample: str) -> str:
    """The delimiter for a single column: one that cuts none of its cells, unless they look cut on purpose."""
    rows = _rows(sample, Dialect(","))[1:]
    if rows and all(len(row) == 2 and re.fullmatch(r"\s*[+-]?[\d.]+\s*", row[1]) for row in rows):
        return ","  # a header that lacks a name; reading says so
    return next((sign for sign in _DELIMITERS if sign not in text), ",")


def _is_aligned(sample: str) -> bool:
    """True for numbers in columns separated by blanks: as many words in every line, most of them numbers."""
    lines = [line.split() for line in sample.split("\n") if line.strip()][:_SAMPLE_RECORDS]
    if len(lines) < 2 or len(lines[0]) < 2 or len({len(line) for line in lines[:-1]}) > 1:
        return False
    words = [word for line in lines[1:] for word in line]
    return sum(re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", word) is not None for word in words) > 0.5 * len(words)


def _sample(text: str) -> str:
    if len(text) <= _SAMPLE_CHARACTERS:
        return text
    cut = text.rfind("\n", 0, _SAMPLE_CHARACTERS)
    return text[: cut + 1] if cut > 0 else text[:_SAMPLE_CHARACTERS]


def _quotechar(sample: str) -> str:
    double = len(re.findall(r'(?:^|[,;\t|])\s?"', sample, re.MULTILINE))
    single = len(re.findall(r"(?:^|[,;\t|])\s?'[^'\n]*'(?=[,;\t|\r\n]|$)", sample, re.MULTILINE))
    return "'" if double == 0 and single > 0.5 * sample.count("\n") else '"'


def _rows(sample: str, dialect: Dialect) -> list[list[str]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(
        io.StringIO(sample, newline=""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quotechar,
        escapechar=dialect.escape,
    )
    rows = []
    for row in reader:
        if row:
            rows.append(row)
        if len(rows) >= _SAMPLE_RECORDS:
            break
    return rows


def _score(sample: str, dialect: Dialect) -> float:
    """0 when the header is not split at all; else how well the records agree with this delimiter."""
    rows = _rows(sample, dialect)
    if not rows or len(rows[0]) < 2:
        return 0.0
    body = rows[1:] or rows
    width, count = Counter(map(len, body)).most_common(1)[0]
    agreement = count / len(body) * (1.0 if width == len(rows[0]) else 0.5)
    cells = [cell for row in body[:100] for cell in row[:50]]
    clean = sum(len(cell) <= 200 and _CLEAN.fullmatch(cell) is not None for cell in cells) / max(1, len(cells))
    return agreement * (0.4 + 0.6 * clean) * (1 + min(width, 50) / 1000)
