"""The live view in the scrollback: the candidate tree with scores and states, time left, best so far."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from graphs.cli.output import duration, number, spread
from graphs.cli.progress import MARKS, PHASES, PlainProgress, lines_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

COLOURS = {"planned": "dim", "running": "cyan", "done": "green", "failed": "red", "dropped": "dim"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAMES_PER_SECOND = 4
WIDE, MIDDLE = 96, 64
"""Terminals of fewer columns show no interval; of still fewer, no seconds either."""


class LiveProgress(PlainProgress):
    """The same lines in the scrollback, and below them a live tree of candidates that stays when all is done."""

    def __init__(self, began: float, time_limit: float | None = None) -> None:
        super().__init__(began)
        self.phase = "starting"
        self.ending = ""
        self.time_limit = time_limit
        self.spent_before = 0.0
        self.folds = 0
        self.higher = True
        self.candidates: dict[str, dict[str, Any]] = {}
        self.finished_folds: dict[str, set[int]] = {}
        self.best: str | None = None
        self.live: Live | None = None

    def start(self) -> None:
        from rich.live import Live

        self.live = Live(
            console=self.console,
            get_renderable=self.view,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=False,
            vertical_overflow="visible",
        )
        self.live.start()

    def stop(self) -> None:
        if self.live is not None:
            self.ending = self.ending or "stopped"
            self.live.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        self.notice(event)
        self._follow(event)
        if event["kind"] not in {"phase", "candidate", "best"}:
            for line in lines_of(event, self.metric):
                self.say(line)

    def recall(self, events: list[dict[str, Any]]) -> None:
        super().recall(events)
        for event in events:
            if event["kind"] in {"task", "candidate", "job", "best"}:
                self._follow(event)

    def _follow(self, event: dict[str, Any]) -> None:
        """Keep what the view shows."""
        data = event["data"]
        match event["kind"]:
            case "session":
                self.time_limit, self.spent_before = data["time_limit"], data["spent"]
                self.phase = "reading the data"
            case "phase":
                self.phase = PHASES.get(event["role"], "writing and training candidates")
            case "task":
                self.folds, self.higher = data["split"]["folds"], data["direction"] == "higher"
            case "candidate":
                self.candidates[data["candidate"]["id"]] = data["candidate"]
                self._compare(data["candidate"])
            case "job" if data.get("fold") is not None and data.get("state") == "done":
                self.finished_folds.setdefault(data["candidate"], set()).add(data["fold"])
            case "best":
                self.best = data["candidate"]
            case "finished":
                self.ending = data["status"]

    def _compare(self, one: dict[str, Any]) -> None:
        """A finished candidate may be the best so far, until the strategist says which is."""
        if one["status"] != "done" or one["score"] is None:
            return
        best = self.candidates.get(self.best or "", one)
        as_complete = one["folds_done"] >= best["folds_done"]
        if best["score"] is None or (as_complete and (one["score"] > best["score"]) == self.higher):
            self.best = one["id"]
        self.best = self.best or one["id"]

    # ---- the view ---------------------------------------------------------------------------------------------------

    def view(self) -> RenderableType:
        """The tree of candidates and one status line. Called by the display's own thread."""
        from rich.console import Group
        from rich.table import Table

        shown, hidden = self._shown()
        if not shown:
            return self._status()
        rows = [self._cells(one, depth) for one, depth in shown]
        widths = self._widths(rows)
        table = Table.grid(padding=(0, 2, 0, 0))
        for width in widths:
            table.add_column(no_wrap=True, overflow="ellipsis", width=width)
        for cells in rows:
            for cell, width in zip(cells, widths, strict=True):
                cell.truncate(width, overflow="ellipsis")
            table.add_row(*cells)
        more = [self._text(f"   … and {hidden} more", "dim")] if hidden else []
        return Group(table, *more, self._status())

    def _widths(self, rows: list[list[Text]]) -> list[int]:
        """Cells of each column: scores and seconds whole, title and state sharing what is left."""
        wanted = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
        room = self.console.width - 2 * len(wanted) - sum(wanted[1:-1])
        state = min(wanted[-1], max(room - wanted[0], room // 3, 8))
        return [max(8, min(wanted[0], room - state)), *wanted[1:-1], max(1, state)]

    def _shown(self) -> tuple[list[tuple[dict[str, Any], int]], int]:
        """The rows of the tree that fit on the screen, and how many do not; at the end all of them."""
        rows = _tree(list(self.candidates.values()))
        room = max(3, self.console.height - 3)
        if self.ending or len(rows) <= room:
            return rows, 0

        def weight(row: tuple[int, tuple[dict[str, Any], int]]) -> tuple[bool, bool, int]:
            return row[1][0]["id"] != self.best, row[1][0]["status"] != "running", -row[0]

        kept = sorted(sorted(enumerate(rows), key=weight)[: room - 1])
        return [row for _, row in kept], len(rows) - len(kept)

    def _cells(self, one: dict[str, Any], depth: int) -> list[Text]:
        best = one["id"] == self.best
        running = one["status"] == "running" and not self.ending
        mark = SPINNER[int(time.monotonic() * FRAMES_PER_SECOND) % len(SPINNER)] if running else MARKS[one["status"]]
        branch = "   " * (depth - 1) + "└─ " if depth else ""
        title = self._text(f" {branch}", "dim").append(f"{mark} ", COLOURS[one["status"]]).append(one["title"])
        width = self.console.width
        score = number(one["score"]) if one["score"] is not None else ""
        if width >= WIDE:
            score = f"{score} {spread(one['low'], one['high'])}".strip()
        cells = [title, self._text(score, "bold" if best else "")]
        if width >= MIDDLE:
            cells.append(self._text(f"{one['seconds']:6.1f} s" if one["seconds"] else ""))
        told = ["best so far"] if best else []
        return [*cells, self._text(", ".join(filter(None, [*told, self._state(one)])))]

    def _state(self, one: dict[str, Any]) -> str:
        if one["status"] == "running":
            done = len(self.finished_folds.get(one["id"], ()))
            attempt = f", attempt {one['attempt'] + 1}" if one["attempt"] else ""
            return (f"fold {done + 1} of {self.folds}" if done < self.folds else "scoring") + attempt
        return str(one["error"]).strip() or ("" if one["status"] in {"done", "planned"} else one["status"])

    def _status(self) -> Text:
        elapsed = self.spent_before + time.monotonic() - self.began
        if self.ending:
            limit = f" (limit {duration(self.time_limit)})" if self.time_limit else ""
            parts = [f"{self.ending} after {duration(elapsed)}{limit}"]
        elif self.time_limit:
            left = max(0.0, self.time_limit - elapsed)
            parts = [self.phase, f"{duration(left)} left of {duration(self.time_limit)}"]
        else:
            parts = [self.phase, duration(elapsed)]
        best = self.candidates.get(self.best or "")
        if best and best["score"] is not None:
            parts.append(f"best {number(best['score'])} {best['title']}")
        if not self.ending:
            parts.append("Ctrl-C pauses safely")
        text = self._text(" " + " · ".join(parts), "bold")
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    @staticmethod
    def _text(content: str, style: str = "") -> Text:
        from rich.text import Text

        return Text(content, style=style or "default")


def _tree(candidates: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Candidates with their depth, each below its parent, in order of appearance."""
    known = {one["id"] for one in candidates}
    children: dict[str, list[dict[str, Any]]] = {}
    for one in candidates:
        children.setdefault(one["parent"] if one["parent"] in known else "", []).append(one)
    rows: list[tuple[dict[str, Any], int]] = []

    def walk(parent: str, depth: int) -> None:
        for one in children.get(parent, []):
            rows.append((one, depth))
            walk(one["id"], depth + 1)

    walk("", 0)
    return rows
