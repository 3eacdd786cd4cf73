"""How members become one prediction, and probabilities a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from state.candidate import Combination
from tools.portable.combining import combine, decide, weighed


def rule(**changes: Any) -> dict[str, Any]:
    return Combination(**changes).rule()


VALUES = [np.array([1.0, 4.0]), np.array([4.0, 9.0]), np.array([2.0, 100.0])]
CHANCES = [np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.6, 0.4], [0.4, 0.6]])]


def test_the_weighted_mean_is_the_default() -> None:
    """Weights need not add up to 1."""
    assert combine(VALUES[:2], ["a", "b"], [1.0, 3.0], {}).tolist() == [3.25, 7.75]


def test_fold_models_of_one_program_are_averaged_before_anything_else() -> None:
    """Three models of a and one of b, half of the weight each: the median is between the mean of a's and b's."""
    mixed = combine([*VALUES, np.array([5.0, 5.0])], ["a", "a", "a", "b"], [0.5 / 3] * 3 + [0.5], rule(how="median"))
    assert mixed == pytest.approx([(7 / 3 + 5) / 2, (113 / 3 + 5) / 2])


def test_a_median_is_not_moved_by_one_far_off() -> None:
    """With equal weights the middle one; with more than half of the weight that member alone."""
    assert combine(VALUES, ["a", "b", "c"], [1, 1, 1], rule(how="median")).tolist() == [2.0, 9.0]
    assert combine(VALUES, ["a", "b", "c"], [5, 1, 1], rule(how="median")).tolist() == [1.0, 4.0]


def test_a_geometric_mean_keeps_the_plain_one_where_values_are_not_positive() -> None:
    """The first row is a root of a product, the second has a negative value."""
    values = [np.array([1.0, -4.0]), np.array([4.0, 9.0])]
    assert combine(values, ["a", "b"], [1, 1], rule(how="geometric")) == pytest.approx([2.0, 2.5])


def test_log_odds_are_averaged_to_probabilities() -> None:
    """Rows add up to 1, and the odds are the geometric mean of the odds."""
    mixed = combine(CHANCES, ["a", "b"], [1, 1], rule(how="log odds"))
    assert mixed.sum(axis=1) == pytest.approx([1, 1])
    assert mixed[0, 0] / mixed[0, 1] == pytest.approx(np.sqrt(9 * 1.5))
    sure = combine([np.array([[1.0, 0.0]]), np.array([[0.3, 0.7]])], ["a", "b"], [1, 1], rule(how="log odds"))
    assert np.isfinite(sure).all()
    assert 0 < sure[0, 1] < 0.5


def test_a_stack_scales_and_moves() -> None:
    """Weights that add up to something else than 1 are a scale."""
    assert combine(VALUES[:2], ["a", "b"], [1, 1], rule(scale=2.0, offsets=[1.0])).tolist() == [6.0, 14.0]


def test_class_weights_decide_and_leave_probabilities_alone() -> None:
    """Weights 0.3 and 0.7 are a threshold of 0.3 for the second class."""
    chances = np.array([[0.65, 0.35], [0.75, 0.25]])
    before = chances.copy()
    assert decide(chances, {"decision": []}).tolist() == [0, 0]
    assert decide(chances, {"decision": [0.3, 0.7]}).tolist() == [1, 0]
    assert weighed(chances, [0.3, 0.7]).sum(axis=1) == pytest.approx([1, 1])
    assert (chances == before).all()
