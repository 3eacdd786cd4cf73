"""Cheating candidates, run through the real folds and scored by the framework: none is better than the honest program."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.settings import Settings
from state.task import Prepared, Task
from tests.hostile import cheats
from tests.hostile.cheats import CHEATS, FORGED, INVALID, SHOWN_TO_WORK
from tools.artifacts import FolderArtifacts
from tools.executors.process import ProcessExecutor
from tools.framing import frame_task
from tools.home import home
from tools.labels import canonical_labels
from tools.profiling.profile import profile_table
from tools.splits import deal, prepare
from tools.training import FoldRun, merge_effective, pool, run_folds, score_of
from tools.workbench import Workbench, close_workbench, open_workbench

TIERS = ("T1", "T2", "T3")
SHARED = ["/tmp", "/var/tmp", "/dev/shm", str(Path(np.__file__).parent)]
"""Folders outside our own that a program may try to leave notes in."""


def weak_signal(rows: int = 210) -> pd.DataFrame:
    """A table sorted by its target, whose columns tell a little about it: an honest score near 0.65."""
    generator = np.random.default_rng(11)
    truth = np.arange(rows) >= rows // 2
    columns = {name: generator.normal(size=rows) + 0.3 * truth for name in ("a", "b")}
    return pd.DataFrame({**columns, "y": np.where(truth, "yes", "no")})


@dataclass
class Range:
    """A run as the framework opens it, with an executor per tier that share one warm parent."""

    desk: Workbench
    executors: dict[str, ProcessExecutor]
    task: Task
    prepared: Prepared
    told: dict[str, object]
    honest: float = 0.0
    entered: dict[str, str] = field(default_factory=dict)
    """Tier → why an honest program fails in it; empty when it does not."""

    def folds(self, text: str, tier: str) -> FoldRun:
        """Run a program's folds, one after another, in a tier."""
        self.desk.executor = self.executors[tier]
        # The text differs per tier, since a finished job is not run again.
        reference = self.desk.artifacts.put_text(f"{text}\n# {tier}\n")

        async def run() -> FoldRun:
            self.desk._gate = None
            return await run_folds(self.desk, self.task, self.prepared, reference, label="cheat", share=60.0)

        return asyncio.run(run())

    def score(self, run: FoldRun) -> float:
        """The framework's score, in the way the runner computes it."""
        merge_effective([receipt.result.get("effective") or {} for receipt in run.receipts])
        part = pool(self.desk, self.prepared, run.predictions)
        return score_of(self.desk, self.task, self.prepared, part, sorted(run.predictions)).value

    def places(self, tier: str) -> dict[str, object]:
        """Where a cheat looks and where it leaves notes: everywhere, but in our own folder where nothing stops it."""
        own = [str(self.told["folder"]), str(self.told["home"])]
        if tier == "T3":
            return {"roots": own[:1], "places": own, "token": f"{self.told['token']}-T3"}
        roots = ["/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/proc/self/cwd/..", *own]
        return {"roots": roots, "places": [*SHARED, ".", "..", "../..", "../../..", *own, f"{own[1]}/cache"]}

    def outcome(self, extra: str, tier: str) -> float | str:
        """The score of a cheat, or why it failed."""
        run = self.folds(cheats.program({**self.told, **self.places(tier)}, extra), tier)
        return run.problem or self.score(run)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    folder = tmp_path_factory.mktemp("cheating")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELWRIGHT_HOME", str(folder / "home"))
        patch.setenv("MODELWRIGHT_KEY_FILE", str(folder.parent / "cheating.key"))
        frame = weak_signal()
        frame.to_csv(folder / "loans.csv", index=False)
        settings = Settings(target="y", metric="roc_auc", folds=3, time_limit=86400, jobs=1, sandbox="T3")
        desk = open_workbench("cheating", settings)
        made = {tier: ProcessExecutor(desk.artifacts, home() / "jobs" / tier, slots=1, tier=tier) for tier in TIERS}
        for executor in made.values():
            executor.worker = desk.executor.worker  # type: ignore[attr-defined]  # the one the workbench has warmed
        task = frame_task(settings, frame, profile_table(frame, "y", ""), "y")
        labels, _ = canonical_labels(frame["y"], task.kind)
        spec = desk.artifacts.put_json({})
        dealt = deal(task, frame, labels, seed=settings.seed)
        prepared = prepare(frame, labels, dealt, task, desk.artifacts, read_spec=spec, source="s")
        told: dict[str, object] = {
            "data": str(folder / "loans.csv"),
            "home": str(folder / "home"),
            "folder": str(folder),
            "token": os.urandom(5).hex(),
            "since": time.time() - 60,
            "proof": str(folder / "proof"),
        }
        arena = Range(desk, made, task, prepared, told)
        honest = arena.outcome("", "T3")
        assert isinstance(honest, float), honest
        arena.honest = honest
        yield arena
        for executor in made.values():
            executor.close()
        close_workbench("cheating")
        for place in SHARED:
            for note in Path(place).glob(f"modelwright-notes-{told['token']}*"):
                note.unlink(missing_ok=True)


