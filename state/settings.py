"""The settings of a run: one model that the command line, Python, a TOML file and Studio fill alike."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from state.search import PolicyName
from state.task import TaskKind

Role = Literal["analyst", "examiner", "researcher", "engineer", "strategist", "operations", "reviewer", "publisher"]
Gate = Literal["plan", "release"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    """Read `90`, `90s`, `5m`, `1.5h` as seconds; leave the rest to pydantic."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text and text[-1] in _UNITS:
            try:
                return float(text[:-1]) * _UNITS[text[-1]]
            except ValueError:
                return value
    return value


def _listed(value: object) -> object:
    """A list of column names as one text with commas; leave the rest to pydantic."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


Seconds = Annotated[float, BeforeValidator(_seconds)]


class Settings(BaseModel):
    """Everything a run can be told. All fields have defaults, so that Studio can show the form."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    data: str = Field(default="", description="Path of the table: CSV, TSV, Parquet, Excel, optionally gzipped")
    test_data: str = Field(default="", description="Optional labelled file that becomes the sealed test set")
    intent: str = Field(default="", description="One sentence: what the model is for")
    target: Annotated[str, BeforeValidator(_listed)] = Field(
        default="", description="Column to predict, or several with commas; guessed from intent and data when empty"
    )
    metric: str = Field(default="", description="Metric to optimise; chosen from intent and target when empty")
    kind: TaskKind | None = Field(default=None, description="Task type; detected when empty")
    positive: str = Field(default="", description="Label of the positive class, for binary tasks")
    group_columns: list[str] = Field(
        default=[], description="Rows that belong together (patients, schools) are never split apart"
    )
    time_column: str = Field(default="", description="Time order of the rows; folds then go forward in time")
    horizon: int | None = Field(default=None, ge=1, description="Forecasts: time steps ahead")
    test_share: float = Field(default=0.2, ge=0.0, lt=0.9, description="Share of rows sealed as the test set")
    folds: int = Field(default=5, ge=2, le=20, description="Validation folds")
    time_limit: Seconds = Field(
        default=300.0, gt=0, description="Wall seconds for the whole command, without waiting for a person"
    )
    run_timeout: Seconds | None = Field(default=None, gt=0, description="Most seconds of one program execution")
    candidates: int = Field(default=4, ge=1, le=64, description="Solution plans per iteration")
    iterations: int = Field(default=40, ge=1, le=100, description="Most rounds of plan → implement → select")
    policy: PolicyName = Field(
        default="auto",
        description="How the search chooses: auto, greedy, best-first, mcts, evolutionary or portfolio",
    )
    attempts: int = Field(default=3, ge=1, le=10, description="Executions of one candidate's program, repairs included")
    jobs: int = Field(default=0, ge=0, le=256, description="Programs run at the same time; 0 = number of cores")
    memory_mb: int = Field(default=0, ge=0, description="Most memory of one program; 0 = a share of what is free")
    seed: int = Field(default=0, ge=0, description="Seed of splits and programs")
    refit: Literal["all", "train"] = Field(
        default="all", description="Rows the released model is fitted on after acceptance"
    )
    prefer: Literal["speed", "balanced", "quality"] = Field(
        default="balanced",
        description="What the released model is to be: small and quick, balanced, or as good as it gets",
    )
    review: list[Gate] = Field(default=[], description="Where to wait for a person: plan, release")
    expert: str = Field(
        default="builtin", description="Default expert: builtin, or provider:model such as openai:gpt-5-mini"
    )
    experts: dict[str, str] = Field(default={}, description="Expert per role, e.g. {'engineer': 'openai:gpt-5-mini'}")
    builtin_candidates: bool = Field(default=True, description="Let builtin candidates compete with those of an LLM")
    base_url: str = Field(default="", description="URL of an OpenAI-compatible server; empty for the provider's own")
    api_key_env: str = Field(
        default="OPENAI_API_KEY", description="Name of the environment variable that holds the key"
    )
    llm_timeout: Seconds = Field(default=900.0, gt=0, description="Most seconds of one model reply")
    temperature: float = Field(default=1.0, ge=0, le=2, description="How much a language model varies its replies")
    sandbox: Literal["auto", "T1", "T2", "T3"] = Field(
        default="auto", description="Sandbox tier of programs; auto takes the strongest that works here"
    )
    allow_unsandboxed: bool = Field(
        default=False, description="Run programs a language model wrote even where only the basic tier (T3) works"
    )
    fresh: bool = Field(default=False, description="Ignore results of earlier runs (benchmarks)")
    name: str = Field(default="", description="Readable name of the run; made up when empty")

    def expert_for(self, role: str) -> str:
        """`builtin` or `provider:model` for a role."""
        return self.experts.get(role, self.expert)


RESUME_MAY_CHANGE = frozenset({"time_limit", "jobs", "memory_mb", "review", "iterations", "candidates", "run_timeout"})
"""The settings `resume` may override; each override is recorded as an event."""
