"""A comparison of runs as one HTML file in the style of the report, and as a small card for notebooks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from state.errors import StoreError
from tools.report.words import cut

_HERE = Path(__file__).parent
_MARKS = {"+": "plus", "-": "minus", "@": "place"}
_CARD = "font:14px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;max-width:900px"
_CELL = (
    "padding:.25rem .7rem;text-align:left;vertical-align:top;font-weight:400;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 14%,transparent)"
)
_MUTED = "color:color-mix(in srgb,currentColor 62%,transparent)"

Rows = Sequence[tuple[str, Sequence[str]]]


def write_comparison(path: Path, facts: Mapping[str, Any], sheet: Mapping[str, Any]) -> Path:
    """Write the comparison to `path`, whole or not at all, and return its absolute path.

    facts: what `tools.comparison.compare_runs` gives. sheet: the same as texts, see `graphs/comparing.py`. Raises
    StoreError when the file cannot be written.
    """
    content = render(facts, sheet).encode("utf-8", "replace")
    path = path.expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o644)  # mkstemp makes it private; a comparison is to be shown to others
            os.replace(name, path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"the comparison cannot be written to {str(path)!r}: {error.strerror}", hint="name a file you may write"
        ) from error
    return path


def render(facts: Mapping[str, Any], sheet: Mapping[str, Any]) -> str:
    """The comparison's HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cut"] = cut
    return environment.get_template("comparison.html.j2").render(
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704  # our own file
        names=[run["name"] for run in facts["runs"]],
        scores=facts["scores"],
        facts=sheet["facts"],
        settings=sheet["settings"],
        plans=[{**plan, "texts": texts} for plan, (_, texts) in zip(facts["plans"], sheet["candidates"], strict=True)],
        programs=[_program(program) for program in facts["programs"]],
    )


def comparison_card(facts: Mapping[str, Any], sheet: Mapping[str, Any]) -> str:
    """A small table for a notebook: without script, style sheet or network, at home in light and dark themes."""
    names = [run["name"] for run in facts["runs"]]
    said = Markup("").join(Markup("<div>{}</div>").format(test["says"]) for test in facts["scores"])
    parts = [_table("", names, sheet["facts"])]
    if sheet["settings"]:
        parts.append(_table("settings that differ", names, sheet["settings"]))
    parts.append(_table("candidates", names, sheet["candidates"]))
    return str(Markup('<div style="{}">{}{}</div>').format(_CARD, said, Markup("").join(parts)))


def _table(title: str, names: Sequence[str], rows: Rows) -> Markup:
    head = Markup("").join(Markup('<th style="{}"><b>{}</b></th>').format(_CELL, cut(name, 40)) for name in names)
    body = Markup("").join(
        Markup("<tr>{}{}</tr>").format(
            Markup('<th style="{};{}">{}</th>').format(_CELL, _MUTED, cut(label, 40)),
            Markup("").join(Markup('<td style="{}">{}</td>').format(_CELL, cut(text, 120)) for text in texts),
        )
        for label, texts in rows
    )
    return Markup(
        '<table style="border-collapse:collapse;color:inherit;font:inherit;margin:.5rem 0">'
        '<thead><tr><th style="{};{}">{}</th>{}</tr></thead><tbody>{}</tbody></table>'
    ).format(_CELL, _MUTED, title, head, body)


def _program(program: Mapping[str, Any]) -> dict[str, Any]:
    one, two = program["candidates"]
    names = one if one == two else f"{one} and {two}"
    return {
        "title": f"{names}: {program['one']} → {program['other']}",
        "lines": [(_MARKS.get(line[:1], ""), line) for line in program["diff"]],
    }
