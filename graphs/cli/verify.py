"""`modelwright verify`: is a release what was published, and does its training program make the same model again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from graphs.cli.output import print_json, results, say
from state.errors import EXIT_FAILED, NotFound

if TYPE_CHECKING:
    from tools.store import RunRow
    from tools.verifying import Verification

_MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}
_PARTS = ("manifest.json", "model_inference", "model_training")
_MOST_PROBLEMS = 200


def verify_command(
    reference: str, *, data: list[Path], manifest_hash: str, python: Path | None, output_json: bool
) -> None:
    """Verify the release of a run or a release folder, print every check, and exit with 1 when one failed."""
    from tools.verifying import verify_release

    folder, run = _release(reference)
    found = verify_release(
        folder,
        data=data,
        wanted_hash=manifest_hash,
        run=run,
        python=python,
        tell=lambda text: None if output_json else _tell(text),
    )
    if output_json:
        print_json({"ok": found.ok, "whole": found.whole, **found.plain()})
    else:
        _show(found)
    if not found.ok:
        sys.exit(EXIT_FAILED)


def _release(reference: str) -> tuple[Path, RunRow | None]:
    """The folder, and the run when it was named by one."""
    folder = Path(reference).expanduser()
    if any((folder / part).exists() for part in _PARTS):
        return folder, None
    if folder.is_dir():
        raise NotFound(
            f"{reference!r} holds no release: there is no manifest.json",
            hint="name the folder a build printed as its release, or a run; `modelwright ls` lists the runs",
        )
    from graphs.cli.screens import find_run
    from tools.keeping import release_of

    run = find_run(reference)
    released = release_of(run)
    if released is None:
        raise NotFound(
            f"run {run.name!r} has no release to verify: it is {run.status}",
            hint=f"`modelwright show {run.name}` tells more",
        )
    return released, run


def _tell(text: str) -> None:
    sys.stderr.write(f"{text} …\n")


def _show(found: Verification) -> None:
    from rich.table import Table
    from rich.text import Text

    console = results()
    console.print(Text(found.folder, style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("mark", "check", "result"):
        table.add_column(column, no_wrap=True)
    table.add_column("detail", overflow="fold")
    for proof in found.proofs:
        style = "red" if proof.status == "failed" else ""
        table.add_row(_MARKS[proof.status], proof.name, Text(proof.status, style=style), Text(proof.detail))
    console.print(table)
    problems = [problem for proof in found.proofs for problem in proof.problems]
    for problem in problems[:_MOST_PROBLEMS]:
        say(console, f"  {problem}", indent=4)
    if len(problems) > _MOST_PROBLEMS:
        say(console, f"  and {len(problems) - _MOST_PROBLEMS} more; --json lists all")
    say(console, _verdict(found), style="bold")


def _verdict(found: Verification) -> str:
    where = f"; its programs ran in {found.where}" if found.where else ""
    if found.ok:
        rest = "" if found.whole else ", as far as it was checked"
        return f"The release is what was published{rest}{where}."
    if found.where:
        return f"The files are those that were published, but they do not do what they should{where}."
    return "The release is not what was published; nothing of it was run."
