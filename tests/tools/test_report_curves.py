"""The numbers behind the plots agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tools.report import curves


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """Uneven classes, scores with many ties."""
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.15
    return truth, np.round(np.clip(0.35 * truth + rng.random(2000) * 0.6, 0, 1), 2)


def test_roc_is_that_of_sklearn(scores: tuple[np.ndarray, np.ndarray]) -> None:
    """Points and area, ties included."""
    truth, score = scores
    curve = curves.roc(truth, score)
    assert curve is not None
    x, y, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.x, x)
    np.testing.assert_allclose(curve.y, y)
    assert curve.area == pytest.approx(metrics.roc_auc_score(truth, score))


def test_precision_recall_is_that_of_sklearn(scores: tuple[np.ndarray, np.ndarray]) -> None:
    """Points in order of growing recall, area = average precision."""
    truth, score = scores
    curve = curves.precision_recall(truth, score)
    assert curve is not None
    precision, recall, _ = metrics.precision_recall_curve(truth, score)
    np.testing.assert_allclose(curve.x, recall[::-1])
    np.testing.assert_allclose(curve.y, precision[::-1])
    assert curve.area == pytest.approx(metrics.average_precision_score(truth, score))


def test_calibration_is_that_of_sklearn() -> None:
    """Ten groups of equal size: observed share and mean predicted chance."""
    rng = np.random.default_rng(1)
    chance = rng.random(3000)
    truth = rng.random(3000) < chance**2
    mean, seen, rows = curves.calibration(truth, chance)
    expected_seen, expected_mean = calibration_curve(truth, chance, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(mean, expected_mean)
    np.testing.assert_allclose(seen, expected_seen)
    assert rows.sum() == 3000


def test_calibration_of_a_constant_chance_is_one_point() -> None:
    """A model that always says the same falls into one group."""
    mean, seen, rows = curves.calibration(np.array([True, False, True, True]), np.full(4, 0.5))
    assert (mean.tolist(), seen.tolist(), rows.tolist()) == ([0.5], [0.75], [4])


def test_confusion_and_per_class_are_those_of_sklearn() -> None:
    """Also for a class that is never predicted and one that never occurs."""
    classes = ["a", "b", "c", "d"]
    truth = np.array([0, 0, 1, 1, 1, 2, 0, 1])
    guess = np.array([0, 1, 1, 1, 3, 0, 0, 0])
    matrix = curves.confusion(truth, guess, 4)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(truth, guess, labels=range(4)))
    table = curves.per_class(matrix, list(classes))
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(
        truth, guess, labels=range(4), zero_division=np.nan
    )
    for index, line in enumerate(table):
        assert line["rows"] == rows[index]
        assert line["precision"] == (None if np.isnan(precision[index]) else pytest.approx(precision[index]))
        assert line["recall"] == (None if np.isnan(recall[index]) else pytest.approx(recall[index]))
    assert table[0]["f1"] == pytest.approx(f1[0])


def test_one_class_gives_no_curve() -> None:
    """Where a curve has no meaning there is none."""
    assert curves.roc(np.ones(5, dtype=bool), np.linspace(0, 1, 5)) is None
    assert curves.roc(np.zeros(5, dtype=bool), np.linspace(0, 1, 5)) is None
    assert curves.precision_recall(np.zeros(5, dtype=bool), np.linspace(0, 1, 5)) is None


def test_thinning_keeps_the_ends_and_the_area() -> None:
    """A drawn curve has few points, and its area is that of the whole one."""
    x = np.linspace(0, 1, 10_000)
    thin = curves.thin(curves.Curve(x, x**2, 1 / 3), 250)
    assert len(thin.x) <= 250
    assert (thin.x[0], thin.x[-1], thin.area) == (0, 1, 1 / 3)


def test_rare_classes_are_summed_under_one_name() -> None:
    """No row is lost when a large confusion matrix is folded."""
    matrix = np.random.default_rng(2).integers(0, 9, (40, 40))
    folded, names = curves.fold_rare(matrix, [f"c{index}" for index in range(40)], 10)
    assert folded.shape == (10, 10)
    assert folded.sum() == matrix.sum()
    assert names[-1] == "31 others"
    assert len(set(names)) == 10


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([0, 1, 1]), [0, 1]),
        (np.array([0.0, 1.0, 1.0]), [0, 1]),
        (np.array(["no", "yes", "yes"], dtype=object), ["no", "yes"]),
        (np.array(["False", "True", "True"], dtype=object), ["False", "True"]),
    ],
)
def test_labels_are_found_among_the_classes(labels: np.ndarray, classes: list[int | str]) -> None:
    """Whatever type the labels came in."""
    assert curves.label_indices(labels, list(classes)).tolist() == [0, 1, 1]


def test_an_unknown_label_is_marked() -> None:
    """-1, so that no class is credited with it."""
    assert curves.label_indices(np.array(["a", "z"], dtype=object), ["a", "b"]).tolist() == [0, -1]
