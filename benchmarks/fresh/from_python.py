"""Tables made from what every Python carries: its standard library's source, and the Unicode character database."""

from __future__ import annotations

import ast
import re
import sysconfig
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

MOST_FUNCTIONS = 12_000
MOST_CHARACTERS = 12_000
LEAST_OF_CLASS = 40
PACKAGES = 15
"""Packages with the most documented functions, for `docstring_package`."""
_LEFT_OUT = {"site-packages", "test", "tests", "idle_test", "__pycache__", "lib2to3", "ensurepip", "turtledemo"}
_NUMBERED = re.compile(r"-[0-9A-F]{4,6}$")


def function_lengths() -> pd.DataFrame:
    """One row per function of the standard library: where it is, its signature, what it says of itself; lines of code."""
    table = pd.DataFrame(_functions())
    return _spread(table, MOST_FUNCTIONS)


def docstring_package() -> pd.DataFrame:
    """What a documented function says of itself, and the package it belongs to; duplicates are left out."""
    table = pd.DataFrame(_functions())
    table["package"] = table["module"].str.partition(".")[0]
    table = table[table["says"].str.len() > 20].drop_duplicates("says")
    known = table["package"].value_counts()
    chosen = sorted(known.index, key=lambda name: (-known[name], name))[:PACKAGES]
    return table.loc[table["package"].isin(chosen), ["says", "package"]].reset_index(drop=True)


def character_category() -> pd.DataFrame:
    """Named characters, without those whose name is a number; rare categories are left out."""
    rows = []
    for code in range(0x110000):
        sign = chr(code)
        name = unicodedata.name(sign, "")
        if name and not _NUMBERED.search(name) and not name.startswith("HANGUL SYLLABLE"):
            rows.append(
                (name, unicodedata.east_asian_width(sign), unicodedata.combining(sign), unicodedata.category(sign))
            )
    table = _spread(pd.DataFrame(rows, columns=["name", "width", "combining_class", "category"]), MOST_CHARACTERS)
    count = table["category"].map(table["category"].value_counts())
    return table[count >= LEAST_OF_CLASS].reset_index(drop=True)


def _spread(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, evenly over the table."""
    step = max(1, -(-len(table) // most))
    return table.iloc[::step].reset_index(drop=True)


def _functions() -> list[dict[str, object]]:
    library = Path(sysconfig.get_paths()["stdlib"])
    rows: list[dict[str, object]] = []
    for path in sorted(library.rglob("*.py")):
        inside = path.relative_to(library)
        if not _LEFT_OUT & set(inside.parts):
            try:
                tree = ast.parse(path.read_text("utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue
            module = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
            rows += [_described(module, owner, function) for owner, function in _inside(tree)]
    return rows


def _inside(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with the class it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield owner, node
        yield from _inside(node, node.name if isinstance(node, ast.ClassDef) else owner)


def _described(module: str, owner: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, object]:
    words = (ast.get_docstring(function) or "").split("\n\n")[0]
    stated = function.body[0]
    documented = isinstance(stated, ast.Expr) and isinstance(stated.value, ast.Constant)
    skipped = (stated.end_lineno or stated.lineno) - stated.lineno + 1 if documented else 0
    return {
        "module": module,
        "owner": owner,
        "name": function.name,
        "arguments": ", ".join(
            one.arg for one in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        ),
        "decorated": "yes" if function.decorator_list else "no",
        "says": " ".join(words.split()),
        "lines": (function.end_lineno or function.lineno) - function.lineno + 1 - skipped,
    }


MAKERS = {maker.__name__: maker for maker in (function_lengths, docstring_package, character_category)}
