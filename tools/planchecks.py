"""Whether plans that a person has changed or added can be carried out, found out before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from state.candidate import Plan
from state.errors import ExpertError, Problem
from state.profile import Profile
from state.task import Task


def unwritable(plans: Sequence[Plan], task: Task, profile: Profile) -> list[Problem]:
    """What the builtin writer refuses in plans that name a recipe: unknown recipes, unknown or impossible parameters."""
    from tools.recipes.catalogue import write_program

    problems = []
    for plan in plans:
        try:
            if plan.recipe:
                write_program(plan, task, profile)
        except ExpertError as error:
            problems.append(Problem(error.message, where=plan.id, cure=error.hint))
    return problems
