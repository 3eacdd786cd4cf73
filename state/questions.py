"""The typed questions roles ask an expert, and the typed answers they get."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from state.candidate import Attempt, Finding, IterationPlan, Plan, Score, Status
from state.profile import Profile
from state.records import Record
from state.search import Operation
from state.settings import Role
from state.task import Task


class Answer(Record):
    """Base of all answers."""


class Plans(Answer):
    """Answer to PlanQuestion."""

    iteration_plan: IterationPlan
    plans: list[Plan]


class Program(Answer):
    """A written program: one Python module."""

    code: str
    notes: str = ""
    """What the writer wants a reader to know; shown in the report."""


class Review(Answer):
    """An expert's opinion on the finished model; mechanical checks stand beside it and weigh more."""

    summary: str
    concerns: list[str] = Field(default_factory=list)


class Parent(Record):
    """An earlier candidate that a plan builds on, as the writer of its program is shown it."""

    id: str
    title: str
    status: Status
    score: Score | None = None
    problem: str = ""
    """Why it failed or was dropped."""
    code: str
    """Its program's text."""


A = TypeVar("A", bound=Answer, covariant=True)


class Question(BaseModel, Generic[A]):
    """Base of all questions. `role` says who asks, `answer` which record must come back."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: ClassVar[Role]
    answer: ClassVar[type[Answer]]


class PlanQuestion(Question[Plans]):
    """What shall be tried in this iteration?"""

    role: ClassVar[Role] = "researcher"
    answer: ClassVar[type[Answer]] = Plans
    task: Task
    profile: Profile
    iteration: int
    count: int
    """How many plans are wanted."""
    seconds_left: float
    """Search time left, in wall seconds."""
    jobs: int
    tried: list[dict[str, Any]] = Field(default_factory=list)
    """Earlier candidates in brief: {id, title, recipe, params, status, score, seconds, fit_seconds, error, operator, parent,
    rows, cites, representation, architecture, training}."""
    findings: list[Finding] = Field(default_factory=list)
    feedback: list[str] = Field(default_factory=list)
    """What a person answered when rejecting earlier plans."""
    prefer: str = "balanced"
    """speed, balanced or quality (Settings.prefer)."""
    lessons: list[dict[str, Any]] = Field(default_factory=list)
    """Lessons of earlier runs on the same kind of data: {recipe, traits, gain, uses, text}, best first."""
    operations: list[Operation] = Field(default_factory=list)
    """What the search policy asks for, one plan each; empty in the first iteration, where plans are first drafts."""
    seed: int = 0


class ProgramQuestion(Question[Program]):
    """Write the program of this plan."""

    role: ClassVar[Role] = "engineer"
    answer: ClassVar[type[Answer]] = Program
    task: Task
    profile: Profile
    plan: Plan
    parents: list[Parent] = Field(default_factory=list)
    """What the plan builds on: its parent, and for a crossover the other one after it; none for a draft."""


class RepairQuestion(Question[Program]):
    """This program was refused or failed. Write it again."""

    role: ClassVar[Role] = "engineer"
    answer: ClassVar[type[Answer]] = Program
    task: Task
    profile: Profile
    plan: Plan
    code: str
    problems: list[str]
    """Refusals of the static check, or the end of the traceback."""
    attempts: list[Attempt] = Field(default_factory=list)


class InferenceQuestion(Question[Program]):
    """Write the inference program of the chosen model. `problems` holds what was wrong with an earlier one."""

    role: ClassVar[Role] = "operations"
    answer: ClassVar[type[Answer]] = Program
    task: Task
    members: list[dict[str, Any]]
    """What is released: [{candidate, weight, program}] with the program's text, and `models`, the number of its
    fold models that are averaged (1: a fit on all rows)."""
    combination: dict[str, Any] = Field(default_factory=dict)
    """How members are combined and probabilities decided: the rule of a Combination; in schema.json of the release."""
    problems: list[str] = Field(default_factory=list)


class ReviewQuestion(Question[Review]):
    """What speaks for and against this model?"""

    role: ClassVar[Role] = "reviewer"
    answer: ClassVar[type[Answer]] = Review
    task: Task
    profile: Profile
    facts: dict[str, Any]
    """Scores, intervals, baselines, checks and findings, as plain data."""
