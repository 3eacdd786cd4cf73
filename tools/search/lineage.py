"""What a plan builds on: the programs its writer is shown, the findings it answers, or the one program that goes on as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from state.candidate import Candidate, Finding, Plan
from state.questions import Parent
from tools.artifacts import ArtifactStore

_SUBSTANCE = ("recipe", "params", "representation", "architecture", "training")
"""Fields of a plan that its program follows from."""


def parents_of(plan: Plan, candidates: Mapping[str, Candidate], artifacts: ArtifactStore) -> list[Parent]:
    """The plan's parents that have a program, the first one first.

    All of it is content that stays as it is once a candidate has ended, no time it took: the same plan makes the same
    question, which is paid once.
    """
    known = [candidates[name] for name in (plan.parent, plan.other) if name and name in candidates]
    return [
        Parent(
            id=one.id,
            title=one.plan.title,
            status=one.status,
            score=one.score,
            problem="" if one.usable else one.reason,
            code=artifacts.get_text(one.program),
        )
        for one in known
        if one.program
    ]


def going_on(plan: Plan, candidates: Mapping[str, Candidate]) -> Candidate | None:
    """The first look whose program this plan only gives more rows; None where a program is to be written.

    A person may have changed such a plan when asked about it. Then it is no longer the same program.
    """
    parent = candidates.get(plan.parent or "")
    if parent is None or plan.operator != "improve" or not parent.plan.rows or not parent.program:
        return None
    more = not plan.rows or plan.rows > parent.plan.rows
    same = all(getattr(plan, name) == getattr(parent.plan, name) for name in _SUBSTANCE)
    return parent if more and same else None


def grounded(plan: Plan, findings: Sequence[Finding]) -> Plan:
    """The plan with what its findings say: whoever writes the program sees the plan, and not what was found."""
    said = [f"{one.id} ({one.topic}): {one.text}" for one in findings if one.id in plan.cites]
    return plan if said == plan.grounds else plan.but(grounds=said)
