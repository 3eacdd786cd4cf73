"""`make bench-quality`: modelwright, AutoGluon, FLAML and HistGradientBoosting side by side, resumable by cell.

    python -m benchmarks.quality                            measure what is missing, then print the table
    python -m benchmarks.quality --write                    … and write docs/benchmarks.md, the chart and the JSON
    python -m benchmarks.quality --table [--write]          measure nothing
    python -m benchmarks.quality --only sonar titanic --tools modelwright flaml --seeds 1 --limit 20
    python -m benchmarks.quality --keep-peers               after a change of modelwright: its cells anew, the peers' kept
    python -m benchmarks.quality --limit 20 --anchor-limit 60   modelwright after 20 s against the peers' cells of 60 s

All tools of one set and seed run back to back, on the same rows and cores, each in processes of its own. A cell that is
done is one JSON file (cells.py); Ctrl-C or a kill loses the cell at work and nothing else, and the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import sets
from benchmarks.cells import CELLS, is_valid, measure, opened_split, path_of, read_cell, set_aside, write_cell
from benchmarks.provenance import ROOT, commit, tree_hash
from benchmarks.publishing import publish
from benchmarks.toolbox import OURS, TOOLS, Tool
from benchmarks.verdicts import Comparison, compare

MORE_SECONDS = 25.0
"""Guess of what a cell takes beyond its limit, before one of its tool was measured: start, predict, account."""


@dataclass(frozen=True)
class Wish:
    """One cell that is wanted."""

    one: dict[str, Any]
    seed: int
    tool: Tool
    path: Path


@dataclass
class Pace:
    """How long the cells of each tool take, told from those of this invocation."""

    limit: int
    seen: dict[str, list[float]] = field(default_factory=dict)

    def add(self, tool: str, seconds: float) -> None:
        self.seen.setdefault(tool, []).append(seconds)

    def left(self, wishes: list[Wish]) -> float:
        return sum(self._guess(wish.tool) for wish in wishes)

    def _guess(self, tool: Tool) -> float:
        seen = self.seen.get(tool.name)
        return sum(seen) / len(seen) if seen else MORE_SECONDS + (self.limit if tool.timed else 0)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, with the tools' names checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "datasets", help="folder of datasets.json"
    )
    parser.add_argument("--name", default="quality", help="of the campaign: its cells, JSON, chart and markers")
    parser.add_argument("--seeds", type=int, default=3, help="outer splits: seeds 0 … N-1")
    parser.add_argument("--limit", type=int, default=60, help="seconds each tool is given")
    parser.add_argument(
        "--anchor-limit", type=int, help="take the peers' cells of this limit, and measure none of them"
    )
    parser.add_argument("--only", nargs="*", default=[], help="names of sets")
    parser.add_argument("--tools", nargs="*", default=[], choices=list(TOOLS), metavar="TOOL", help=", ".join(TOOLS))
    parser.add_argument("--keep-peers", action="store_true", help="keep the peers' cells of an earlier modelwright")
    parser.add_argument(
        "--anew", action="store_true", help="set aside every cell of another version and measure it again"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="write the JSON, the chart, and docs/benchmarks.md")
    return parser.parse_args(arguments)


def wishes_of(options: argparse.Namespace, chosen: list[dict[str, Any]]) -> list[Wish]:
    """Every cell in the order it is measured: seed by seed, set by set, its tools back to back.

    The first tool changes from seed to seed, so that no tool always meets the machine in the same state.
    """
    names = options.tools or ([OURS] if options.anchor_limit else list(TOOLS))
    tools = [TOOLS[name] for name in TOOLS if name in names]
    found = []
    for seed in range(options.seeds):
        turned = tools[seed % len(tools) :] + tools[: seed % len(tools)]
        for one in chosen:
            fitting = [tool for tool in turned if one.get("split") == "time" or not tool.only_time]
            found += [
                Wish(one, seed, tool, path_of(options.name, options.limit, one["name"], seed, tool.name))
                for tool in fitting
            ]
    return found


def stale_of(wishes: list[Wish], *, keep_peers: bool) -> list[Wish]:
    """Wishes whose cell is there, but of another version, machine, or measured beside another modelwright."""
    beside = tree_hash()
    cells = [(wish, read_cell(wish.path)) for wish in wishes]
    return [
        wish for wish, cell in cells if cell and not is_valid(cell, wish.tool, beside=beside, keep_peers=keep_peers)
    ]


def settle_stale(wishes: list[Wish], options: argparse.Namespace) -> None:
    """Set old cells aside where that was asked for; refuse to mix versions where it was not."""
    stale = stale_of(wishes, keep_peers=options.keep_peers)
    if not stale:
        return
    if options.anew or options.keep_peers:
        set_aside([wish.path for wish in stale])
        print(f"{len(stale)} cells of another version were moved to {CELLS / 'aside'}", flush=True)
        return
    cells = [read_cell(wish.path) or {} for wish in stale]
    versions = ", ".join(sorted({f"{cell['beside']} (commit {cell['commit']})" for cell in cells}))
    raise SystemExit(
        f"{len(stale)} cells were measured beside another modelwright, by other scripts, or on another machine: tree "
        f"{versions}; here it is {tree_hash()} (commit {commit()}).\nThey are not mixed. --keep-peers keeps the peers' "
        "cells of this machine and measures modelwright again; --anew measures all of them again; --name NAME starts a "
        "campaign beside this one."
    )


def tell_stale(wishes: list[Wish], options: argparse.Namespace) -> None:
    """Say what a table that measures nothing leaves out."""
    if stale := stale_of(wishes, keep_peers=options.keep_peers):
        print(f"{len(stale)} cells of another version or machine are left out", file=sys.stderr)


def run_missing(wishes: list[Wish], options: argparse.Namespace) -> None:
    """Measure what is not there, telling each cell and the time left."""
    missing = [wish for wish in wishes if read_cell(wish.path) is None]
    if not missing:
        return
    require_peers(missing)
    pace, tree = Pace(options.limit), tree_hash()
    print(
        f"{len(wishes) - len(missing)} of {len(wishes)} cells are there; {told(pace.left(missing))} for the rest",
        flush=True,
    )
    while missing:
        first = missing[0]
        same = [wish for wish in missing if (wish.one["name"], wish.seed) == (first.one["name"], first.seed)]
        with opened_split(options.data, first.one, first.seed) as split:
            for wish in same:
                if tree_hash() != tree:
                    raise SystemExit(
                        "modelwright's source changed while it was measured: start again (see --keep-peers)"
                    )
                began = time.monotonic()
                cell = measure(wish.tool, split, options.limit)
                write_cell(wish.path, cell)
                pace.add(wish.tool.name, time.monotonic() - began)
                missing.remove(wish)
                print(line_of(cell, len(wishes) - len(missing), len(wishes), pace.left(missing)), flush=True)


def require_peers(missing: list[Wish]) -> None:
    """Refuse to start when a peer's environment is not there."""
    if any(not wish.tool.python.exists() for wish in missing):
        raise SystemExit(
            "the peers' environment is missing: `make bench-peers` makes it (or leave them out with --tools)"
        )


