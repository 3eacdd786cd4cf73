"""The Model facade: intent and schemas in, `build`, `predict`, `describe`, `save`, `load`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import InputError, NotFound, Problem, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from graphs.api import Run

Schema = Mapping[str, Any]
"""Column → Python type or its name ("int", "float", "str", "bool", "datetime"); a pydantic model class is accepted too."""


class Model:
    """A model described by what it is for, before there is one.

    intent: what the model is for. input_schema: the columns it may use; all but the target when empty.
    output_schema: one entry, the column to predict; guessed from the intent when empty. constraints: sentences that
    are added to the intent. Building needs no key; `provider` lets a language model write candidates as well.
    """

    def __init__(
        self,
        intent: str,
        input_schema: Schema | type | None = None,
        output_schema: Schema | type | None = None,
        constraints: Sequence[str] = (),
    ) -> None:
        if not intent or not intent.strip():
            raise InputError(
                Problem("the intent is empty", where="intent", cure="say in one sentence what the model is for")
            )
        self.intent = intent
        self.input_schema = _schema(input_schema)
        self.output_schema = _schema(output_schema)
        self.constraints = list(constraints)
        self.run: Run | None = None
        self._folder: Path | None = None

    def build(
        self,
        datasets: Sequence[pd.DataFrame | str | Path],
        provider: str | Any | None = None,
        timeout: float | str | None = None,
        max_iterations: int | None = None,
        run_timeout: float | str = 1800,
        *,
        callbacks: Sequence[Callable[[dict[str, Any]], None]] = (),
        verbose: bool = False,
        chain_of_thought: bool = False,
        **settings: Any,
    ) -> Model:
        """Build from one data set, or from two: training rows and a labelled test set. Returns itself.

        provider: "openai/gpt-4o-mini", a ProviderConfig, or None for the builtin expert. timeout: seconds for the whole
        build; run_timeout: for one program; the first limit reached ends the search, and the best so far is kept.
        callbacks get every event of the run. verbose and chain_of_thought print phases and reasons to stderr.
        """
        from graphs import session
        from graphs.api import _settings, open_run

        if not datasets:
            raise InputError(Problem("no data set was given", where="datasets", cure="give a DataFrame or a path"))
        if len(datasets) > 2:
            raise UsageError(
                f"{len(datasets)} data sets were given; a build takes one, or two when the second is the test set",
                hint="join them into one table first",
            )
        values: dict[str, Any] = {"intent": self._whole_intent(), "run_timeout": run_timeout, **settings}
        values.update(_provided(provider))
        if timeout is not None:
            values["time_limit"] = timeout
        if max_iterations is not None:
            values["iterations"] = max_iterations
        if self.output_schema and "target" not in values:
            values["target"] = next(iter(self.output_schema))
        frame, path = _table(datasets[0], self._columns(values.get("target")))
        values["data"] = path
        if len(datasets) == 2:
            values["test_data"] = _test_path(datasets[1])
        listeners = [*callbacks, *([_talk(chain_of_thought)] if verbose or chain_of_thought else [])]
        outcome = session.start(_settings(values), frame=frame, listener=_all(listeners))
        self.run = open_run(outcome.run_id)
        return self

    def predict(self, data: Mapping[str, Any] | pd.DataFrame | str | Path) -> Any:
        """Predictions of the built or loaded model. One mapping (a row) gives one mapping {target: prediction, …}."""
        from tools.release.predicting import predict_with_release

        if isinstance(data, Mapping):
            import pandas as pd

            row = predict_with_release(self._release(), pd.DataFrame([dict(data)])).iloc[0].to_dict()
            return {self._target(): row.pop("prediction"), **row}
        return predict_with_release(self._release(), Path(data) if isinstance(data, str) else data)

    def describe(self) -> dict[str, Any]:
        """What the model is, as plain data; before a build only what was asked."""
        asked = {
            "intent": self.intent,
            "input_schema": {name: str(kind) for name, kind in self.input_schema.items()},
            "output_schema": {name: str(kind) for name, kind in self.output_schema.items()},
            "constraints": self.constraints,
            "state": "described" if self.run is None and self._folder is None else "built",
        }
        if self.run is not None:
            return {**asked, **self.run.describe()}
        if self._folder is not None:
            return {**asked, "manifest": _manifest(self._folder)}
        return asked

    @property
    def state(self) -> str:
        """described, waiting, paused, failed, rejected or done."""
        if self.run is not None:
            return self.run.status
        return "done" if self._folder is not None else "described"

    @property
    def metrics(self) -> dict[str, Any]:
        """Metric, out-of-fold score and sealed test score of the built model."""
        if self.run is None:
            return _manifest(self._folder).get("metric", {}) if self._folder else {}
        one = self.run.summary
        return {name: one.get(name) for name in ("metric", "score", "low", "high", "test")}

    def save(self, path: str | Path) -> Path:
        """Copy the model folder to a new folder of this path, and return it."""
        from tools.release.folder import check_release

        source, target = self._release(), Path(path)
        check_release(source)
        if target.exists():
            raise UsageError(f"{str(target)!r} exists already", hint="choose a path that does not exist")
        shutil.copytree(source, target)
        return target

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """A model from a folder that `save` or a build wrote, after every recorded hash matched."""
        from tools.release.folder import check_release

        folder = Path(path)
        check_release(folder)
        manifest = _manifest(folder)
        task = manifest.get("task", {})
        model = cls(intent=task.get("intent") or f"predict {task.get('target')}")
        model.output_schema = {str(task.get("target")): task.get("kind")}
        model._folder = folder
        return model

    def _release(self) -> Path:
        if self._folder is not None:
            return self._folder
        if self.run is None or self.run.release is None:
            raise NotFound(
                "there is no model yet", hint="`build(datasets=[…])` makes one; `describe()` tells where it stands"
            )
        return self.run.release

    def _target(self) -> str:
        if self.run is not None and self.run.summary.get("target"):
            return str(self.run.summary["target"])
        return next(iter(self.output_schema), "prediction")

    def _columns(self, target: Any) -> list[str] | None:
        return [*self.input_schema, *([target] if target else [])] if self.input_schema else None

    def _whole_intent(self) -> str:
        return " ".join([self.intent, *self.constraints])

    def __repr__(self) -> str:
        return f"<Model {self.intent!r} {self.state}>"

    def _repr_html_(self) -> str:
        if self.run is not None:
            return self.run._repr_html_()
        import html

        return f"<pre>{html.escape(repr(self))}</pre>"


def _schema(schema: Schema | type | None) -> dict[str, Any]:
    """A schema as a plain mapping; a pydantic model class gives its fields."""
    if schema is None:
        return {}
    fields = getattr(schema, "model_fields", None)
    if fields is not None:
        return {name: getattr(field.annotation, "__name__", str(field.annotation)) for name, field in fields.items()}
    assert isinstance(schema, Mapping)
    return {str(name): getattr(kind, "__name__", kind) for name, kind in schema.items()}


def _provided(provider: Any) -> dict[str, Any]:
    """Settings of seed 000's provider: a string, a ProviderConfig, or nothing."""
    if provider is None:
        return {}
    from tools.experts.provider import provider_config

    return {"experts": provider_config(provider)}


