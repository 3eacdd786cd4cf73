"""The Python call: `build`, `resume`, `open_run`, and the Run they return."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from state.candidate import Candidate
from state.errors import InputError, NotFound, Problem, UsageError
from state.settings import Settings
from tools.home import run_folder
from tools.keeping import release_of, report_of
from tools.runs import standing
from tools.store import RunRow, open_catalogue, open_run_log

if TYPE_CHECKING:
    import pandas as pd

    from graphs.comparing import Comparison
    from graphs.session import Outcome
    from tools.forkplans import Given
    from tools.intake.table import Table
    from tools.workbench import Listener


def build(
    data: str | PathLike[str] | pd.DataFrame,
    target: str = "",
    *,
    intent: str = "",
    metric: str = "",
    time_limit: float | str | None = None,
    progress: bool = False,
    **settings: Any,
) -> Run:
    """Build a model from a table: the whole plan → implement → infer → review graph.

    data: path of a CSV, TSV, Parquet or Excel file, or a DataFrame. target: the column to predict, and metric: what to
    optimise; both are chosen from intent and data when empty. intent: one sentence, what the model is for. time_limit:
    seconds, or "90s", "5m", "2h". progress: print what happens to stderr. settings: the other fields of
    `modelwright.Settings`, such as candidates, iterations, review, expert, seed, name.

    Returns the Run: done, rejected, waiting for a person, or paused by Ctrl-C. Writes the run's folder and the
    catalogue under MODELWRIGHT_HOME. Raises InputError with every problem at once, before any work starts.
    """
    values = {**settings, "target": target, "intent": intent, "metric": metric}
    if time_limit is not None:
        values["time_limit"] = time_limit
    return open_run(start(data, values, listener=_progress(progress)).run_id)


def start(data: Any, values: dict[str, Any], *, listener: Listener | None = None) -> Outcome:
    """Check data and settings as a person gave them, all of it at once, and drive the run."""
    from graphs import session

    if isinstance(data, str | PathLike):
        values, table = {**values, "data": fspath(data)}, None
    else:
        table = _table(data)
    return session.start(_settings(values, table), frame=table, listener=listener)


def resume(
    run: str | Run = "last",
    *,
    answers: dict[str, Any] | None = None,
    rebuild: bool = False,
    progress: bool = False,
    **overrides: Any,
) -> Run:
    """Go on with an interrupted, paused or waiting run, by name, id prefix or `last`.

    answers: question id → answer, for a run that waits (see `Run.waiting`). rebuild: go through a damaged run again from
    its beginning; what has finished is answered from the journal, and its database is kept aside. overrides: the settings that may change,
    such as time_limit, iterations, review. Raises UsageError for any other.
    """
    from graphs import session

    reference = run.id if isinstance(run, Run) else run
    checked = _settings(overrides)
    changed = {name: getattr(checked, name) for name in overrides}
    outcome = session.resume(
        reference, answers=answers, overrides=changed, rebuild=rebuild, listener=_progress(progress)
    )
    return open_run(outcome.run_id)


def open_run(reference: str = "last") -> Run:
    """A run by name, id prefix or `last`. Read-only."""
    catalogue = open_catalogue()
    try:
        return Run(catalogue.find_run(reference))
    finally:
        catalogue.close()


def runs() -> list[Run]:
    """All runs, newest first. Read-only."""
    catalogue = open_catalogue()
    try:
        return [Run(row) for row in catalogue.runs()]
    finally:
        catalogue.close()


def demo_data() -> pd.DataFrame:
    """The table that comes with modelwright: the passengers of the Titanic; `Survived` is what to predict."""
    import pandas as pd

    from graphs.cli.demo import demo_file

    return pd.read_csv(demo_file())


def _settings(values: dict[str, Any], table: Table | None = None) -> Settings:
    """Settings of these values. Raises InputError; for a build, what is wrong with the data is told in the same breath."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        from tools.intake.request import settings_problems

        bad = {str(one["loc"][0]) for one in error.errors()}
        good = {name: value for name, value in values.items() if name not in bad}
        raise InputError([*settings_problems(error), *_data_problems(good, table)]) from None


def _data_problems(values: dict[str, Any], table: Table | None) -> list[Problem]:
    if table is None and not values.get("data"):
        return []
    from tools.intake.request import check_request

    try:
        check_request(Settings.model_validate(values), table)
    except InputError as error:
        return error.problems
    return []


def _table(data: Any) -> Table:
    """A table from a DataFrame, or one that is read already."""
    import pandas as pd

    from tools.intake.table import Table, table_from_frame

    if isinstance(data, Table):
        return data
    if isinstance(data, pd.DataFrame):
        return table_from_frame(data)
    cure = "give a DataFrame, or the path of a CSV, Parquet or Excel file"
    if hasattr(data, "to_pandas"):
        cure = "turn it into a DataFrame with .to_pandas()"
    raise InputError(Problem(f"a {type(data).__name__} is no table", where="data", cure=cure))


def _progress(wanted: bool) -> Listener | None:
    if not wanted:
        return None
    from graphs.cli.progress import PlainProgress

    return PlainProgress()


