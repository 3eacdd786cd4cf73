"""The recipe for classes told by free text: naive Bayes weights in a logistic regression."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import Recipe, Variant, most_rows


def _params(task: Task, profile: Profile) -> dict[str, Any]:
    return {
        "settings": [{"freedom": value} for value in (0.3, 0.03, 3.0)],
        "numbers": "ranked",
        "inner": 4 if profile.rows < 5_000 else 5,
        "single": profile.rows >= 3_000,
        "balanced": False,
        "most": most_rows(profile.rows, 60.0 * _letters(task, profile)),
    }


def _letters(task: Task, profile: Profile) -> float:
    """Letters of all texts of a row, on average."""
    words = [profile.column(feature.name) for feature in task.features if feature.kind == "text"]
    return sum(float(column.stats.get("mean_chars") or 80.0) for column in words if column)


def _variants(task: Task, profile: Profile) -> list[Variant]:
    return [
        Variant(
            key="text",
            title="Words and letter groups weighed by class",
            why="In short texts a few words decide. Each word, word pair and group of letters is weighed by how much more "
            "often it occurs in a class, and a logistic regression adds them up.",
            params=_params(task, profile),
            representation="presence of words, word pairs and groups of 2–5 letters, hashed; other columns scaled and one-hot",
            architecture="logistic regression on naive Bayes log ratios",
            training="penalty chosen on inner folds",
        )
    ]


def _write(plan: Plan, task: Task, profile: Profile) -> str:
    p = merged(_params(task, profile), plan.params, "text")
    columns = columns_for(task, profile, many="codes")
    rest = replace(columns, texts=[])
    others = bool(rest.numbers or rest.codes or rest.dates)
    return assemble(
        "text", title=plan.title, why=plan.rationale, columns=columns, rest=rest, others=others, kind=task.kind, p=p
    )


def _fits(task: Task, profile: Profile) -> float:
    texts = [feature for feature in task.features if feature.kind == "text"]
    if not texts or not task.is_classification:
        return 0.0
    return 1.0 if len(texts) * 2 >= len(task.features) else 0.6


def _seconds(task: Task, profile: Profile) -> float:
    return 0.4 + 4e-6 * _letters(task, profile) * profile.rows


RECIPES = [Recipe("text", "text", _fits, _variants, _write, _seconds, specialist=True)]
