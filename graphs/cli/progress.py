"""Progress as plain lines: what an event says, and showing it; the live view builds on it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphs.cli.output import duration, number, progress, say, spread, version

MARKS = {"planned": "·", "running": "◦", "done": "✔", "failed": "✗", "dropped": "–"}
PHASES = {
    "analyst": "profiling the data",
    "examiner": "framing the task, sealing the test set",
    "researcher": "planning",
    "strategist": "comparing candidates",
    "operations": "fitting the chosen model, trying its inference program",
    "reviewer": "reviewing, then the sealed test",
    "publisher": "publishing",
}


@contextmanager
def open_progress(began: float, time_limit: float | None = None) -> Iterator[PlainProgress]:
    """Live progress on a terminal, plain lines elsewhere."""
    shown = PlainProgress(began)
    if sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}:
        from graphs.cli.live import LiveProgress

        shown = LiveProgress(began, time_limit)
    shown.start()
    try:
        yield shown
    finally:
        shown.stop()


class PlainProgress:
    """One line per thing that happened, with the seconds since the start; for pipes, logs and notebooks."""

    def __init__(self, began: float | None = None) -> None:
        self.began = time.monotonic() if began is None else began
        self.console = progress()
        self.metric = ""
        self.trained = 0
        self.reused = 0

    def start(self) -> None:
        """Begin showing."""

    def stop(self) -> None:
        """End showing."""

    def __call__(self, event: dict[str, Any]) -> None:
        self.notice(event)
        for line in lines_of(event, self.metric):
            self.say(line)

    def recall(self, events: list[dict[str, Any]]) -> None:
        """Take up what earlier sessions of the run told, without saying it again."""
        for event in events:
            if event["kind"] == "task":
                self.metric = event["data"]["metric"]

    def notice(self, event: dict[str, Any]) -> None:
        """Remember what later lines need, and say at the end how much was answered from the journal."""
        data = event["data"]
        match event["kind"]:
            case "task":
                self.metric = data["metric"]
            case "job" if data.get("state") != "started":
                self.trained += 1
                self.reused += bool(data.get("reused"))
            case "finished" if self.reused:
                self.say(f"  {self.reused} of {self.trained} trainings had run before: answered from the journal")

    def say(self, line: str) -> None:
        text = line.lstrip()
        # Continued lines start below the text, past a mark or a name in front of it.
        indent = len(line) - len(text) + (len(text) - len(text.split("  ", 1)[-1].lstrip()) if "  " in text else 0)
        stamp = f"{time.monotonic() - self.began:6.1f}s  "
        say(self.console, stamp + line, indent=len(stamp) + min(indent, 24))


def lines_of(event: dict[str, Any], metric: str) -> list[str]:
    """What an event says in plain lines; nothing for events that only the live view and the log show."""
    data = event["data"]
    match event["kind"]:
        case "session":
            return [_session_line(data)]
        case "phase" if event["role"] in PHASES:
            return [f"{event['role']}: {PHASES[event['role']]}"]
        case "note" | "override":
            return [f"  ! {event['text']}"]
        case "profile":
            return [
                f"  data     {data['rows']:,} rows × {data['columns']} columns; {', '.join(data['traits']) or 'plain'}"
            ]
        case "task":
            return _task_lines(data)
        case "plans":
            return _plan_lines(data)
        case "candidate":
            return _candidate_lines(data["candidate"], metric)
        case "best":
            than = data.get("than")
            sure = "" if not than else f", better than {than}" if data["sure"] else f", no surer than {than}"
            return [f"  best so far: {data['candidate']}  {metric} {number(data['score'])}{sure}"]
        case "decision":
            told = [f"best: {data['best']}"] if data.get("best") else []
            told += [f"{data['policy']}: {data['detail']}"] if data.get("operations") and data.get("detail") else []
            return [f"  decision: {event['text']}" + (f" ({'; '.join(told)})" if told else "")]
        case "check":
            mark = {"passed": "✔", "found": "✗", "reduced": "~", "skipped": "–"}[data["status"]]
            return [f"  {mark} {data['name']}: {data['detail'] or data['status']}"]
        case "verdict":
            return [f"  verdict: {event['text']}"]
    return []


def _session_line(data: dict[str, Any]) -> str:
    experts = dict.fromkeys([data["expert"], *data["experts"].values()])
    spent = f" ({duration(data['spent'])} used)" if data["spent"] >= 1 else ""
    return (
        f"modelwright {version()}   run {data['name']} ({data['run_id'][:8]})   expert {', '.join(experts)}   "
        f"limit {duration(data['time_limit'])}{spent}   {data['jobs']} at a time   "
        f"sandbox {data['sandbox']}"
    )


def _task_lines(data: dict[str, Any]) -> list[str]:
    split = data["split"]
    sealed = f"{data['sealed_rows']:,} rows sealed as the test set" if data["sealed_rows"] else "no test set"
    lines = [
        f"  task     {data['kind']}: {data['target']}, {data['metric']} ({data['direction']} is better), "
        f"{data['features']} features",
        f"  split    {split['kind']}, {split['folds']} folds; {sealed}",
    ]
    return [*lines, *(f"  ! {sentence}" for sentence in data["decisions"])]


def _plan_lines(data: dict[str, Any]) -> list[str]:
    lines = [f"  plans of iteration {data['iteration']}:"]
    return lines + [
        f"    {plan['id']}  {plan['title']} (about {plan['estimate_seconds']:.0f} s): {plan['rationale']}"
        for plan in data["plans"]
    ]


def _candidate_lines(one: dict[str, Any], metric: str) -> list[str]:
    if one["status"] in {"planned", "running"}:
        return []
    mark = MARKS[one["status"]]
    if one["score"] is None:
        return [f"  {mark} {one['id']}  {one['status']}: {one['error']}"]
    tail = f"  ({one['error']})" if one["error"] else ""
    score = f"{metric} {number(one['score'])} {spread(one['low'], one['high'])}"
    return [f"  {mark} {one['id']}  {score}  {one['seconds']:.1f} s{tail}"]
