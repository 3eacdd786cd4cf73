"""Ordered classes: cut points on a scale of ranks, and the probabilities they stand for."""

from __future__ import annotations

import numpy as np


def rank_loss(codes: np.ndarray, chosen: np.ndarray, count: int, metric: str) -> float:
    """What wrong classes cost: one minus a weighted kappa, the share of wrong ones, or their mean distance."""
    distance = np.abs(codes - chosen)
    if metric in ("quadratic_kappa", "linear_kappa"):
        power = 2 if metric == "quadratic_kappa" else 1
        truth, said = (np.bincount(one, minlength=count) / len(codes) for one in (codes, chosen))
        cost = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) ** power
        by_chance = float(truth @ cost @ said)
        return float((distance**power).mean()) / by_chance if by_chance > 0 else 1.0
    return float((distance > 0).mean() if metric in ("accuracy", "macro_f1", "weighted_f1") else distance.mean())


def fit_cuts(values: np.ndarray, codes: np.ndarray, count: int, metric: str) -> np.ndarray:
    """Cut points between neighbouring classes of least loss: moved one at a time, from the better start of two."""
    every = max(1, len(values) // 10_000)
    values, codes = values[::every], codes[::every]

    def loss(cuts: np.ndarray) -> float:
        return rank_loss(codes, np.searchsorted(cuts, values, side="right"), count, metric)

    shares = np.cumsum(np.bincount(codes, minlength=count))[:-1] / len(codes)
    cuts = min(np.arange(count - 1) + 0.5, np.quantile(values, shares), key=loss)
    lowest, grid = loss(cuts), np.unique(np.quantile(values, np.linspace(0.005, 0.995, 80)))
    for _ in range(3):
        for place in range(count - 1):
            low = cuts[place - 1] if place else -np.inf
            high = cuts[place + 1] if place + 1 < len(cuts) else np.inf
            for value in grid[(grid > low) & (grid < high)]:
                moved = cuts.copy()
                moved[place] = value
                if (one := loss(moved)) < lowest:
                    lowest, cuts = one, moved
    return np.asarray(cuts)


def places_of(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Values on the scale of ranks, bent so that the cut points lie half way between whole ranks."""
    knots = np.maximum.accumulate(np.concatenate([[cuts[0] - 1.0], cuts, [cuts[-1] + 1.0]]))
    knots = knots + 1e-9 * np.arange(len(knots))
    return np.asarray(np.interp(values, knots, np.arange(len(knots)) - 0.5))


def rank_probabilities(values: np.ndarray, cuts: np.ndarray, spread: float) -> np.ndarray:
    """Class probabilities (rows, classes): highest for the class between whose cut points a value lies."""
    distance = places_of(values, cuts)[:, None] - np.arange(len(cuts) + 1)[None, :]
    weights = np.exp(-(distance**2) / (2 * spread**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
