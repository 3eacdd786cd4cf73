"""Which plots fit the task, and how those of a classification are painted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from state.task import Task
from tools.intervals import wilson
from tools.receipts import number_id
from tools.report import curves
from tools.report.figures import FIRST, MUTED, SECOND, Picture, draw, frame, legend
from tools.report.plots_of_values import over_time, regression
from tools.report.scored import Scored
from tools.report.sources import Sources
from tools.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pick = Callable[[Scored], tuple[np.ndarray, np.ndarray]]
"""Gives, per row, whether something came true and the chance predicted for it."""


def task_plots(task: Task, sets: list[Scored], n: Sources) -> list[Picture]:
    """The plots for this kind of task; empty when there are no predictions to draw. n: links numbers to receipts."""
    if not sets or task.kind == "multilabel":
        return []
    if task.kind == "binary":
        return _binary(sets, n)
    if task.kind == "multiclass":
        return _multiclass(sets)
    return ([*over_time(sets)] if task.forecast and not task.targets else []) + regression(sets)


def _binary(sets: list[Scored], n: Sources) -> list[Picture]:
    pictures = []
    rocs = [(one, curve) for one in sets if (curve := curves.roc(*one.positive))]
    if rocs:

        def paint_roc(axes: Axes) -> None:
            axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (3, 3)))
            for one, curve in rocs:
                slim = curves.thin(curve)
                axes.plot(slim.x, slim.y, color=one.colour, label=one.title)
            frame(axes, "false positive rate", "true positive rate", unit=True)
            legend(axes)

        caption = "How many positives are found for how many false alarms, at every threshold. Dashed: guessing."
        pictures.append(draw("roc", "ROC curve", paint_roc, caption=_measured(caption, "Area", rocs, "roc_auc", n)))
    recalls = [(one, curve) for one in sets if (curve := curves.precision_recall(*one.positive))]
    if recalls:

        def paint_pr(axes: Axes) -> None:
            axes.axhline(float(np.mean(recalls[-1][0].positive[0])), color=MUTED, lw=0.8, ls=(0, (3, 3)))
            for one, curve in recalls:
                slim = curves.thin(curve)
                axes.step(slim.x, slim.y, color=one.colour, where="pre", label=one.title)
            frame(axes, "recall", "precision", unit=True)
            legend(axes)

        caption = "Of the rows called positive, how many are. Dashed: the share of positives, what guessing gives."
        told = _measured(caption, "Average", recalls, "average_precision", n)
        pictures.append(draw("pr", "Precision and recall", paint_pr, caption=told))
    pictures.append(_calibration(sets, lambda one: one.positive, "predicted chance of the positive class"))
    pictures.append(_chances(sets[-1]))
    return pictures


def _measured(caption: str, word: str, drawn: list[tuple[Scored, curves.Curve]], metric: str, n: Sources) -> Markup:
    """The caption with the area under each curve and its interval."""
    told = []
    for one, curve in drawn:
        name = number_id("curve", one.short, metric)
        known = n.numbers.get(name)
        ends = f" ({number(known.low, 3)} to {number(known.high, 3)})" if known and known.low is not None else ""
        told.append(Markup("{} {}{}").format(one.title, n(name, number(curve.area, 3)), ends))
    return Markup("{} {}: {}.").format(caption, word, Markup(", ").join(told))


def _chances(one: Scored) -> Picture:
    """Histogram of the predicted chance, per true class."""
    truth, chance = one.positive
    edges = np.linspace(0, 1, 31)

    def paint(axes: Axes) -> None:
        for hit, colour, name in ((False, MUTED, "other class"), (True, FIRST, "positive class")):
            if (truth == hit).any():
                rows = np.histogram(chance[truth == hit], edges)[0] / (truth == hit).sum()
                axes.stairs(rows, edges, color=colour, fill=True, alpha=0.25)
                axes.stairs(rows, edges, color=colour, lw=1.2, label=name)
        frame(axes, "predicted chance of the positive class", "share of the class's rows")
        axes.set_xlim(0, 1)
        legend(axes)

    caption = f"Well separated humps mean a decided model ({one.title} rows)."
    return draw("chances", "Predicted chances by true class", paint, caption=caption)


def _multiclass(sets: list[Scored]) -> list[Picture]:
    def top(one: Scored) -> tuple[np.ndarray, np.ndarray]:
        return one.predictions.argmax(axis=1) == one.truth, one.predictions.max(axis=1)

    pictures = [_calibration(sets, top, "predicted chance of the top class")]
    one = sets[-1]
    right, chance = top(one)

    def paint(axes: Axes) -> None:
        edges = np.linspace(min(0.95, float(chance.min())), 1, 31).tolist()
        axes.hist([chance[right], chance[~right]], edges, stacked=True, color=[FIRST, SECOND], label=["right", "wrong"])
        frame(axes, "predicted chance of the top class", "rows")
        legend(axes)

    caption = f"Wrong answers should sit to the left ({one.title} rows)."
    return [*pictures, draw("confidence", "Confidence", paint, caption=caption)]


def _calibration(sets: list[Scored], pick: Pick, xlabel: str) -> Picture:
    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (3, 3)))
        for one in sets:
            truth, chance = pick(one)
            mean, seen, rows = curves.calibration(truth, chance)
            error = float(np.sum(np.abs(mean - seen) * rows) / rows.sum())
            ends = np.array([wilson(share * count, count) for share, count in zip(seen, rows, strict=True)])
            axes.vlines(mean, ends[:, 0], ends[:, 1], color=one.colour, lw=1, alpha=0.45)
            axes.plot(mean, seen, "o-", color=one.colour, ms=4, lw=1.2, label=f"{one.title}, gap {error:.3f}")
        frame(axes, xlabel, "observed share", unit=True)
        legend(axes)

    caption = (
        "On the diagonal a predicted 70 % comes true 7 times in 10. Ten groups of equal size with the 95 % interval of "
        "each share; gap: mean distance from the diagonal."
    )
    return draw("calibration", "Calibration", paint, caption=caption)
