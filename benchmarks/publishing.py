"""What a comparison looks like: the tables and sentences of docs/benchmarks.md, a JSON file, and the chart beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.chart import draw
from benchmarks.provenance import ROOT
from benchmarks.toolbox import OURS, TOOLS
from benchmarks.verdicts import CLIP, OPPONENTS, OVERHEAD, RANKED, SAID, Comparison, Row

DOCS = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"
USUAL_LIMIT = 60
_OTHERS = {
    "anchor": "the anchor",
    "flaml": "FLAML",
    "boosting": "boosting",
    "autogluon_series": "AutoGluon's time series predictor",
}


def publish(found: Comparison, name: str, limit: int, *, write: bool) -> None:
    """Print the text; with `write` also put it between the markers of docs/benchmarks.md, and write JSON and chart.

    Another limit than 60 s has files and markers of its own: `NAME-20s`.
    """
    label = name if limit == USUAL_LIMIT else f"{name}-{limit}s"
    if not found.rows:
        print("nothing is measured yet")
        return
    text = text_of(found, f"{label}.svg")
    print(text)
    if not write:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{label}.json").write_text(json.dumps(plain(found), indent=1) + "\n")
    draw(found, DOCS.with_name(f"{label}.svg"))
    put_between(DOCS, label, text)


def put_between(document: Path, label: str, text: str) -> None:
    """Replace what stands between `<!-- label -->` and `<!-- /label -->`; add both at the end where they are missing."""
    first, last = f"<!-- {label} -->", f"<!-- /{label} -->"
    content = document.read_text()
    if first not in content:
        content = f"{content.rstrip()}\n\n## {label}\n\n{first}\n{last}\n"
    before, _, rest = content.partition(first)
    _, _, after = rest.partition(last)
    document.write_text(f"{before}{first}\n{text}\n{last}{after}")


def plain(found: Comparison) -> dict[str, Any]:
    """The whole comparison as data: statements, a row per set, and where every cell came from."""
    return {"statements": found.statements(), "made": made(found), "rows": [plain_row(row) for row in found.rows]}


def plain_row(row: Row) -> dict[str, Any]:
    figures = ("score", "wall", "cpu_seconds", "peak_mb", "latency", "predict_seconds", "size_mb")
    tools = {
        tool: {
            **{name: row.mean(tool, name) for name in figures},
            "seeds": sorted(row.scored(tool)),
            "failed": [cell["failed"].splitlines()[-1][:300] for cell in cells if cell["failed"]],
            "dates": sorted({cell["date"][:10] for cell in cells}),
        }
        for tool, cells in row.cells.items()
    }
    return {
        "set": row.name,
        "metric": row.one["metric"],
        "time_ordered": row.time_ordered,
        "trivial": row.reference("trivial"),
        "seasonal_naive": row.reference("seasonal_naive"),
        "anchor": row.anchor,
        "normalised": row.normalised,
        "verdicts": {name: row.verdict(name) for name in OPPONENTS},
        "ratios": {name: row.ratio(row.opponent(name)) for name in OPPONENTS},
        "ranks": row.ranks(),
        "tools": tools,
    }


def made(found: Comparison) -> dict[str, Any]:
    """Commit, tree, machine and dates of the cells."""
    ours = found.of(OURS)
    return {
        "commits": sorted({cell["commit"] for cell in ours}),
        "trees": sorted({cell["beside"] for cell in ours}),
        "machines": [
            json.loads(one) for one in sorted({json.dumps(cell["machine"], sort_keys=True) for cell in found.cells})
        ],
        "dates": {tool: sorted({cell["date"][:10] for cell in found.of(tool)}) for tool in TOOLS if found.of(tool)},
        "memory_by": sorted({cell["memory_by"] for cell in found.cells}),
    }


# ---- the text -------------------------------------------------------------------------------------------------------


def text_of(found: Comparison, chart: str) -> str:
    """Markdown: where it comes from, the statements, the losses, the scores, the costs."""
    parts = [
        _origin(found),
        f"![error of each tool over the anchor's, per set]({chart})",
        "\n".join(_statements(found)),
        "\n".join(_losses(found)),
        _scores(found),
        _costs(found),
        "\n".join(_failures(found)),
    ]
    return "\n\n".join(part for part in parts if part)


def _origin(found: Comparison) -> str:
    facts = made(found)
    machine = facts["machines"][0] if facts["machines"] else {}
    dates = "; ".join(f"{TOOLS[tool].title} {', '.join(days)}" for tool, days in facts["dates"].items())
    seeds = len(found.seeds)
    return (
        f"{len(found.rows)} sets, {seeds} seed{'' if seeds == 1 else 's'}, {found.limit} s, two cores "
        f"({machine.get('processor', '?')}, {machine.get('memory_gb', '?')} GB). modelwright at commit "
        f"{', '.join(facts['commits']) or '–'}. Measured: {dates}."
        + (f" {len(found.missing)} cells are not measured." if found.missing else "")
    )


def _statements(found: Comparison) -> list[str]:
    says = found.statements()
    lines = []
    for name in SAID:
        counts = {kind: len(sets) for kind, sets in says["verdicts"][name].items()}
        if total := sum(counts.values()):
            ratio = says["error_ratio"][name]
            lines.append(
                f"- Against {_OTHERS[name]}: **{counts['win']} wins, {counts['tie']} ties, {counts['loss']} losses** "
                f"of {total} sets; geometric mean of the error ratio {_n(ratio)}."
            )
    if normal := says["normalised"]:
        lines.append(
            f"- Normalised score (1 is the anchor, 0 the constant): mean {normal['mean']:.3f}, median "
            f"{normal['median']:.3f}, worst {normal['worst']:.3f} ({says['worst_set']})."
        )
    if ranks := says["mean_rank"]:
        told = ", ".join(
            f"{TOOLS[tool].title} {rank:.2f}" for tool, rank in sorted(ranks.items(), key=lambda one: one[1])
        )
        lines.append(f"- Mean rank of {len(RANKED)}: {told}.")
    return lines + _promises(says)


def _promises(says: dict[str, Any]) -> list[str]:
    """What modelwright says of itself, held against what happened."""
    lines = []
    if walls := says["within_limit"].get(OURS):
        most = round(OVERHEAD * says["limit"])
        lines.append(
            f"- Whole command within {most} s at a limit of {says['limit']} s: {walls['within']} of {walls['of']} builds; "
            f"the longest took {walls['longest']:.1f} s."
        )
    for kind, title in (("independent", "independent rows or groups"), ("time_ordered", "sets split in time")):
        if hits := says["coverage"][kind]:
            lines.append(
                f"- The 95 % interval told before the sealed test held the sealed score in {hits['covered']} of {hits['of']} "
                f"builds ({title})."
            )
    if share := says["engine_share"]:
        lines.append(
            f"- Share of the wall in which no job ran: median {100 * share['median']:.0f} %, most {100 * share['most']:.0f} %."
        )
    if memory := says["peak_mb"][OURS]:
        lines.append(f"- Peak memory of a build: median {memory['median']:.0f} MB, most {memory['most']:.0f} MB.")
    if quicker := says["latency_below_autogluon_best"]:
        lines.append(f"- Quicker prediction than AutoGluon best on {quicker['sets']} of {quicker['of']} sets.")
    return lines


def _losses(found: Comparison) -> list[str]:
    """Every lost set, with by how much."""
    lines = []
    for name in SAID:
        lost = [(row, row.verdict(name)) for row in found.rows if row.verdict(name).startswith("loss")]
        if lost:
            told = ", ".join(
                f"{row.name} ({'failed' if 'failed' in verdict else 'error × ' + _n(row.ratio(row.opponent(name)))})"
                for row, verdict in sorted(lost, key=lambda one: -(one[0].ratio(one[0].opponent(name)) or CLIP))
            )
            lines.append(f"- Lost to {_OTHERS[name]}: {told}.")
        elif any(row.verdict(name) for row in found.rows):
            lines.append(f"- Lost to {_OTHERS[name]}: no set.")
    return lines


def _scores(found: Comparison) -> str:
    """One row per set."""
    series = bool(found.of("autogluon_series"))
    tools = [*RANKED, *(["autogluon_series"] if series else [])]
    head = ["set", "metric", "constant", *(TOOLS[tool].title for tool in tools)]
    head += ["error / anchor's", "anchor", "FLAML", "boosting", "normalised"]
    lines = []
    for row in found.rows:
        scores = [_score(row, tool) for tool in tools]
        verdicts = [_marked(row.verdict(name)) for name in OPPONENTS]
        told = [row.name, row.one["metric"], _n(row.reference("trivial")), *scores]
        lines.append([*told, _n(row.ratio(row.anchor)), *verdicts, _n(row.normalised, 3)])
    return _table(head, lines, left=2)


def _score(row: Row, tool: str) -> str:
    """Mean score; bold for the better AutoGluon preset, with the number of seeds that failed."""
    if not row.cells.get(tool):
        return ""
    mean, failed = row.mean(tool), row.failed(tool)
    told = "failed" if mean is None else _n(mean)
    if tool == row.anchor:
        told = f"**{told}**"
    return told + (f" ({failed} failed)" if failed and mean is not None else "")


def _marked(verdict: str) -> str:
    return f"**{verdict}**" if verdict.startswith("loss") else verdict


def _costs(found: Comparison) -> str:
    """One row per tool: what its builds cost, and what its models do."""
    head = ["tool", "builds", "failed", "wall s, median", "longest", f"within {OVERHEAD * found.limit:.0f} s", "CPU s"]
    head += ["peak MB, median", "most", "s per 1,000 rows", "predict command s", "size MB"]
    lines = []
    for tool in TOOLS.values():
        if not (cells := found.of(tool.name)):
            continue
        walls = [cell["wall"] for cell in cells]
        within = sum(wall <= OVERHEAD * cell["limit"] for wall, cell in zip(walls, cells, strict=True))
        failed = sum(cell["score"] is None for cell in cells)
        peaks = [cell["peak_mb"] for cell in cells]
        lines.append(
            [
                tool.title,
                str(len(cells)),
                str(failed),
                f"{median(walls):.1f}",
                f"{max(walls):.1f}",
                f"{within} of {len(cells)}" if tool.timed else "",
                _n(_median(cell["cpu_seconds"] for cell in cells), 3),
                f"{median(peaks):.0f}",
                f"{max(peaks):.0f}",
                *(
                    _n(_median(cell.get(name) for cell in cells), 3)
                    for name in ("latency", "predict_seconds", "size_mb")
                ),
            ]
        )
    return _table(head, lines, left=1)


def _failures(found: Comparison) -> list[str]:
    """One line per failed cell."""
    return [
        f"- Failed: {cell['tool']} on {cell['set']}, seed {cell['seed']}: {_words(cell['failed'])}"
        for cell in found.cells
        if cell["failed"]
    ]


def _words(text: str) -> str:
    """The last line of an error, safe inside Markdown."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip()[:200] if lines else ""
    return "".join("\\" + sign if sign in "\\`*_[]<>|#" else sign for sign in last)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _table(head: list[str], lines: list[list[str]], left: int) -> str:
    rule = ["---" if place < left else "---:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def _n(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}g}"
