"""Ablations: a candidate without one of its parts, to learn what the part is worth."""

from __future__ import annotations

from state.profile import Profile
from state.task import Task
from tools.recipes.changes import Change, Params
from tools.recipes.columns import columns_for

TOPIC = "ablation"


def topic_of(part: str) -> str:
    """What changes name as their topic to answer a finding about this part."""
    return f"{TOPIC} {part}"


def _without_texts(params: Params, task: Task, profile: Profile) -> Params | None:
    columns = columns_for(task, profile)
    others = columns.numbers or columns.codes or columns.means or columns.dates
    return {**params, "drop_texts": True} if params.get("drop_texts") is False and columns.texts and others else None


def _without_log(params: Params, task: Task, profile: Profile) -> Params | None:
    return {**params, "log": False} if params.get("log") is True else None


def _without_means(params: Params, task: Task, profile: Profile) -> Params | None:
    if params.get("many") != "means" or not columns_for(task, profile).means:
        return None
    return {**params, "many": "codes"}


def _without_curves(params: Params, task: Task, profile: Profile) -> Params | None:
    return {**params, "numbers": "scaled"} if params.get("numbers") in ("curved", "ranked") else None


def _without_weights(params: Params, task: Task, profile: Profile) -> Params | None:
    return {**params, "balanced": False} if params.get("balanced") is True else None


def _without_seeds(params: Params, task: Task, profile: Profile) -> Params | None:
    members = params.get("members")
    return {**params, "members": 1} if isinstance(members, int) and members > 1 else None


ABLATIONS = [
    Change("texts", "without texts", frozenset({TOPIC}), _without_texts),
    Change("log", "without the logarithm of the target", frozenset({TOPIC}), _without_log),
    Change("means", "codes in place of mean targets", frozenset({TOPIC}), _without_means),
    Change("curves", "numbers only scaled", frozenset({TOPIC}), _without_curves),
    Change("weights", "without class weights", frozenset({TOPIC}), _without_weights),
    Change("seeds", "a single seed", frozenset({TOPIC}), _without_seeds),
]
"""Each takes one part away; `key` names the part."""
