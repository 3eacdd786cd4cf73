"""One question of each kind about a small mixed table, as roles ask them."""

from __future__ import annotations

from typing import Any

from state.candidate import Finding, Plan
from state.profile import ColumnProfile, Profile, TargetProfile
from state.questions import InferenceQuestion, PlanQuestion, ProgramQuestion, Question, RepairQuestion, ReviewQuestion
from state.task import Feature, Metric, SplitPlan, Task

TASK = Task(
    kind="binary",
    target="survived",
    intent="Who survives?",
    metric=Metric(name="roc_auc", direction="higher", needs="probabilities", title="ROC AUC"),
    classes=["no", "yes"],
    positive="yes",
    features=[
        Feature(name="age", kind="numeric", missing=0.2, cardinality=60),
        Feature(name="port", kind="category", cardinality=3),
        Feature(name="remark", kind="text", cardinality=180),
        Feature(name="booked", kind="datetime", cardinality=90),
    ],
    excluded={"ticket": "identifier: every value occurs once"},
    split=SplitPlan(kind="stratified", folds=3, test_share=0.2, reason="classes are unequal"),
)

PROFILE = Profile(
    rows=240,
    columns=[
        ColumnProfile(
            name="age",
            kind="numeric",
            missing=48,
            distinct=60,
            examples=["22", "38"],
            stats={"mean": 31.2, "skew": 0.4},
        ),
        ColumnProfile(
            name="port", kind="category", missing=0, distinct=3, examples=["S", "C"], stats={"top": {"S": 170, "C": 50}}
        ),
        ColumnProfile(
            name="remark",
            kind="text",
            missing=3,
            distinct=180,
            examples=["travels with Mrs Smith, mary@example.org"],
            stats={"mean_words": 6.0, "top": {"travels with Mrs Smith": 2}},
        ),
        ColumnProfile(name="booked", kind="datetime", missing=0, distinct=90, stats={"first": "1912-01-02"}),
        ColumnProfile(
            name="ticket",
            kind="category",
            missing=0,
            distinct=240,
            examples=["PC 17599"],
            suspicion="identifier",
            evidence="240 values in 240 rows",
        ),
    ],
    target=TargetProfile(name="survived", missing=0, distinct=2, counts={"no": 150, "yes": 90}, looks_like="binary"),
    notes=["3 remarks are missing"],
    traits=["small", "text", "dates", "categories", "missing"],
)

PLAN = Plan(
    id="i0-forest",
    title="A forest on encoded columns",
    rationale="mixed columns, few rows",
    representation="ordinal codes",
    architecture="120 trees",
)


def plan_question(**changes: Any) -> PlanQuestion:
    """A question for three plans, in a second iteration with findings and earlier candidates."""
    facts: dict[str, Any] = {
        "task": TASK,
        "profile": PROFILE,
        "iteration": 1,
        "count": 3,
        "seconds_left": 40.0,
        "jobs": 2,
        "tried": [{"id": "i0-forest", "title": "A forest", "recipe": "", "status": "done", "score": 0.81}],
        "findings": [Finding(id="f1", source="predictions", topic="segment", text="Port C is predicted badly")],
    }
    return PlanQuestion(**{**facts, **changes})


def program_question(**changes: Any) -> ProgramQuestion:
    return ProgramQuestion(**{"task": TASK, "profile": PROFILE, "plan": PLAN, **changes})


def repair_question(**changes: Any) -> RepairQuestion:
    facts = {"task": TASK, "profile": PROFILE, "plan": PLAN, "code": "def fit(X, y):\n    return X\n"}
    return RepairQuestion(**{**facts, "problems": ["there is no function predict(model, X)"], **changes})


def inference_question(**changes: Any) -> InferenceQuestion:
    member = {"candidate": "i0-forest", "weight": 1.0, "program": "def predict(model, X):\n    return X\n"}
    return InferenceQuestion(**{"task": TASK, "members": [member], **changes})


def review_question(**changes: Any) -> ReviewQuestion:
    facts = {
        "candidate": "i0-forest",
        "score": {"value": 0.83, "folds": [0.82, 0.84, 0.83], "low": 0.79, "high": 0.87, "rows": 192},
        "baselines": [{"name": "constant", "score": 0.5}],
        "checks": [{"name": "reproducible", "status": "passed", "detail": ""}],
    }
    return ReviewQuestion(**{"task": TASK, "profile": PROFILE, "facts": facts, **changes})


def every_question() -> list[Question[Any]]:
    """One of each kind."""
    return [plan_question(), program_question(), repair_question(), inference_question(), review_question()]
