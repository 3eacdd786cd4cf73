"""`modelwright prune` and `rm`: what would be freed, what was, and what is left alone."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from graphs.cli.output import print_json, results, say
from state.errors import UsageError
from tools.store import Catalogue, RunRow, open_catalogue

_UNITS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}


def prune_command(references: list[str], older_than: str | None, *, dry_run: bool, output_json: bool) -> None:
    """Free what no run needs: old checkpoints, artifacts nothing refers to, leftovers of processes that died."""
    from tools.pruning import collect, prune_run, sweep

    catalogue = open_catalogue()
    try:
        runs = _chosen(catalogue, references, older_than)
        # What may go is told first: of a run that is large this takes a moment.
        planned = [prune_run(run, dry_run=True) for run in runs]
        if not output_json:
            _tell_plan(planned)
        pruned = planned if dry_run else [prune_run(run) for run in runs]
        leftovers = sweep(catalogue, dry_run=dry_run)
        collected = collect(catalogue, dry_run=dry_run)
    finally:
        catalogue.close()
    if output_json:
        told = [
            {"run": one.run, "checkpoints": one.checkpoints, "bytes": one.size, "skipped": one.skipped}
            for one in pruned
        ]
        print_json(
            {
                "dry_run": dry_run,
                "runs": told,
                "artifacts": _collected(collected),
                "folders": [folder.name for folder in leftovers],
            }
        )
        return
    _tell_result(pruned, collected, len(leftovers), dry_run=dry_run)


def _tell_plan(planned: list[Any]) -> None:
    console = results()
    for one in planned:
        if one.skipped:
            say(console, f"{one.run}: left alone, {one.skipped}")
        elif one.checkpoints:
            say(console, f"{one.run}: {one.checkpoints} old checkpoints, {_bytes(one.size)}")
    if not any(one.checkpoints for one in planned):
        say(console, "no run has old checkpoints")


def _tell_result(pruned: list[Any], collected: Any, folders: int, *, dry_run: bool) -> None:
    console = results()
    if collected.skipped:
        say(console, f"artifacts: left alone while {collected.skipped}; run this again afterwards")
    else:
        say(console, f"artifacts nobody needs: {collected.artifacts}, {_bytes(collected.size)}")
    if folders:
        say(console, f"folders that no run owns: {folders}")
    total = sum(one.size for one in pruned) + collected.size
    if dry_run:
        say(console, f"would free about {_bytes(total)}; nothing was changed", style="bold")
    else:
        say(console, f"freed {_bytes(total)}", style="bold")
        if any(one.checkpoints for one in pruned):
            say(console, "pruned runs go on and show as before, but their earlier steps cannot be forked any more")


def remove_command(references: list[str], *, yes: bool, output_json: bool) -> None:
    """Remove runs with everything only they need. Asks first, unless told not to."""
    from tools.pruning import collect, remove_runs

    catalogue = open_catalogue()
    try:
        runs = list({run.id: run for run in map(catalogue.find_run, references)}.values())
        _refuse_driven(runs)
        names = ", ".join(run.name for run in runs)
        if not yes and not _confirmed(catalogue, runs, names):
            say(results(), "nothing was removed")
            return
        size = remove_runs(catalogue, runs)
        collected = collect(catalogue)
    finally:
        catalogue.close()
    if output_json:
        print_json({"removed": [run.id for run in runs], "bytes": size, "artifacts": _collected(collected)})
        return
    console = results()
    say(console, f"removed {names}: {_bytes(size)} of run folders", style="bold")
    if collected.skipped:
        say(console, f"their artifacts stay while {collected.skipped}; `modelwright prune` frees them afterwards")
    else:
        say(console, f"and {collected.artifacts} artifacts only they needed: {_bytes(collected.size)}")


def _refuse_driven(runs: list[RunRow]) -> None:
    """Raises RunHeld, naming who drives one of them, before anything is asked."""
    from tools.drivers import drive_run

    for run in runs:
        with drive_run(run.id):
            pass


def _confirmed(catalogue: Catalogue, runs: list[RunRow], names: str) -> bool:
    """Say what goes and what stays, and wait for a yes. Raises UsageError when nobody can be asked."""
    from tools.pruning import collect

    gone = {run.id for run in runs}
    ahead = collect(catalogue, without=gone, dry_run=True)
    forks = [row.name for row in catalogue.runs() if row.parent in gone and row.id not in gone]
    console = results()
    released = [run.name for run in runs if (run.summary or {}).get("folder")]
    say(console, f"remove {names}: log, checkpoints, report" + (", and the released model" if released else ""))
    say(console, f"and {ahead.artifacts} artifacts only they need, {_bytes(ahead.size)}")
    if forks:
        say(console, f"their forks stay and keep working: {', '.join(forks)}")
    say(console, "the count of openings of the sealed test set, and what was learned, stay")
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to confirm that", hint="add --yes to remove without being asked")
    try:
        return console.input("remove? [y/N] ", markup=False).strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):  # whoever leaves the prompt has not said yes
        return False


def _chosen(catalogue: Catalogue, references: list[str], older_than: str | None) -> list[RunRow]:
    runs = [catalogue.find_run(one) for one in references] if references else catalogue.runs()
    if older_than is None:
        return runs
    limit = datetime.now(UTC) - timedelta(days=_days(older_than))
    return [run for run in runs if datetime.fromisoformat(run.updated or run.created) < limit]


def _days(text: str) -> float:
    """30d, 12h, 2w as days; a bare number counts days. Raises UsageError."""
    unit = text.strip().lower()[-1:]
    number = text.strip()[:-1] if unit in _UNITS else text.strip()
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100_000:
        raise UsageError(f"--older-than takes an age such as 30d, 12h or 2w, not {text!r}")
    return value * _UNITS.get(unit, 1.0)


def _collected(collected: Any) -> dict[str, Any]:
    return {
        "artifacts": collected.artifacts,
        "bytes": collected.size,
        "journal_rows": collected.rows,
        "skipped": collected.skipped,
    }


def _bytes(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
