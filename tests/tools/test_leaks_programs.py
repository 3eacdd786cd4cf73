"""Programs that cheat are found by running them: each cheat on three tables, and honest programs are left alone."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from state.candidate import Attempt, Candidate, Check, Finding, Plan
from state.jobs import Receipt
from state.release import ReleaseMember
from state.settings import Settings
from state.task import Prepared, Task
from tests.tools.leak_tables import TARGETS, real_table
from tools.finalfit import fit_members
from tools.framing import canonical_labels, frame_task
from tools.leaks.canary import NAME as CANARY
from tools.leaks.canary import check_canary, shuffled
from tools.leaks.jobs import run_fold
from tools.leaks.others import REFIT, TOGETHER
from tools.leaks.trials import most_in_need, run_trials
from tools.profiling.profile import profile_table
from tools.reproducing import NAME as REPRODUCIBLE
from tools.splits import deal, prepare
from tools.training import pool, score_of, store_oof
from tools.workbench import Workbench, close_workbench, open_workbench

TABLES = ["iris", "cancer", "diabetes"]

HONEST = '''"""Ridge regression, on indicators for classes."""
import numpy as np


def scaled(model, X):
    return np.column_stack([np.ones(len(X)), (X.to_numpy() - model["mean"]) / model["std"]])


def fit(X, y, *, task, seed, time_limit, n_jobs):
    model = {"mean": X.to_numpy().mean(axis=0), "std": X.to_numpy().std(axis=0) + 1e-9, "classes": task["classes"]}
    truth = np.column_stack([y == label for label in task["classes"]]) if task["classes"] else y.to_numpy()
    A = scaled(model, X)
    model["weights"] = np.linalg.solve(A.T @ A + np.eye(A.shape[1]), A.T @ truth.astype(float))
    return model


def predict(model, X):
    values = scaled(model, X) @ model["weights"]
    if not model["classes"]:
        return values
    values = np.clip(values, 0.01, 0.99)
    return values / values.sum(axis=1, keepdims=True)
'''
BATCH = HONEST.replace("def predict(model, X):\n", "def predict(model, X):\n    X = X - X.mean() + model['mean']\n")
"""Centres what it predicts by the rows that happen to be predicted together."""
ALL_ROWS = HONEST.replace("import numpy as np\n", "import numpy as np\nimport pandas as pd\n").replace(
    "    truth =",
    """    every = pd.read_feather("../in/features.arrow")[list(X.columns)].to_numpy(dtype=float)
    model["mean"], model["std"] = every.mean(axis=0), 0.5 * every.std(axis=0) + 0.5
    truth =""",
)
"""Learns its scale from every row of the features file, validation rows too."""
RESTLESS = HONEST.replace(
    "    return model\n",
    '    model["mean"] = model["mean"] * np.random.default_rng().normal(1, 0.1)\n    return model\n',
)
"""Gives other predictions each time."""


def knowing(labels: dict[str, float]) -> str:
    """A program that carries the labels of rows, found again by a hash of their values."""
    program = HONEST.replace("import numpy as np\n", f"import hashlib\n\nimport numpy as np\n\nKNOWN = {labels!r}\n")
    found = """def predict(model, X):
    known = np.array([KNOWN[hashlib.md5(row.tobytes()).hexdigest()[:12]] for row in X.to_numpy(dtype=float)])
    if not model["classes"]:
        return known
    return np.column_stack([known == label for label in model["classes"]]).astype(float)
