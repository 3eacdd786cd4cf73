"""`modelwright why`: where a number came from, told from stored facts alone."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from graphs.cli.output import number, print_json, results, say, spread
from graphs.cli.screens import find_run
from state.errors import NotFound, UsageError
from tools.artifacts import open_artifacts
from tools.origins import Ledger
from tools.receipts import Number, find_number
from tools.runs import standing
from tools.store import open_catalogue, open_run_log

_LABEL = 14


def why_screen(reference: str, wanted: str | None, *, program: bool, log: bool, output_json: bool) -> None:
    """All numbers of a run, or the receipt of one, or the programs or logs behind it.

    Raises NotFound with the nearest ids for an unknown number, and when it has no program or no log.
    """
    row = find_run(reference)
    runlog, catalogue = open_run_log(row.id), open_catalogue()
    try:
        ledger = Ledger(row, runlog, catalogue)
        if wanted is None:
            if program or log:
                raise UsageError(
                    "--program and --log need a number", hint=f"`modelwright why {row.name}` lists the ids"
                )
            _list(ledger, output_json)
            return
        one = find_number(ledger.numbers, wanted, row.name)
        origin = ledger.origin(one)
    finally:
        runlog.close()
        catalogue.close()
    if program or log:
        _texts(one, origin, program=program)
    elif output_json:
        print_json(origin)
    else:
        _receipt(row.name, one, origin)


def _list(ledger: Ledger, output_json: bool) -> None:
    """Every id with value, interval and what it is."""
    from rich.table import Table
    from rich.text import Text

    if output_json:
        print_json([one.plain() for one in ledger.numbers.values()])
        return
    row = ledger.row
    if not ledger.numbers:
        results().print(Text(f"{row.name} has no numbers yet: it is {standing(row)}"))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "value", "95 % interval"):
        table.add_column(title, no_wrap=title != "id", overflow="fold")
    table.add_column("what it is", ratio=1)
    for one in ledger.numbers.values():
        table.add_row(Text(one.id), number(one.value), spread(one.low, one.high), Text(one.title))
    results().print(table)
    say(results(), f"one of them: modelwright why {_word(row.name)} {_word(next(iter(ledger.numbers)))}")


def _receipt(run: str, one: Number, origin: dict[str, Any]) -> None:
    from rich.text import Text

    console = results()
    console.print(
        Text(f"{one.id}  {number(one.value)} {spread(one.low, one.high)}".rstrip(), style="bold"), soft_wrap=True
    )
    for label, text in _lines(one, origin):
        say(console, f" {label:<{_LABEL - 1}}{text}", indent=_LABEL)
    # Commands are never broken, so that they can be copied.
    for label, command in _following(run, one, origin):
        console.print(Text(f" {label:<{_LABEL - 1}}{command}"), soft_wrap=True)


def _lines(one: Number, origin: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and text of everything that is known about where a number came from."""
    rows = f"{one.rows:,} {one.rows_are}" if one.rows is not None else one.rows_are
    lines = [("what", one.title), ("metric", one.metric), ("rows", rows), ("how", one.method)]
    lines.append(("derived from", ", ".join(one.made_of)))
    lines.append(("candidate", one.candidate or ""))
    lines += [
        (
            "program",
            f"{part['program']}  {_share(part['weight'])}{part['candidate']}, by {part['expert']}: {part['title']}",
        )
        for part in origin["programs"]
        if part["program"]
    ]
    data = origin["data"]
    lines.append(("data", " ".join(word for word in (_hash(data["sha256"]), data["file"]) if word)))
    lines += [("input", f"{name} {reference}") for name, reference in one.inputs.items()]
    lines.append(("seed", str(origin["seed"])))
    lines += [("execution", _execution(part)) for part in origin["executions"]]
    lines += [(label, text) for label, text in _facts(one)]
    if one.event is not None:
        lines.append(("made", f"by {one.role} at {one.time}, event {one.event} of the run's log"))
    if origin["checkpoint"]:
        lines.append(("checkpoint", f"{origin['checkpoint']['id']}, step {origin['checkpoint']['step']}"))
    return [(label, text) for label, text in lines if text]


def _facts(one: Number) -> list[tuple[str, str]]:
    """What else the receipt holds, one line each."""
    lines = []
    for name, value in one.facts.items():
        if name == "opening" and isinstance(value, dict):
            earlier = ", ".join(str(run.get("name") or run.get("run")) for run in value.get("earlier") or [])
            told = f"no. {value.get('number')} of these rows, at {value.get('when')}"
            lines.append(("opening", told + (f"; before by {earlier}" if earlier else "")))
        elif value is not None:
            lines.append((name.replace("_", " "), _plain(value)))
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)


def _execution(part: dict[str, Any]) -> str:
    fold = f"fold {part['fold'] + 1} " if part.get("fold") is not None else ""
    if "kind" not in part:
        return f"{part['key']}  {fold}{part['status']}"
    source = f", answered from run {part['run']}" if part["run"] else ""
    log = f", log {part['log']}" if part["log"] else ", no output"
    took = f" in {part['seconds']:.1f} s" if part["seconds"] is not None else ""
    return f"{part['key']}  {fold or part['kind'] + ' '}{part['status']}{took} at {part['finished']}{source}{log}"


def _following(run: str, one: Number, origin: dict[str, Any]) -> list[tuple[str, str]]:
    """Commands that show more."""
    command = f"modelwright why {_word(run)} {_word(one.id)}"
    lines = [("see program", f"{command} --program")] if any(part["program"] for part in origin["programs"]) else []
    if any(part.get("log") for part in origin["executions"]):
        lines.append(("see log", f"{command} --log"))
    return [*lines, ("see run", f"modelwright log {_word(run)}")]


def _texts(one: Number, origin: dict[str, Any], *, program: bool) -> None:
    """The text of every program, or of every captured output, behind a number."""
    if program:
        texts = [(f"# {part['candidate']} {part['program']}", part["program"]) for part in origin["programs"]]
    else:
        texts = [(f"# {part['key']}", part.get("log")) for part in origin["executions"]]
    found = [(head, reference) for head, reference in texts if reference]
    if not found:
        kind = "program" if program else "log: its executions printed nothing"
        raise NotFound(f"{one.id} has no {kind}", hint="without --program and --log the whole receipt is shown")
    artifacts = open_artifacts()
    for head, reference in dict.fromkeys(found):
        with artifacts.get(reference) as stream:
            text = stream.read().decode("utf-8", "replace")
        sys.stdout.write(f"{head}\n{text.rstrip()}\n" if len(found) > 1 else f"{text.rstrip()}\n")


def _share(weight: float) -> str:
    return "" if weight == 1.0 else f"{weight:.0%} of "


def _hash(text: str | None) -> str:
    return f"sha256:{text.removeprefix('sha256:')}" if text else ""


def _word(text: str) -> str:
    return shlex.quote(text)
