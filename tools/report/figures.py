"""Matplotlib figures as small inline SVG that follows the page's colours, light or dark."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tools.report.words import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, LINE, FIRST, SECOND, THIRD = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
"""Stand-ins for colours; each becomes the page's variable of that name when the figure is written."""

_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", FIRST: "first", SECOND: "second", THIRD: "third"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a label such as "$5" is a name, not a formula
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 8.5,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.2,
}
# Matplotlib's settings are global to the process, and a report may be written beside other work.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """One figure of the report."""

    name: str
    """Unique on the page; prefix of the ids in the SVG."""
    title: str
    svg: Markup
    caption: str | Markup = ""
    wide: bool = False


def draw(
    name: str,
    title: str,
    paint: Callable[[Axes], None],
    *,
    caption: str | Markup = "",
    wide: bool = False,
    height: float = 3.2,
) -> Picture:
    """Make a figure with one axes, let `paint` fill it, and return it as inline SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with _ONE_AT_A_TIME, mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.8 if wide else 4.3, height))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.075 if wide else 0.155, 0.15, 0.905 if wide else 0.815, 0.76))
        axes.tick_params(length=0)
        paint(axes)
        figure.savefig(buffer, format="svg", transparent=True)
    return Picture(name, title, slim(buffer.getvalue(), name, title), caption, wide)


def slim(svg: str, name: str, title: str) -> Markup:
    """Turn matplotlib's SVG file into a small fragment: no metadata, no fonts, no clashing ids, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r'<(g|text) id="[^"]*"', r"<\1", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'\b(?:d|x|y|width|height|transform)="[^"]*"', _short_numbers, svg)
    svg = re.sub(r"rotate\(-0 [^)]*\)", "", svg).replace(' transform=""', "")
    svg = re.sub(r">\s+<", "><", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    svg = _share_style(svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    box = re.search(r'viewBox="([^"]+)"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    body = svg[svg.index(">") + 1 :]
    head = f'<svg class="plot" viewBox="{box.group(1)}" role="img" aria-label="{escape(title)}">'
    # The text in the drawing was escaped by matplotlib; name and title are ours.
    return Markup(head + body)  # noqa: S704


def _short_numbers(attribute: re.Match[str]) -> str:
    return re.sub(r"(\d+\.\d)\d+", r"\1", attribute.group())


def _share_style(svg: str) -> str:
    """Put the style that all marks of one group repeat onto the group."""

    def lift(match: re.Match[str]) -> str:
        styles = set(re.findall(r'style="([^"]*)"', match.group(2)))
        if len(styles) != 1:
            return match.group(0)
        marks = re.sub(r' style="[^"]*"', "", match.group(2))
        return f'{match.group(1)} style="{styles.pop()}">{marks}</g>'

    return re.sub(r'(<g(?: clip-path="[^"]*")?)>((?:<use [^>]*/>){2,})</g>', lift, svg)


def legend(axes: Axes, scale: float = 1.0) -> None:
    """Above the drawing, where it can hide nothing. `scale` enlarges the markers."""
    axes.legend(
        markerscale=scale, loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, columnspacing=1.2, borderpad=0.2
    )


def frame(axes: Axes, xlabel: str, ylabel: str, *, unit: bool = False, plain_x: bool = True) -> None:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(color=LINE, lw=0.5)
    axes.locator_params(axis="y", nbins=6)
    axes.yaxis.set_major_formatter(_tick)
    if plain_x:
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter(_tick)
    if unit:
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))


def _tick(value: float, _position: float) -> str:
    """A short tick label: 0.25, 7,500, 40k, 2.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return tidy(value / (1e3 if letter == "k" else size), 3) + letter
    return tidy(value, 3)
