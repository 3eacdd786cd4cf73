"""Every named crash point: it is in the tree, it kills, and what dies there is resumed to the same end."""

from __future__ import annotations

import ast
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.durability.forge import Forge
from tests.durability.histories import Choices, twin
from tests.support.command import ROOT
from tools.crash import CRASH_POINTS, SUPERVISOR_POINTS

CALLS = ("crash_point", "_crash_point", "crash_wanted")
CHOICES: Choices = (2, ("plan",), "approve", "")
BEFORE = {"mid-publish": "after-publish:1"}


def test_the_list_is_the_tree() -> None:
    """Every point in the program is in the list, and every point of the list is in the program."""
    named = {
        call.args[0].value
        for part in ("state", "tools", "nodes", "graphs")
        for path in (ROOT / part).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) in CALLS
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    assert named == CRASH_POINTS.keys()
    assert all(sentence.strip() for sentence in CRASH_POINTS.values())


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_run_that_dies_there_ends_as_its_twin(forge: Forge, tmp_path: Path, point: str) -> None:
    """Killed at the point and resumed, nothing that had finished is made again, and the end is the same."""
    home = tmp_path / "home"
    crashes = [crash for crash in (BEFORE.get(point), f"{point}:1") if crash]
    if point == "before-fork":
        _fork(forge, home, f"{point}:1")
        return
    reply = forge.ask("start", home, name="run", candidates=2, review=["plan"], crash=crashes[0])
    for crash in crashes:
        if reply["end"] != "killed" and "run" in _runs(forge, home):
            reply = forge.ask("resume", home, name="run", answer="approve", crash=crash)
        assert reply["end"] == ("code" if crash.partition(":")[0] in SUPERVISOR_POINTS else "killed"), reply
        if crash is not crashes[-1]:
            reply = {"end": "code"}
    done = _done(home)
    reply = forge.ask("resume", home, name="run")
    if reply["status"] == "waiting":
        assert _runs(forge, home)["run"]["answers"] == [], "who has answered is not asked again"
        forge.ask("resume", home, name="run", answer="approve")
    found = _runs(forge, home)["run"]
    assert {part: found[part] for part in ("status", "best", "candidates", "model")} == twin(forge, CHOICES)
    counts = Counter(Path(f"{home}.ledger").read_text().splitlines())
    assert all(count == 1 for line, count in counts.items() if line.startswith("job"))
    assert {key: value for key, value in _done(home).items() if key in done} == done


def _fork(forge: Forge, home: Path, crash: str) -> None:
    """Killed between its rows and the catalogue's, there is no fork; made once more, it ends as its parent."""
    forge.ask("start", home, name="run", candidates=2, review=["plan"])
    forge.ask("resume", home, name="run", answer="approve")
    asked = {"name": "run", "at": "strategist", "settings": {}, "fork": "fork"}
    assert forge.ask("fork", home, crash=crash, **asked)["end"] == "killed"
    assert list(_runs(forge, home)) == ["run"]
    done = _done(home)
    forge.ask("fork", home, **asked)
    forge.ask("resume", home, name="fork")
    found = _runs(forge, home)
    assert found["fork"]["model"] == found["run"]["model"]
    assert {key for key, _ in _done(home)} == {key for key, _ in done}, "nothing was made for the fork"


def _runs(forge: Forge, home: Path) -> dict[str, dict[str, object]]:
    runs: dict[str, dict[str, object]] = forge.ask("look", home)["runs"]
    return runs


def _done(home: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """Key and run → attempt and end of every finished effect."""
    if not (home / "catalogue.db").exists():
        return {}
    with closing(sqlite3.connect(home / "catalogue.db")) as connection:
        rows = connection.execute("SELECT key, run_id, attempt, finished FROM journal WHERE state = 'done'")
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}
