"""`modelwright review`: what the review of a run found, and all its checks in full."""

from __future__ import annotations

from typing import Any

from graphs.cli.output import print_json, results, say
from graphs.cli.screens import find_run
from state.errors import NotFound
from tools.places import run_place
from tools.runs import standing
from tools.store import RunRow, open_catalogue, open_run_log

FULL_SECONDS = 24 * 3600.0
"""What a full review may take. It is no part of the run's time."""
_WORDS = {"passed": "passed", "found": "FOUND", "reduced": "reduced", "skipped": "skipped"}
_ROUTES = {
    "report": "",
    "fix": "take it away or write the program anew, and build again",
    "ask": "you decide",
    "reject": "do not use this model",
}


def review_command(reference: str, *, full: bool, output_json: bool) -> None:
    """Print the newest full review of a run, or that of its reviewer; with `full` make a new one first.

    A full review runs programs and may take as long as the run took. Findings do not change the exit code.
    """
    row = find_run(reference)
    result = _review_in_full(row) if full else _recorded(row)
    if output_json:
        print_json({"run": row.name, "run_id": row.id, **result})
        return
    _print_review(row, result)


def _recorded(row: RunRow) -> dict[str, Any]:
    """The newest review in the run's log."""
    log = open_run_log(row.id)
    try:
        events = log.events()
    finally:
        log.close()
    for event in reversed(events):
        if event["kind"] == "review":
            return dict(event["data"])
        if event["kind"] == "verdict":
            data = event["data"]
            return {
                "when": event["time"],
                "candidate": row.summary.get("best"),
                "full": False,
                "checks": data["checks"],
                "findings": data["findings"],
            }
    raise NotFound(
        f"run {row.name!r} has not been reviewed: it is {standing(row)}", hint=f"`modelwright resume {row.name}`"
    )


def _review_in_full(row: RunRow) -> dict[str, Any]:
    if not row.summary.get("best"):
        raise NotFound(
            f"run {row.name!r} has no chosen model to review: it is {standing(row)}",
            hint=f"`modelwright resume {row.name}` goes on with it",
        )
    from graphs.signals import run_async
    from tools.drivers import drive_run

    with drive_run(row.id):
        _wait_for_housekeeping(row)
        return run_async(_drive(row))


def _wait_for_housekeeping(row: RunRow) -> None:
    """What is put into the store while unneeded artifacts are being freed would be freed as well (tools/pruning.py). Whoever
    frees them holds the catalogue, and from now on sees that the run is driven."""
    catalogue = open_catalogue()
    try:
        with catalogue.database.write(row.id):
            pass
    finally:
        catalogue.close()


async def _drive(row: RunRow) -> dict[str, Any]:
    from state.settings import Settings
    from tools.budget import Budget
    from tools.checkpoints import open_saver
    from tools.leaks.whole import review_in_full
    from tools.workbench import close_workbench, open_workbench

    async with open_saver(run_place(row.id)) as saver:
        found = await saver.aget_tuple({"configurable": {"thread_id": row.id, "checkpoint_ns": ""}})
    if found is None:
        raise NotFound(
            f"the steps of run {row.name!r} are not kept here, so there is nothing to review",
            hint="runs of the command line and of `modelwright.build` are; a graph of your own needs our checkpointer",
        )
    desk = open_workbench(row.id, Settings.model_validate(row.settings), budget=Budget(FULL_SECONDS))
    try:
        return await review_in_full(desk, found.checkpoint["channel_values"])
    finally:
        close_workbench(row.id)


def _print_review(row: RunRow, result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = results()
    how = f"full review, {result['seconds']:.1f} s" if result["full"] else "review during the run"
    console.print(Text(f"{row.name} ({row.id[:8]}) {result['candidate']}: {how}", style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for title in ("check", "result", "extent"):
        table.add_column(title, no_wrap=True)
    table.add_column("detail", overflow="fold")
    for check in result["checks"]:
        extent = check.get("extent", "skipped" if check["status"] == "skipped" else "run")
        table.add_row(Text(check["name"]), _WORDS[check["status"]], extent, Text(check["detail"]))
    console.print(table)
    findings = result["findings"]
    say(console, f"{len(findings)} finding{'s' * (len(findings) != 1)}" if findings else "no findings", style="bold")
    for finding in findings:
        advice = _ROUTES[finding.get("route", "report")]
        say(console, f" {finding['severity']}: {finding['text']}" + (f" → {advice}" if advice else ""), indent=4)
        for line in finding["evidence"]:
            say(console, f"     {line}", indent=7)
    if not result["full"]:
        name = f"'{row.name}'" if " " in row.name else row.name
        say(console, f"all checks on all rows: modelwright review {name} --full")
