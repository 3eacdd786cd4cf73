"""What a graph is known by: its nodes, edges and channels as lines, a fingerprint of them, and how two graphs differ.

LangGraph loads whatever checkpoint it finds into whatever graph it is given. A pending node that has another name now is
no longer there, and the run "finishes" without it; a node put before the pending one is passed over; a channel with
another name is empty. So a run remembers the graph that drives it, and another one is refused, or the run is migrated.

What counts, decided here once:

- *Nodes, edges and channels, subgraphs included*: any difference is another graph. No difference is harmless by itself,
  not even one more channel: only who writes both graphs knows, and says so with a migration, which may have no steps.
- *What nodes do*: no part of the shape. A node may do its work differently tomorrow.
- *LangGraph*: it promises to read what earlier releases wrote, not what later ones did. So going on with a newer one is
  harmless and told; with an older one (by major and minor number) it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Protocol

from state.records import content_key

Shape = dict[str, list[str]]
"""`nodes`, `edges` and `channels` as sorted, readable lines."""

PACKAGES = ("langgraph", "langgraph-checkpoint")
"""Packages whose release decides whether a stored step can be taken up."""

_KINDS = {"nodes": "node", "edges": "edge", "channels": "channel"}


class Compiled(Protocol):
    """What is needed of a compiled graph to know its shape."""

    @property
    def channels(self) -> Mapping[str, Any]: ...

    def get_graph(self, *, xray: bool) -> Any: ...

    def get_subgraphs(self, *, recurse: bool) -> Iterable[tuple[str, Any]]: ...


@dataclass(frozen=True)
class GraphIdentity:
    """A graph as runs remember it."""

    version: str
    shape: Shape
    packages: dict[str, str] = field(default_factory=dict)
    """Package → release."""


def identity_of(graph: Any) -> GraphIdentity:
    """The identity of a compiled graph with the packages installed here."""
    shape = graph_shape(graph)
    return GraphIdentity(_version(shape), shape, dict(installed()))


def graph_version(graph: Any) -> str:
    """A fingerprint that changes when a node, an edge or a state channel does, subgraphs included."""
    return _version(graph_shape(graph))


def graph_shape(graph: Compiled) -> Shape:
    """Nodes, edges and state channels as sorted, readable lines; two shapes compare line by line."""
    drawn = graph.get_graph(xray=True)
    channels = _channels("", graph.channels)
    for name, inner in graph.get_subgraphs(recurse=True):
        channels += _channels(f"{name}:", inner.channels)
    return {
        "nodes": sorted(drawn.nodes),
        "edges": sorted(f"{edge.source} {'⇢' if edge.conditional else '→'} {edge.target}" for edge in drawn.edges),
        "channels": sorted(channels),
    }


@lru_cache(maxsize=1)
def installed() -> tuple[tuple[str, str], ...]:
    """The releases of `PACKAGES` installed here."""
    return tuple((name, version(name)) for name in PACKAGES)


# ---- differences ------------------------------------------------------------------------------------------------


def differences(before: Shape, after: Shape) -> list[str]:
    """What is different between two shapes, a line each: removed, added, and channels that hold something else."""
    lines = []
    for part, word in _KINDS.items():
        gone, new = set(before.get(part, [])) - set(after.get(part, [])), set(after.get(part, [])) - set(before[part])
        if part == "channels":
            held, holds = _by_name(gone), _by_name(new)
            for name in sorted(held.keys() & holds.keys()):
                lines.append(f"channel changed: {held[name]}, now {holds[name].partition(': ')[2]}")
                gone.discard(held[name])
                new.discard(holds[name])
        lines += [f"{word} removed: {line}" for line in sorted(gone)]
        lines += [f"{word} added: {line}" for line in sorted(new)]
    return lines


def older_packages(stored: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Packages whose release here is older, by major and minor number, than the one that drove the run; a line each."""
    return [
        f"package older: {name} {release} drove the run, {here[name]} is installed"
        for name, release in sorted(stored.items())
        if name in here and _numbers(here[name]) < _numbers(release)
    ]


def newer_packages(stored: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Packages that were upgraded since the run was last driven: harmless, and told; a line each."""
    return [
        f"{name} {release} → {here[name]}"
        for name, release in sorted(stored.items())
        if name in here and _numbers(here[name]) > _numbers(release)
    ]


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])


def _by_name(lines: Iterable[str]) -> dict[str, str]:
    return {line.partition(": ")[0]: line for line in lines}


# ---- parts of the shape -----------------------------------------------------------------------------------------


def _version(shape: Shape) -> str:
    return f"1-{content_key(shape)[:24]}"


def _channels(prefix: str, channels: Mapping[str, Any]) -> list[str]:
    """Channels of the state, each with its type and reducer; LangGraph's own bookkeeping is left out."""
    lines = []
    for name, channel in channels.items():
        if name.startswith(("__", "branch:")):
            continue
        reducer = getattr(getattr(channel, "operator", None), "__qualname__", "")
        lines.append(f"{prefix}{name}: {type(channel).__name__} {_spelled(channel.ValueType)} {reducer}".rstrip())
    return lines


def _spelled(kind: Any) -> str:
    """A type as text, without addresses or anything else that differs between processes."""
    if isinstance(kind, type) and not hasattr(kind, "__args__"):
        return kind.__name__
    if hasattr(kind, "__metadata__"):
        return _spelled(kind.__origin__)
    return str(kind)
