"""How members are combined: the weighted mean, unless a nested check bears out something else."""

from __future__ import annotations

import numpy as np
import pytest

from state.candidate import Member
from state.task import Feature, SplitPlan, Task
from tools.metrics import metric
from tools.mixing import choose_mix, means_for
from tools.scoring import score
from tools.selection import OutOfFold, blend, common_rows
from tools.stacking import cross_fitted, fit_stack


def task(name: str = "rmse", classes: list[str] | None = None) -> Task:
    return Task(
        kind="regression" if not classes else "binary" if len(classes) == 2 else "multiclass",
        target="y",
        intent="",
        metric=metric(name),
        classes=classes or [],
        positive=classes[1] if classes and len(classes) == 2 else None,
        features=[Feature(name="x", kind="numeric")],
        split=SplitPlan(kind="random", folds=5, test_share=0.2, reason="test"),
    )


def of(*values: np.ndarray) -> dict[str, OutOfFold]:
    return {name: OutOfFold(np.arange(len(one)), one) for name, one in zip("abcdef", values, strict=False)}


def equal(parts: dict[str, OutOfFold]) -> list[Member]:
    return [Member(candidate=name, weight=1 / len(parts)) for name in parts]


def blocks(rows: int) -> np.ndarray:
    return np.arange(rows) % 5


def test_a_stack_takes_the_place_of_a_mean_that_is_too_flat() -> None:
    """Two models that shrink everything to the middle: only weights with a larger sum can undo that."""
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 3, 600)
    parts = of(*(10 + 0.4 * (truth - 10) + rng.normal(0, 0.3, 600) for _ in range(2)))
    found = choose_mix(task(), truth, parts, equal(parts), blocks=blocks(600), stackable=list(parts))
    assert found.combination.stacked
    assert found.combination.scale > 1.8
    assert all(member.weight > 0 for member in found.members)
    gained = score(metric("rmse"), truth, found.part.values)
    assert gained < 0.6 * score(metric("rmse"), truth, blend(parts, equal(parts)).values)
    released = blend(parts, found.members, found.combination)
    assert score(metric("rmse"), truth, released.values) == pytest.approx(gained, rel=0.05)


def test_the_mean_stays_where_a_stack_is_no_better() -> None:
    """Unbiased models with errors of their own: nothing is gained by fitting weights, so nothing is fitted."""
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 2, 300)
    parts = of(*(truth + rng.normal(0, 0.5, 300) for _ in range(3)))
    found = choose_mix(task(), truth, parts, equal(parts), blocks=blocks(300), stackable=list(parts))
    assert not found.combination.stacked
    assert found.combination.how == "mean"
    assert found.combination.words == "weighted mean"


def test_no_stack_is_tried_unasked() -> None:
    """Without candidates it may use, the mean is what there is."""
    truth = np.random.default_rng(0).normal(10, 3, 200)
    parts = of(0.2 * truth, 0.3 * truth)
    assert not choose_mix(task(), truth, parts, equal(parts), blocks=blocks(200)).combination.stacked


def test_a_stack_is_judged_on_rows_it_was_not_fitted_on() -> None:
    """Twenty models of noise: fitted and judged on the same rows a stack seems to help, on others it does not."""
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 1, 60)
    parts = {f"m{number}": OutOfFold(np.arange(60), rng.normal(0, 1, 60)) for number in range(20)}
    start = dict.fromkeys(parts, 1 / 20)
    crossed = cross_fitted(task(), truth, parts, start, blocks(60))
    members, combination = fit_stack(task(), truth, parts, start, rows=common_rows(list(parts.values())))
    assert crossed is not None
    inside = score(metric("rmse"), truth, blend(parts, members, combination).values)
    assert inside < score(metric("rmse"), truth, crossed.values)


def test_no_weight_is_negative_and_useless_members_go() -> None:
    """A model that is right the wrong way round and one of noise get nothing."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 2, 400)
    parts = of(truth + rng.normal(0, 0.4, 400), -truth, rng.normal(0, 2, 400))
    members, _ = fit_stack(task(), truth, parts, {"a": 1.0}, rows=np.arange(400))
    assert [member.candidate for member in members] == ["a"]


def test_probabilities_that_are_too_timid_are_made_bolder() -> None:
    """A logistic stack scales log-odds: a better log loss, rows still adding up to 1, and the same order of rows."""
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 2.5, 800)
    labels = np.where(rng.random(800) < 1 / (1 + np.exp(-logit)), "yes", "no").astype(object)
    timid = [1 / (1 + np.exp(-(0.35 * logit + rng.normal(0, 0.1, 800)))) for _ in range(2)]
    parts = of(*(np.column_stack([1 - one, one]) for one in timid))
    one = task("log_loss", ["no", "yes"])
    found = choose_mix(one, labels, parts, equal(parts), blocks=blocks(800), stackable=list(parts))
    assert found.combination.stacked
    assert found.combination.how == "log odds"
    assert found.part.values.sum(axis=1) == pytest.approx(np.ones(800))
    assert score(one.metric, labels, found.part.values, one.classes, "yes") < score(
        one.metric, labels, blend(parts, equal(parts)).values, one.classes, "yes"
    )


def test_the_median_is_for_absolute_errors_and_the_geometric_mean_for_relative_ones() -> None:
    """Which means are tried follows from the metric, and is not tried where values do not allow it."""
    values = of(np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([1.0, 1.0]))
    assert [one.how for one in means_for(task("mae"), equal(values), values)] == ["median"]
    assert [one.how for one in means_for(task("mape"), equal(values), values)] == ["geometric"]
    assert means_for(task("rmse"), equal(values), values) == []
    negative = {**values, "c": OutOfFold(np.arange(2), np.array([-1.0, 1.0]))}
    assert means_for(task("mape"), equal(negative), negative) == []


def test_a_median_is_chosen_where_members_fail_badly_now_and_then() -> None:
    """Each of three models is far off on rows of its own."""
    rng = np.random.default_rng(5)
    truth = rng.normal(0, 1, 500)
    parts = of(*(truth + rng.normal(0, 0.2, 500) + 20 * (rng.random(500) < 0.05) for _ in range(3)))
    found = choose_mix(task("mae"), truth, parts, equal(parts), blocks=blocks(500))
    assert found.combination.how == "median"
