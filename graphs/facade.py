"""The Model facade: intent and schemas in, `build`, `predict`, `describe`, `save`, `load`."""

from __future__ import annotations

import hashlib
import html
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import InputError, NotFound, Problem, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from graphs.api import Run
    from tools.experts.provider import ProviderConfig

Schema = Mapping[str, Any]
"""Column → Python type or its name ("int", "float", "str", "bool", "datetime"); a pydantic model class is accepted too."""

Callback = Callable[[dict[str, Any]], None]

_KINDS = {"float": "regression", "bool": "binary"}
"""Output types that say what the task is; an int or a str may be either, so the data decides."""


class Model:
    """A model described by what it is for, before there is one.

    intent: what the model is for. input_schema: the columns it may use; all but the target when empty. output_schema: the
    column to predict, or several (all yes or no, or all numbers); guessed from the intent when empty. constraints:
    sentences that are added to the intent. Building needs no key; `provider` lets a language model write candidates too.
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
        self.input_schema = _schema(input_schema, "input_schema")
        self.output_schema = _schema(output_schema, "output_schema")
        self.constraints = list(constraints)
        self.run: Run | None = None
        self._folder: Path | None = None

    # ---- building ---------------------------------------------------------------------------------------------------

    def build(
        self,
        datasets: Sequence[pd.DataFrame | str | PathLike[str]],
        provider: str | ProviderConfig | None = None,
        timeout: float | str | None = None,
        max_iterations: int | None = None,
        run_timeout: float | str = 1800,
        *,
        callbacks: Sequence[Callback] = (),
        verbose: bool = False,
        chain_of_thought: bool = False,
        **settings: Any,
    ) -> Model:
        """Build from one data set, or from two: training rows and a labelled test set. Returns itself.

        provider: "openai/gpt-4o-mini", a ProviderConfig, or None for the builtin expert. timeout: seconds for the whole
        build; run_timeout: for one program; the first limit reached ends the search, and the best so far is kept.
        callbacks get every event of the run. verbose prints phases and candidates to stderr, chain_of_thought the
        reasons too. settings: other fields of `modelwright.Settings`.
        """
        from graphs.api import open_run, start

        train, test = _two(datasets)
        values: dict[str, Any] = {"intent": self._whole_intent(), "run_timeout": run_timeout, **settings}
        values.update(_provided(provider))
        if timeout is not None:
            values["time_limit"] = timeout
        if max_iterations is not None:
            values["iterations"] = max_iterations
        if self.output_schema:
            values.setdefault("target", ",".join(self.output_schema))
            kinds = {_kind_of(kind, several=len(self.output_schema) > 1) for kind in self.output_schema.values()}
            if len(kinds) == 1 and (kind := kinds.pop()):
                values.setdefault("kind", kind)
        if self.input_schema:
            target, asked_by = list(self.output_schema) or values.get("target") or "", "output_schema"
            train = _narrowed(train, self.input_schema, target, asked_by if self.output_schema else "target")
        if test is not None:
            values["test_data"] = _test_path(test)
        listeners = [*callbacks, *([_talk(chain_of_thought)] if verbose or chain_of_thought else [])]
        outcome = start(train, values, listener=_all(listeners))
        self._folder = None
        self.run = open_run(outcome.run_id)
        return self

    # ---- using ------------------------------------------------------------------------------------------------------

    def predict(self, data: Mapping[str, Any] | pd.DataFrame | str | PathLike[str]) -> Any:
        """Predictions of the built or loaded model, made in a process of their own.

        A DataFrame or a path gives a DataFrame: one row per input row, in the same order, with the frame's index. One
        mapping (a row) gives one mapping: {target: prediction, proba_<label>: probability, …}.
        """
        from tools.release.predicting import predict_with_release

        if isinstance(data, Mapping):
            import pandas as pd

            row = predict_with_release(self._release(), pd.DataFrame([dict(data)])).to_dict("records")[0]
            if "prediction" in row:
                return {self._target(): row.pop("prediction"), **row}
            return {str(name).removeprefix("prediction_"): value for name, value in row.items()}
        return predict_with_release(self._release(), Path(data) if isinstance(data, str | PathLike) else data)

    def describe(self) -> dict[str, Any]:
        """What the model is, as plain data; before a build only what was asked."""
        asked = {
            "intent": self.intent,
            "input_schema": dict(self.input_schema),
            "output_schema": dict(self.output_schema),
            "constraints": list(self.constraints),
            "state": self.state,
            "metrics": self.metrics,
        }
        if self.run is not None:
            return {**self.run.describe(), **asked}
        if self._folder is not None:
            return {**asked, "folder": str(self._folder), "manifest": _manifest(self._folder)}
        return asked

    @property
    def state(self) -> str:
        """described, waiting, paused, failed, rejected or done."""
        if self.run is not None:
            return self.run.status
        return "done" if self._folder is not None else "described"

    @property
    def metrics(self) -> dict[str, Any]:
        """The metric, the out-of-fold score with its interval, and the sealed test score; empty before a build."""
        if self.run is not None:
            found = self.run.summary
            return {name: found.get(name) for name in ("metric", "direction", "score", "low", "high", "test")}
        if self._folder is None:
            return {}
        manifest = _manifest(self._folder)
        metric, score = manifest["task"]["metric"], manifest.get("score") or {}
        return {
            "metric": metric["name"],
            "direction": metric["direction"],
            "score": score.get("value"),
            "low": score.get("low"),
            "high": score.get("high"),
            "test": manifest.get("test"),
        }

    # ---- keeping ----------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> Path:
        """Copy the model folder to a new folder of this path, and return it."""
        from tools.release.folder import check_release

        source, target = self._release(), Path(path)
        check_release(source)
        if target.exists():
            raise UsageError(f"{str(target)!r} exists already", hint="choose a path that does not exist")
        shutil.copytree(source, target)
        return target

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Model:
        """A model from a folder that `save` or a build wrote, after every recorded hash matched."""
        from tools.release.folder import check_release

        folder = Path(path).resolve()
        check_release(folder)
        manifest = _manifest(folder)
        task = manifest["task"]
        model = cls(
            intent=manifest.get("intent") or f"predict {task['target']}",
            input_schema={column["name"]: column["type"] for column in manifest["inputs"]},
            output_schema=dict.fromkeys(task.get("targets") or [task["target"]], task["kind"]),
        )
        model._folder = folder
        return model

    def _release(self) -> Path:
        if self._folder is not None:
            return self._folder
        if self.run is None:
            raise NotFound("there is no model yet", hint="`build(datasets=[…])` makes one")
        if self.run.release is None:
            raise NotFound(
                f"the build {self.run.name!r} has no model: it is {self.run.status}",
                hint="`model.run` tells more; `model.run.resume()` goes on with a paused one",
            )
        return self.run.release

    def _target(self) -> str:
        if self.run is not None and self.run.summary.get("target"):
            return str(self.run.summary["target"])
        return next(iter(self.output_schema), "prediction")

    def _whole_intent(self) -> str:
        return " ".join([self.intent, *self.constraints])

    def __repr__(self) -> str:
        return f"<Model {self.intent!r} {self.state}>"

    def _repr_html_(self) -> str:
        if self.run is not None:
            return self.run._repr_html_()
        return f"<pre>{html.escape(repr(self))}</pre>"


# ---- schemas --------------------------------------------------------------------------------------------------------


def _schema(schema: Schema | type | None, where: str) -> dict[str, str]:
    """A schema as column → name of its type; a pydantic model class gives its fields, by alias where they have one."""
    if schema is None:
        return {}
    fields = getattr(schema, "model_fields", None)
    if fields is not None:
        return {field.alias or name: _type_name(field.annotation) for name, field in fields.items()}
    if not isinstance(schema, Mapping):
        cure = "give a mapping such as {'age': int}, or a pydantic model class"
        raise InputError(Problem(f"{schema!r} is no schema", where=where, cure=cure))
    return {str(name): _type_name(kind) for name, kind in schema.items()}


def _type_name(kind: Any) -> str:
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))


def _provided(provider: str | ProviderConfig | None) -> dict[str, Any]:
    if provider is None:
        return {}
    from tools.experts.provider import provider_config

    return {"experts": provider_config(provider)}


# ---- data -----------------------------------------------------------------------------------------------------------


def _two(datasets: Any) -> tuple[Any, Any]:
    """The training rows, and the test set or None."""
    if isinstance(datasets, str | PathLike) or hasattr(datasets, "columns"):
        datasets = [datasets]
    if not len(datasets):
        raise InputError(Problem("no data set was given", where="datasets", cure="give a DataFrame or a path"))
    if len(datasets) > 2:
        raise UsageError(
            f"{len(datasets)} data sets were given; a build takes one, or two when the second is the test set",
            hint="join them into one table first",
        )
    return datasets[0], datasets[1] if len(datasets) == 2 else None


def _kind_of(kind: str, *, several: bool) -> str:
    """The task kind that the type of an output says; "" where the data decides."""
    found = _KINDS.get(kind, "")
    return {"regression": "multiregression", "binary": "multilabel"}.get(found, "") if several else found


def _narrowed(data: Any, schema: Mapping[str, str], target: str | Sequence[str], asked_by: str) -> Any:
    """The table with the columns of the schema and the targets only. Raises InputError naming those it lacks.

    target: a column, several as a list or as one text with commas, or "" when it is still to be guessed. asked_by: the
    argument that named it.
    """
    from tools.intake.table import open_table, table_from_frame
    from tools.several import asked_targets

    table = open_table(Path(data)) if isinstance(data, str | PathLike) else table_from_frame(data)
    there = [str(name) for name in table.frame.columns]
    targets = list(map(str, target)) if isinstance(target, list | tuple) else asked_targets(str(target), there)
    wanted = [*(name for name in schema if name not in targets), *targets]
    listed = ", ".join(map(repr, there[:12])) + (", …" if len(there) > 12 else "")
    if missing := [name for name in wanted if name not in there]:
        raise InputError(
            [
                Problem(
                    f"there is no column {name!r}",
                    where=f"{table.where}, {asked_by if name in targets else 'input_schema'}",
                    cure=f"the columns are {listed}",
                )
                for name in missing
            ]
        )
    if not targets:
        # The target is still to be guessed, so every column stays for the guess.
        return table
    kept = [name for name in there if name in wanted]
    table.frame = table.frame[kept]
    table.spec = {**table.spec, "columns": {name: table.spec["columns"][name] for name in kept}}
    return table


def _test_path(data: Any) -> str:
    """Path of the test set; a DataFrame is written to the home folder first, named after its content."""
    if isinstance(data, str | PathLike):
        return fspath(data)
    from tools.disk import writing
    from tools.executors.capture import write_durably
    from tools.home import home, private_folder
    from tools.intake.table import table_from_frame

    buffer = io.BytesIO()
    table_from_frame(data, min_rows=1).frame.to_parquet(buffer, index=False)
    content = buffer.getvalue()
    target = private_folder(home() / "given") / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not target.exists():
        with writing(target):
            write_durably(target, content)
    return str(target)


# ---- telling --------------------------------------------------------------------------------------------------------


def _talk(reasons: bool) -> Callback:
    """Progress on stderr; without reasons only phases and candidates."""
    from graphs.cli.progress import PlainProgress

    shown = PlainProgress()

    def tell(event: dict[str, Any]) -> None:
        if reasons or event["kind"] in {"phase", "task", "candidate", "best", "verdict"}:
            shown(event)

    return tell


def _all(listeners: Sequence[Callback]) -> Callback | None:
    if not listeners:
        return None

    def tell(event: dict[str, Any]) -> None:
        for listener in listeners:
            listener(event)

    return tell


def _manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
