"""All recipes, and which of them apply to a task."""

from __future__ import annotations

from state.candidate import Plan
from state.errors import NotFound
from state.profile import Profile
from state.task import Task
from tools.recipes import (
    fingerprints,
    forecasting,
    ordinal,
    pictures,
    positives,
    scaled,
    sequences,
    several,
    texts,
    trees,
)
from tools.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for module in (forecasting, sequences, pictures, texts, fingerprints, ordinal, trees, scaled, positives)
    for recipe in module.RECIPES
}


def applicable(task: Task, profile: Profile) -> list[tuple[Recipe, float]]:
    """The recipes that apply, best fit first; ties keep the catalogue's order."""
    task, profile = several.one_target(task), several.one_profile(task, profile)
    fits = [(recipe, recipe.fits(task, profile)) for recipe in RECIPES.values()]
    return sorted(((recipe, fit) for recipe, fit in fits if fit > 0), key=lambda pair: -pair[1])


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises NotFound naming the recipes there are."""
    if name not in RECIPES:
        raise NotFound(f"there is no recipe {name!r}", hint=f"recipes: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]


def write_program(plan: Plan, task: Task, profile: Profile) -> str:
    """The program text of a plan that names a recipe; its predictions keep to the range of target and metric."""
    own = several.one_target(task)
    code = find_recipe(plan.recipe).write(plan, own, several.one_profile(task, profile))
    return several.for_all(positives.finished(code, own), task)
