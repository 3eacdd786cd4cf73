"""Editing the plans a fork begins with: which there are, what a person makes of them, and whether that can be carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from state.answers import with_params
from state.brief import Brief
from state.candidate import Plan
from state.errors import InputError, Problem, UsageError
from state.profile import Profile
from tools.artifacts import ArtifactStore
from tools.forking import Origin
from tools.planchecks import unwritable
from tools.store import open_run_log

Given = Mapping[str, Any] | Plan | Sequence[Mapping[str, Any] | Plan]
"""One mapping changes fields of the plan that has its id, and single parameters; a list stands for all plans, whole."""

_READERS = {"approve_plan", "engineer"}


def plans_at(origin: Origin, artifacts: ArtifactStore) -> list[Plan]:
    """The plans that can be edited at a step: all of an iteration at `approve_plan`, a branch's own at its engineer.

    Raises UsageError where an edited plan would not be read any more.
    """
    step = origin.step
    if step.role == "approve_plan":
        return [Plan.model_validate(plan) for plan in origin.values()["plans"]]
    if step.role == "engineer":
        return [Plan.model_validate(artifacts.get_json(origin.values()["plan"]))]
    fitting = [f"{one.number} ({one.candidate or 'all plans'})" for one in origin.steps if one.role in _READERS]
    raise UsageError(
        f"at step {step.number} ({step.role}) no plan is read any more, so editing one changes nothing",
        hint=f"plans are read at these steps: {', '.join(fitting[-8:])}" if fitting else "the run had planned nothing",
    )


def edited_plans(origin: Origin, before: list[Plan], given: Given, artifacts: ArtifactStore) -> list[Plan]:
    """The plans the fork begins with. Raises InputError with everything that is wrong with them."""
    changes = [given] if isinstance(given, Mapping | Plan) else given
    if not isinstance(changes, Sequence) or not all(isinstance(one, Mapping | Plan) for one in changes):
        raise InputError(
            Problem("this is no plan", where="plan", cure="give a mapping of its fields, or a list of these")
        )
    problems: list[Problem] = []
    plans = [_plan(one, before, problems, whole=changes is given) for one in changes]
    if not problems and changes is not given:
        changed = {plan.id: plan for plan in plans if plan}
        plans = [changed.get(plan.id, plan) for plan in before]
    found = [plan for plan in plans if plan]
    if not problems:
        problems = _clashes(origin, before, found)
    if not problems:
        problems = _unwritable(origin, [plan for plan in found if plan not in before], artifacts)
    if problems:
        raise InputError(problems)
    return found


def differing(before: list[Plan], after: list[Plan]) -> list[str]:
    """Ids of plans that are new, gone or other than before."""
    old, new = {plan.id: plan for plan in before}, {plan.id: plan for plan in after}
    return [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def _plan(given: Mapping[str, Any] | Plan, before: list[Plan], problems: list[Problem], *, whole: bool) -> Plan | None:
    fields = given.plain() if isinstance(given, Plan) else dict(given)
    if not whole:
        name = fields.get("id", before[0].id if len(before) == 1 else None)
        base = next((plan.plain() for plan in before if plan.id == name), None)
        if base is None:
            known = ", ".join(plan.id for plan in before)
            problems.append(Problem(f"no plan is called {name!r}", where="plan.id", cure=f"there are {known}"))
            return None
        if isinstance(fields.get("params"), Mapping):
            fields["params"] = with_params(base["params"], fields["params"])
        fields = {**base, **fields}
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        name = str(fields.get("id") or "plan")
        problems += [Problem(one["msg"], where=".".join([name, *map(str, one["loc"])])) for one in error.errors()]
        return None


def _clashes(origin: Origin, before: list[Plan], plans: list[Plan]) -> list[Problem]:
    """Ids that would be used twice, or replace the record of a candidate of an earlier iteration."""
    if not plans:
        return [Problem("no plan is left", where="plan", cure="keep at least one")]
    if origin.step.namespace:
        if [plan.id for plan in plans] == [before[0].id]:
            return []
        cure = f"give the plan of {before[0].id}; fork at approve_plan to have others"
        return [Problem("a branch has one plan, and its id stays", where="plan.id", cure=cure)]
    log = open_run_log(origin.run.id)
    try:
        earlier = set(log.candidates(origin.step.version))
    finally:
        log.close()
    names = [plan.id for plan in plans]
    return [
        Problem(f"the id {name!r} is taken", where="plan.id", cure="each plan and each earlier candidate needs its own")
        for name in dict.fromkeys(names)
        if name in earlier or names.count(name) > 1
    ]


def _unwritable(origin: Origin, plans: list[Plan], artifacts: ArtifactStore) -> list[Problem]:
    brief = Brief.model_validate(artifacts.get_json(origin.main_values()["brief"]))
    if brief.task is None or brief.profile is None:
        return []
    return unwritable(plans, brief.task, Profile.model_validate(artifacts.get_json(brief.profile)))
