"""The comparison as a picture: each tool's error over the anchor's, set by set, as one self-contained SVG file."""

from __future__ import annotations

from pathlib import Path

from benchmarks.toolbox import OURS, TOOLS
from benchmarks.verdicts import CLIP, TIE, Comparison, Row

_SHOWN = {OURS: ("o", "#1b6ca8", 9.0), "flaml": ("s", "#c7762b", 6.0), "boosting": ("^", "#8a8a8a", 6.0)}
"""Tool → mark, colour and size."""


def points(row: Row) -> dict[str, float]:
    """Tool → its error over the anchor's on one set, clipped; without an anchor nothing."""
    found = {}
    theirs = row.mean(row.anchor) if row.anchor else None
    if theirs is None:
        return {}
    from benchmarks.sets import error

    its = error(row.one, theirs)
    for tool in _SHOWN:
        score = row.mean(tool)
        if score is not None:
            mine = error(row.one, score)
            ratio = mine / its if its > 0 else (1.0 if mine <= 0 else CLIP)
            found[tool] = min(CLIP, max(1 / CLIP, ratio))
    return found


def draw(found: Comparison, path: Path) -> None:
    """Write the chart: sets from the best for modelwright to the worst, a logarithmic axis, the tie's band shaded."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text, and the same comparison gives the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "modelwright", "font.family": "sans-serif"})
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    rows = [(row, where) for row in found.rows if (where := points(row))]
    rows.sort(key=lambda one: -one[1].get(OURS, CLIP))
    figure, axes = pyplot.subplots(figsize=(8.5, 1.6 + 0.28 * max(1, len(rows))))
    axes.axvspan(1 / (1 + TIE), 1 + TIE, color="#d7d7d7", linewidth=0)
    axes.axvline(1, color="#555555", linewidth=1)
    for tool, (mark, colour, size) in _SHOWN.items():
        there = [(place, where[tool]) for place, (_, where) in enumerate(rows) if tool in where]
        heights, values = [place for place, _ in there], [value for _, value in there]
        axes.plot(values, heights, mark, color=colour, markersize=size, label=TOOLS[tool].title, alpha=0.9)
    axes.set_yticks(range(len(rows)), [row.name for row, _ in rows])
    axes.set_xscale("log")
    axes.set_xlim(0.95 / CLIP, 1.05 * CLIP)
    ticks = [1 / 3, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 3]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([f"{tick:.2g}" for tick in ticks])
    axes.set_xlabel("error / error of the better AutoGluon preset (left is better)")
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    seeds = len(found.seeds)
    axes.set_title(f"{found.limit} s, two cores, {seeds} seed{'' if seeds == 1 else 's'}", loc="left", fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / figure.get_figheight()), ncols=3, frameon=False)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
