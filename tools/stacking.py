"""Stacking: a regularised linear or logistic model, with no negative weight, over the candidates' out-of-fold predictions.

Wolpert: Stacked Generalization, Neural Networks 5, 1992; Breiman: Stacked Regressions, Machine Learning 24, 1996, who
found that weights must not be negative. What is fitted is a Combination: weights, their sum (scale) and offsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from state.candidate import Combination, Member
from state.task import Task
from tools.measuring import class_codes
from tools.portable.combining import FLOOR, combine
from tools.resampling import Array, Codes
from tools.selection import MOST_ROWS, OutOfFold, at_rows, common_rows

PRIOR_ROWS = 30.0
"""Rows that the weights began with stand for: on few rows a stack is nearly the mean it is drawn to."""
LEAST_WEIGHT = 0.02
"""Share below which a member is left out."""
MOST_CLASSES = 30


def can_stack(task: Task, parts: Mapping[str, OutOfFold]) -> bool:
    """Whether there is a stacker for predictions of this kind: values of one target, or probabilities of a few classes."""
    if len(parts) < 2 or len(task.classes) > MOST_CLASSES:
        return False
    return all((part.values.ndim == 2) == task.is_classification for part in parts.values())


def fit_stack(
    task: Task, labels: Array, parts: Mapping[str, OutOfFold], start: Mapping[str, float], *, rows: Codes, seed: int = 0
) -> tuple[list[Member], Combination]:
    """Members and combination fitted to the predictions of some rows (positions that every part has).

    start: the weights that the fit is drawn to, by candidate; those it lacks are drawn to nought.
    """
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    names = list(parts)
    weights, offsets = _fitted(task, labels[rows], [at_rows(parts[name], rows) for name in names], names, start)
    kept = [name for name, weight in zip(names, weights, strict=True) if weight >= LEAST_WEIGHT * sum(weights)]
    if 0 < len(kept) < len(names):
        names = kept
        weights, offsets = _fitted(task, labels[rows], [at_rows(parts[name], rows) for name in names], names, start)
    scale = float(sum(weights))
    if scale <= 0:
        return [], Combination()
    members = [Member(candidate=name, weight=float(one / scale)) for name, one in zip(names, weights, strict=True)]
    members.sort(key=lambda member: -member.weight)
    how = "log odds" if task.is_classification else "mean"
    return [one for one in members if one.weight > 0], Combination.model_validate(
        {"how": how, "scale": scale, "offsets": [float(one) for one in offsets], "stacked": True}
    )


def cross_fitted(
    task: Task,
    labels: Array,
    parts: Mapping[str, OutOfFold],
    start: Mapping[str, float],
    blocks: Codes,
    *,
    seed: int = 0,
) -> OutOfFold | None:
    """Predictions of each block by a stack fitted on the others; None when there is one block, or a fit came to nothing.

    blocks: a number per row of those every part has.
    """
    rows = common_rows(list(parts.values()))
    numbers = np.unique(blocks)
    if len(numbers) < 2:
        return None
    values = np.zeros_like(next(iter(parts.values())).values, shape=(len(rows), *_width(parts)))
    for number in numbers:
        held = blocks == number
        members, combination = fit_stack(task, labels, parts, start, rows=rows[~held], seed=seed)
        if not members:
            return None
        values[held] = combine(
            [at_rows(parts[one.candidate], rows[held]) for one in members],
            [one.candidate for one in members],
            [one.weight for one in members],
            combination.rule(),
        )
    return OutOfFold(rows, values)


def _width(parts: Mapping[str, OutOfFold]) -> tuple[int, ...]:
    return next(iter(parts.values())).values.shape[1:]


def _fitted(
    task: Task, labels: Array, values: Sequence[Array], names: Sequence[str], start: Mapping[str, float]
) -> tuple[Array, Array]:
    prior = np.array([start.get(name, 0.0) for name in names])
    prior = prior / prior.sum() if prior.sum() > 0 else np.full(len(names), 1.0 / len(names))
    if task.is_classification:
        return _logistic(class_codes(labels, task.classes), values, prior)
    return _linear(labels.astype(np.float64), np.column_stack(values), prior)


def _linear(truth: Array, values: Array, prior: Array) -> tuple[Array, Array]:
    """Least squares with no negative weight and an intercept; the prior enters as rows of its own.

    Lawson, Hanson: Solving Least Squares Problems, 1974.
    """
    from scipy.optimize import nnls

    middle, mean = values.mean(axis=0), truth.mean()
    size = np.sqrt(PRIOR_ROWS) * float(np.std(values, axis=0).mean() or 1.0)
    table = np.vstack([values - middle, size * np.eye(len(prior))])
    weights = np.asarray(nnls(table, np.concatenate([truth - mean, size * prior]))[0])
    return weights, np.array([mean - middle @ weights])


def _logistic(codes: Codes, values: Sequence[Array], prior: Array) -> tuple[Array, Array]:
    """Least log loss of softmax(Σ weight · log probability + offset), drawn to the prior weights and to no offsets."""
    from scipy.optimize import minimize

    logs = np.stack([np.log(np.maximum(part, FLOOR)) for part in values])
    rows, classes = len(codes), logs.shape[2]
    truth = np.eye(classes)[codes]
    count = len(prior)

    def loss(x: Array) -> tuple[float, Array]:
        scores = np.tensordot(x[:count], logs, axes=1) + x[count:]
        scores -= scores.max(axis=1, keepdims=True)
        powers = np.exp(scores)
        total = powers.sum(axis=1, keepdims=True)
        apart = x - begin
        value = (np.log(total[:, 0]) - (scores * truth).sum(axis=1)).sum() + 0.5 * PRIOR_ROWS * float(apart @ apart)
        residual = powers / total - truth
        slope = np.concatenate([np.einsum("mrc,rc->m", logs, residual), residual.sum(axis=0)])
        return float(value / rows), np.asarray((slope + PRIOR_ROWS * apart) / rows)

    begin = np.concatenate([prior, np.zeros(classes)])
    bounds = [(0.0, None)] * count + [(None, None)] * classes
    found = np.asarray(minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds).x)
    return found[:count], found[count:]