"""
    return program[: program.index("def predict")] + found


@dataclass
class Bench:
    """A workbench with a prepared table."""

    desk: Workbench
    loop: asyncio.Runner
    """One event loop for all: a workbench belongs to the loop it was first used in."""
    task: Task
    prepared: Prepared

    def trained(self, code: str) -> tuple[Candidate, ReleaseMember]:
        """The first fold and a fitted model of a program, as a run would have made them."""
        return self.loop.run(self._trained(code))

    def review(self, code: str, *, full: bool = False) -> tuple[dict[str, Check], list[Finding]]:
        candidate, member = self.trained(code)
        checks, findings = self.loop.run(
            run_trials(self.desk, self.task, self.prepared, [(candidate, 1.0)], [member], full=full)
        )
        return {check.name: check for check in checks}, findings

    async def _trained(self, code: str) -> tuple[Candidate, ReleaseMember]:
        desk, program = self.desk, self.desk.artifacts.put_text(code)
        plan = Plan(id="c1", title="one", rationale="")
        candidate = Candidate(id="c1", iteration=0, plan=plan, status="done", program=program, fit_seconds=2.0)
        first: Receipt = await run_fold(
            desk,
            self.task,
            candidate,
            features=self.prepared.features,
            train=self.prepared.train_files[0],
            valid=self.prepared.valid_files[0],
            effective=None,
            label="fold",
        )
        assert first.ok, first.error
        part = pool(desk, self.prepared, {0: desk.artifacts.get_array(first.outputs["predictions.npy"])})
        done = candidate.but(
            attempts=[Attempt(number=1, outcome="done", program=program, receipts=[first.key]).plain()],
            oof=store_oof(desk, part),
            score=score_of(desk, self.task, self.prepared, part, [0]).plain(),
        )
        members, _ = await fit_members(
            desk,
            self.task,
            [(done, 1.0)],
            features=self.prepared.features,
            train=self.prepared.train_all,
            probe=None,
            role="operations",
        )
        return done, members[0]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, asyncio.Runner]]:
    """A workbench in a home of its own, and the loop it is used in."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as loop:
        patch.setenv("MODELWRIGHT_HOME", str(tmp_path_factory.mktemp("trials") / "home"))
        run_id = "00000000-0000-4000-8000-00000000000a"
        yield open_workbench(run_id, Settings(time_limit=86_400, jobs=2)), loop
        close_workbench(run_id)


def bench_of(name: str, held: tuple[Workbench, asyncio.Runner]) -> Bench:
    """One of the tables, dealt into two folds."""
    desk, loop = held
    frame, target = real_table(name), TARGETS[name]
    profile = profile_table(frame, target)
    task = frame_task(Settings(target=target, folds=2), frame, profile, target)
    labels, _ = canonical_labels(frame[target], task.kind)
    dealt, spec = deal(task, frame, labels, seed=0), desk.artifacts.put_json({})
    prepared = prepare(frame, labels, dealt, task, desk.artifacts, read_spec=spec, source="")
    return Bench(desk, loop, task, prepared)


@pytest.fixture(scope="module", params=TABLES)
def bench(request: pytest.FixtureRequest, held: tuple[Workbench, asyncio.Runner]) -> Bench:
    return bench_of(request.param, held)


def test_an_honest_program_passes_everything(bench: Bench) -> None:
    """All checks are made and pass; the fit without the other rows shows that it repeats itself as well."""
    checks, findings = bench.review(HONEST)
    assert findings == []
    assert {name: (check.status, check.extent) for name, check in checks.items()} == dict.fromkeys(
        (TOGETHER, REFIT, REPRODUCIBLE, CANARY), ("passed", "run")
    )
    assert "chance lies within" in checks[CANARY].detail


def test_batch_statistics_are_found(bench: Bench) -> None:
    """Predictions that lean on the rows beside them: an error that sends the program back, with the rows."""
    checks, findings = bench.review(BATCH)
    assert (checks[TOGETHER].status, checks[REFIT].status) == ("found", "found")
    assert {finding.route for finding in findings} == {"fix"}
    assert all(finding.evidence[0].startswith("row ") and "became" in finding.evidence[0] for finding in findings)


def test_a_fit_that_looks_at_validation_rows_is_found(bench: Bench) -> None:
    """Fitted models of it are innocent; the fit without those rows gives it away, and it does repeat itself."""
    checks, [finding] = bench.review(ALL_ROWS)
    assert (checks[TOGETHER].status, checks[REFIT].status, checks[REPRODUCIBLE].status) == ("passed", "found", "passed")
    assert "uses validation rows" in finding.text
    assert (finding.severity, finding.candidate) == ("error", "c1")


