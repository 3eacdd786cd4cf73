"""A campaign of the quality benchmark: measured once, interrupted, resumed, restricted; versions are never mixed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from benchmarks import cells, quality, watching
from benchmarks.engineshare import covered, read_share
from benchmarks.toolbox import TOOLS
from tests.support.command import ROOT
from tools.journal import Journal
from tools.store import open_catalogue

FAKE = Path(__file__).with_name("fake_tool.py")


class Campaign:
    """Two small sets, and the tools replaced by real processes that learn nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.diary = folder / "diary"

    def run(self, *more: str) -> None:
        quality.main(["--data", str(self.folder), "--seeds", "1", "--limit", "5", *more])

    def started(self) -> Counter[str]:
        """How often each verb of each tool was started since the last look."""
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        self.diary.unlink(missing_ok=True)
        return Counter(" ".join(line.split()[:2]) for line in lines)

    def cell(self, name: str, tool: str) -> Path:
        return cells.path_of("quality", 5, name, 0, tool)


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    one = {"task": "regression", "target": "y", "metric": "mae", "intent": "Predict y.", "file": "table.csv"}
    (tmp_path / "datasets.json").write_text(json.dumps([{"name": "one", **one}, {"name": "two", **one}]))
    rows = [f"{value},{value}" for value in range(40)]
    (tmp_path / "table.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    fakes = {name: replace(TOOLS[name], script=FAKE, peer=False) for name in ("modelwright", "flaml")}
    monkeypatch.setattr(cells, "CELLS", tmp_path / "cells")
    monkeypatch.setattr(quality, "publish", lambda *_, **__: None)
    monkeypatch.setenv("FAKE_DIARY", str(tmp_path / "diary"))
    with patch.dict(TOOLS, fakes, clear=True):
        yield Campaign(tmp_path)


def test_a_campaign_measures_each_cell_once_and_goes_on_where_it_was(
    campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there is not run again; a cell that is gone, or half a file, is; progress tells the time left."""
    campaign.run("--only", "one")
    assert campaign.started() == {f"{verb} {tool}": 1 for verb in ("fit", "predict", "account") for tool in TOOLS}
    campaign.run("--only", "one")
    assert not campaign.started()
    campaign.cell("one", "flaml").write_text('{"format": 3, "sco')
    capsys.readouterr()
    campaign.run("--only", "one")
    assert campaign.started() == {"fit flaml": 1, "predict flaml": 1, "account flaml": 1}
    said = capsys.readouterr().out
    assert "1 of 2 cells are there" in said
    assert "[2/2] one" in said
    assert "left" in said


def test_all_tools_of_a_set_and_seed_read_the_same_files(campaign: Campaign) -> None:
    """The same bytes, told by each tool and by the cells; the scores are those of what each wrote."""
    campaign.run("--only", "two")
    ours, theirs = (json.loads(campaign.cell("two", tool).read_text()) for tool in ("modelwright", "flaml"))
    assert ours["split"] == theirs["split"]
    assert ours["fit"]["digests"] == theirs["fit"]["digests"]
    assert (ours["score"], theirs["score"]) == (0.0, 1.0)
    assert ours["rows"] == [30, 10]
    assert ours["trivial"] == theirs["trivial"] > 1
    assert {"wall", "cpu_seconds", "peak_mb", "predict_seconds", "latency", "size_mb", "date", "machine"} <= set(ours)


def test_a_failure_is_written_down_and_not_repeated(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell holds what the tool said; it is a finished cell."""
    monkeypatch.setenv("FAKE_FAILS", "flaml")
    campaign.run("--only", "one", "--tools", "flaml")
    failed = json.loads(campaign.cell("one", "flaml").read_text())
    assert failed["score"] is None
    assert "the fake tool cannot do this" in failed["failed"]
    assert campaign.started() == {"fit flaml": 1}
    campaign.run("--only", "one", "--tools", "flaml")
    assert not campaign.started()


def test_cells_of_another_version_are_refused_and_only_the_peers_can_be_kept(campaign: Campaign) -> None:
    """Refused with the ways out; with --keep-peers modelwright alone is measured again, its old cell set aside."""
    campaign.run("--only", "one")
    for tool in TOOLS:
        path = campaign.cell("one", tool)
        path.write_text(json.dumps({**json.loads(path.read_text()), "beside": "another"}))
    campaign.started()
    with pytest.raises(SystemExit, match="--keep-peers"):
        campaign.run("--only", "one")
    assert not campaign.started()
    campaign.run("--only", "one", "--keep-peers")
    assert campaign.started() == {f"{verb} modelwright": 1 for verb in ("fit", "predict", "account")}
    assert list((campaign.folder / "cells" / "aside").rglob("modelwright.json"))
    path = campaign.cell("one", "flaml")
    path.write_text(json.dumps({**json.loads(path.read_text()), "machine": {"name": "elsewhere"}}))
    campaign.run("--only", "one", "--keep-peers")
    assert campaign.started() == {f"{verb} flaml": 1 for verb in ("fit", "predict", "account")}


def test_the_order_is_back_to_back_and_begins_with_another_tool_at_each_seed() -> None:
    """All tools of one set and seed follow each other; the series tool is for sets split in time only."""
    options = quality.options_of(["--seeds", "2"])
    wishes = quality.wishes_of(options, [{"name": "plain"}, {"name": "ordered", "split": "time"}])
    order = [(wish.seed, wish.one["name"]) for wish in wishes]
    assert [key for place, key in enumerate(order) if order[place - 1 : place] != [key]] == [
        (0, "plain"), (0, "ordered"), (1, "plain"), (1, "ordered")
    ]  # fmt: skip
    first = [next(wish.tool.name for wish in wishes if wish.seed == seed) for seed in (0, 1)]
    assert first == ["modelwright", "autogluon_best"]
    assert {wish.one["name"] for wish in wishes if wish.tool.only_time} == {"ordered"}


def watched(folder: Path, code: str, deadline: float = 60.0) -> list[str]:
    """The watcher's command line for a Python program."""
    spec = {
        "argv": [sys.executable, "-c", code],
        "cwd": str(folder),
        "env": dict(os.environ),
        "cores": 2,
        "deadline": deadline,
        "stdout": str(folder / "out"),
        "stderr": str(folder / "err"),
        "out": str(folder / "figures.json"),
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return [sys.executable, str(ROOT / "benchmarks" / "watching.py"), str(folder / "spec.json")]


BURN = "import time\nwhile time.process_time() < 0.4: pass\nblock = bytearray(b'1' * 120_000_000)\ntime.sleep(0.6)"
ORPHAN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"


def test_the_watcher_counts_children_and_leaves_none_behind(tmp_path: Path) -> None:
    """CPU and memory of a grandchild are in the figures; an orphan is found, told and killed."""
    code = f"{ORPHAN}\nsubprocess.run([sys.executable, '-c', {BURN!r}], check=True)"
    subprocess.run(watched(tmp_path, code), check=True)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["code"] == 0
    assert figures["cpu_seconds"] >= 0.4
    assert figures["peak_mb"] >= 110
    assert figures["left_behind"] == 1
    assert not figures["killed"]


def test_the_watcher_ends_the_tree_at_the_hard_limit(tmp_path: Path) -> None:
    """The command and its child are killed, and the figures say so."""
    code = f"{ORPHAN}\nimport time; time.sleep(600)"
    subprocess.run(watched(tmp_path, code, deadline=0.5), check=True)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["killed"]
    assert figures["code"] == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="a child told of its parent's death is Linux's")
def test_nothing_goes_on_after_a_killed_benchmark(tmp_path: Path) -> None:
    """kill -9 of the process that started the watcher ends the watched command too."""
    marked = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)"
    starter = f"import subprocess; subprocess.Popen({watched(tmp_path, marked)!r}).wait()"
    driver = subprocess.Popen([sys.executable, "-c", starter])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert driver.poll() is None
    command = psutil.Process(int((tmp_path / "pid").read_text()))
    driver.kill()
    driver.wait()
    psutil.wait_procs([command], timeout=60)
    assert not command.is_running() or command.status() == psutil.STATUS_ZOMBIE


def test_proportional_memory_of_a_process_that_is_gone_is_nothing() -> None:
    """A process may end between being listed and being read."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not watching.proportional(gone.pid)


def test_the_engines_share_is_the_wall_that_no_job_covers(home: Path) -> None:
    """Read from a real journal: jobs count once where they overlap, other effects not at all."""
    catalogue = open_catalogue()
    journal = Journal(catalogue, "a-run")
    for number, kind in enumerate(("fold", "fold", "llm")):
        journal.effect_now(f"key{number}", kind, lambda: {"status": "done", "seconds": 0.0})
    with catalogue.database.write() as database:
        for number, (begun, ended, seconds) in enumerate([(0, 6, 4.0), (3, 8, 5.0), (0, 20, 20.0)]):
            stamps = [f"2026-11-21T10:00:{second:02}.000+00:00" for second in (begun, ended)]
            result = json.dumps({"seconds": seconds})
            database.execute(
                "UPDATE journal SET started = ?, finished = ?, result = ? WHERE key = ?",
                [*stamps, result, f"key{number}"],
            )
    catalogue.close()
    began = 1795255200.0  # 2026-11-21T10:00:00Z
    share = read_share(home / "catalogue.db", began, began + 20)
    assert share == {"share": 14 / 20, "seconds": 14.0, "jobs": 2, "job_seconds": 9.0}
    assert covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)]) == 4.0
