"""`modelwright log`: who did what, when, and what it cost; the numbers of the steps are those a fork begins at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from graphs.cli.output import print_json, results, say
from graphs.cli.progress import PHASES, lines_of
from graphs.cli.screens import find_run
from tools.history import History, Step
from tools.store import open_run_log

_WORK = {
    **PHASES,
    "approve_plan": "opening a branch for each approved plan",
    "engineer": "writing the program",
    "check": "checking the program's contract",
    "runner": "training and scoring",
    "approve_release": "asking for the release where a person is to be asked",
}


def log_screen(reference: str, output_json: bool, *, steps_only: bool = False) -> None:
    """Everything that happened in a run, step by step; at the end what it cost.

    steps_only: a line per step. As JSON: the events, each with the number of its step, or the steps alone.
    """
    row = find_run(reference)
    log = open_run_log(row.id)
    try:
        events, exchanges = log.events(), log.exchanges()
        history = History(events, exchanges)
        stored = log.stored_checkpoints({step.checkpoint for step in history.steps})
    finally:
        log.close()
    if output_json:
        print_json(_plain(events, history, stored, steps_only=steps_only))
        return
    console = results()
    day = ""
    for time, head, lines in _blocks(events, history, row.summary.get("metric") or "", steps_only=steps_only):
        when = datetime.fromisoformat(time).astimezone()
        if f"{when:%Y-%m-%d}" != day:
            day = f"{when:%Y-%m-%d}"
            say(console, day, style="bold")
        head = head.format(f"{when:%H:%M:%S}")
        for line in lines:
            say(console, head + line, indent=len(head) + len(line) - len(line.lstrip()))
            head = " " * len(head)
    for line in [*_pruned_lines(history, stored), *cost_lines(events, exchanges)]:
        say(console, line)


def _plain(
    events: list[dict[str, Any]], history: History, stored: set[str], *, steps_only: bool
) -> list[dict[str, Any]]:
    if steps_only:
        told = {"thread", "task", "namespace", "checkpoint", "version", "exchanges", "spent", "seq"}
        return [
            step.model_dump(exclude=told) | {"work": _work(step), "forkable": step.checkpoint in stored}
            for step in history.steps
        ]
    return [event | {"step": history.of_event.get(event["seq"])} for event in events]


def _blocks(
    events: list[dict[str, Any]], history: History, metric: str, *, steps_only: bool
) -> Iterator[tuple[str, str, list[str]]]:
    """Time, beginning and lines of what is shown together: a step with all it told, or what belongs to no step."""
    steps = {step.number: step for step in history.steps}
    told: dict[int, list[str]] = {number: [] for number in steps}
    for event in events:
        number = history.of_event.get(event["seq"])
        if number is not None and event["kind"] not in {"phase", "step"}:
            told[number] += _lines(event, metric)
    for event in events:
        number = history.of_event.get(event["seq"])
        if number is None:
            lines = _lines(event, metric)
            if lines and (not steps_only or event["kind"] == "fork"):
                yield event["time"], "      {}  ", lines
        elif steps[number].seq == event["seq"]:
            step = steps[number]
            details = [] if steps_only else [f"  {line}" for line in told[number]]
            yield step.began, f"{number:>4}  {{}}  {step.role:<15}  ", [_headline(step), *details]


def _headline(step: Step) -> str:
    return " · ".join([_work(step), *_costs(step)])


def _work(step: Step) -> str:
    """What the step is for, in words."""
    work = _WORK.get(step.role, step.role)
    return f"{step.candidate}: {work}" if step.candidate else work


def _costs(step: Step) -> list[str]:
    """What a step took: seconds, trainings, tokens and money, as far as there were any."""
    parts = [f"{step.seconds:.1f} s"] if step.seconds is not None else []
    if step.trainings:
        counted = "1 training" if step.trainings == 1 else f"{step.trainings} trainings"
        parts.append(f"{counted}, {step.training_seconds:.1f} s")
    if step.reused:
        parts.append(f"{step.reused} from the journal")
    if step.tokens:
        parts.append(f"{', '.join(step.experts)}: {step.tokens:,} tokens, ${step.cost:.4f}")
    if step.times > 1:
        parts.append(f"begun {step.times} times")
    return parts


def _pruned_lines(history: History, stored: set[str]) -> list[str]:
    known = [step for step in history.steps if step.checkpoint]
    gone = [step for step in known if step.checkpoint not in stored]
    if not gone:
        return []
    left = ", ".join(str(step.number) for step in known if step.checkpoint in stored)
    return [f"checkpoints were pruned: {f'only steps {left} can still be forked' if left else 'no step can be forked'}"]


def _lines(event: dict[str, Any], metric: str) -> list[str]:
    """What an event says; also what the progress view leaves out."""
    data = event["data"]
    match event["kind"]:
        case "fork":
            return [f"* {line}" for line in _fork_lines(event)]
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


def _fork_lines(event: dict[str, Any]) -> list[str]:
    data = event["data"]
    changes = [f"{name} = {value}" for name, value in (data.get("settings") or {}).items()]
    changes += [f"plan {name} edited" for name in data.get("plans") or []]
    return [event["text"] + (f"; {', '.join(changes)}" if changes else "")]


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
