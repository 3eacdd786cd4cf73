"""Comparing runs: which ones, and what the comparison shows in a notebook, a terminal, JSON and HTML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphs.cli.output import duration, number, spread
from state.errors import UsageError
from tools.artifacts import open_artifacts
from tools.comparison import compare_runs, read_run
from tools.runs import standing
from tools.store import open_catalogue

if TYPE_CHECKING:
    from graphs.api import Run


class Comparison:
    """Two or more runs held against the first of them. Shows itself in a notebook."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Per run: name, task, best, score, sealed test, cost, …"""
        found: list[dict[str, Any]] = self._facts["runs"]
        return found

    @property
    def settings(self) -> list[dict[str, Any]]:
        """Settings that differ: {setting, values}, a value per run."""
        found: list[dict[str, Any]] = self._facts["settings"]
        return found

    @property
    def plans(self) -> list[dict[str, Any]]:
        """Per candidate of any run: {id, title, runs, differs}, what became of it in each, and where its plans differ."""
        found: list[dict[str, Any]] = self._facts["plans"]
        return found

    @property
    def programs(self) -> list[dict[str, Any]]:
        """Programs that differ: {one, other, candidates, diff}, as unified diffs."""
        found: list[dict[str, Any]] = self._facts["programs"]
        return found

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Per other run a paired test against the first: {one, other, why, rows, gain, low, high, better_share, says}."""
        found: list[dict[str, Any]] = self._facts["scores"]
        return found

    def plain(self) -> dict[str, Any]:
        """Everything as plain data."""
        return self._facts

    def html(self, path: str | Path) -> Path:
        """Write the comparison as one HTML file that needs nothing else, and return where."""
        from tools.report.comparison import write_comparison

        return write_comparison(Path(path), self._facts, sheet_of(self._facts))

    def __repr__(self) -> str:
        names = " and ".join(one["name"] for one in self.runs)
        return f"<Comparison of {names}: {'; '.join(one['says'] for one in self.scores)}>"

    def _repr_html_(self) -> str:
        from tools.report.comparison import comparison_card

        return comparison_card(self._facts, sheet_of(self._facts))


def compare(*runs: str | Run) -> Comparison:
    """Hold runs against the first: plans, programs, scores with a paired test, and cost. Runs by name, id prefix or `last`.

    Read-only. Raises UsageError for fewer than two different runs, NotFound for one that is not there or has not begun.
    """
    catalogue = open_catalogue()
    try:
        rows = [catalogue.find_run(run if isinstance(run, str) else run.id) for run in runs]
    finally:
        catalogue.close()
    if len({row.id for row in rows}) < max(2, len(rows)):
        raise UsageError(
            f"comparing takes two or more different runs, not {', '.join(row.name for row in rows) or 'none'}",
            hint="`modelwright ls` lists the runs",
        )
    artifacts = open_artifacts()
    facts = compare_runs([read_run(row, artifacts) for row in rows], artifacts)
    for told, row in zip(facts["runs"], rows, strict=True):
        told["status"] = standing(row)
    return Comparison(facts)


# ---- as texts -----------------------------------------------------------------------------------------------------

Rows = list[tuple[str, list[str]]]
"""Lines of a table: a label, and a text per run."""


def sheet_of(facts: dict[str, Any]) -> dict[str, Rows]:
    """A comparison as the texts that terminal, notebook and HTML show: {facts, settings, candidates}."""
    return {
        "facts": _fact_rows(facts["runs"]),
        "settings": [(one["setting"], list(map(_value, one["values"]))) for one in facts["settings"]],
        "candidates": [(one["id"], list(map(_fate, one["runs"]))) for one in facts["plans"]],
    }


def _fact_rows(runs: list[dict[str, Any]]) -> Rows:
    """What is known of every run. Lines that are empty for all are left out."""
    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("state", _state),
        ("data", lambda run: Path(run["data"]).name),
        ("task", lambda run: f"{run['kind']}: {run['target']}, {run['metric']}" if run["target"] else ""),
        ("split", lambda run: f"{run['split']}; {run['sealed_rows']:,} rows sealed" if run["split"] else ""),
        ("model", lambda run: f"{run['title']} ({run['best']})" if run["best"] else "none"),
        ("out of fold", lambda run: f"{number(run['score'])} {spread(run['low'], run['high'])}".strip()),
        ("sealed test", _test),
        (
            "search",
            lambda run: f"{_counted(run['candidates'], 'candidate')}, {_counted(run['iterations'], 'iteration')}",
        ),
        ("time", lambda run: duration(run["cost"]["seconds"])),
        ("trainings", _trainings),
        ("experts", _experts),
    ]
    found = [(label, [text(run) for run in runs]) for label, text in rows]
    return [(label, texts) for label, texts in found if any(texts)]


def _state(run: dict[str, Any]) -> str:
    if not run["parent"]:
        return str(run["status"])
    place = f" at step {run['forked_at']}" if run["forked_at"] else ""
    return f"{run['status']}; fork of {run['parent']}{place}"


def _test(run: dict[str, Any]) -> str:
    test = run["test"]
    if not test:
        return "not opened"
    before = run["opened_before_by"]
    again = f"; opening no. {run['opening']}, after {', '.join(before)}" if before else ""
    return f"{number(test['value'])} {spread(test['low'], test['high'])}{again}"


def _trainings(run: dict[str, Any]) -> str:
    cost = run["cost"]
    reused = f"; {cost['reused']} from the journal" if cost["reused"] else ""
    return f"{cost['trainings']} in {cost['training_seconds']:.1f} s{reused}"


def _experts(run: dict[str, Any]) -> str:
    cost = run["cost"]
    tokens = f", {cost['tokens']:,} tokens, ${cost['dollars']:.4f}" if cost["tokens"] else ""
    return f"{_counted(cost['questions'], 'question')}{tokens}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")


def _fate(one: dict[str, Any] | None) -> str:
    """What became of a candidate in a run."""
    if one is None:
        return "–"
    if one["score"] is None:
        return str(one["status"])
    weight = f"  {one['weight']:.0%}" if one["weight"] is not None and not one["best"] else ""
    return f"{number(one['score'])}{'  ★' if one['best'] else weight}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
