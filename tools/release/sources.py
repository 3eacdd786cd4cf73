"""The plain source files a release is made from: templates of ours with a docstring of the model's own, and portable
modules copied as they are."""

from __future__ import annotations

import ast
from pathlib import Path

from tools.syntax import parse_source

RUNTIME = ("images.py", "quantities.py", "reading.py", "allowed.py", "ensembles.py", "saving.py")
"""Modules of tools/portable/ that every release has a copy of, in model_inference/; each needs only those before it."""
_TOOLS = Path(__file__).resolve().parent.parent
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def template(name: str) -> str:
    """Text of a file in tools/release/templates/."""
    return (_TEMPLATES / name).read_text("utf-8")


def portable(name: str) -> str:
    """Text of a module in tools/portable/, to be copied into a release."""
    return (_TOOLS / "portable" / name).read_text("utf-8")


def with_docstring(source: str, text: str) -> str:
    """`source` with its module docstring replaced by `text`, whatever characters that holds."""
    first = parse_source(source).body[0]
    assert isinstance(first, ast.Expr)
    assert first.end_lineno is not None
    rest = source.splitlines(keepends=True)[first.end_lineno :]
    # A column may be called anything; inside the quotes only these three need care.
    body = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').replace("\r", "\\r")
    end = "\n" if "\n" in body or body.endswith('"') else ""
    return f'"""{body}{end}"""\n{"".join(rest)}'
