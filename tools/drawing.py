"""The main graph as a picture: read its mermaid text, lay it out in ranks, write SVG. Nothing leaves the machine."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from html import escape, unescape
from typing import NamedTuple

INK = "var(--ink, #1d2430)"
MUTED = "var(--muted, #667085)"
LINE = "var(--line, #d5dae1)"
PAPER = "var(--paper, #ffffff)"
FIRST = "var(--first, #2f5fd0)"
SECOND = "var(--second, #b7590a)"
"""Colours follow the page's variables where there are any; a picture saved alone uses the values given here."""

FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', sans-serif\""
_ROW, _HEIGHT, _GAP = 58, 30, 28

_ARROW = re.compile(
    r"\s*(?:-\.->|-->|==>|-\.\s*(?P<dotted>.+?)\s*\.->|--\s+(?P<solid>.+?)\s+-->)\s*(?:\|(?P<bar>[^|]*)\|\s*)?"
)
_NODE = re.compile(r"(?P<id>[\w\\.-]+)\s*(?:[\[({>]+(?P<label>.*?)[\])}]+)?(?::::\w+)?\s*;?\s*$")


class Edge(NamedTuple):
    """One step that may follow another; `conditional` when a route decides."""

    source: str
    target: str
    label: str = ""
    conditional: bool = False


@dataclass(frozen=True)
class Diagram:
    """Nodes (id → label), edges, and groups (name → ids of its nodes), all in order of appearance."""

    nodes: dict[str, str] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)


class _Box(NamedTuple):
    x: float
    y: float
    width: float


def read_mermaid(text: str) -> Diagram:
    """Read the flowchart subset that LangGraph writes and people write by hand: nodes, edges with labels, subgraphs.

    Lines of another kind (front matter, styles) are passed over. The start and end of a subgraph are dissolved into
    the steps beside them, as a reader wants to see who follows whom.
    """
    diagram, group = Diagram(), ""
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        if not words or words[0] in ("---", "graph", "flowchart", "classDef", "class", "style", "linkStyle", "%%"):
            continue
        if words[0] == "subgraph" and len(words) > 1:
            group = words[1].split("[")[0].strip('"')
            diagram.groups.setdefault(group, [])
        elif words[0].rstrip(";") == "end":
            group = ""
        elif not line.endswith(":") and not re.match(r"\w+: ", line):
            _read_line(line, group, diagram)
    return _dissolve_ends(diagram)


def _read_line(line: str, group: str, diagram: Diagram) -> None:
    arrows = list(_ARROW.finditer(line))
    starts = [0, *(arrow.end() for arrow in arrows)]
    ends = [*(arrow.start() for arrow in arrows), len(line)]
    found = [_read_node(line[start:end], group, diagram) for start, end in zip(starts, ends, strict=True)]
    for arrow, source, target in zip(arrows, found, found[1:], strict=False):
        label = arrow["dotted"] or arrow["solid"] or arrow["bar"] or ""
        if source and target:
            conditional = bool(label) or arrow.group().strip().startswith("-.")
            diagram.edges.append(Edge(source, target, _plain(label), conditional))


def _read_node(text: str, group: str, diagram: Diagram) -> str:
    match = _NODE.match(text.strip())
    if not match:
        return ""
    # LangGraph escapes what mermaid does not allow in an id: candidate\3aengineer is candidate:engineer.
    name = re.sub(r"\\([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), match["id"])
    if name in diagram.groups and not match["label"]:
        return name
    if match["label"] is not None or name not in diagram.nodes:
        diagram.nodes[name] = _plain(match["label"] or name.split(":")[-1])
    if group and not any(name in members for members in diagram.groups.values()):
        diagram.groups[group].append(name)
    return name


def _plain(label: str) -> str:
    """A label's text without markup; what LangGraph writes of a node's metadata, below a rule, is left out."""
    label = re.split(r"<hr\s*/?>", label)[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", label)).replace("\xa0", " ").strip("\"'([{ }])").split())


