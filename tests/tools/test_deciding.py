"""Decisions of metrics of labels: tuned where that helps on rows it was not tuned on, else left alone."""

from __future__ import annotations

import numpy as np
import pytest

from state.task import Feature, SplitPlan, Task
from tools.deciding import choose_weights, tune_decision
from tools.metrics import metric
from tools.portable.combining import weighed
from tools.scoring import score
from tools.selection import OutOfFold


def task(name: str, classes: list[str]) -> Task:
    return Task(
        kind="binary" if len(classes) == 2 else "multiclass",
        target="y",
        intent="",
        metric=metric(name),
        classes=classes,
        positive=classes[1] if len(classes) == 2 else None,
        features=[Feature(name="x", kind="numeric")],
        split=SplitPlan(kind="stratified", folds=5, test_share=0.2, reason="test"),
    )


def rare(rows: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and calibrated probabilities of a class of about this share that is hard to see."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(np.log(share / (1 - share)) - 0.6, 1.4, rows)
    chance = 1 / (1 + np.exp(-logit))
    labels = np.where(rng.random(rows) < chance, "yes", "no").astype(object)
    return labels, np.column_stack([1 - chance, chance])


def of(values: np.ndarray, folds: int = 5) -> tuple[OutOfFold, np.ndarray]:
    return OutOfFold(np.arange(len(values)), values), np.arange(len(values)) % folds


@pytest.mark.parametrize("name", ["f1", "balanced_accuracy", "mcc", "macro_f1"])
def test_a_rare_class_gets_a_threshold_that_helps_on_new_rows(name: str) -> None:
    """Tuned on 1,200 rows, better on 20,000 others; the reported gain is no fairy tale."""
    one = task(name, ["no", "yes"])
    labels, values = rare(1_200, 0.08)
    found = tune_decision(one, labels, *of(values))
    assert found is not None
    assert found.weights[0] < 0.45
    assert sum(found.weights) == pytest.approx(1.0)
    new, chances = rare(20_000, 0.08, seed=1)
    usual = score(one.metric, new, chances, one.classes, one.positive)
    tuned = score(one.metric, new, weighed(chances, found.weights), one.classes, one.positive)
    assert tuned > usual + 0.5 * found.gain
    assert score(one.metric, labels, found.decided.values, one.classes, one.positive) == pytest.approx(
        score(one.metric, labels, values, one.classes, one.positive) + found.gain
    )
    assert "from a probability of" in found.told(one, 1200)


def test_the_reported_score_is_of_weights_chosen_without_the_row() -> None:
    """Where probabilities say nothing, tuning cannot seem to help beyond what it does on rows it has not seen."""
    one = task("f1", ["no", "yes"])
    rng = np.random.default_rng(3)
    labels = np.where(rng.random(80) < 0.5, "yes", "no").astype(object)
    chance = rng.uniform(0.45, 0.55, 80)
    part, blocks = of(np.column_stack([1 - chance, chance]))
    found = tune_decision(one, labels, part, blocks)
    if found is not None:
        for block in range(5):
            rest = blocks != block
            codes = (labels[rest] == "yes").astype(np.int64)
            wanted = weighed(part.values[~rest], choose_weights(one.metric, codes, part.values[rest], 1))
            np.testing.assert_allclose(found.decided.values[~rest], wanted)


@pytest.mark.parametrize(("name", "least"), [("accuracy", 6), ("macro_f1", 3), ("mcc", 3)])
def test_the_default_stays_where_classes_are_even(name: str, least: int) -> None:
    """Two classes of one size with calibrated probabilities: one half is right, and is kept on most draws; what is tuned
    on the others is close to it."""
    kept = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        chance = rng.beta(1.5, 1.5, 400)
        labels = np.where(rng.random(400) < chance, "yes", "no").astype(object)
        part, blocks = of(np.column_stack([1 - chance, chance]))
        found = tune_decision(task(name, ["no", "yes"]), labels, part, blocks, seed=seed)
        kept += found is None
        assert found is None or abs(found.weights[0] - 0.5) < 0.12
    assert kept >= least


def test_no_decision_is_tuned_where_none_is_scored() -> None:
    """Areas and losses look at probabilities; a single block has nothing to be judged on."""
    labels, values = rare(400, 0.1)
    part, blocks = of(values)
    assert tune_decision(task("roc_auc", ["no", "yes"]), labels, part, blocks) is None
    assert tune_decision(task("f1", ["no", "yes"]), labels, part, np.zeros(400, dtype=np.int64)) is None


def test_few_rows_stay_near_the_default() -> None:
    """The same probabilities ask for a threshold; with three positives it hardly moves."""
    labels, values = rare(3_000, 0.06)
    codes = (labels == "yes").astype(np.int64)
    some = np.concatenate([np.flatnonzero(codes)[:3], np.flatnonzero(codes == 0)[:60]])
    few = choose_weights(metric("f1"), codes[some], values[some], 1)
    whole = choose_weights(metric("f1"), codes, values, 1)
    assert whole[0] < 0.4
    assert abs(few[0] - 0.5) < 0.2


def test_rare_classes_of_many_are_favoured_where_all_count_alike() -> None:
    """Balanced accuracy of three classes of 80, 15 and 5 % gains on new rows; the most frequent class gets the least weight."""
    one = task("balanced_accuracy", ["a", "b", "c"])

    def draw(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        logits = rng.normal(0, 1.2, (rows, 3)) + np.log([0.8, 0.15, 0.05])
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        codes = (rng.random((rows, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
        return np.array(["a", "b", "c"], dtype=object)[codes], chances

    labels, values = draw(1_500, 0)
    found = tune_decision(one, labels, *of(values))
    assert found is not None
    assert found.weights[0] == min(found.weights)
    new, chances = draw(20_000, 1)
    tuned = score(one.metric, new, weighed(chances, found.weights), one.classes)
    assert tuned > score(one.metric, new, chances, one.classes) + 0.05
    assert "weights" in found.told(one, 1500)


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_one_sided_metrics_do_not_end_in_one_answer(name: str) -> None:
    """Precision alone is best for a model that hardly ever says yes, recall for one that always does; neither is made."""
    labels, values = rare(2_000, 0.2)
    codes = (labels == "yes").astype(np.int64)
    weights = choose_weights(metric(name), codes, values, 1)
    said = float((weighed(values, weights).argmax(axis=1) == 1).mean())
    assert codes.mean() / 2.2 < said < codes.mean() * 2.2
