"""How predictions of several models become one, and how probabilities become a label: the same here and in a release.

A rule is plain data: {how, scale, offsets, decision}. Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FLOOR = 1e-4
"""Least probability that a logarithm is taken of: a model that is sure must not overrule all others."""
PLAIN: dict[str, Any] = {"how": "mean", "scale": 1.0, "offsets": [], "decision": []}
"""The rule of a model that is the weighted mean of its members and answers the most probable class."""


def combine(
    values: Sequence[np.ndarray], names: Sequence[str], weights: Sequence[float], rule: Mapping[str, Any]
) -> np.ndarray:
    """One prediction from those of the members, each (rows,) or (rows, outputs), in the same shape.

    names: whose they are; members of one name are fold models of one program, and are averaged before anything else.
    weights: positive; they need not add up to 1.
    """
    parts, shares = _by_name(values, names, weights)
    rule = {**PLAIN, **rule}
    if rule["how"] == "log odds":
        return _softmax(_moved(_mean([np.log(np.maximum(part, FLOOR)) for part in parts], shares), rule))
    if rule["how"] == "median":
        return _moved(_median(parts, shares), rule)
    plain = _moved(_mean(parts, shares), rule)
    if rule["how"] != "geometric":
        return plain
    # A product says nothing where a member predicts no positive value; those rows keep the mean.
    positive = np.all([part > 0 for part in parts], axis=0)
    logs = _mean([np.log(np.where(positive, part, 1.0)) for part in parts], shares)
    return np.asarray(np.where(positive, np.exp(_moved(logs, rule)), plain))


def decide(probabilities: np.ndarray, rule: Mapping[str, Any]) -> np.ndarray:
    """The number of the class that is answered, per row of (rows, classes) probabilities."""
    return np.asarray(np.argmax(weighed(probabilities, rule.get("decision") or []), axis=1))


def weighed(probabilities: np.ndarray, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Probabilities times class weights, rows adding up to 1 again: the largest of a row is its label.

    weights: one per class, or one row of them per row; empty for none.
    """
    if not len(weights):
        return probabilities
    products = np.asarray(probabilities) * np.asarray(weights, dtype=np.float64)
    return np.asarray(products / np.maximum(products.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def _by_name(
    values: Sequence[np.ndarray], names: Sequence[str], weights: Sequence[float]
) -> tuple[list[np.ndarray], list[float]]:
    """One array per name, in order of appearance, and the names' shares, which add up to 1."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    parts, sums = [], []
    for same in places.values():
        whole = sum(weights[place] for place in same)
        parts.append(_mean([np.asarray(values[place]) for place in same], [weights[place] / whole for place in same]))
        sums.append(whole)
    total = sum(sums)
    return parts, [one / total for one in sums]


def _mean(parts: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    return np.asarray(sum(share * part for share, part in zip(shares, parts, strict=True)))


def _moved(values: np.ndarray, rule: Mapping[str, Any]) -> np.ndarray:
    """Values times the rule's scale, plus its offsets."""
    scaled = values if rule["scale"] == 1.0 else rule["scale"] * values
    return np.asarray(scaled + np.asarray(rule["offsets"])) if len(rule["offsets"]) else scaled


def _softmax(logs: np.ndarray) -> np.ndarray:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _median(parts: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """The weighted median over the members: the mean of the lower and the upper one, where they differ."""
    stacked = np.stack(parts)
    order = np.argsort(stacked, axis=0, kind="stable")
    ordered = np.take_along_axis(stacked, order, axis=0)
    reached = np.cumsum(np.asarray(shares)[order], axis=0)
    low = np.argmax(reached >= 0.5 - 1e-9, axis=0)[None]
    high = np.argmax(reached > 0.5 + 1e-9, axis=0)[None]
    ends = np.take_along_axis(ordered, low, axis=0) + np.take_along_axis(ordered, high, axis=0)
    return np.asarray(ends[0] / 2)
