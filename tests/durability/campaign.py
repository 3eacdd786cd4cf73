"""The durability campaign: `python -m tests.durability.campaign --help`.

Writes one JSON file per run into its folder and skips those that are there, so it can be stopped and started again; a
table of all of them is printed at the end. Parts: `random` (kill -9 at random moments), `named` (every crash point),
`drivers` (two and five processes on one run), `paid` (random kills of runs whose programs a model writes),
`histories` (thousands of simulated ones).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.durability.killing import Run, calm, endure, table
from tests.durability.stores import fresh_database, served

PARTS = ("random", "named", "drivers", "paid", "histories")
Work = Callable[[], dict[str, Any]]


class Campaign:
    """A folder of results, made one by one."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self.folder = folder
        self.server = server
        """URL of a PostgreSQL server; None for files."""
        self.store: str | None = None
        """The database of the piece of work at hand."""
        self.data = table(folder / "loans.csv")
        self.wanted: dict[str, Any] = {}
        self.pace = 0.0

    def measure(self) -> None:
        """Build once without interruption: what every other run must come to, and how long that takes here."""
        kept = self.folder / "calm.json"
        if kept.exists():
            told = json.loads(kept.read_text())
        else:
            with fresh_database(self.server) as store:
                outcome, pace = calm(Run(self._fresh("calm"), self.data, store=store))
            told = {"outcome": outcome, "pace": pace}
            _write(kept, told)
        self.wanted, self.pace = told["outcome"], told["pace"]
        print(f"calm run: {self.pace:.0f} s, {len(self.wanted['jobs'])} executions", flush=True)

    def once(self, name: str, work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """The result of a piece of work, made unless it is there. The home of a run that kept every promise goes."""
        kept = self.folder / f"{name}.json"
        if kept.exists():
            return dict(json.loads(kept.read_text()))
        began = time.monotonic()
        folder = self._fresh(name)
        with fresh_database(self.server) as self.store:
            result = {"name": name, **work(folder), "wall": round(time.monotonic() - began, 1)}
        _write(kept, result)
        if not result["found"]:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: {_line(result)}", flush=True)
        return result

    def _fresh(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder


def random_kills(campaign: Campaign, runs: int, kills: int, seed: int) -> list[dict[str, Any]]:
    """Kill -9 of orchestrator, warm parent, supervisor and training at random moments, each run in an empty store."""

    def one(number: int, wanted: int) -> Callable[[Path], dict[str, Any]]:
        def work(folder: Path) -> dict[str, Any]:
            run = Run(folder, campaign.data, store=campaign.store)
            told = endure(run, seed + number, wanted, campaign.wanted, campaign.pace)
            return {**asdict(told), "outcome": None, "same": not told.found}

        return work

    results: list[dict[str, Any]] = []
    while len(results) < runs or sum(len(result["kills"]) for result in results) < kills:
        # A run may end before all its kills have met it, so more runs may be needed than were asked for.
        number = len(results)
        results.append(campaign.once(f"random-{seed + number}", one(number, -(-kills // runs))))
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run the wanted parts; 0 when every promise was kept."""
    options = _options(arguments)
    with served(options.store) as server:
        return _played(Campaign(options.folder, server), options)


def _played(campaign: Campaign, options: argparse.Namespace) -> int:
    results: list[dict[str, Any]] = []
    if {"random", "named"} & set(options.parts):
        campaign.measure()
    if "named" in options.parts:
        from tests.durability.points import named_points

        results += named_points(campaign)
    if "drivers" in options.parts:
        from tests.durability.drivers import drivers

        results += drivers(campaign)
    if "paid" in options.parts:
        from tests.durability.paid import paid_calls

        results += paid_calls(campaign, options.paid_runs, options.paid_kills, options.seed)
    if "random" in options.parts:
        results += random_kills(campaign, options.runs, options.kills, options.seed)
    if "histories" in options.parts:
        from tests.durability.histories import explore

        results += explore(campaign, options.histories)
    return _summary(campaign, results)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=200, help="random kills in all runs together")
    parser.add_argument("--paid-runs", type=int, default=4)
    parser.add_argument("--paid-kills", type=int, default=24)
    parser.add_argument("--histories", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument(
        "--store", default=os.environ.get("MODELWRIGHT_STORE"), help="postgresql://…, or `server`: one is started"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/durability"))
    options = parser.parse_args(arguments)
    options.folder = options.folder.absolute()
    options.folder.mkdir(parents=True, exist_ok=True)
    return options


def _summary(campaign: Campaign, results: list[dict[str, Any]]) -> int:
    kinds: Counter[str] = Counter(kill["kind"] for one in results for kill in one.get("kills", []))
    gone = [kill["gone"] for one in results for kill in one.get("kills", []) if kill.get("gone") is not None]
    bad = [one for one in results if one["found"]]
    print(f"\n{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"{len(results)} pieces of work, {len(bad)} with findings")
    print(f"kills: {dict(kinds)}; processes gone after at most {max(gone, default=0.0):.2f} s")
    for one in bad:
        print(f"{one['name']}:", *one["found"], sep="\n    ")
    _write(campaign.folder / "summary.json", {"results": results, "kills": kinds, "gone": max(gone, default=0.0)})
    return 1 if bad else 0


def _line(result: dict[str, Any]) -> str:
    facts = [f"{len(result['kills'])} kills" if "kills" in result else "", f"{result['wall']:.0f} s"]
    facts += [f"{len(result['found'])} FINDINGS: {result['found'][0][:200]}"] if result["found"] else ["as promised"]
    return ", ".join(fact for fact in facts if fact)


def _write(path: Path, value: Any) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1, sort_keys=True))
    os.replace(new, path)


if __name__ == "__main__":
    sys.exit(main())
