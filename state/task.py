"""What is to be solved: the metric with its direction, the features, the split, and where the prepared data lies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from state.records import Record

TaskKind = Literal["binary", "multiclass", "regression", "multilabel", "multiregression"]
"""multilabel: several targets, each yes or no · multiregression: several numbers at once."""
FeatureKind = Literal["numeric", "category", "text", "datetime", "sequence", "image"]
"""numeric: numbers · category: short repeated strings · text: free text · datetime: parsed dates · sequence: DNA, RNA, protein ·
image: a small picture written as text (tools/portable/images.py)."""
SplitKind = Literal["random", "stratified", "group", "time", "given"]
TargetTrait = Literal["count", "rate", "zero-inflated", "long-tail", "exposure", "ordinal"]
"""count: non-negative whole numbers · rate: events per unit · zero-inflated: more exact zeros than a plain law has · long-tail:
non-negative with a long right tail · exposure: a column says how long or how much was watched · ordinal: ordered classes."""
Label = str | int | float | bool


class Metric(Record):
    """A metric knows its direction; scores are compared with `better`, never with `>` here and there."""

    name: str
    direction: Literal["higher", "lower"]
    needs: Literal["probabilities", "labels", "values"]
    """probabilities: class probabilities · labels: predicted classes (argmax of probabilities) · values: regression output."""
    title: str = ""

    def better(self, one: float | None, other: float | None) -> bool:
        """True when `one` is strictly better than `other`; any score beats no score."""
        if one is None or other is None:
            return one is not None and other is None
        return one > other if self.direction == "higher" else one < other

    def gain(self, one: float, other: float) -> float:
        """How much better `one` is than `other`, positive when better."""
        return one - other if self.direction == "higher" else other - one


class Feature(Record):
    """One input column a program may use."""

    name: str
    kind: FeatureKind
    missing: float = 0.0
    """Share of missing values, 0–1."""
    cardinality: int = 0
    """Number of distinct values, missing not counted."""


class SplitPlan(Record):
    """How rows are dealt into folds and the sealed test set, and why."""

    kind: SplitKind
    folds: int
    test_share: float
    reason: str
    test_given: bool = False
    """True when the person gave a labelled test file; then no rows are held back."""


class Task(Record):
    """The framed task. Written by the examiner, read by everyone."""

    kind: TaskKind
    target: str
    intent: str
    metric: Metric
    classes: list[Label] = Field(default_factory=list)
    """Ordered labels; columns of a probability prediction follow this order. Empty for regression. Where the target's traits
    hold `ordinal` the order is that of the scale, lowest first."""
    target_traits: list[TargetTrait] = Field(default_factory=list)
    """What more is known of the target than its kind; see `TargetTrait`."""
    targets: list[str] = Field(default_factory=list)
    """For several targets: one name per target, in the order of the columns of labels and predictions; empty for one. Then
    `target` is their common name, and `classes` is empty."""
    target_texts: list[list[str]] = Field(default_factory=list)
    """Multilabel from columns: per target the texts of no and yes; an empty pair for numbers."""
    tag_separator: str = ""
    """Multilabel from one column of tags: what separates them."""
    exposure: str | None = None
    """Column that says for how long or how much events were counted (policy years, hours at risk)."""
    positive: Label | None = None
    features: list[Feature]
    excluded: dict[str, str] = Field(default_factory=dict)
    """Column → why no program sees it (identifier, constant, copy of the target, …)."""
    group_columns: list[str] = Field(default_factory=list)
    """Rows with equal values here belong together (split: group) or form one series (split: time)."""
    time_column: str | None = None
    horizon: int | None = None
    """For forecasts: how many time steps ahead the model is asked for."""
    horizon_named: bool = False
    """True when a person named the horizon. Else it is the length of the test window, and may be asked to reach farther."""
    forecast: bool = False
    """True when rows are ordered in time and the model will be asked for later times than it was trained on."""
    split: SplitPlan
    decisions: list[str] = Field(default_factory=list)
    """What was guessed or handled, in sentences a person reads (target partly missing, metric guessed, …)."""

    def for_program(self, effective: dict[str, Any] | None = None) -> dict[str, Any]:
        """The plain `task` mapping a program receives. `effective` makes it replay a finished fit without a clock."""
        task: dict[str, Any] = {
            "kind": self.kind,
            "metric": self.metric.name,
            "classes": list(self.classes),
            "positive": self.positive,
            "columns": {feature.name: feature.kind for feature in self.features},
            "group_columns": list(self.group_columns),
            "time_column": self.time_column,
            "horizon": self.horizon,
            "forecast": self.forecast,
        }
        if self.target_traits:
            task["target_traits"] = list(self.target_traits)
        if self.targets:
            task["targets"] = list(self.targets)
        if self.exposure:
            task["exposure"] = self.exposure
        if effective:
            task["effective"] = effective
        return task

    @property
    def is_classification(self) -> bool:
        return self.kind in ("binary", "multiclass")

    @property
    def is_chances(self) -> bool:
        """True when predictions are chances: of classes, or of each of several labels."""
        return self.kind != "regression" and self.kind != "multiregression"

    @property
    def dealt_as(self) -> TaskKind:
        """The kind by which rows are dealt and looked at: several targets are one number, their standardised mean."""
        return "regression" if self.targets else self.kind

    @property
    def is_ordinal(self) -> bool:
        """True when the classes have an order that counts."""
        return "ordinal" in self.target_traits

    @property
    def is_never_negative(self) -> bool:
        """True for counts, rates and the like: a prediction below 0 is wrong whatever the truth is."""
        return self.kind == "regression" and bool({"count", "rate", "zero-inflated"} & set(self.target_traits))


class Prepared(Record):
    """References (`sha256:…`) to the prepared data. Features hold no label and no sealed row; their order is shuffled once."""

    features: str
    """Arrow file: the non-sealed rows, used columns only. A row's position in it is its id everywhere."""
    labels: str
    """Arrow file with one column `label`, same order. Held by the framework, never given to a job whole."""
    folds: str
    """Arrow file with one int8 column per fold named fold_0…: 0 not used, 1 train, 2 validation."""
    train_files: list[str]
    """Per fold: Arrow file with columns `row`, `label` of the training rows: all the labels a fold's job may see."""
    valid_files: list[str]
    """Per fold: Arrow file with column `row` of the validation rows."""
    train_all: str
    """Arrow file `row`, `label` of every non-sealed row, for the fit that the sealed test judges."""
    sealed_features: str
    sealed_labels: str
    sealed_key: str
    """Content hash of data, target and way of sealing (of a given test file: its rows): what openings are counted under."""
    rows: int
    sealed_rows: int
    read_spec: str
    """JSON artifact: how the file was read (see tools/portable/reading.py), repeated by the release."""
    source: str
    """Hash of the original data."""
