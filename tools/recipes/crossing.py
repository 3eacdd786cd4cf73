"""Crossover of two candidates: how one reads the columns and the target, with the model family of the other."""

from __future__ import annotations

from state.profile import Profile
from state.task import Task
from tools.recipes.changes import Params
from tools.recipes.columns import columns_for

REPRESENTATION = ("many", "native", "numbers", "log", "balanced")
"""Parameters that say how columns, target and classes are handled; the rest belong to the model family."""
OF_TEXTS = ("drop_texts", "letters", "components")
"""The same, where there are texts."""


def crossed(giver: Params, taker: Params, task: Task, profile: Profile) -> Params | None:
    """The taker's parameters with the giver's representation, as far as both recipes have it; None when that is nothing.

    Values of different kinds (a recipe may use a name in its own way) are left alone, and so are those that change
    nothing on this table.
    """
    names = [*REPRESENTATION, *(OF_TEXTS if columns_for(task, profile).texts else ())]
    latent = any(params.get("family") == "pls" for params in (giver, taker))  # it counts its own, and reads no curves
    given = {
        name: giver[name]
        for name in names
        if name in giver
        and name in taker
        and type(giver[name]) is type(taker[name])
        and not (latent and name in ("components", "numbers"))
    }
    mixed = {**taker, **given}
    return mixed if mixed != taker else None
