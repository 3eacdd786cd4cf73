"""Random kills of runs whose plans and programs a model writes: calls at the server against the journal's rows."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.durability.killing import NAME, OPTIONS, Kind, Run, calm, endure
from tests.durability.watching import at_home, journal_rows
from tests.support.llm_server import LlmServer, Reply
from tests.support.scripted_team import scripted_team
from tools.store import open_catalogue, open_run_log

if TYPE_CHECKING:
    from tests.durability.campaign import Campaign

WEIGHTS: dict[Kind, float] = {"orchestrator": 0.85, "supervisor": 0.15}
DELAY = 0.7
"""Seconds the server takes over a reply, so that kills meet calls in flight."""


class Counting:
    """The scripted team, slow, with every call written down by what was asked."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._team = scripted_team()
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> Reply:
        asked = hashlib.sha256(json.dumps(request["messages"]).encode()).hexdigest()[:16]
        with self._lock:
            self.calls[asked] += 1
        reply = self._team(request)
        assert isinstance(reply, dict)
        return {**reply, "delay": DELAY}


def paid_calls(campaign: Campaign, runs: int, kills: int, seed: int) -> list[dict[str, Any]]:
    """Some runs, each in an empty store, with a server of its own."""
    shares = [kills // runs + (number < kills % runs) for number in range(runs)]
    return [
        campaign.once(f"paid-{seed + number}", _work(campaign, seed + number, share))
        for number, share in enumerate(shares)
    ]


def _work(campaign: Campaign, seed: int, kills: int) -> Callable[[Path], dict[str, Any]]:
    def work(folder: Path) -> dict[str, Any]:
        with LlmServer(Counting()) as server:
            outcome, pace = calm(_run(campaign, folder / "calm", server))
        counting = Counting()
        in_flight: list[int] = []
        with LlmServer(counting) as server:
            run = _run(campaign, folder / "killed", server)

            def between() -> None:
                with at_home(run.home, run.store):
                    in_flight.append(sum(row["kind"] == "llm" and row["state"] == "running" for row in journal_rows()))

            told = endure(run, seed, kills, outcome, pace, WEIGHTS, between)
            with at_home(run.home, run.store):
                told.found += _ledger(counting, sum(in_flight))
        facts = {
            "calls": counting.calls.total(),
            "questions": len(counting.calls),
            "in_flight_at_kills": sum(in_flight),
        }
        return {**asdict(told), **facts, "outcome": None}

    return work


def _run(campaign: Campaign, folder: Path, server: LlmServer) -> Run:
    options = (
        *OPTIONS, "--candidates", "2", "--expert", "openai:scripted", "--base-url", server.url, "--api-key-env", "TEAM_KEY",
        "--no-builtin-candidates",
    )  # fmt: skip
    run = Run(folder, campaign.data, store=campaign.store, options=options)
    run.more["TEAM_KEY"] = "loopback"
    return run


def _ledger(counting: Counting, in_flight: int) -> list[str]:
    """What is wrong with the books: every call has its row, and only calls in flight at a kill were made twice."""
    rows = [row for row in journal_rows() if row["kind"] == "llm"]
    made, attempts = counting.calls.total(), sum(row["attempt"] for row in rows)
    found = [f"the row of a call says {row['state']}" for row in rows if row["state"] != "done"]
    if made - len(rows) > in_flight:
        found.append(f"{made} calls for {len(rows)} answers, but only {in_flight} were in flight at kills")
    if made > attempts:
        found.append(f"the server counts {made} calls, the journal {attempts} attempts")
    catalogue = open_catalogue()
    log = open_run_log(catalogue.find_run(NAME).id)
    try:
        turns = sum(len(one["question"].get("turns", [])) for one in log.exchanges() if not one["cached"])
    finally:
        log.close()
        catalogue.close()
    if turns < len(rows):
        found.append(f"{len(rows)} answers were paid for; the exchanges show {turns} of them as paid")
    return found