def _dissolve_ends(diagram: Diagram) -> Diagram:
    """Join edges that meet in a subgraph's own start or end, or that name the subgraph itself."""
    nodes, edges = dict(diagram.nodes), list(diagram.edges)
    inner = [name for name in nodes if re.fullmatch(r".+:__(start|end)__", name)]
    for name in inner:
        into, out = [e for e in edges if e.target == name], [e for e in edges if e.source == name]
        joined = [
            Edge(a.source, b.target, a.label or b.label, a.conditional or b.conditional) for a in into for b in out
        ]
        edges = [edge for edge in edges if name not in (edge.source, edge.target)] + joined
        del nodes[name]
    groups = {group: [name for name in members if name in nodes] for group, members in diagram.groups.items()}
    first = {group: members[0] for group, members in groups.items() if members}
    last = {group: members[-1] for group, members in groups.items() if members}
    edges = [edge._replace(source=last.get(edge.source, edge.source)) for edge in edges]
    edges = [edge._replace(target=first.get(edge.target, edge.target)) for edge in edges]
    return Diagram({name: nodes[name] for name in nodes if name not in groups}, edges, groups)


def graph_svg(diagram: Diagram, visited: Collection[str] = (), current: str = "") -> str:
    """The diagram as one SVG element, top to bottom. Steps back are drawn on the left, skips ahead on the right.

    `visited` (ids or labels) are drawn as passed, `current` as where the run stands.
    """
    ranks = _ranks(diagram)
    boxes = _place(diagram, ranks)
    if not boxes:
        return ""
    lines, labels = _draw_edges(diagram, boxes, ranks)
    parts = [*_draw_groups(diagram, boxes), *lines]
    for name, box in boxes.items():
        parts.append(_draw_node(name, diagram.nodes[name], box, visited, current))
    left = min(min(box.x - box.width / 2 for box in boxes.values()), *(x for x, _ in labels), 0) - 24
    right = max(max(box.x + box.width / 2 for box in boxes.values()), *(x for x, _ in labels), 0) + 24
    height = max(box.y for box in boxes.values()) + _HEIGHT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-label="the graph of the run" '
        f'width="{right - left:.0f}" viewBox="{left:.0f} 0 {right - left:.0f} {height:.0f}" {FONT}>'
        f'<defs><marker id="graph-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 .8 7.5 4 0 7.2z" fill="{MUTED}"/></marker></defs>'
    )
    return head + "".join(parts) + "".join(text for _, text in labels if text) + "</svg>"


def _back_edges(diagram: Diagram) -> set[tuple[str, str]]:
    """Edges that lead to a step still on the way down: the loops."""
    follow: dict[str, list[str]] = {name: [] for name in diagram.nodes}
    for edge in diagram.edges:
        if edge.source in follow and edge.target in follow:
            follow[edge.source].append(edge.target)
    back: set[tuple[str, str]] = set()
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        for after in follow[name]:
            if after == name or after in path:
                back.add((name, after))
            elif after not in done:
                walk(after, (*path, name))
        done.add(name)

    targets = {edge.target for edge in diagram.edges}
    for name in [name for name in follow if name not in targets] + list(follow):
        if name not in done:
            walk(name, ())
    return back


def _ranks(diagram: Diagram) -> dict[str, int]:
    """Rank of each node: the longest way to it, loops left out."""
    back = _back_edges(diagram)
    ranks = dict.fromkeys(diagram.nodes, 0)
    forward = [e for e in diagram.edges if e[:2] not in back and e.source in ranks and e.target in ranks]
    for _ in ranks:
        moved = False
        for edge in forward:
            if ranks[edge.target] <= ranks[edge.source]:
                ranks[edge.target], moved = ranks[edge.source] + 1, True
        if not moved:
            break
    return ranks


def _place(diagram: Diagram, ranks: dict[str, int]) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}
    for rank in sorted(set(ranks.values())):
        row = [name for name in diagram.nodes if ranks[name] == rank]
        widths = [max(64.0, 7.2 * len(_shown(diagram.nodes[name])) + 26) for name in row]
        x = -(sum(widths) + _GAP * (len(row) - 1)) / 2
        for name, width in zip(row, widths, strict=True):
            boxes[name] = _Box(x + width / 2, 26 + rank * _ROW, width)
            x += width + _GAP
    return boxes


def _shown(label: str) -> str:
    text = {"__start__": "start", "__end__": "end"}.get(label, label).replace("_", " ")
    return text if len(text) <= 40 else text[:39] + "…"


