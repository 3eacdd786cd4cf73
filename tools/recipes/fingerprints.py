"""The recipe for rows that are long lists of yes and no: fingerprints of molecules, purchases, symptoms."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.options import merged
from tools.recipes.recipe import Recipe, Variant

_MOST_ROWS = 4_000


def _marks(task: Task, profile: Profile) -> list[str]:
    """Numeric columns that are 0 or 1."""
    marks = []
    for feature in task.features:
        column = profile.column(feature.name)
        stats = column.stats if column else {}
        if (
            feature.kind == "numeric"
            and feature.cardinality <= 2
            and stats.get("min") == 0
            and stats.get("max") in (0, 1)
        ):
            marks.append(feature.name)
    return marks


def _params(task: Task, profile: Profile) -> dict[str, Any]:
    settings = [{"freedom": value} for value in (3.0, 0.3, 30.0)]
    if not task.is_classification:
        settings = [{"strength": value} for value in (0.3, 0.1, 1.0, 0.03)]
    return {"settings": settings, "inner": 5, "balanced": False}


def _variants(task: Task, profile: Profile) -> list[Variant]:
    return [
        Variant(
            key="fingerprint",
            title="Kernel model on shared marks",
            why="The columns are marks that are present or absent. Two rows are alike by the share of marks they have in "
            "common (Tanimoto similarity), the measure of choice for molecular fingerprints.",
            params=_params(task, profile),
            representation="marks as bits, rows compared by Tanimoto similarity",
            architecture="logistic regression on similarities" if task.is_classification else "kernel ridge regression",
            training="penalty chosen on inner folds",
        )
    ]


def _write(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_params(task, profile), plan.params, "fingerprint")
    marks = _marks(task, profile)
    listed = marks if len(marks) < sum(feature.kind == "numeric" for feature in task.features) else []
    return assemble(
        "fingerprint", title=plan.title, why=plan.rationale, p=p, marks=listed, classes=task.is_classification
    )


def _fits(task: Task, profile: Profile) -> float:
    count = len(_marks(task, profile))
    suits = count >= 30 and count >= 0.8 * len(task.features) and profile.rows <= _MOST_ROWS and not task.forecast
    return 0.85 if suits else 0.0


def _seconds(task: Task, profile: Profile) -> float:
    return 0.2 + 3e-9 * float(profile.rows) ** 2 * len(task.features) + 1e-9 * float(profile.rows) ** 3


RECIPES = [Recipe("fingerprint", "kernel", _fits, _variants, _write, _seconds, specialist=True)]
