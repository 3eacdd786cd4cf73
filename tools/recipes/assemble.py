"""Puts a program together: a rendered template, the parts it uses, and exactly the imports all of that needs.

Templates (templates/*.py.j2) hold what is particular to a recipe: constants, `fit`, `predict`. Parts (parts/*.py) are
shared functions. Only the parts a program really calls are copied into it, in the order they are needed, so a written
program has no dead code and no unused import.
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tools.recipes import parts
from tools.recipes.imports import IMPORTS, import_lines
from tools.syntax import parse_source

WIDTH = 120


@dataclass(frozen=True)
class Part:
    """A shared function or type alias: its source and the names it uses."""

    name: str
    source: str
    uses: frozenset[str]
    function: bool


def assemble(template: str, **values: Any) -> str:
    """The finished program of templates/<template>.py.j2 rendered with `values`. Pure: reads package data only."""
    body = _environment().get_template(f"{template}.py.j2").render(**values)
    tree = parse_source(body)
    document = ast.get_docstring(tree, clean=False) or ""
    first = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    lines = body.splitlines()
    head = "\n".join(lines[tree.body[0].end_lineno : first.lineno - 1]).strip()
    tail = "\n".join(lines[first.lineno - 1 :]).strip()
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    chosen = _needed(_names(tree) - own)
    used = _names(tree).union(*(part.uses for part in chosen))
    constants = "\n".join([*(part.source for part in chosen if not part.function), *([head] if head else [])])
    functions = [part.source for part in chosen if part.function]
    start = f'"""{document}"""\n\nfrom __future__ import annotations\n\n{import_lines(used & IMPORTS.keys())}'
    sections = ["\n\n".join([start, constants]).strip(), *functions, tail]
    return re.sub(r"\n{4,}", "\n\n\n", "\n\n\n".join(section for section in sections if section)) + "\n"


def enclose(code: str, template: str, *, renamed: Mapping[str, str], **values: Any) -> str:
    """The program `code` inside another: templates/<template>.py.j2 rendered with `values`, which calls its functions.

    renamed: entry point of `code` (fit, predict) → the name by which the template calls it. An entry point that is not
    named stays the program's own. The docstring is that of `code`, then that of the template.
    """
    for name, other in renamed.items():
        code = re.sub(rf"^def {name}\(", f"def {other}(", code, flags=re.MULTILINE)
    body = _environment().get_template(f"{template}.py.j2").render(**values)
    inner, outer = parse_source(code), parse_source(body)
    documents = [ast.get_docstring(tree, clean=False) or "" for tree in (inner, outer)]
    document = "\n\n".join(text.strip() for text in documents if text.strip())
    own = {node.name for tree in (inner, outer) for node in tree.body if isinstance(node, ast.FunctionDef)}
    # Constants that parts bring are in `code` already where its own parts use them.
    own |= {ast.unparse(node.targets[0]) for node in inner.body if isinstance(node, ast.Assign)}
    chosen = _needed(_names(outer) - own)
    chosen = [part for part in chosen if part.name not in own]
    used = (_names(inner) | _names(outer)).union(*(part.uses for part in chosen))
    constants = [
        *_sources(code, inner, ast.Assign, ast.AnnAssign),
        *(part.source for part in chosen if not part.function),
    ]
    constants += _sources(body, outer, ast.Assign, ast.AnnAssign)
    functions = [*_sources(code, inner, ast.FunctionDef), *(part.source for part in chosen if part.function)]
    functions += _sources(body, outer, ast.FunctionDef)
    end = "\n" if "\n" in document else ""
    start = f'"""{document}{end}"""\n\nfrom __future__ import annotations\n\n{import_lines(used & IMPORTS.keys())}'
    return "\n\n\n".join(["\n\n".join([start, "\n".join(constants)]).strip(), *functions]) + "\n"


def _sources(text: str, tree: ast.Module, *kinds: type[ast.stmt]) -> list[str]:
    """The text of the top-level statements of these kinds, in their order."""
    lines = text.splitlines()
    return ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in tree.body if isinstance(node, kinds)]


def literal(name: str, value: Any, indent: int = 0) -> str:
    """`name = value` as a formatter would lay it out: on one line when it fits, else one item per line."""
    space = " " * indent
    line = f"{space}{name}{_flat(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | dict) or not value:
        return line
    inner = " " * (indent + 4)
    if isinstance(value, list):
        rows = [f"{inner}{_flat(item)}," for item in value]
        return "\n".join([f"{space}{name}[", *rows, f"{space}]"])
    rows = [literal(f"{_flat(key)}: ", item, indent + 4) + "," for key, item in value.items()]
    return "\n".join([f"{space}{name}{{", *rows, f"{space}}}"])


def _flat(value: Any) -> str:
    """One-line source of plain data, texts in double quotes where that needs no escapes."""
    if isinstance(value, str):
        text = repr(value)
        return '"' + text[1:-1] + '"' if text.startswith("'") and '"' not in value else text
    if isinstance(value, list):
        return "[" + ", ".join(_flat(item) for item in value) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(_flat(item) for item in value) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    return repr(value)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tools.recipes", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  Python source is rendered, not HTML
    )
    environment.globals["literal"] = literal
    environment.filters["document"] = _document
    environment.filters["source"] = _flat
    return environment


def _document(text: str) -> str:
    """Text fit for a docstring: wrapped, and without anything that could end it."""
    plain = " ".join(text.replace("\\", "/").replace('"', "'").split())
    return textwrap.fill(plain, WIDTH, break_long_words=False, break_on_hyphens=False)


@functools.cache
def _library() -> dict[str, Part]:
    """All parts by name, read from the source of the modules in parts/."""
    library: dict[str, Part] = {}
    for file in sorted(resources.files(parts).iterdir(), key=lambda file: file.name):
        # Read, not imported: the parts' libraries are heavy and only the programs need them.
        source = file.read_text(encoding="utf-8") if file.name.endswith(".py") else ""
        lines = source.splitlines()
        for node in parse_source(source).body:
            if isinstance(node, ast.FunctionDef | ast.Assign):
                name = node.name if isinstance(node, ast.FunctionDef) else ast.unparse(node.targets[0])
                text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                library[name] = Part(name, text, frozenset(_names(node)) - {name}, isinstance(node, ast.FunctionDef))
    return library


def _needed(names: set[str]) -> list[Part]:
    """The parts behind `names`, each after the parts it uses itself."""
    library, order = _library(), {}

    def take(name: str) -> None:
        if name in library and name not in order:
            for other in sorted(library[name].uses):
                take(other)
            order[name] = library[name]

    for name in sorted(names):
        take(name)
    return list(order.values())


def _names(tree: ast.AST) -> set[str]:
    """Names that are read anywhere in the tree, annotations included."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
