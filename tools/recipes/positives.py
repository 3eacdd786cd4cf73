"""Counts, rates and positive amounts: which law fits target and metric, and the linear recipe of such laws."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.deviances import POWERS
from tools.recipes.assemble import assemble, enclose
from tools.recipes.columns import Columns, columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import Recipe, Variant, by_cells, forecasting, only_sequences

MEAN_METRICS = frozenset({"rmse", "mse", "r2", "explained_variance"})
"""Metrics whose best prediction is the mean, which is also what the deviances of counts ask for."""
LAWS = {1.0: "poisson", 1.5: "tweedie", 2.0: "gamma"}
"""Power of the variance → the law's name, which is also LightGBM's objective."""


def power_of(task: Task) -> float | None:
    """The power of the deviance that is the task's metric; None for any other metric."""
    return POWERS.get(task.metric.name)


def likely_power(task: Task) -> float | None:
    """The power of a law worth trying: the metric's own; for counts and many zeros judged by a squared error, Poisson's
    or Tweedie's. None where absolute or relative errors rule, or the target may be negative."""
    if task.kind != "regression":
        return None
    if power_of(task) is not None:
        return power_of(task)
    if task.metric.name not in MEAN_METRICS or not task.is_never_negative:
        return None
    return 1.0 if "count" in task.target_traits else 1.5


def objective_of(task: Task) -> str:
    """LightGBM's objective for a deviance as metric; "" for any other metric."""
    power = power_of(task)
    return LAWS[power] if power is not None else ""


def histogram_loss(task: Task) -> str:
    """scikit-learn's loss for histogram boosting under a deviance; it has no Tweedie loss, Poisson's is the nearest."""
    return {"": "", "poisson": "poisson", "tweedie": "poisson", "gamma": "gamma"}[objective_of(task)]


def exposure_options(task: Task) -> dict[str, Any]:
    """What templates need: {exposure: column or "", divide: whether the target is a count per exposure}.

    Only with a deviance as metric; under other losses the exposure is a column like any other.
    """
    used = task.exposure if power_of(task) is not None and task.exposure else ""
    return {"exposure": used, "divide": "count" in task.target_traits}


def finished(code: str, task: Task) -> str:
    """The program with its predictions kept in the range of target and metric; unchanged where nothing is to be kept."""
    if power_of(task) is not None:
        return enclose(code, "positive", renamed={"fit": "fit_freely", "predict": "predict_freely"})
    if task.is_never_negative:
        return enclose(code, "bounded", renamed={"predict": "predict_freely"})
    return code


# ---- the linear recipe -----------------------------------------------------------------------------------------------


def _params(task: Task, profile: Profile) -> dict[str, Any]:
    rows, columns = profile.rows, columns_for(task, profile, many="codes")
    return {
        "settings": [{"strength": value} for value in (1e-3, 1e-2, 1e-4, 0.1, 1.0)],
        "numbers": _scaling(columns, profile),
        "letters": [2, 4],
        "inner": 4 if rows < 5_000 else 5,
        "single": rows >= 5_000,
        "drop_texts": True,
    }


def _scaling(columns: Columns, profile: Profile) -> str:
    """Curves where there are rows enough to learn them: the logarithm of a mean is seldom a straight line."""
    count = len(columns.numbers)
    return "curved" if profile.rows >= 200 and 0 < count <= 40 and profile.rows >= 15 * count else "scaled"


def _variants(task: Task, profile: Profile) -> list[Variant]:
    params, law = _params(task, profile), LAWS[likely_power(task) or 1.0]
    return [
        Variant(
            key="rates",
            title=f"{law.capitalize()} regression with a logarithmic link",
            why="The target is never negative and its spread grows with its mean: effects multiply, and large values must "
            "not outweigh all others.",
            params=params,
            representation=f"numbers: {params['numbers']}; categories one-hot, rare ones together; dates as trend and waves",
            architecture=f"generalised linear model, {law} law, logarithmic link",
            training="strength of the penalty chosen on inner folds by the law's deviance",
        )
    ]


def _write(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_params(task, profile), plan.params, "rates")
    columns = columns_for(task, profile, many="codes", drop_texts=p["drop_texts"])
    return assemble(
        "rates",
        title=plan.title,
        why=plan.rationale,
        columns=columns,
        p=p,
        power=likely_power(task) or 1.0,
        **exposure_options(task),
    )


def _fits(task: Task, profile: Profile) -> float:
    if likely_power(task) is None or only_sequences(task) or forecasting(task):
        return 0.0
    return 0.88 if power_of(task) is not None else 0.65


RECIPES = [Recipe("rates", "linear", _fits, _variants, _write, by_cells(0.3, 1.5e-5))]
