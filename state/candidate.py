"""One branch and its history: plan, attempts, score; and what is decided about it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from state.records import Record
from state.search import Operation, PolicyName

Operator = Literal["draft", "improve", "repair", "crossover", "ensemble"]
Status = Literal["planned", "running", "done", "failed", "dropped"]
Outcome = Literal["done", "refused", "error", "timeout", "memory", "signal", "bad predictions"]
Route = Literal["report", "fix", "ask", "reject"]
"""Where a finding leads. report: it is told · fix: back to planning or writing, before the sealed test is opened · ask: a
person is to decide, at the release gate or after reading · reject: the model is not released."""


class Plan(Record):
    """A solution plan. The fields after `rationale` are the steps of one iteration, in the seed's order."""

    id: str
    """Short and unique in its run, e.g. `i0-boosting`."""
    title: str
    rationale: str
    recipe: str = ""
    """Name of a builtin recipe, or empty when an LLM writes freely."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the recipe (plain JSON), or hints for a writer."""
    operator: Operator = "draft"
    parent: str | None = None
    """Candidate this plan improves on."""
    other: str | None = None
    """For a crossover: the second parent, whose model family it takes."""
    without: str = ""
    """For an ablation: the part of the parent's program it leaves out."""
    rows: int = 0
    """A first look: trained on this many rows of the first fold; 0 is all rows. Set by the framework."""
    folds: int = 0
    """Folds it is run on, the same for all plans of a run; 0 is all. Set by the framework."""
    cites: list[str] = Field(default_factory=list)
    """Ids of the findings this plan answers."""
    grounds: list[str] = Field(default_factory=list)
    """What these findings say, for whoever writes the program. Set by the framework."""
    representation: str = ""
    """How the data is encoded."""
    architecture: str = ""
    """Model family and important hyper-parameters."""
    training: str = ""
    """Loss, stopping rule, weighting."""
    inference: str = ""
    estimate_seconds: float = 0.0
    """Guess of the training seconds over the folds it is run on, one thread; shown when approval is asked."""


class IterationPlan(Record):
    """One instruction per following step of the iteration; written by the researcher."""

    iteration: int
    mode: Literal["explore", "refine"]
    exploration: str
    split: str
    representation: str
    architecture: str
    training: str
    inference: str
    prediction_exploration: str
    evaluation: str
    rationale: str


class Attempt(Record):
    """One execution of a program over its folds."""

    number: int
    outcome: Outcome
    program: str
    """Reference of the program's text."""
    receipts: list[str] = Field(default_factory=list)
    """Journal keys of the jobs."""
    seconds: float = 0.0
    error: str = ""
    """Last lines of the traceback, or the refusal; what the repair question is asked with."""


class Score(Record):
    """The framework's score of out-of-fold predictions."""

    value: float
    """Metric over all pooled validation rows."""
    folds: list[float]
    low: float
    high: float
    """95 % interval of `value`: by bootstrap over rows, groups or blocks of time, or the metric's own."""
    rows: int
    fold_numbers: list[int] = Field(default_factory=list)
    """Which folds `folds` are of, counted from 0; a fold that did not run, or has no such score, is missing."""
    fold_intervals: list[tuple[float, float]] = Field(default_factory=list)
    """95 % interval of each of `folds`."""


class Member(Record):
    """One member of an ensemble."""

    candidate: str
    weight: float


class Combination(Record):
    """How the members' predictions become the model's, and its probabilities a label: plain numbers, which a release holds.

    Members that are fold models of one candidate are averaged first, whatever `how` is. The arithmetic is that of
    tools/portable/combining.py.
    """

    how: Literal["mean", "log odds", "geometric", "median"] = "mean"
    """mean: weighted mean · log odds: of the logarithms of probabilities, made probabilities again · geometric: weighted
    geometric mean of positive values · median: weighted median of values."""
    scale: float = 1.0
    """Factor on the weighted mean (of logarithms, where `how` says so): what the weights of a stacker add up to."""
    offsets: list[float] = Field(default_factory=list)
    """Added to it: one number for values, one per class for logarithms of probabilities. Empty: nothing."""
    stacked: bool = False
    """Weights, scale and offsets were fitted to out-of-fold predictions (stacking)."""
    decision: list[float] = Field(default_factory=list)
    """Class weights in task order: the label is the class with the largest weight × probability. Empty: the most probable."""
    source: str = ""
    """Where the decision came from, in a sentence a person reads."""

    @property
    def words(self) -> str:
        """What it is, as the beginning of a phrase that goes on with "of"."""
        if self.stacked:
            return "logistic stack" if self.how == "log odds" else "linear stack"
        means = {"mean": "mean", "log odds": "mean of log-odds", "geometric": "geometric mean", "median": "median"}
        return f"weighted {means[self.how]}"

    def rule(self) -> dict[str, Any]:
        """What the arithmetic needs, as plain data."""
        return self.model_dump(exclude={"source", "stacked"})