def _table(data: Any, columns: list[str] | None) -> tuple[Any, str]:
    """A DataFrame and no path, or no DataFrame and the path; with an input schema always the chosen columns."""
    if columns is None and isinstance(data, str | Path):
        return None, str(data)
    if isinstance(data, str | Path):
        from tools.intake.table import open_table

        data = open_table(Path(data)).frame
    if columns is None:
        return data, ""
    if missing := [name for name in columns if name not in data.columns]:
        raise InputError(
            [Problem(f"column {name!r} of the schema is not in the data", where="input_schema") for name in missing]
        )
    return data[columns], ""


def _test_path(data: Any) -> str:
    """Path of the test set; a DataFrame is written to the home folder first."""
    if isinstance(data, str | Path):
        return str(data)
    from tools.artifacts import open_artifacts
    from tools.home import home

    reference = open_artifacts().put_frame(data)
    target = home() / "given" / f"{reference.removeprefix('sha256:')[:16]}.parquet"
    target.parent.mkdir(mode=0o700, exist_ok=True)
    data.to_parquet(target, index=False)
    return str(target)


def _talk(reasons: bool) -> Callable[[dict[str, Any]], None]:
    """Progress on stderr; without reasons only phases and candidates."""
    from graphs.cli.progress import PlainProgress

    shown = PlainProgress()

    def tell(event: dict[str, Any]) -> None:
        if reasons or event["kind"] in {"phase", "task", "candidate", "best", "verdict"}:
            shown(event)

    return tell


def _all(listeners: Sequence[Callable[[dict[str, Any]], None]]) -> Callable[[dict[str, Any]], None] | None:
    if not listeners:
        return None

    def tell(event: dict[str, Any]) -> None:
        for listener in listeners:
            listener(event)

    return tell


def _manifest(folder: Path) -> dict[str, Any]:
    import json

    return dict(json.loads((folder / "manifest.json").read_text()))