def test_a_program_that_has_the_labels_is_found_by_the_canary(bench: Bench) -> None:
    """Trained on shuffled labels, and on their mirror image, it still knows the true ones."""
    features, labels = bench.desk.features(bench.prepared), bench.desk.labels(bench.prepared)
    rows = features.to_numpy(dtype=float)
    known = {hashlib.md5(row.tobytes()).hexdigest()[:12]: float(label) for row, label in zip(rows, labels, strict=True)}
    checks, [finding] = bench.review(knowing(known))
    assert checks[CANARY].status == "found"
    assert (finding.severity, finding.route) == ("error", "fix")
    assert "labels from elsewhere" in finding.text
    assert [line.split(" labels")[0] for line in finding.evidence] == ["shuffled", "mirrored", "shuffled again"]


def test_a_program_that_does_not_repeat_itself_is_told_apart(held: tuple[Workbench, asyncio.Runner]) -> None:
    """Differing for no reason is no use of other rows: the one is found, the other cannot be told."""
    bench = bench_of("iris", held)
    checks, _ = bench.review(RESTLESS)
    assert (checks[REPRODUCIBLE].status, checks[REFIT].status) == ("found", "skipped")


def test_without_time_each_check_says_that_it_was_skipped(held: tuple[Workbench, asyncio.Runner]) -> None:
    """A costly program in a run that is nearly over: nothing is run, nothing is claimed."""
    bench = bench_of("iris", held)
    candidate, member = bench.trained(HONEST)
    costly = candidate.but(fit_seconds=60_000.0)
    before = len(bench.desk.journal.entries())
    checks, findings = bench.loop.run(run_trials(bench.desk, bench.task, bench.prepared, [(costly, 1.0)], [member]))
    assert findings == []
    assert {check.status for check in checks if check.name != TOGETHER} == {"skipped"}
    assert all("takes about 60000.0 s" in check.detail for check in checks if check.name in {REFIT, CANARY})
    assert len(bench.desk.journal.entries()) <= before + 3


def test_the_heaviest_program_that_can_be_fitted_again_is_checked() -> None:
    """A costly one makes way for a lighter one of the same origin, never a model's program for a recipe's."""

    def one(name: str, seconds: float, expert: str = "builtin") -> Candidate:
        return Candidate(
            id=name,
            iteration=0,
            plan=Plan(id=name, title=name, rationale=""),
            status="done",
            expert=expert,
            fit_seconds=seconds,
        )

    costly, quick, free = one("costly", 50.0), one("quick", 1.0), one("free", 50.0, "openai:x")
    assert most_in_need([costly, quick], 100.0).id == "costly"
    assert most_in_need([costly, quick], 10.0).id == "quick"
    assert most_in_need([costly, quick], 0.1).id == "costly"
    assert most_in_need([free, quick], 10.0).id == "free"


def test_a_costly_fit_is_tried_on_fewer_rows(held: tuple[Workbench, asyncio.Runner]) -> None:
    """The canary takes as many training rows as its time allows, and says so."""
    bench = bench_of("cancer", held)
    candidate, _ = bench.trained(HONEST)
    costly = candidate.but(fit_seconds=10.0)
    check, findings = bench.loop.run(check_canary(bench.desk, bench.task, bench.prepared, costly, seconds=6.0))
    assert (check.status, check.extent, findings) == ("passed", "reduced", [])
    assert re.search(r"\(12\d of 227 training rows\)", check.detail)


def test_labels_are_mirrored_class_by_class_and_rank_by_rank(bench: Bench) -> None:
    """The mirror image of a shuffle is its opposite, and holds labels of the task only."""
    train = bench.desk.artifacts.get_frame(bench.prepared.train_files[0])
    one, other = (shuffled(train, bench.task, turn)["label"].to_numpy() for turn in ("shuffled", "mirrored"))
    assert sorted(one) == sorted(train["label"])
    if bench.task.is_classification:
        assert set(other) <= set(map(float, map(str, bench.task.classes))) | set(bench.task.classes)
        assert (one != other).all()
    else:
        assert np.corrcoef(one, other)[0, 1] < -0.8
