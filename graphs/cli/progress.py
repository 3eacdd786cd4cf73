"""Live progress in the scrollback: phases, the candidate tree with scores and states, time left, best so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphs.cli.output import duration, number, progress, spread

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

MARKS = {"planned": "·", "running": "◦", "done": "✔", "failed": "✗", "dropped": "–"}
COLOURS = {"planned": "dim", "running": "cyan", "done": "green", "failed": "red", "dropped": "dim"}
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
def open_progress(time_limit: float | None, began: float) -> Iterator[PlainProgress]:
    """Live progress on a terminal, plain lines elsewhere."""
    shown = LiveProgress(time_limit, began) if sys.stderr.isatty() else PlainProgress(began)
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
        self.direction = ""
        self.metric = ""

    def start(self) -> None:
        """Begin showing."""

    def stop(self) -> None:
        """End showing."""

    def __call__(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["kind"] == "task":
            self.metric, self.direction = data["metric"], data["direction"]
        for line in lines_of(event, self.metric):
            self.say(line)

    def say(self, line: str) -> None:
        from rich.text import Text

        self.console.print(Text(f"{time.monotonic() - self.began:6.1f}s  {line}"), soft_wrap=True)


def lines_of(event: dict[str, Any], metric: str) -> list[str]:
    """What an event says in plain lines; nothing for events that only the live view shows."""
    data = event["data"]
    match event["kind"]:
        case "phase" if event["role"] in PHASES:
            return [f"{event['role']}: {PHASES[event['role']]}"]
        case "note":
            return [f"  ! {event['text']}"]
        case "override":
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
            return [f"  best so far: {data['candidate']}  {metric} {number(data['score'])}"]
        case "decision":
            return [f"  decision: {event['text']}" + (f" (best: {data['best']})" if data.get("best") else "")]
        case "check":
            mark = {"passed": "✔", "found": "✗", "reduced": "~", "skipped": "–"}[data["status"]]
            return [f"  {mark} {data['name']}: {data['detail'] or data['status']}"]
        case "verdict":
            return [f"  verdict: {event['text']}"]
    return []


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
    return [
        f"  {mark} {one['id']}  {metric} {number(one['score'])} {spread(one['low'], one['high'])}  {one['seconds']:.1f} s{tail}"
    ]


class LiveProgress(PlainProgress):
    """The same lines in the scrollback, and below them a live tree of candidates that stays when all is done."""

    def __init__(self, time_limit: float | None, began: float) -> None:
        super().__init__(began)
        self.time_limit = time_limit
        self.phase = "reading the data"
        self.candidates: dict[str, dict[str, Any]] = {}
        self.folds: dict[str, set[int]] = {}
        self.best: str | None = None
        self.live: Live | None = None

    def start(self) -> None:
        from rich.live import Live

        self.live = Live(console=self.console, get_renderable=self.view, refresh_per_second=4, transient=False)
        self.live.start()

    def stop(self) -> None:
        if self.live is not None:
            self.phase = ""
            self.live.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        data = event["data"]
        match event["kind"]:
            case "phase" if event["role"] in PHASES:
                self.phase = PHASES[event["role"]]
            case "task":
                self.metric, self.direction = data["metric"], data["direction"]
            case "candidate":
                self.candidates[data["candidate"]["id"]] = data["candidate"]
            case "job" if data.get("fold") is not None and data.get("state") == "done":
                self.folds.setdefault(data["candidate"], set()).add(data["fold"])
            case "best":
                self.best = data["candidate"]
        if event["kind"] not in {"phase", "candidate", "best"}:
            for line in lines_of(event, self.metric):
                self.say(line)

    def view(self) -> RenderableType:
        """The tree of candidates and one status line."""
        from rich.console import Group
        from rich.text import Text

        rows: list[RenderableType] = [self._row(one) for one in self.candidates.values()]
        elapsed = duration(time.monotonic() - self.began)
        limit = f" / {duration(self.time_limit)}" if self.time_limit else ""
        best = self.candidates.get(self.best or "")
        found = f"   best {number(best['score'])} {best['title']}" if best and best["score"] is not None else ""
        ending = "   Ctrl-C pauses safely" if self.phase else ""
        rows.append(Text(f" {self.phase or 'finished'}   {elapsed}{limit}{found}{ending}", style="bold"))
        return Group(*rows)

    def _row(self, one: dict[str, Any]) -> RenderableType:
        from rich.text import Text

        depth = 1 if one["parent"] else 0
        score = f"{number(one['score'])} {spread(one['low'], one['high'])}" if one["score"] is not None else ""
        folds = len(self.folds.get(one["id"], ()))
        state = f"{folds} folds" if one["status"] == "running" and folds else one["error"]
        line = Text(" " + "   " * depth + f"{MARKS[one['status']]} ", style=COLOURS[one["status"]])
        line.append(f"{one['title'][:48]:<50}", style="default")
        line.append(f"{score:<28}", style="bold" if one["id"] == self.best else "default")
        line.append(f"{one['seconds']:6.1f} s  " if one["seconds"] else "          ")
        line.append(state[:60] + ("  ← best so far" if one["id"] == self.best else ""), style="dim")
        return line
