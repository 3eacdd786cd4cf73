"""What `ls`, `show`, `leaderboard`, `report` and the end of a build print."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from graphs.cli.output import duration, megabytes, number, print_json, results, say, spread
from state.errors import NotFound
from tools.keeping import at_hand, report_of
from tools.runs import standing
from tools.store import RunRow, open_catalogue, open_run_log

_COPIED = (("release", "folder"), ("manifest", "manifest"), ("report", "report"))
"""Label and key of what people copy from the screen; of the manifest it is the hash, which `verify` asks for."""


def runs_screen(limit: int, output_json: bool) -> None:
    """All runs, newest first."""
    from rich.table import Table
    from rich.text import Text

    rows = _catalogue_rows(limit)
    if output_json:
        print_json([row.plain() | {"status": standing(row)} for row in rows])
        return
    if not rows:
        results().print("no runs yet; start with: modelwright demo")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "id", "state", "metric", "score", "time", "age"):
        table.add_column(title, no_wrap=True)
    table.add_column("data", overflow="fold")
    for row in rows:
        one = row.summary
        test = one.get("test") or {}
        score = test.get("value", one.get("score"))
        table.add_row(
            Text(row.name),
            row.id[:8],
            standing(row),
            Text(one.get("metric") or ""),
            number(score),
            duration(row.active_seconds),
            _age(row.created),
            Text(Path(row.data).name),
        )
    results().print(table)


def run_screen(reference: str, output_json: bool) -> None:
    """One run."""
    row = at_hand(find_run(reference))
    if output_json:
        print_json(row.plain() | {"status": standing(row), "numbers": _numbers(row)})
        return
    _print_run(row.name, row.id, standing(row), row.summary)


def _numbers(row: RunRow) -> dict[str, dict[str, float | None]]:
    """Every number of the run by its id: {value, low, high}. `modelwright why RUN ID` tells where it came from."""
    from tools.tracing import collect_numbers

    log = open_run_log(row.id)
    try:
        found = collect_numbers(log.candidates(), log.events(), row.summary)
    finally:
        log.close()
    return {one.id: {"value": one.value, "low": one.low, "high": one.high} for one in found.values()}


def outcome_screen(outcome: Any) -> None:
    """The last block of a build: score, interval, paths, next commands."""
    if outcome.status == "waiting":
        from graphs.cli.asking import show_question

        for question in outcome.waiting:
            show_question(question, results())
        say(
            results(),
            f"{outcome.name} waits for an answer; later, from any terminal: modelwright approve {outcome.name}",
        )
        return
    _print_run(outcome.name, outcome.run_id, outcome.status, outcome.summary)


def _print_run(name: str, run_id: str, status: str, one: dict[str, Any]) -> None:
    from rich.text import Text

    console = results()
    console.print(Text(f"{name} ({run_id[:8]}) {status}", style="bold"), soft_wrap=True)
    for label, text in _lines(one):
        say(console, f" {label:<9}{text}", indent=10, style="bold" if label == "test" else "")
    # Paths and commands are never broken, so that they can be copied.
    copied = [(label, one[key]) for label, key in _COPIED if one.get(key)]
    copied += [("" if place else "next", command) for place, command in enumerate(_following(name, status))]
    for label, text in copied:
        console.print(Text(f" {label:<9}{text}"), soft_wrap=True)


def _lines(one: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and text of what is known about a run."""
    lines: list[tuple[str, str]] = []
    if one.get("metric"):
        lines.append(("task", f"{one['kind']}: {one['target']}, {one['metric']} ({one['direction']} is better)"))
    if one.get("best"):
        chosen = (
            f"chosen among {_counted(one['candidates'], 'candidate')} in {_counted(one['iterations'], 'iteration')}"
        )
        lines.append(("model", f"{one['title']} ({one['best']}), {chosen}"))
        luck = (one.get("optimism") or {}).get("value")
        flattered = f"; choosing the best flatters it by about {luck:.2g}" if luck else ""
        lines.append(("folds", f"{number(one['score'])} {spread(one['low'], one['high'])}  out of fold{flattered}"))
    if test := one.get("test"):
        opened = (one.get("opening") or {}).get("number", 1)
        again = f" (opening no. {opened} of these rows)" if opened > 1 else ""
        interval = spread(test["low"], test["high"])
        told = one.get("expected") or {}
        before = f"; {spread(told['low'], told['high'])} was expected" if told else ""
        lines.append(("test", f"{number(test['value'])} {interval}  sealed, opened once by this run{again}{before}"))
    if ladder := one.get("ladder"):
        steps = [
            f"{step['name']} {number(step['value'])} {spread(step.get('low'), step.get('high'))}" for step in ladder
        ]
        lines.append(("baseline", " · ".join(step.rstrip() for step in steps)))
    lines += [
        ("review", f"{check['name']}: {check['status']}; {check['detail']}")
        for check in one.get("checks", [])
        if check["status"] in {"found", "reduced"}
    ]
    lines += [("!", warning) for warning in one.get("warnings", [])]
    if one.get("seconds") is not None:
        ended = f"; search ended: {one['decision']}" if one.get("decision") else ""
        lines.append(("time", f"{duration(one['seconds'])}{ended}"))
    return lines


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")


