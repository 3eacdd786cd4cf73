"""Python code as HTML with a little colour."""

from __future__ import annotations

import io
import keyword
import tokenize

from markupsafe import Markup, escape

_CLASSES = {tokenize.COMMENT: "c", tokenize.STRING: "s", tokenize.NUMBER: "n"}
# Python 3.12 and later split f-strings into parts.
_CLASSES |= {
    getattr(tokenize, name): "s"
    for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
    if hasattr(tokenize, name)
}


def paint(code: str) -> Markup:
    """Escaped code with comments, strings, numbers and keywords in spans. Code that does not parse comes out plain."""
    lines = code.splitlines(keepends=True)
    parts: list[Markup | str] = []
    row, column = 1, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            kind = _CLASSES.get(token.type) or ("k" if keyword.iskeyword(token.string) else "")
            if not kind or token.start < (row, column):
                continue
            parts.append(escape(_between(lines, (row, column), token.start)))
            parts.append(Markup('<i class="{}">{}</i>').format(kind, _between(lines, token.start, token.end)))
            row, column = token.end
    except (tokenize.TokenError, SyntaxError):
        return escape(code)
    parts.append(escape(_between(lines, (row, column), (len(lines) + 1, 0))))
    return Markup("").join(parts)


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one (row, column) to another; rows count from 1."""
    if start[0] > len(lines):
        return ""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    first = lines[start[0] - 1][start[1] :]
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return first + "".join(lines[start[0] : end[0] - 1]) + last
