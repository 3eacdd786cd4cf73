"""What a person may answer at the two gates. Their JSON schemas are the `response_schema` of the interrupts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from state.candidate import Plan
from state.records import Record


class PlanEdit(Record):
    """Changes to one plan; fields left out stay as they are."""

    id: str = Field(description="Id of the plan to change")
    title: str | None = Field(default=None, description="Another title")
    params: dict[str, Any] | None = Field(default=None, description="Parameters to set; others stay")
    representation: str | None = Field(default=None, description="How the data is to be encoded instead")
    architecture: str | None = Field(default=None, description="Which model family and hyper-parameters instead")
    training: str | None = Field(default=None, description="Which loss, stopping rule or weighting instead")


class PlanAnswer(Record):
    """The word on the plans of an iteration."""

    action: Literal["approve", "reject"] = Field(
        default="approve", description="reject goes back to the researcher, with the reason"
    )
    keep: list[str] = Field(default_factory=list, description="Ids to keep; empty keeps all")
    drop: list[str] = Field(default_factory=list, description="Ids to drop")
    edit: list[PlanEdit] = Field(default_factory=list, description="Changes to plans that are kept")
    add: list[Plan] = Field(default_factory=list, description="Plans of your own, with ids that are not in use")
    reason: str = Field(default="", description="Needed when rejecting; kept with the run otherwise")

    @model_validator(mode="after")
    def _reason_given(self) -> PlanAnswer:
        if self.action == "reject" and not self.reason.strip():
            raise ValueError("a rejection needs a reason: it is what the researcher works with")
        return self


class ReleaseAnswer(Record):
    """The word on the release."""

    action: Literal["approve", "reject"] = Field(
        default="approve", description="reject leaves a report without a release"
    )
    reason: str = Field(default="", description="Kept with the run")


def apply_answer(plans: list[Plan], answer: PlanAnswer) -> list[Plan]:
    """The plans that run: kept, edited, added. Raises ValueError naming unknown ids or when nothing is left."""
    known = {plan.id for plan in plans}
    named = {*answer.keep, *answer.drop, *(edit.id for edit in answer.edit)}
    if unknown := sorted(named - known):
        raise ValueError(f"no plan named {', '.join(map(repr, unknown))}; there are {', '.join(sorted(known))}")
    if clash := sorted(known & {plan.id for plan in answer.add}):
        raise ValueError(f"an added plan reuses the id {clash[0]!r}; choose another")
    edits = {edit.id: edit for edit in answer.edit}
    kept = [
        _edited(plan, edits.get(plan.id))
        for plan in plans
        if plan.id not in answer.drop and (not answer.keep or plan.id in answer.keep)
    ]
    result = [*kept, *answer.add]
    if not result:
        raise ValueError("nothing is left to run; reject with a reason instead, or keep at least one plan")
    return result


def _edited(plan: Plan, edit: PlanEdit | None) -> Plan:
    if edit is None:
        return plan
    changes = {name: value for name, value in edit.model_dump(exclude={"id", "params"}).items() if value is not None}
    if edit.params is not None:
        changes["params"] = with_params(plan.params, edit.params)
    return plan.but(**changes)


def with_params(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with changes put over them; of a group of parameters, too, what is not named stays."""
    result = dict(params)
    for name, value in changes.items():
        old = result.get(name)
        result[name] = with_params(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