def entered(arena: Range, tier: str) -> None:
    """Skip with the reason when a tier cannot be entered here."""
    if tier not in arena.entered:
        arena.entered[tier] = arena.folds(cheats.program(arena.told), tier).problem
    if arena.entered[tier]:
        pytest.skip(f"{tier}: {arena.entered[tier]}")


@pytest.mark.parametrize("name", SHOWN_TO_WORK)
def test_without_a_sandbox_it_would_pay(arena: Range, name: str) -> None:
    """The control: in the basic tier, which says that it cannot keep custody, the cheat scores far better."""
    found = arena.outcome(CHEATS[name], "T3")
    assert isinstance(found, float), found
    assert found > arena.honest + 0.1


def test_a_search_for_labels_pays_only_where_they_lie_in_clear(arena: Range) -> None:
    """The store of the basic tier is encrypted, so the search finds nothing; beside a copy in clear it scores far better."""
    search = CHEATS["searches the file system for labels"]
    found = arena.outcome(search, "T3")
    assert isinstance(found, float), found
    assert found == pytest.approx(arena.honest)
    clear = FolderArtifacts(Path(str(arena.told["folder"])) / "clear")
    for reference in list(arena.desk.artifacts.refs()):
        with arena.desk.artifacts.get(reference) as stream:
            clear.put(stream.read())
    found = arena.outcome(f"{search}\n# in clear\n", "T3")
    shutil.rmtree(clear.root)
    assert isinstance(found, float), found
    assert found > arena.honest + 0.1


@pytest.mark.parametrize("tier", ["T2", "T1"])
@pytest.mark.parametrize("name", CHEATS)
def test_cheating_does_not_pay(arena: Range, name: str, tier: str) -> None:
    """The cheat fails, or scores no better than the honest program on the same folds with the same seed."""
    entered(arena, tier)
    found = arena.outcome(CHEATS[name], tier)
    assert isinstance(found, str) or found <= arena.honest + 1e-9


@pytest.mark.parametrize("name", INVALID)
def test_predictions_that_are_none_are_refused(arena: Range, name: str) -> None:
    """What cannot be scored gives a failed program with a reason, never a score."""
    run = arena.folds(cheats.program(arena.told, cheats.invalid(name)), "T3")
    assert run.problem
    assert not run.predictions


@pytest.mark.parametrize("name", FORGED)
def test_forged_outputs_do_no_harm(arena: Range, name: str) -> None:
    """Outputs written by the program itself are a failure, or are scored like any; the run goes on, nothing is run."""
    found = arena.outcome(cheats.forged(name), "T3")
    assert isinstance(found, str) or found <= arena.honest + 1e-9
    assert not Path(str(arena.told["proof"])).exists()


def test_a_result_of_the_basic_tier_is_not_believed_in_a_stronger_one(arena: Range) -> None:
    """A score made where labels could be read is made again where they cannot, though the job is the same."""
    entered(arena, "T2")
    text = cheats.program(arena.told, "# the same in both tiers")
    reference = arena.desk.artifacts.put_text(text)

    def receipts(tier: str) -> list[bool]:
        arena.desk.executor = arena.executors[tier]
        arena.desk._gate = None
        run = asyncio.run(run_folds(arena.desk, arena.task, arena.prepared, reference, label="twice", share=60.0))
        return [receipt.reused for receipt in run.receipts]

    assert receipts("T3") == [False] * 3
    assert receipts("T3") == [True] * 3
    assert receipts("T2") == [False] * 3
