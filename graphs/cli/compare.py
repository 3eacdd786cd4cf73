"""`modelwright compare`: runs side by side in the terminal, as JSON, and as an HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphs.cli.output import print_json, results, say
from state.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

MOST_DIFF = 60
"""Lines of one program's diff that a terminal shows."""


def compare_command(references: list[str], html: Path | None, output_json: bool) -> None:
    """Compare runs, and show it; with `html` also write it to a file."""
    from graphs.comparing import compare

    if html is not None and html.is_dir():
        raise UsageError(f"{str(html)!r} is a folder", hint="--html takes the name of a file")
    comparison = compare(*references)
    written = None if html is None else comparison.html(html)
    if output_json:
        print_json(comparison.plain())
        return
    comparison_screen(comparison.plain())
    if written is not None:
        results().print(f"written to {written}", soft_wrap=True, markup=False)


def comparison_screen(facts: dict[str, Any]) -> None:
    """The comparison on the terminal, as wide as that is."""
    from graphs.comparing import sheet_of

    console = results()
    names = [run["name"] for run in facts["runs"]]
    sheet = sheet_of(facts)
    _table(console, "", names, sheet["facts"])
    if sheet["settings"]:
        _table(console, "settings that differ", names, sheet["settings"])
    _table(console, "candidates, out of fold", names, sheet["candidates"])
    for one in facts["plans"]:
        for line in one["differs"]:
            say(console, f"  {one['id']}  {line}", indent=4 + len(one["id"]))
    say(console, "")
    say(console, "the winners, on the rows both have out-of-fold predictions for", style="bold")
    for test in facts["scores"]:
        rows = f"; {test['rows']:,} rows" if test.get("rows") else ""
        say(console, f"  {test['says']}{rows}", indent=2)
    for program in facts["programs"]:
        _diff(console, program)


def _table(console: Console, title: str, names: list[str], rows: list[tuple[str, list[str]]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if title:
        say(console, "")
    table = Table(box=None, pad_edge=False)
    table.add_column(Text(title), no_wrap=False, style="bold" if not title else "")
    for name in names:
        table.add_column(Text(name), overflow="fold", ratio=None if not console.is_terminal else 1)
    for label, texts in rows:
        table.add_row(Text(label), *map(Text, texts))
    console.print(table)


def _diff(console: Console, program: dict[str, Any]) -> None:
    one, two = program["candidates"]
    names = one if one == two else f"{one} and {two}"
    say(console, "")
    say(console, f"programs of {names}: {program['one']} → {program['other']}", style="bold")
    for line, style in _styled(program["diff"][:MOST_DIFF]):
        say(console, f"  {line}", indent=4, style=style)
    if len(program["diff"]) > MOST_DIFF:
        say(console, f"  … {len(program['diff']) - MOST_DIFF} more lines; --json or --html shows all of them")


def _styled(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        yield line, {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
