"""Numbers with their receipts: the link from a number on the page to the row that says where it came from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from tools.receipts import Number, number_id
from tools.report.facts import ReportFacts
from tools.report.words import count, number, share

_FAMILIES = {
    "oof": "Candidates, out of fold",
    "baseline": "Baselines",
    "gain": "Paired comparisons",
    "curve": "Curves",
    "calibration": "Calibration",
    "class": "Classes",
    "segment": "Segments",
    "importance": "Columns",
    "fold": "Single folds",
}
MOST_OF_A_FAMILY = 200


class Sources:
    """The run's numbers, each with an anchor on the page."""

    def __init__(self, facts: ReportFacts) -> None:
        self.numbers: Mapping[str, Number] = facts.numbers
        self.run = str(facts.run.get("name") or facts.run.get("id") or "last")
        self.anchors = {name: f"n{place}" for place, name in enumerate(self._shown(), start=1)}

    def __call__(self, name: str, text: Any) -> Markup:
        """The text as a link to the receipt of a number; the bare text when the run has none of that id."""
        name = number_id(name)
        anchor = self.anchors.get(name)
        if anchor is None:
            return escape(text)
        return Markup('<a class="n" href="#{}" title="{}: {}">{}</a>').format(
            anchor, name, self.numbers[name].title, text
        )

    def command(self, name: str = "ID") -> str:
        """The command that prints a receipt."""
        return f"modelwright why {shlex.quote(self.run)} {name if name == 'ID' else shlex.quote(name)}"

    def view(self) -> dict[str, Any]:
        """The appendix: the main numbers, and families that can be unfolded."""
        families = []
        for kind, title in _FAMILIES.items():
            names = self._family(kind)
            if names:
                families.append(self._view_of(title, names))
        return {"main": [self._row(name) for name in self._main()], "families": families, "command": self.command()}

    def _view_of(self, title: str, names: list[str]) -> dict[str, Any]:
        """A family; a method that all its numbers share is told once."""
        rows = [self._row(name) for name in names[:MOST_OF_A_FAMILY]]
        methods = {row["method"] for row in rows}
        shared = methods.pop() if len(methods) == 1 else ""
        if shared:
            rows = [{**row, "method": ""} for row in rows]
        more = len(names) - len(rows)
        return {"title": title, "rows": rows, "more": more, "count": len(names), "method": shared}

    def _row(self, name: str) -> dict[str, Any]:
        one = self.numbers[name]
        return {
            "anchor": self.anchors[name],
            "id": name,
            "title": one.title,
            "method": one.method,
            "value": share(one.value) if name == "lift" and one.value is not None else number(one.value),
            "interval": "" if one.low is None or one.high is None else f"{number(one.low)} to {number(one.high)}",
            "rows": f"{count(one.rows)} {one.rows_are}" if one.rows is not None else one.rows_are,
            "role": one.role,
            "event": one.event,
        }

    def _main(self) -> list[str]:
        return [name for name in self.numbers if _kind(name) not in _FAMILIES]

    def _family(self, kind: str) -> list[str]:
        return [name for name in self.numbers if _kind(name) == kind]

    def _shown(self) -> list[str]:
        return [*self._main(), *(name for kind in _FAMILIES for name in self._family(kind)[:MOST_OF_A_FAMILY])]


def _kind(name: str) -> str:
    return name.split(".", 1)[0]