class Run:
    """One run, as the catalogue and its folder know it. `refresh()` reads it anew."""

    def __init__(self, row: RunRow) -> None:
        self._row = row

    def refresh(self) -> Run:
        """Read the run's row again."""
        self._row = open_run(self.id)._row
        return self

    @property
    def id(self) -> str:
        return self._row.id

    @property
    def name(self) -> str:
        return self._row.name

    @property
    def status(self) -> str:
        """running, waiting, paused, done, rejected, failed, or interrupted when it ought to run and nobody drives it."""
        return standing(self._row)

    @property
    def summary(self) -> dict[str, Any]:
        """What `modelwright show --json` prints."""
        return self._row.summary

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(self._row.settings)

    @property
    def metric(self) -> str | None:
        return self.summary.get("metric")

    @property
    def score(self) -> float | None:
        """The score on the sealed test set; without one, the out-of-fold score."""
        test = self.summary.get("test")
        return test["value"] if test else self.summary.get("score")

    @property
    def folder(self) -> Path:
        """Where the run's files lie."""
        return run_folder(self.id)

    @property
    def release(self) -> Path | None:
        """The model folder, once released; from a shared store it is brought to this machine first."""
        return release_of(self._row)

    @property
    def report(self) -> Path | None:
        """The HTML report, once written; from a shared store it is brought to this machine first."""
        return report_of(self._row)

    def log(self) -> list[dict[str, Any]]:
        """Everything that happened: {seq, time, kind, role, text, data}."""
        log = open_run_log(self.id)
        try:
            return log.events()
        finally:
            log.close()

    def steps(self) -> pd.DataFrame:
        """The steps of the run: number, role, candidate, when, what each took. `fork(at=number)` goes back to one."""
        import pandas as pd

        log = open_run_log(self.id)
        try:
            found = log.history().steps
            stored = log.stored_checkpoints({step.checkpoint for step in found})
        finally:
            log.close()
        told = ("number", "role", "candidate", "began", "seconds", "trainings", "reused", "questions", "tokens", "cost")
        rows = [
            {**{name: getattr(step, name) for name in told}, "forkable": step.checkpoint in stored} for step in found
        ]
        return pd.DataFrame(rows, columns=[*told, "forkable"])

    def fork(
        self,
        at: int | str,
        *,
        candidate: str | None = None,
        settings: Mapping[str, Any] | None = None,
        plan: Given | None = None,
        name: str = "",
        progress: bool = False,
    ) -> Run:
        """Go back to a step, change something, and go on as a run of its own; what has finished is not done again.

        at: number of a step (see `steps`), or a role: the last step it did. candidate: the branch the step lies in.
        settings: name → value, of those a fork may change. plan: a mapping of fields of one plan, or a list of whole
        plans; read at `approve_plan` and at an engineer's step. Returns the fork: done, rejected, waiting or paused.
        """
        from graphs.forking import fork, plan_fork

        planned = plan_fork(self.id, at, candidate=candidate, settings=settings, plan=plan, name=name)
        return open_run(fork(planned, listener=_progress(progress)).run_id)

    def compare(self, *others: str | Run) -> Comparison:
        """Hold other runs against this one: plans, programs, scores with a paired test, cost."""
        from graphs.comparing import compare

        return compare(self, *others)

    def candidate_records(self) -> list[Candidate]:
        """The newest record of every candidate."""
        log = open_run_log(self.id)
        try:
            return list(log.candidates().values())
        finally:
            log.close()

    @property
    def candidates(self) -> pd.DataFrame:
        """The leaderboard: one row per candidate, best first."""
        import pandas as pd

        from graphs.leaderboard import leaderboard_rows

        return pd.DataFrame(leaderboard_rows(self.candidate_records(), self.summary))

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """Open questions, each with id, gate, question and what it is about; empty unless the run waits."""
        if self.status != "waiting":
            return []
        still: dict[str, dict[str, Any]] = {}
        given: set[str] = set()
        for event in self.log():
            kind, one = event["kind"], event["data"]
            if kind == "answer" or (kind == "migrated" and one.get("asks_anew")):
                still, given = {}, set()
            elif kind == "given":
                given.add(one["id"])
            elif kind == "ask":
                # Put once more under another id when the answer that was given could not be carried out.
                still = {name: kept for name, kept in still.items() if name not in given}
                still[one["id"]], given = one, set()
        return list(still.values())

    def approve(self, gate: str | None = None, **answer: Any) -> Run:
        """Answer the open question with approve, and go on: keep=[…], drop=[…], edit=[…], add=[…], reason=…"""
        return self._answer(gate, {"action": "approve", **answer})

    def reject(self, reason: str, gate: str | None = None) -> Run:
        """Answer the open question with reject: plans go back to the researcher; a release ends in a report only."""
        return self._answer(gate, {"action": "reject", "reason": reason})

    def _answer(self, gate: str | None, answer: dict[str, Any]) -> Run:
        open_questions = [one for one in self.waiting if gate in (None, one["gate"])]
        if not open_questions:
            raise UsageError(f"run {self.name!r} has no open question", hint="`run.status` tells where it stands")
        self._row = resume(self, answers={one["id"]: answer for one in open_questions})._row
        return self

    def resume(self, **overrides: Any) -> Run:
        """Go on with this run."""
        self._row = resume(self, **overrides)._row
        return self

    def predict(self, data: pd.DataFrame | str | Path) -> pd.DataFrame:
        """Predictions of the released model, made in a process of its own: one row per input row, same order."""
        if self.release is None:
            raise NotFound(
                f"run {self.name!r} has no release: it is {self.status}",
                hint="`modelwright resume` finishes it; `modelwright show` tells why it has none",
            )
        from tools.release.predicting import predict_with_release

        return predict_with_release(self.release, Path(data) if isinstance(data, str) else data)

    def describe(self) -> dict[str, Any]:
        """Everything a person asks first, as plain data."""
        return {"id": self.id, "name": self.name, "status": self.status, "data": self._row.data, **self.summary}

    def __repr__(self) -> str:
        score = f" {self.metric} {self.score:.4g}" if self.score is not None else ""
        return f"<Run {self.name} ({self.id[:8]}) {self.status}{score}>"

    def _repr_html_(self) -> str:
        from tools.report.cards import run_card

        return run_card(self.describe(), self.candidate_records())
