"""From cells to statements: per set win, tie or loss, normalised scores, error ratios, ranks, and what a run promised.

On each set a tool stands with the mean of its scores over the seeds. Two tools are compared on the seeds both have.

anchor          the better of AutoGluon's two presets on that set
error           1 − metric where higher is better, else RMSE, MAE or log loss
error ratio     modelwright's error / the other's, of means, clipped to 1/3 … 3
win, tie, loss  a tie is an error ratio within 1 %; a tool that failed on a set loses it to one that did not
normalised      (score − trivial) / (anchor − trivial), clipped to 0 … 1.5; trivial is the best constant. Where the anchor
                is no better than the constant: 1.5 for a win, 1 for a tie, 0 for a loss against it
rank            by error among modelwright, AutoGluon best and medium, FLAML and boosting; equal errors share their rank
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from benchmarks import sets
from benchmarks.toolbox import ANCHORS, OURS, TOOLS

TIE = 0.01
CLIP = 3.0
MOST_NORMALISED = 1.5
OVERHEAD = 1.1
"""The whole command may take this many times the limit."""
OPPONENTS = ("anchor", "flaml", "boosting")
SAID = (*OPPONENTS, "autogluon_series")
"""Whom the statements name; the last only runs on sets split in time."""
RANKED = tuple(tool.name for tool in TOOLS.values() if not tool.only_time)

Cell = dict[str, Any]


@dataclass
class Row:
    """One set of the table."""

    one: dict[str, Any]
    cells: dict[str, list[Cell]]
    """Tool → its cells, one per seed that was measured."""

    @property
    def name(self) -> str:
        return str(self.one["name"])

    @property
    def time_ordered(self) -> bool:
        return bool(self.one.get("split") == "time")

    def scored(self, tool: str) -> dict[int, float]:
        """Seed → score, where there is one."""
        return {cell["seed"]: cell["score"] for cell in self.cells.get(tool, []) if cell["score"] is not None}

    def failed(self, tool: str) -> int:
        return len([cell for cell in self.cells.get(tool, []) if cell["score"] is None])

    def mean(self, tool: str, name: str = "score") -> float | None:
        """Mean of a figure over the seeds that have it."""
        known = [cell[name] for cell in self.cells.get(tool, []) if cell.get(name) is not None]
        return fmean(known) if known else None

    def most(self, tool: str, name: str) -> float | None:
        known = [cell[name] for cell in self.cells.get(tool, []) if cell.get(name) is not None]
        return max(known) if known else None

    def reference(self, name: str) -> float | None:
        """`trivial` or `seasonal_naive`, the mean over the seeds that were measured."""
        found = {cell["seed"]: cell[name] for cells in self.cells.values() for cell in cells}
        known = [value for value in found.values() if value is not None]
        return fmean(known) if known else None

    @property
    def anchor(self) -> str | None:
        """The better preset: that with more scored seeds, then that with the smaller error."""
        there = [tool for tool in ANCHORS if self.scored(tool)]
        return min(there, key=lambda tool: (-len(self.scored(tool)), self._error(self.mean(tool)))) if there else None

    def opponent(self, name: str) -> str | None:
        """The tool behind a name of OPPONENTS."""
        return self.anchor if name == "anchor" else name

    def _error(self, score: float | None) -> float:
        return math.inf if score is None else sets.error(self.one, score)

    def ratio(self, other: str | None) -> float | None:
        """Modelwright's error over another's on the seeds both have, clipped; None without any."""
        if other is None:
            return None
        ours, theirs = self.scored(OURS), self.scored(other)
        if not (both := ours.keys() & theirs.keys()):
            return None
        mine, its = (self._error(fmean(found[seed] for seed in both)) for found in (ours, theirs))
        if its <= 0:
            return 1.0 if mine <= 0 else CLIP
        return min(CLIP, max(1 / CLIP, mine / its))

    def verdict(self, other: str) -> str:
        """win, tie, loss; `win (it failed)`, `loss (failed)`; or empty where one of the two was not measured."""
        tool = self.opponent(other)
        measured = self.cells.get(OURS)
        if other == "anchor" and tool is None and any(self.cells.get(one) for one in ANCHORS) and measured:
            return "win (it failed)" if self.scored(OURS) else ""
        if tool is None or not measured or not self.cells.get(tool):
            return ""
        if self.failed(OURS) and not self.failed(tool):
            return "loss (failed)"
        if not self.scored(tool):
            return "win (it failed)" if self.scored(OURS) else ""
        ratio = self.ratio(tool)
        if ratio is None:
            return ""
        if 1 / (1 + TIE) <= ratio <= 1 + TIE:
            return "tie"
        return "win" if ratio < 1 else "loss"

    @property
    def normalised(self) -> float | None:
        """See the module; 0 where modelwright failed on every seed and the anchor did not; None without an anchor."""
        if not self.cells.get(OURS) or self.anchor is None:
            return None
        ours, theirs = self.scored(OURS), self.scored(self.anchor)
        both = ours.keys() & theirs.keys()
        if not both:
            return 0.0 if theirs else None
        trivial = fmean(cell["trivial"] for cell in self.cells[OURS] if cell["seed"] in both)
        mine, its = (fmean(found[seed] for seed in both) for found in (ours, theirs))
        if self._error(its) >= self._error(trivial):
            return {"win": MOST_NORMALISED, "tie": 1.0}.get(self.verdict("anchor"), 0.0)
        return min(MOST_NORMALISED, max(0.0, (mine - trivial) / (its - trivial)))

    def ranks(self) -> dict[str, float]:
        """Rank of each tool that was measured; failed ones share the last places."""
        errors = {tool: self._error(self.mean(tool)) for tool in RANKED if self.cells.get(tool)}
        return {
            tool: 1 + sum(other < mine for other in errors.values()) + (sum(o == mine for o in errors.values()) - 1) / 2
            for tool, mine in errors.items()
        }


@dataclass
class Comparison:
    """All rows of one campaign at one limit."""

    rows: list[Row]
    limit: int
    missing: list[str] = field(default_factory=list)
    """`set seed tool` of cells that are not there."""

    @property
    def cells(self) -> list[Cell]:
        return [cell for row in self.rows for cells in row.cells.values() for cell in cells]

    def of(self, tool: str) -> list[Cell]:
        return [cell for cell in self.cells if cell["tool"] == tool]

    @property
    def seeds(self) -> list[int]:
        return sorted({cell["seed"] for cell in self.cells})

    def statements(self) -> dict[str, Any]:
        """Every figure the text states, as plain data; None where nothing was measured."""
        return {
            "sets": len([row for row in self.rows if row.cells.get(OURS)]),
            "seeds": len(self.seeds),
            "limit": self.limit,
            "verdicts": {name: self._verdicts(name) for name in SAID},
            **self._normalised(),
            "error_ratio": {name: self._ratios(name) for name in SAID},
            "mean_rank": self._mean_ranks(),
            "failed": {tool: _count(self.of(tool), lambda cell: cell["score"] is None) for tool in TOOLS},
            "within_limit": {tool: self._within(tool) for tool in TOOLS if TOOLS[tool].timed},
            "coverage": self._coverage(),
            "engine_share": _spread([cell["account"]["engine"]["share"] for cell in self.of(OURS) if _engine(cell)]),
            "peak_mb": {tool: _spread([cell["peak_mb"] for cell in self.of(tool)]) for tool in TOOLS},
            "latency_below_autogluon_best": self._quicker(),
            "missing": self.missing,
        }

    def _verdicts(self, name: str) -> dict[str, list[str]]:
        """win, tie, loss → names of sets, failures among them."""
        found: dict[str, list[str]] = {"win": [], "tie": [], "loss": []}
        for row in self.rows:
            if verdict := row.verdict(name):
                found[verdict.split(" ")[0]].append(row.name)
        return found

    def _normalised(self) -> dict[str, Any]:
        known = {row.name: value for row in self.rows if (value := row.normalised) is not None}
        if not known:
            return {"normalised": None, "worst_set": None}
        worst = min(known, key=lambda name: known[name])
        return {
            "normalised": {"mean": fmean(known.values()), "median": median(known.values()), "worst": known[worst]},
            "worst_set": worst,
        }

    def _ratios(self, name: str) -> float | None:
        known = [ratio for row in self.rows if (ratio := row.ratio(row.opponent(name))) is not None]
        return math.exp(fmean(math.log(ratio) for ratio in known)) if known else None

    def _mean_ranks(self) -> dict[str, float]:
        """Over the sets on which every ranked tool was measured."""
        whole = [ranks for row in self.rows if len(ranks := row.ranks()) == len(RANKED)]
        return {tool: fmean(ranks[tool] for ranks in whole) for tool in RANKED} if whole else {}

    def _within(self, tool: str) -> dict[str, Any] | None:
        cells = self.of(tool)
        if not cells:
            return None
        good = _count(cells, lambda cell: cell["wall"] <= OVERHEAD * cell["limit"])
        return {"within": good, "of": len(cells), "longest": max(cell["wall"] for cell in cells)}

    def _coverage(self) -> dict[str, dict[str, int] | None]:
        """How often the interval told before the sealed test held the sealed score; sets split in time apart."""
        return {
            kind: _covered([cell for cell in self.of(OURS) if cell["time_ordered"] == ordered])
            for kind, ordered in (("independent", False), ("time_ordered", True))
        }

    def _quicker(self) -> dict[str, int] | None:
        both = [
            (ours, theirs)
            for row in self.rows
            if (ours := row.mean(OURS, "latency")) is not None
            and (theirs := row.mean("autogluon_best", "latency")) is not None
        ]
        return {"sets": sum(ours < theirs for ours, theirs in both), "of": len(both)} if both else None


def _engine(cell: Cell) -> bool:
    return bool(cell.get("account", {}).get("engine"))


def _count(cells: Iterable[Cell], good: Callable[[Cell], bool]) -> int:
    return len([cell for cell in cells if good(cell)])


def _spread(values: list[float]) -> dict[str, float] | None:
    return {"median": median(values), "most": max(values)} if values else None


def _covered(cells: list[Cell]) -> dict[str, int] | None:
    told = [account for cell in cells if (account := cell.get("account", {})).get("expected") and account.get("test")]
    hits = [one for one in told if one["expected"]["low"] <= sealed_score(one) <= one["expected"]["high"]]
    return {"covered": len(hits), "of": len(told)} if told else None


def sealed_score(account: dict[str, Any]) -> float:
    """The sealed test's score in what a build told."""
    test = account["test"]
    return float(test["value"] if isinstance(test, dict) else test)


def compare(known: list[dict[str, Any]], cells: list[Cell], *, limit: int) -> Comparison:
    """The comparison of these cells, with a row for every set that has any, in the order of `known`."""
    rows = []
    for one in known:
        by_tool: dict[str, list[Cell]] = {}
        for cell in cells:
            if cell["set"] == one["name"]:
                by_tool.setdefault(cell["tool"], []).append(cell)
        if by_tool:
            rows.append(Row(one, by_tool))
    seeds = {cell["seed"] for cell in cells}
    missing = [
        f"{row.name} {seed} {tool.name}"
        for row in rows
        for seed in sorted(seeds)
        for tool in TOOLS.values()
        if (row.time_ordered or not tool.only_time)
        and seed not in {cell["seed"] for cell in row.cells.get(tool.name, [])}
    ]
    return Comparison(rows, limit, missing)