def _following(name: str, status: str) -> list[str]:
    """The commands a person is likely to want next."""
    known = {
        "done": ("predict {} new.csv --out predictions.csv", "leaderboard {}", "why {}", "report {} --open"),
        "rejected": ("report {} --open", "log {}"),
        "waiting": ("approve {} --show", "approve {}"),
        "failed": ("log {}", "resume {}"),
        "running": ("log {}",),
    }
    name = f"'{name}'" if " " in name else name
    return [f"modelwright {command.format(name)}" for command in known.get(status, ("resume {}",))]


def leaderboard_screen(reference: str, output_json: bool) -> None:
    """The candidates of a run, best first, and the constant guess they have to beat."""
    from rich.table import Table
    from rich.text import Text

    from graphs.leaderboard import leaderboard_rows

    row = find_run(reference)
    log = open_run_log(row.id)
    rows = leaderboard_rows(list(log.candidates().values()), row.summary)
    log.close()
    if output_json:
        print_json(rows)
        return
    if not rows:
        results().print(Text(f"{row.name} has no candidates yet: it is {standing(row)}"))
        return
    table = Table(box=None, pad_edge=False)
    metric = row.summary.get("metric") or "score"
    for title in ("", "candidate", metric, "interval", "folds", "seconds", "ms/1k", "size"):
        justify: Literal["left", "right"] = "right" if title in {"folds", "seconds", "ms/1k", "size"} else "left"
        table.add_column(Text(title), no_wrap=title != "candidate", justify=justify)
    table.add_column("title", ratio=1)
    table.add_column("state", ratio=1)
    for one in rows:
        table.add_row(
            "★" if one["best"] else "",
            Text(one["id"]),
            number(one["score"]),
            spread(one["low"], one["high"]),
            str(one["folds"] or ""),
            f"{one['seconds']:.1f}",
            number(one["predict_ms"] and round(one["predict_ms"], 1)),
            megabytes(one["model_bytes"]),
            Text(one["title"]),
            Text(one["status"] + (f": {one['reason']}" if one["reason"] else "")),
        )
    for step in row.summary.get("ladder", [])[:1]:
        table.add_row("", "", number(step["value"]), "", "", "", "", "", Text(step["name"]), "baseline")
    results().print(table)


def report_screen(reference: str, open_it: bool) -> None:
    """Where the report lies; in the browser when asked."""
    row = find_run(reference)
    path = report_of(row)
    if path is None or not path.is_file():
        known = standing(row)
        gone = f"its report is not at {str(path)!r} any more" if path else f"it is {known}"
        hint = f"`modelwright {'log' if known == 'running' else 'resume'} {row.name}`"
        raise NotFound(f"run {row.name!r} has no report: {gone}", hint="" if path else hint)
    print(path)  # noqa: T201 - the result of this command
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            raise NotFound("no browser was found on this machine", hint=f"copy the file and open it elsewhere: {path}")


def _catalogue_rows(limit: int) -> list[RunRow]:
    catalogue = open_catalogue()
    try:
        return catalogue.runs(limit)
    finally:
        catalogue.close()


def find_run(reference: str) -> RunRow:
    """The run a person means. Raises NotFound with the nearest names."""
    catalogue = open_catalogue()
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