def line_of(cell: dict[str, Any], number: int, count: int, left: float) -> str:
    """What is printed of a cell."""
    head = f"[{number}/{count}] {cell['set']:<22} seed {cell['seed']}  {cell['tool']:<17}"
    said = f"{cell['metric']} {cell['score']:.5g}" if cell["score"] is not None else "FAILED"
    figures = f"wall {cell['wall']:.1f} s  cpu {cell['cpu_seconds']:.0f} s  peak {cell['peak_mb'] / 1000:.2f} GB"
    why = f"  {cell['failed'].splitlines()[-1][:120]}" if cell["failed"] else ""
    return f"{head} {said}  {figures}{why}  · {told(left)} left"


def told(seconds: float) -> str:
    """`2 h 05 min, until 18:40`."""
    minutes = round(seconds / 60)
    length = f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
    return f"{length}, until {time.strftime('%H:%M', time.localtime(time.time() + seconds))}"


def comparison_of(options: argparse.Namespace, chosen: list[dict[str, Any]]) -> Comparison:
    """All cells that may stand in the table; modelwright's of the limit, the peers' of the anchor's limit."""
    beside, found = tree_hash(), []
    for tool in TOOLS.values():
        limit = options.anchor_limit if options.anchor_limit and tool.name != OURS else options.limit
        keep = options.keep_peers or bool(options.anchor_limit)
        for one in chosen:
            for seed in range(options.seeds):
                cell = read_cell(path_of(options.name, limit, one["name"], seed, tool.name))
                if cell and is_valid(cell, tool, beside=beside, keep_peers=keep):
                    found.append(cell)
    return compare(chosen, found, limit=options.limit)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, then show the table."""
    options = options_of(arguments)
    known = sets.load_sets(options.data)
    if unknown := set(options.only) - {one["name"] for one in known}:
        raise SystemExit(
            f"no such set: {', '.join(sorted(unknown))}; there are {', '.join(one['name'] for one in known)}"
        )
    chosen = [one for one in known if not options.only or one["name"] in options.only]
    wishes = wishes_of(options, chosen)
    try:
        if options.table:
            tell_stale(wishes, options)
        else:
            settle_stale(wishes, options)
            run_missing(wishes, options)
    except KeyboardInterrupt:
        print("\npaused; the same command goes on with the cell that was at work", file=sys.stderr)
        raise SystemExit(130) from None
    publish(comparison_of(options, chosen), options.name, options.limit, write=options.write)


if __name__ == "__main__":
    main()
