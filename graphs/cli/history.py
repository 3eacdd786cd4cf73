"""`modelwright log`: who did what, when, and what it cost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graphs.cli.output import print_json, results, say
from graphs.cli.progress import PHASES, lines_of
from graphs.cli.screens import find_run
from tools.home import run_folder
from tools.store import RunLog


def log_screen(reference: str, output_json: bool) -> None:
    """Everything that happened in a run, each line with number, local time and role; at the end what it cost."""
    row = find_run(reference)
    log = RunLog(run_folder(row.id) / "run.db")
    events, exchanges = log.events(), log.exchanges()
    log.close()
    if output_json:
        print_json(events)
        return
    console = results()
    metric = row.summary.get("metric") or ""
    day = ""
    for event in events:
        when = datetime.fromisoformat(event["time"]).astimezone()
        if f"{when:%Y-%m-%d}" != day:
            day = f"{when:%Y-%m-%d}"
            say(console, day, style="bold")
        head = f"{event['seq']:>5}  {when:%H:%M:%S}  {event['role']:<11}  "
        for line in _lines(event, metric):
            say(console, head + line, indent=len(head) + len(line) - len(line.lstrip()))
            head = " " * len(head)
    for line in cost_lines(events, exchanges):
        say(console, line)


def _lines(event: dict[str, Any], metric: str) -> list[str]:
    """What an event says; also what the progress view leaves out."""
    data = event["data"]
    match event["kind"]:
        case "phase":
            return [PHASES[event["role"]]] if event["role"] in PHASES else []
        case "candidate" if data["candidate"]["status"] in {"planned", "running"}:
            one = data["candidate"]
            return [f"{one['id']} {one['status']}: {one['title']}" + (f", by {one['expert']}" if one["expert"] else "")]
        case "job" if data.get("state") != "started":
            fold = "" if data.get("fold") is None else f" fold {data['fold'] + 1}"
            source = "from the journal" if data.get("reused") else f"{data.get('seconds', 0):.1f} s"
            return [f"{data['candidate']}{fold} {data['state']} ({source})"]
        case "ask":
            return [f"* waiting: {event['text']}"]
        case "answer":
            return [f"* a person answered ({data['gate']}): {_answer(data['answer'])}"]
        case "release":
            return [f"released: {data['folder'] or 'nothing'}; report: {data['report']}"]
        case "finished":
            return [f"* {data['status']}"]
        case "session":
            return [f"* {line} by process {data['pid']}" for line in lines_of(event, metric)]
    lines = lines_of(event, metric)
    return [line.removeprefix("  ") for line in lines]


def _answer(answer: dict[str, Any]) -> str:
    parts = [str(answer["action"])]
    parts += [f"{word} {', '.join(answer[word])}" for word in ("keep", "drop") if answer.get(word)]
    parts += [f"edit {one['id']} {one.get('params') or ''}".rstrip() for one in answer.get("edit") or []]
    parts += [f"add {one['id']}" for one in answer.get("add") or []]
    return "; ".join([*parts, *([f"“{answer['reason']}”"] if answer.get("reason") else [])])


def cost_lines(events: list[dict[str, Any]], exchanges: list[dict[str, Any]]) -> list[str]:
    """What the run cost: trainings and their seconds, questions to each expert with tokens and money."""
    jobs = [event["data"] for event in events if event["kind"] == "job" and event["data"].get("state") != "started"]
    trained = [job for job in jobs if not job.get("reused")]
    seconds = sum(job.get("seconds") or 0.0 for job in trained)
    lines = [f"trainings: {len(trained)} in {seconds:.1f} s, and {len(jobs) - len(trained)} from the journal"]
    for expert in dict.fromkeys(one["expert"] for one in exchanges):
        asked = [one for one in exchanges if one["expert"] == expert]
        line = f"expert {expert}: {len(asked)} questions"
        tokens = sum(one["tokens_in"] + one["tokens_out"] for one in asked)
        failed = sum(bool(one["error"]) for one in asked)
        line += f", {tokens:,} tokens, ${sum(one['cost'] for one in asked):.4f}" if tokens else ""
        lines.append(line + (f", {failed} without a usable answer" if failed else ""))
    return lines
