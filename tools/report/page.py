"""Write the report: one HTML file that needs nothing else, in light and dark, on screen and paper."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from tools.crash import crash_point
from tools.database import sync_folder
from tools.disk import writing
from tools.drawing import graph_svg, read_mermaid
from tools.report import model, reuse, search, words
from tools.report.data import custody, data
from tools.report.facts import ReportFacts
from tools.report.outcome import outcome
from tools.report.sources import Sources
from tools.report.sure import segment_table, sure

if TYPE_CHECKING:
    from jinja2 import Environment

_RUN = ("id", "name", "created", "finished", "seconds", "status", "settings", "versions", "tier", "command")
_HERE = Path(__file__).parent


def write_report(path: Path, facts: ReportFacts) -> None:
    """Write the report to `path` (its folder is made). Whole or not at all: a reader never sees half a page.

    Raises DiskFull or StoreError when the disk refuses it.
    """
    # Column names and program texts may hold lone surrogates, which UTF-8 cannot spell.
    content = render(facts).encode("utf-8", "replace")
    with writing(path):
        _write(path, content)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes it private; a report is to be shown to others
        crash_point("mid-report")
        os.replace(name, path)
        sync_folder(path.parent)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def render(facts: ReportFacts) -> str:
    """The report's HTML."""
    sources = Sources(facts)
    return _environment().get_template("report.html.j2").render(
        facts=facts,
        run={**dict.fromkeys(_RUN), **facts.run},
        task=facts.task,
        profile=facts.profile,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704  # our own file
        n=sources,
        sources=sources.view(),
        outcome=outcome(facts, sources),
        sure=sure(facts, sources),
        segments=segment_table(facts),
        # Reading notes may be told twice: by the task's decisions and by the run.
        assumed=[said for said in dict.fromkeys([*facts.task.decisions, *facts.notes]) if said.strip()],
        data=data(facts),
        custody=custody(facts),
        plans=search.plans(facts, sources),
        search=search.candidates(facts, sources),
        ladder=search.ladder(facts, sources),
        importance=search.importance(facts),
        costs=search.costs(facts),
        answers=search.answers(facts),
        quality=model.quality(facts, sources),
        programs=model.programs(facts),
        usage=reuse.usage(facts),
        reproduce=reuse.reproduce(facts),
        versions=reuse.versions(facts),
        command=reuse.build_command(facts),
        graph=_graph(facts),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": words.number,
        "tidy": words.tidy,
        "count": words.count,
        "share": words.share,
        "seconds": words.seconds,
        "moment": words.moment,
        "cut": words.cut,
        "metric_title": words.metric_title,
        "capitalize_first": words.capitalize_first,
    }
    return environment


def _graph(facts: ReportFacts) -> Markup:
    """The main graph with the steps this run took."""
    if not facts.graph:
        return Markup()
    if facts.graph.lstrip().startswith("<svg"):
        return Markup(facts.graph)  # noqa: S704  # made by tools/drawing.py, which escapes every label
    roles = {str(event.get("role", "")) for event in facts.events} - {""}
    return Markup(graph_svg(read_mermaid(facts.graph), visited=roles))  # noqa: S704
