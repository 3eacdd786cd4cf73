"""Predictions beside their labels, checked and made ready for plots and tables."""

from __future__ import annotations

import numpy as np

from state.task import Task
from tools.report import curves
from tools.report.facts import ReportFacts
from tools.report.figures import FIRST, SECOND


class Scored:
    """Predictions with their labels for one set of rows, checked and made ready for plotting."""

    def __init__(
        self,
        short: str,
        title: str,
        colour: str,
        task: Task,
        labels: np.ndarray,
        predictions: np.ndarray,
        times: np.ndarray | None,
        decided: np.ndarray | None = None,
    ) -> None:
        """short: `oof` or `test`, as in the ids of numbers. title: the same for people. decided: see ReportFacts."""
        predictions = np.asarray(predictions, dtype=float)
        good = np.isfinite(predictions.reshape(len(predictions), -1)).all(axis=1)
        self.short, self.title, self.colour, self.task = short, title, colour, task
        if task.targets:
            labels, predictions = _standardised(np.asarray(labels, dtype=float), predictions)
        self.predictions = predictions[good] if task.is_classification else predictions[good].reshape(-1)
        self.decided = self.predictions if decided is None else np.asarray(decided, dtype=float)[good]
        self.times = None if times is None else np.asarray(times)[good]
        labels = np.asarray(labels)[good]
        if task.is_classification:
            self.truth = curves.label_indices(labels, task.classes)
        else:
            self.truth = labels.astype(float).reshape(-1)

    @property
    def guess(self) -> np.ndarray:
        """Index of the class that is answered."""
        return np.asarray(self.decided.argmax(axis=1))

    @property
    def positive(self) -> tuple[np.ndarray, np.ndarray]:
        """Binary tasks: is the row positive, and the predicted chance of that."""
        task = self.task
        index = task.classes.index(task.positive) if task.positive in task.classes else len(task.classes) - 1
        return self.truth == index, self.predictions[:, index]


def _standardised(labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Several targets on one scale, so that they can be drawn together."""
    spread = labels.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (labels - labels.mean(axis=0)) / spread, (predictions - labels.mean(axis=0)) / spread


def scored_sets(facts: ReportFacts) -> list[Scored]:
    """Out-of-fold rows and sealed test rows, as far as they are there and have the right shape."""
    sets = []
    for short, title, colour, labels, predictions, times, decided in (
        ("oof", "out-of-fold", FIRST, facts.oof_labels, facts.oof_predictions, facts.oof_times, facts.oof_decided),
        (
            "test",
            "sealed test",
            SECOND,
            facts.test_labels,
            facts.test_predictions,
            facts.test_times,
            facts.test_decided,
        ),
    ):
        if labels is None or predictions is None or not len(labels) or len(labels) != len(predictions):
            continue
        if facts.task.is_classification and np.shape(predictions)[1:] != (len(facts.task.classes),):
            continue
        one = Scored(short, title, colour, facts.task, labels, predictions, times, decided)
        if len(one.truth):
            sets.append(one)
    return sets