def _draw_node(name: str, label: str, box: _Box, visited: Collection[str], current: str) -> str:
    passed, here = bool({name, label} & set(visited)), current in (name, label)
    person = label.startswith("approve")
    edge = FIRST if passed or here else LINE
    fill = f"color-mix(in srgb, {FIRST} {18 if here else 7}%, {PAPER})" if passed or here else PAPER
    radius = 15 if label.strip("_") in ("start", "end") or label in ("S", "E") else 7
    style = f"fill:{fill};stroke:{SECOND if person else edge};stroke-width:{2 if here else 1.2}"
    dash = ' stroke-dasharray="5 3"' if person else ""
    return (
        f'<rect x="{box.x - box.width / 2:.1f}" y="{box.y - _HEIGHT / 2:.1f}" width="{box.width:.1f}" '
        f'height="{_HEIGHT}" rx="{radius}" style="{style}"{dash}/>'
        f'<text x="{box.x:.1f}" y="{box.y + 4.5:.1f}" text-anchor="middle" font-size="13" fill="{INK}">'
        f"{escape(_shown(label))}</text>"
    )


def _draw_groups(diagram: Diagram, boxes: dict[str, _Box]) -> list[str]:
    parts = []
    for group, members in diagram.groups.items():
        inside = [boxes[name] for name in members if name in boxes]
        if not inside:
            continue
        left = min(box.x - box.width / 2 for box in inside) - 96
        right = max(box.x + box.width / 2 for box in inside) + max(46.0, 7.0 * len(group) + 16)
        top = min(box.y for box in inside) - _HEIGHT / 2 - 8
        bottom = max(box.y for box in inside) + _HEIGHT / 2 + 8
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" rx="10" '
            f'fill="{MUTED}" fill-opacity=".07" stroke="{LINE}"/>'
            f'<text x="{right - 8:.1f}" y="{top + 14:.1f}" text-anchor="end" font-size="11" fill="{MUTED}">'
            f"{escape(_shown(group))}</text>"
        )
    return parts


def _draw_edges(
    diagram: Diagram, boxes: dict[str, _Box], ranks: dict[str, int]
) -> tuple[list[str], list[tuple[float, str]]]:
    """Paths, and labels with the outermost x they need. A straight step is a line, every other an arc at the side."""
    paths: list[str] = []
    labels: list[tuple[float, str]] = []
    for edge in diagram.edges:
        if edge.source not in boxes or edge.target not in boxes:
            continue
        one, other = boxes[edge.source], boxes[edge.target]
        span = ranks[edge.target] - ranks[edge.source]
        dash = ' stroke-dasharray="4 3"' if edge.conditional else ""
        if span == 1:
            y1, y2 = one.y + _HEIGHT / 2, other.y - _HEIGHT / 2
            path = f"M{one.x:.1f} {y1:.1f}C{one.x:.1f} {y1 + 14:.1f} {other.x:.1f} {y2 - 14:.1f} {other.x:.1f} {y2:.1f}"
            x, y, anchor = (one.x + other.x) / 2 + 7, (y1 + y2) / 2 + 4, "start"
            edge_x = x + 6.2 * len(edge.label)
        else:
            side = 1 if span > 1 else -1
            reach = 16 + 24 * max(1, abs(span)) ** 0.8
            x1, x2 = one.x + side * one.width / 2, other.x + side * other.width / 2
            far = (max if side > 0 else min)(x1, x2) + side * reach * 1.3
            path = f"M{x1:.1f} {one.y:.1f}C{far:.1f} {one.y:.1f} {far:.1f} {other.y:.1f} {x2:.1f} {other.y:.1f}"
            x = 0.125 * (x1 + x2) + 0.75 * far + side * 5
            y, anchor = (one.y + other.y) / 2 + 4, "start" if side > 0 else "end"
            edge_x = x + side * 6.2 * len(edge.label)
        paths.append(f'<path d="{path}" fill="none" stroke="{MUTED}"{dash} marker-end="url(#graph-tip)"/>')
        text = (
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11" fill="{MUTED}" '
            f'stroke="{PAPER}" stroke-width="3" paint-order="stroke">{escape(_shown(edge.label))}</text>'
        )
        labels.append((edge_x, text if edge.label else ""))
    return paths, labels
