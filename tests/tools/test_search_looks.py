"""First looks and early stops on hand-made predictions: what may win is never dropped, what cannot win does not go on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from state.candidate import Candidate, Plan, Score
from state.task import Task
from tests.tools.task_cases import ranked, task_of, two_columns
from tools.metrics import metric
from tools.search.early import cannot_win
from tools.search.looks import Sizing, promotions, size_up
from tools.subsample import part_of


def regression(rows: int, seed: int) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=rows), rng


def test_a_candidate_that_is_as_good_is_never_dropped() -> None:
    """Over many draws: equally good, a little worse, or a near copy of the best always goes on."""
    task = task_of("rmse", 0)
    for seed in range(25):
        truth, rng = regression(200, seed)
        best = truth + rng.normal(0, 0.5, 200)
        for mine in (
            truth + rng.normal(0, 0.5, 200),
            truth + rng.normal(0, 0.52, 200),
            best + rng.normal(0, 0.01, 200),
            best + 0.005,
        ):
            assert cannot_win(task, truth, mine, best) == ""


def test_a_worse_candidate_that_helps_the_blend_goes_on() -> None:
    """Worse alone, but wrong on other rows: the mean with the best is better, so an ensemble wants it."""
    task = task_of("rmse", 0)
    for seed in range(10):
        truth, rng = regression(400, seed)
        best, other = truth + rng.normal(0, 0.5, 400), truth + rng.normal(0, 0.7, 400)
        assert cannot_win(task, truth, other, best) == ""


def test_what_neither_wins_nor_helps_is_dropped_with_a_reason() -> None:
    """The best with noise on top, or a constant, is ended after one fold; the reason names both values."""
    task = task_of("rmse", 0)
    truth, rng = regression(400, 0)
    best = truth + rng.normal(0, 0.3, 400)
    for mine in (best + rng.normal(0, 0.6, 400), np.full(400, 5.0)):
        said = cannot_win(task, truth, mine, best)
        assert said.startswith("cannot win: rmse")
        assert "against" in said


def test_few_rows_and_undefined_metrics_drop_nothing() -> None:
    """Where a fold shows too little, the candidate goes on."""
    task = task_of("rmse", 0)
    truth, _ = regression(20, 0)
    assert cannot_win(task, truth, truth + 5, truth) == ""
    binary = task_of("roc_auc")
    same = np.zeros(60, dtype=int)
    assert cannot_win(binary, same, two_columns(np.linspace(0, 1, 60)), two_columns(np.full(60, 0.5))) == ""


def test_classes_are_judged_the_same_way() -> None:
    """A ranking without signal cannot win against a good one; one as good can."""
    task, rng = task_of("roc_auc"), np.random.default_rng(1)
    y, good = ranked(400, rng, apart=2.5)
    assert cannot_win(task, y, two_columns(rng.random(400)), good)
    other = two_columns(1 / (1 + np.exp(-(2.5 * y + rng.normal(size=400)))))
    assert cannot_win(task, y, other, good) == ""


def sizes(seconds: list[float], **more: object) -> Sizing:
    facts = {"folds": 5, "rows": 50_000, "left": 48.0, "slots": 2, "keep_folds": False, "divisible": True, **more}
    return size_up(seconds, **facts)  # type: ignore[arg-type]


def test_what_fits_is_not_cut() -> None:
    """Cheap drafts get all folds and all rows."""
    assert sizes([0.5, 1.0, 1.5, 0.5]) == Sizing()


def test_fewer_folds_where_five_do_not_fit() -> None:
    """As many as fit half of the time, the same for all; a number a person gave is kept."""
    assert sizes([4.0, 4.0, 5.0, 2.0]) == Sizing(folds=3)
    assert sizes([4.0, 4.0, 5.0, 2.0], keep_folds=True).folds == 0
    few = sizes([4.0, 4.0, 5.0, 2.0], rows=1_000)
    assert few == Sizing()  # a fold of 200 rows tells too little


def test_a_first_look_where_one_fold_does_not_fit() -> None:
    """On part of the rows, about what fits a fifth of the time; never where the rows are a series."""
    size = sizes([60.0, 50.0, 70.0, 20.0], rows=400_000)
    assert size.folds == 1
    assert 2_000 < size.rows < 80_000
    assert sizes([60.0, 50.0, 70.0, 20.0], rows=400_000, divisible=False).rows == 0
    assert sizes([60.0, 50.0, 70.0, 20.0], rows=400_000, left=3000.0) == Sizing()


def look(name: str, value: float, rows: int, iteration: int = 0) -> Candidate:
    return Candidate(
        id=name,
        iteration=iteration,
        plan=Plan(id=name, title=name, rationale="", recipe=name, rows=rows),
        status="done",
        program="sha256:0",
        score=Score(value=value, folds=[value], low=value, high=value, rows=100),
        oof="sha256:1",
    )


def test_the_better_half_goes_on_with_more_rows_until_all() -> None:
    """Successive halving: half of the candidates, three times the rows; two that are left get everything, once."""
    first = [look("a", 0.9, 9_000), look("b", 0.7, 9_000), look("c", 0.8, 9_000), look("d", 0.6, 9_000)]
    going = promotions(metric("roc_auc"), first, 300_000)
    assert [operation.parents for operation in going] == [["a"], ["c"]]
    assert {operation.rows for operation in going} == {27_000}
    assert [operation.parents for operation in promotions(metric("rmse"), first, 300_000)] == [["d"], ["b"]]
    second = [*first, look("a2", 0.9, 27_000, 1), look("c2", 0.91, 27_000, 1)]
    (last,) = promotions(metric("roc_auc"), second, 300_000)
    assert (last.parents, last.rows) == (["c2"], 0)
    assert promotions(metric("roc_auc"), [*second, look("c3", 0.95, 0, 2)], 300_000) == []
    assert promotions(metric("roc_auc"), [look("a", 0.9, 0)], 300_000) == []


@pytest.mark.parametrize("rows", [10, 50, 99])
def test_a_part_of_the_rows_is_the_same_every_time_and_keeps_every_class(rows: int) -> None:
    """Spread over the file, ascending, with some of each class."""
    train = pd.DataFrame({"row": np.arange(100.0) * 2, "label": ["rare"] * 2 + ["a"] * 49 + ["b"] * 49})
    train = train.sample(frac=1.0, random_state=0).sort_values("row").reset_index(drop=True)
    part = part_of(train, rows)
    assert rows <= len(part) <= rows + 6
    assert set(part["label"]) == {"rare", "a", "b"}
    assert part["row"].is_monotonic_increasing
    assert part.equals(part_of(train, rows))
    numbers = pd.DataFrame({"row": np.arange(1000.0), "label": np.random.default_rng(0).normal(size=1000)})
    assert len(part_of(numbers, rows)) == rows


def test_a_stretch_of_time_must_lose_by_more() -> None:
    """Folds of a time split differ more, so the same loss drops there later."""
    truth, rng = regression(400, 3)
    best = truth + rng.normal(0, 0.3, 400)
    mine = truth + 1.15 * (best - truth)
    tasks: list[Task] = [task_of("rmse", 0), task_of("rmse", 0, split="time")]
    assert [bool(cannot_win(task, truth, mine, best)) for task in tasks] == [True, False]
