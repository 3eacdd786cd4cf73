"""What a release is made of: its members, and every fact the manifest and the model card state."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from state.candidate import Check, Combination, Score
from state.records import Record
from state.task import Task


class ReleaseMember(Record):
    """One fitted program of a release. A release of a single candidate has one member of weight 1."""

    candidate: str
    """Id of the candidate; names its program file and its model folder in the release."""
    weight: float = Field(gt=0, allow_inf_nan=False)
    """Share in the weighted mean; weights need not add up to 1."""
    program: str
    """Reference of the program's text."""
    effective: dict[str, Any] = Field(default_factory=dict)
    """Parameters a fit without a clock replays."""
    model: dict[str, str]
    """File inside the saved model's folder (`a.npy`, `tree/b.skops`) → reference."""
    fold: int | None = None
    """For a fold model, fitted on the training rows of this fold only: its number. Those of one candidate are averaged."""
    own_saving: bool = False
    """True when the program's own `save` wrote the model and its `load` reads it."""
    unsafe: bool = False
    """True when loading the model runs code from it (pickle)."""
    expert: str = "builtin"
    """Who wrote the program."""
    title: str = ""
    seconds: float = 0.0
    """What the fit took; no part of the manifest."""
    rows: int = Field(default=0, ge=0)
    """Rows it was fitted on where the time did not allow all (of its fold, where it has one); 0 is all."""


class Baseline(Record):
    """One rung of the baseline ladder, scored like the candidates."""

    name: str
    score: float


class DataOrigin(Record):
    """Where the data of a build came from, so that its model can be built again."""

    path: str | None = None
    """Path of the data file when it was read; None for a DataFrame."""
    table: str | None = None
    """For a DataFrame: reference of its rows in the artifact store of the machine that built."""
    test_path: str | None = None
    """Path of the labelled test file, when the person gave one."""
    test_source: str | None = None
    """SHA-256 (hex) of the test file's bytes."""


class ReleaseFacts(Record):
    """Everything the manifest and the model card say, gathered by the publisher."""

    run_id: str
    run_name: str
    created: str
    """ISO 8601 with offset. A publication that is repeated passes the same, so that the folder comes out the same."""
    modelwright: str
    """Version of modelwright."""
    intent: str = ""
    task: Task
    read_spec: dict[str, Any]
    """How the data file was read (tools/portable/reading.py)."""
    members: list[ReleaseMember]
    combination: Combination = Field(default_factory=Combination)
    """How the members are combined, and how probabilities become a label."""
    latency: dict[str, float] = Field(default_factory=dict)
    """Milliseconds in which the released program predicted, the model loaded: {"1 row": …, "1000 rows": …}; load: seconds
    to load it. Empty when not measured."""
    model_bytes: int = 0
    """Bytes of all saved models."""
    prefer: str = "balanced"
    """What the person preferred (Settings.prefer)."""
    candidate: str = ""
    """Id of the released candidate; for an ensemble not one of the members."""
    title: str = ""
    score: Score | None = None
    """Out-of-fold score of the released candidate."""
    test: Score | None = None
    """Score on the sealed test set."""
    opening: dict[str, Any] | None = None
    """Receipt of the opening of the sealed test set."""
    test_before_refit: bool = True
    """True when `test` was measured on the model before it was fitted again on more rows."""
    refit: Literal["all", "train"] = "all"
    """Rows the released model was fitted on: all labelled rows, or those outside the test set."""
    fitted_rows: int
    """Number of rows the released model was fitted on."""
    rows: int
    """Labelled rows in all, sealed ones included."""
    sealed_rows: int = 0
    seed: int = 0
    source: str
    """Hash of the original data."""
    origin: DataOrigin = Field(default_factory=DataOrigin)
    sandbox: str = ""
    """Tier the programs ran in."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Library → version in the environment of the build."""
    baselines: list[Baseline] = Field(default_factory=list)
    checks: list[Check] = Field(default_factory=list)
    """The reviewer's checks."""
    lessons: list[str] = Field(default_factory=list)
    limits: list[str] = Field(default_factory=list)
    """What a user of the model must know, in sentences."""

    @property
    def bagged(self) -> bool:
        """True when the release holds fold models in place of one fit of each member."""
        return any(member.fold is not None for member in self.members)

    @property
    def unsafe(self) -> bool:
        """True when any member's model runs code when it is loaded."""
        return any(member.unsafe for member in self.members)
