"""A job for the executor, and the receipt that comes back."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from state.records import Record, content_key

JobKind = Literal["fold", "fit", "predict", "explain", "script"]
"""fold: fit on train rows, predict validation rows · fit: fit, save the model, predict probe rows · predict: load a saved
model, predict all rows of a features file · explain: as fold, and predict again with each column permuted ·
script: run a Python file with arguments (an inference or training program) in the job folder."""


class Limits(Record):
    """Hard limits of one job."""

    seconds: float
    memory_mb: int
    disk_mb: int = 2048
    output_kb: int = 256
    """Most of stdout and stderr that is kept."""
    tasks: int = 512
    """Processes and threads."""


class Job(Record):
    """A job is content. Its key is one formula; granted time and limits are no part of it."""

    kind: JobKind
    files: dict[str, str]
    """Name in the job's `in/` folder → artifact reference. Names may hold one or more folders (`model/a.npy`).

    fold, explain: program.py features.arrow train.arrow valid.arrow · fit: program.py features.arrow train.arrow [probe.arrow]
    predict: program.py features.arrow model/… · script: whatever the script needs."""
    params: dict[str, Any] = Field(default_factory=dict)
    """fold, fit, predict, explain: {task, seed} and optional {columns, repeats} · fold: with {model_format} it measures
    and saves its model too · predict: {own_saving} and optional {models}, folders below model/ of several models of one
    program, whose predictions come beside each other · script: {argv: [path, arg, …]}."""
    time_limit: float | None = None
    """Seconds told to `fit` as its time_limit; None when replaying effective parameters."""
    n_jobs: int = 1
    fold: int | None = None
    repeat: int = 0
    """Counts deliberate repetitions (reproducibility check), so that they are not answered from the journal."""
    limits: Limits
    label: str = ""
    """What a person sees: candidate and fold."""

    def key(self, versions: dict[str, str]) -> str:
        """The content key: kind, hashes of all inputs, parameters (seed included), fold, library versions."""
        return content_key(
            {
                "kind": self.kind,
                "files": self.files,
                "params": self.params,
                "fold": self.fold,
                "repeat": self.repeat,
                "versions": versions,
            }
        )


ReceiptStatus = Literal["done", "error", "timeout", "memory", "disk", "signal", "bad output"]


class Receipt(Record):
    """Durable record of a finished execution."""

    key: str
    kind: JobKind
    status: ReceiptStatus
    outputs: dict[str, str] = Field(default_factory=dict)
    """File in the job's `out/` folder → artifact reference."""
    result: dict[str, Any] = Field(default_factory=dict)
    """What the harness wrote to result.json: {effective, fit_seconds, predict_seconds, predict_ms, model_bytes, rows, unsafe, …}."""
    error: str = ""
    """Last lines of the traceback, or why the job was ended."""
    log: str | None = None
    """Reference of the captured stdout and stderr, when there was any."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    reused: bool = False
    """True when answered from the journal; nothing was executed."""

    @property
    def ok(self) -> bool:
        return self.status == "done"