class Candidate(Record):
    """One branch: a plan, its program, its history. A later record of the same id replaces an earlier one."""

    id: str
    iteration: int
    plan: Plan
    status: Status
    program: str | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    score: Score | None = None
    oof: str | None = None
    """Reference: Arrow file with `row` and one column per output (`p0`…): the out-of-fold predictions."""
    effective: dict[str, Any] = Field(default_factory=dict)
    """Parameters a refit replays without a clock, merged over folds."""
    members: list[Member] = Field(default_factory=list)
    """For an ensemble: its members; then `program` is None."""
    combination: Combination = Field(default_factory=Combination)
    """For an ensemble: how its members are combined and how it decides."""
    decided: str | None = None
    """Reference, as `oof`, each row's probabilities times class weights chosen without its fold; what metrics of labels
    score. None where the most probable class is the label."""
    predict_ms: float = 0.0
    """Milliseconds in which one process predicted 1,000 rows, the model loaded; 0 when not measured."""
    model_bytes: int = 0
    """Bytes of the saved model, of all members where there are several; 0 when not measured."""
    seconds: float = 0.0
    fit_seconds: float = 0.0
    """Mean seconds of one fold's job; what the refit is estimated from."""
    expert: str = "builtin"
    """Who wrote the program."""
    reason: str = ""
    """Why it was dropped or failed."""

    @property
    def scored_on(self) -> str | None:
        """Reference of the predictions that the score is of."""
        return self.decided or self.oof

    @property
    def usable(self) -> bool:
        return self.status == "done" and self.score is not None and self.oof is not None


class Finding(Record):
    """Something observed that a later plan may answer or a reviewer may act on."""

    id: str
    """Unique in its run, e.g. `f3`."""
    source: Literal["profile", "predictions", "comparison", "failure", "review", "lesson", "person"]
    topic: str
    """A short tag: residuals, skewed-target, imbalance, overfit, segment, time-drift, ablation, leak, reproducibility …"""
    text: str
    candidate: str | None = None
    severity: Literal["info", "warning", "error"] = "info"
    route: Route = "report"
    evidence: list[str] = Field(default_factory=list)
    data: dict[str, Any] = Field(default_factory=dict)


StopReason = Literal[
    "first iteration: more to try",
    "findings to answer",
    "improved, time left",
    "ideas left, time left",
    "first looks taken: the best go on",
    "no improvement",
    "iterations used up",
    "time used up",
    "nothing left to try",
    "no candidate survived",
]


class Decision(Record):
    """What the strategist decided, with a reason from a closed set."""

    action: Literal["iterate", "ensemble", "stop"]
    reason: StopReason
    detail: str = ""
    policy: PolicyName | None = None
    """The search policy that chose the operations."""
    operations: list[Operation] = Field(default_factory=list)
    """What the next iteration is to try."""
    best: str | None = None
    compared: list[dict[str, Any]] = Field(default_factory=list)
    """When the search ends: paired comparisons on out-of-fold predictions: {one, other, gain, low, high, better_share}."""


class Check(Record):
    """One review check."""

    name: str
    status: Literal["passed", "found", "reduced", "skipped"]
    detail: str = ""
    extent: Literal["run", "reduced", "skipped"] = "run"
    """run: looked at everything it looks at · reduced: at a part, which the detail names · skipped: not made."""


class Verdict(Record):
    """The reviewer's word."""

    decision: Literal["accept", "revise plan", "revise program", "revise inference", "reject"]
    reason: str
    checks: list[Check] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    test: Score | None = None
    """Score on the sealed test set, when it was opened."""
    opening: dict[str, Any] | None = None
    """Receipt of the opening: when, candidate, code hash, data hash, how many earlier openings."""
