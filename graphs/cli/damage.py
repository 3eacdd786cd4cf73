"""`modelwright doctor RUN` and `--repair-catalogue`: what is damaged, and a new catalogue in the place of a lost one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from graphs.cli.output import print_json, results, say
from state.errors import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from tools.damage.kinds import Damage
    from tools.damage.repair import Repaired


def damage_screen(reference: str, *, output_json: bool) -> None:
    """Look at everything a run consists of and print what is damaged; exits with 1 when something is."""
    from tools.damage.inspecting import inspect_run
    from tools.store import open_catalogue

    catalogue = open_catalogue()
    try:
        run = catalogue.find_run(reference)
        found = inspect_run(catalogue, run)
    finally:
        catalogue.close()
    if output_json:
        print_json({"run": run.name, "id": run.id, "damage": [one.plain() for one in found]})
    else:
        _print(run.name, found)
    sys.exit(EXIT_FAILED if found else EXIT_DONE)


def _print(name: str, found: list[Damage]) -> None:
    console = results()
    if not found:
        say(console, f"{name}: everything is as it was written")
        return
    say(console, f"{name}: {len(found)} {'thing is' if len(found) == 1 else 'things are'} damaged", style="bold")
    way_out = ""
    for place, one in enumerate(found):
        say(console, f" {one.kind:<11}{one.where}: {one.what}", indent=12)
        way_out = one.way_out
        if place + 1 == len(found) or found[place + 1].way_out != way_out:  # said once for all that share it
            say(console, f" {'→':<11}{way_out}", indent=12)


def repair_screen(*, output_json: bool) -> None:
    """Make a new catalogue when the old one is lost or damaged, and print what came back."""
    from tools.damage.repair import repair_catalogue

    account = repair_catalogue()
    if output_json:
        print_json(account.plain())
        return
    console = results()
    for line in _account(account):
        say(console, line)


def _account(account: Repaired) -> list[str]:
    registered = f"registered from their folders: {', '.join(account.registered)}" if account.registered else ""
    if account.was_whole:
        return [line for line in ("the catalogue is whole", registered) if line]
    lines = [f"the old catalogue: {'; '.join(account.problems)}"]
    lines += [f"it lies in {account.aside} now"] if account.aside else []
    lines += [f"read from it: {', '.join(f'{count} {table}' for table, count in account.read.items())}"]
    if left := {table: count for table, count in account.left.items() if count}:
        lines.append(f"not believed, and left: {', '.join(f'{count} {table}' for table, count in left.items())}")
    lines += [registered] if registered else []
    if account.lost:
        lines.append(
            f"{account.lost} finished trainings and other effects are lost to the journal: made again where a step needs them"
        )
    return lines
