"""Plots of predicted values: against the truth, their residuals, and along time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.report.figures import INK, MUTED, Picture, draw, frame, legend
from tools.report.scored import Scored
from tools.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DOTS = 1000
MOST_TIMES = 600


def regression(sets: list[Scored]) -> list[Picture]:
    dots = [_sample(one, MOST_DOTS if index == 0 else MOST_DOTS // 3) for index, one in enumerate(sets)]
    total = sum(len(one.truth) for one in sets)
    shown = sum(len(truth) for truth, _ in dots)
    subset = f" {shown:,} of {total:,} rows drawn." if shown < total else ""
    low, high = _range(np.concatenate([np.concatenate(pair) for pair in dots]))

    def paint_truth(axes: Axes) -> None:
        axes.plot([low, high], [low, high], color=MUTED, lw=0.8, ls=(0, (3, 3)))
        for one, (truth, guess) in zip(sets, dots, strict=True):
            axes.plot(guess, truth, "o", color=one.colour, ms=2.6, mew=0, alpha=0.45, label=one.title)
        frame(axes, "predicted", "actual")
        axes.set(xlim=(low, high), ylim=(low, high))
        legend(axes, 1.8)

    def paint_rest(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, lw=0.8, ls=(0, (3, 3)))
        for one, (truth, guess) in zip(sets, dots, strict=True):
            axes.plot(guess, truth - guess, "o", color=one.colour, ms=2.6, mew=0, alpha=0.45, label=one.title)
        frame(axes, "predicted", "actual − predicted")
        axes.set_ylim(*_range(np.concatenate([truth - guess for truth, guess in dots])))
        legend(axes, 1.8)

    def paint_shape(axes: Axes) -> None:
        rests = [one.truth - one.predictions for one in sets]
        edges = np.linspace(*_range(np.concatenate(rests), 0.005), 41)
        for one, rest in zip(sets, rests, strict=True):
            rows = np.histogram(rest, edges)[0] / len(rest)
            axes.stairs(rows, edges, color=one.colour, fill=True, alpha=0.2)
            axes.stairs(
                rows, edges, color=one.colour, lw=1.2, label=f"{one.title}, median {number(np.median(rest), 3)}"
            )
        axes.axvline(0, color=MUTED, lw=0.8, ls=(0, (3, 3)))
        frame(axes, "actual − predicted", "share of rows")
        legend(axes)

    def paint_sizes(axes: Axes) -> None:
        for one in sets:
            middle, error = _error_by_size(one)
            axes.plot(middle, error, "o-", color=one.colour, ms=4, lw=1.2, label=one.title)
        frame(axes, "predicted", "mean absolute error")
        axes.set_ylim(bottom=0)
        legend(axes)

    return [
        draw("truth", "Predicted and actual", paint_truth, caption="A perfect model lies on the diagonal." + subset),
        draw("residuals", "Residuals", paint_rest, caption="No pattern and no funnel is what one hopes for." + subset),
        draw("errors", "Distribution of residuals", paint_shape, caption="Centred on 0 means no systematic error."),
        draw(
            "sizes", "Error by size of the prediction", paint_sizes, caption="Ten groups of equal size, small to large."
        ),
    ]


def over_time(sets: list[Scored]) -> list[Picture]:
    """Actual and predicted along the time column, averaged where many rows share a time."""
    sets = [one for one in sets if one.times is not None]
    if not sets:
        return []
    split = sets[0].task.split.kind
    unique = [len(np.unique(np.asarray(one.times).astype(str))) for one in sets]
    many = any(times < len(one.truth) for times, one in zip(unique, sets, strict=True))
    step = -(-sum(unique) // MOST_TIMES)

    def paint(axes: Axes) -> None:
        for index, one in enumerate(sets):
            assert one.times is not None
            when, truth, guess = _by_time(one.times, one.truth, one.predictions, step)
            axes.plot(when, truth, color=INK, lw=1.1, alpha=0.75, label="actual" if index == 0 else None)
            axes.plot(when, guess, color=one.colour, lw=1.2, label=f"predicted, {one.title}")
        frame(axes, "", "mean of the target" if many else "target", plain_x=False)
        legend(axes)

    caption = ["Each prediction was made by a model that had seen earlier times only."] * (split == "time")
    caption += ["Rows at the same time are averaged."] * many + [f"{step} times in a row are averaged."] * (step > 1)
    return [draw("time", "Actual and predicted over time", paint, caption=" ".join(caption), wide=True, height=2.8)]


def _by_time(
    times: np.ndarray, truth: np.ndarray, guess: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means per `step` neighbouring times. Times that are neither dates nor numbers are counted in sorted order."""
    if times.dtype.kind not in "Mif":
        times = times.astype(str)
    unique, place = np.unique(times, return_inverse=True)
    if unique.dtype.kind == "U":
        unique = np.arange(len(unique))
    place = place.reshape(-1) // step
    rows = np.bincount(place)
    truth, guess = (np.bincount(place, weights=values) / rows for values in (truth, guess))
    return unique[::step], truth, guess


def _error_by_size(one: Scored, groups: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Mean prediction and mean absolute error of groups of rows, ordered by prediction."""
    rows = np.argsort(one.predictions, kind="stable")
    parts = [part for part in np.array_split(rows, groups) if len(part)]
    error = np.abs(one.truth - one.predictions)
    return np.array([one.predictions[part].mean() for part in parts]), np.array([error[part].mean() for part in parts])


def _sample(one: Scored, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Actual and predicted values of at most `most` rows, the same ones every time."""
    if len(one.truth) <= most:
        return one.truth, one.predictions
    rows = np.random.default_rng(0).choice(len(one.truth), most, replace=False)
    return one.truth[rows], one.predictions[rows]


def _range(values: np.ndarray, tail: float = 0.0) -> tuple[float, float]:
    """Limits with a little air; `tail` cuts that share at either end."""
    low, high = (float(edge) for edge in np.quantile(values, [tail, 1 - tail]))
    air = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return low - air, high + air
