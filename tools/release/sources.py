"""The plain source files a release is made from: templates of ours with a docstring of the model's own, and portable
modules copied as they are."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from tools.syntax import parse_source

RUNTIME = ("reading.py", "allowed.py", "ensembles.py", "words.py", "saving.py")
"""Modules of tools/portable/ that every release has a copy of, in model_inference/."""
_TOOLS = Path(__file__).resolve().parent.parent
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def runtime_names(read_spec: dict[str, Any]) -> tuple[str, ...]:
    """The portable modules of a release: those of every one, and what the columns of its data need beside them."""
    columns = read_spec["columns"].values()
    pictures = ("images.py",) if any(column["type"] == "image" for column in columns) else ()
    units = ("quantities.py",) if any(column.get("unit") for column in columns) else ()
    return (*pictures, *units, *RUNTIME)


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
