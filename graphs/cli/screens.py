"""What `ls`, `show`, `leaderboard`, `log`, `report` and the end of a build print."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graphs.cli.output import duration, number, print_json, results, spread
from state.errors import NotFound
from tools.home import home, run_folder
from tools.store import Catalogue, RunLog, RunRow


def runs_screen(limit: int, output_json: bool) -> None:
    """All runs, newest first."""
    from rich.table import Table
    from rich.text import Text

    rows = _catalogue_rows(limit)
    if output_json:
        print_json([row.plain() for row in rows])
        return
    if not rows:
        results().print("no runs yet; start with: modelwright demo")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "id", "state", "metric", "score", "time", "age", "data"):
        table.add_column(title)
    for row in rows:
        one = row.summary
        test = one.get("test") or {}
        score = test.get("value", one.get("score"))
        table.add_row(
            Text(row.name),
            row.id[:8],
            row.status,
            one.get("metric") or "",
            number(score),
            duration(row.active_seconds),
            _age(row.created),
            Text(Path(row.data).name),
        )
    results().print(table)


def run_screen(reference: str, output_json: bool) -> None:
    """One run."""
    row = _find(reference)
    if output_json:
        print_json(row.plain())
        return
    _print_run(row.name, row.id, row.status, row.summary)


def outcome_screen(outcome: Any) -> None:
    """The last block of a build: score, interval, paths, next commands."""
    if outcome.status == "waiting":
        from graphs.cli.asking import show_question

        for question in outcome.waiting:
            show_question(question, results())
        results().print(f"waiting for an answer; later, from any terminal: modelwright approve {outcome.name}")
        return
    _print_run(outcome.name, outcome.run_id, outcome.status, outcome.summary)


def _print_run(name: str, run_id: str, status: str, one: dict[str, Any]) -> None:
    from rich.text import Text

    console = results()

    def line(label: str, text: str, style: str = "") -> None:
        console.print(Text(f" {label:<9}", style="dim").append(text, style=style or "default"), soft_wrap=True)

    console.print(Text(f"{name} ({run_id[:8]}) {status}", style="bold"))
    if one.get("metric"):
        line("task", f"{one['kind']}: {one['target']}, {one['metric']} ({one['direction']} is better)")
    if one.get("best"):
        line(
            "model",
            f"{one['title']} ({one['best']}), chosen among {one['candidates']} candidates in {one['iterations']} iterations",
        )
        line("folds", f"{number(one['score'])} {spread(one['low'], one['high'])}  out of fold")
    if test := one.get("test"):
        opened = (one.get("opening") or {}).get("number", 1)
        line(
            "test",
            f"{number(test['value'])} {spread(test['low'], test['high'])}  sealed, opened once by this run"
            + (f" (opening no. {opened} of these rows)" if opened > 1 else ""),
            "bold",
        )
    if ladder := one.get("ladder"):
        line("baseline", " · ".join(f"{step['name']} {number(step['value'])}" for step in ladder))
    for check in one.get("checks", []):
        if check["status"] in {"found", "reduced"}:
            line("review", f"{check['name']}: {check['status']}; {check['detail']}")
    for warning in one.get("warnings", []):
        line("!", warning)
    if one.get("folder"):
        line("release", one["folder"])
    if one.get("report"):
        line("report", one["report"])
    if one.get("seconds") is not None:
        line(
            "time",
            f"{duration(one['seconds'])}" + (f"; search ended: {one['decision']}" if one.get("decision") else ""),
        )
    _next_line(console, name, status, one)


def _next_line(console: Any, name: str, status: str, one: dict[str, Any]) -> None:
    from rich.text import Text

    following = {
        "done": f"modelwright predict {name} new.csv --out predictions.csv │ modelwright leaderboard {name} │ modelwright report {name} --open",
        "rejected": f"modelwright report {name} --open │ modelwright log {name}",
        "waiting": f"modelwright approve {name}",
        "failed": f"modelwright log {name} │ modelwright resume {name}",
    }.get(status, f"modelwright resume {name}")
    console.print(Text(" next     ", style="dim").append(following), soft_wrap=True)


def leaderboard_screen(reference: str, output_json: bool) -> None:
    """The candidates of a run, best first; the baselines above them."""
    from rich.table import Table
    from rich.text import Text

    from graphs.leaderboard import leaderboard_rows

    row = _find(reference)
    log = RunLog(run_folder(row.id) / "run.db")
    rows = leaderboard_rows(list(log.candidates().values()), row.summary)
    log.close()
    if output_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for title in (
        "",
        "candidate",
        "title",
        row.summary.get("metric") or "score",
        "interval",
        "folds",
        "seconds",
        "state",
    ):
        table.add_column(title)
    for step in row.summary.get("ladder", [])[:1]:
        table.add_row("", "", step["name"], number(step["value"]), "", "", "", "baseline")
    for one in rows:
        table.add_row(
            "★" if one["best"] else "",
            Text(one["id"]),
            Text(one["title"]),
            number(one["score"]),
            spread(one["low"], one["high"]),
            str(one["folds"] or ""),
            f"{one['seconds']:.1f}",
            Text(one["status"] + (f": {one['reason']}" if one["reason"] else "")),
        )
    results().print(table)


def log_screen(reference: str, output_json: bool) -> None:
    """Everything that happened."""
    from rich.text import Text

    from graphs.cli.progress import lines_of

    row = _find(reference)
    log = RunLog(run_folder(row.id) / "run.db")
    events = log.events()
    log.close()
    if output_json:
        print_json(events)
        return
    console = results()
    metric = row.summary.get("metric") or ""
    for event in events:
        lines = lines_of(event, metric) or _other_lines(event)
        for line in lines:
            console.print(Text(f"{event['seq']:>4}  {event['time'][11:19]}  {line}"), soft_wrap=True)


def _other_lines(event: dict[str, Any]) -> list[str]:
    """Events that the progress view leaves out but a log shows."""
    data = event["data"]
    match event["kind"]:
        case "job" if data.get("state") != "started":
            fold = "" if data.get("fold") is None else f" fold {data['fold']}"
            source = "from the journal" if data.get("reused") else f"{data.get('seconds', 0):.1f} s"
            return [f"    {event['role']}: {data['candidate']}{fold} {data['state']} ({source})"]
        case "ask":
            return [f"  * waiting: {event['text']}"]
        case "answer":
            answer = data["answer"]
            return [f"  * answered ({data['gate']}): {answer['action']} {answer.get('reason') or ''}".rstrip()]
        case "release":
            return [f"  released: {data['folder'] or 'nothing'}; report: {data['report']}"]
        case "finished":
            return [f"{data['status']}"]
    return []


def report_screen(reference: str, open_it: bool) -> None:
    """Where the report lies; in the browser when asked."""
    row = _find(reference)
    path = row.summary.get("report")
    if not path or not Path(path).is_file():
        raise NotFound(
            f"run {row.name!r} has no report yet: it is {row.status}",
            hint=f"`modelwright resume {row.name}` finishes it",
        )
    print(path)  # noqa: T201 - the result of this command
    if open_it:
        import webbrowser

        webbrowser.open(Path(path).as_uri())


def _catalogue_rows(limit: int) -> list[RunRow]:
    catalogue = Catalogue(home() / "catalogue.db")
    try:
        return catalogue.runs(limit)
    finally:
        catalogue.close()


def _find(reference: str) -> RunRow:
    catalogue = Catalogue(home() / "catalogue.db")
    try:
        return catalogue.find_run(reference)
    finally:
        catalogue.close()


def _age(created: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created).astimezone(UTC)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
