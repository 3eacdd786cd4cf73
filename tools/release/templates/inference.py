"""Predictions of a released model."""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import importlib
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

with contextlib.suppress(ImportError):  # soon, for skops looks for its functions in all modules before it
    importlib.import_module("scipy.special")
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TRAINING = ROOT / "model_training"
COPY_AGAIN = "copy the model folder again, whole"
BATCH = 20_000
"""Rows predicted at a time; bounds memory, changes no prediction."""


class InputError(ValueError):
    """The rows that were given cannot be predicted; the message says why and what to do."""


class DamagedError(RuntimeError):
    """A file of the model is missing or is not the one that was released."""


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")


class Member(NamedTuple):
    """One fitted program; schema.json says how the predictions of all become one. Fold models share their name."""

    name: str
    weight: float
    program: ModuleType
    model: Any


# ---- nothing is used before its hash was found right ----------------------------------------------------------------


@functools.cache
def released() -> dict[str, str]:
    """Path → SHA-256 of every file of the model, from manifest.json, whose content has a hash of its own in it."""
    path = ROOT / "manifest.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        sealed = content.pop("content_sha256")
        files = {name: entry["sha256"] for name, entry in content["files"].items()}
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing: {COPY_AGAIN}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path} was changed since the model was released: {COPY_AGAIN}") from error
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest() != sealed:
        raise DamagedError(f"{path} was changed since the model was released: {COPY_AGAIN}")
    return files


def content_of(path: Path, sha256: str | None = None) -> bytes:
    """The content of a file. Raises DamagedError, naming it, unless it has this hash, or else that of manifest.json."""
    if not path.is_file():
        raise DamagedError(f"{path} is missing: {COPY_AGAIN}")
    content = path.read_bytes()
    wanted = sha256 or released().get(path.relative_to(ROOT).as_posix())
    if hashlib.sha256(content).hexdigest() != wanted:
        raise DamagedError(f"{path} was changed since the model was released: {COPY_AGAIN}")
    return content


def check_files(folder: Path, expected: dict[str, str]) -> None:
    """Compare every file under `folder` with its SHA-256. Raises DamagedError naming the first difference."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    if odd := sorted(found ^ set(expected)):
        state = "is missing" if odd[0] in expected else "does not belong here"
        raise DamagedError(f"{folder / odd[0]} {state}: {COPY_AGAIN}")
    for name, sha256 in expected.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DamagedError(f"{folder / name} was changed since the model was saved: {COPY_AGAIN}")


# ---- loading --------------------------------------------------------------------------------------------------------


def module_from(path: Path, name: str, sha256: str | None = None) -> ModuleType:
    """Run a Python file as a module called `name`, once its content was found right."""
    source = content_of(path, sha256)
    module = ModuleType(name)
    module.__file__ = str(path)
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module  # dataclasses and pickle look their module up here
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 -- what an import does, from checked bytes
    return module


@functools.cache
def runtime() -> Any:
    """The modules beside this one as one package, so that they can import each other: `reading`, `saving`."""
    package = ModuleType("release_runtime")
    package.__path__ = []  # it has no folder: only what is put in here can be imported from it
    sys.modules[package.__name__] = package
    for name in ("images", "quantities", "reading", "allowed", "ensembles", "words", "saving", "combining"):
        if name in ("images", "quantities") and f"model_inference/{name}.py" not in released():
            continue  # no column needs it
        setattr(package, name, module_from(HERE / f"{name}.py", f"{package.__name__}.{name}"))
    return package


@functools.cache
def schema() -> dict[str, Any]:
    """Columns the model needs, how files are read, and the columns of the output."""
    content: dict[str, Any] = json.loads(content_of(HERE / "schema.json"))
    return content


@functools.cache
def program_of(path: Path, name: str, sha256: str) -> ModuleType:
    """A member's program; fold models of one candidate share theirs."""
    return module_from(path, name, sha256)


def load_member(record: dict[str, Any], models: Path) -> Member:
    """Check one member's files, run its program and load its model."""
    folder = models / record["model"]
    check_files(folder, record["files"])
    if record["unsafe"]:
        say(f"note: the model of {record['candidate']} is a pickle; loading it runs code from it")
    name = record["module"]
    program = program_of(TRAINING / record["program"], name, record["program_sha256"])
    load_model = functools.partial(runtime().saving.load_model, allow_unsafe=record["unsafe"], own=name)
    model = program.load(folder) if record["own_saving"] else load_model(folder)
    return Member(record["candidate"], float(record["weight"]), program, model)


@functools.cache
def load(models: Path = TRAINING) -> tuple[Member, ...]:
    """The model: every member, read once per process. `models` is a folder with a members.json of train.py."""
    path = models / "members.json"
    if models == TRAINING:
        text = content_of(path)
    elif path.is_file():
        text = path.read_bytes()
    else:
        raise DamagedError(f"{path} is missing: {models} is no folder that train.py wrote")
    return tuple(load_member(record, models) for record in json.loads(text))


# ---- predicting -----------------------------------------------------------------------------------------------------


def feature_spec() -> dict[str, Any]:
    """How to read a file of which only the feature columns matter."""
    read = schema()["read"]
    return {**read, "columns": {feature["name"]: read["columns"][feature["name"]] for feature in schema()["features"]}}


def features_of(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The feature columns in the order of training, typed as in training; other columns are left out.

    folder: where paths of images count from.
    """
    names = [feature["name"] for feature in schema()["features"]]
    named = frame.set_axis(list(map(str, frame.columns)), axis=1)
    try:
        typed: pd.DataFrame = runtime().reading.conform(named, {**feature_spec(), "folder": str(folder)})
    except ValueError as error:
        raise InputError(f"{error} (the model needs {len(names)} columns, in any order)") from error
    return typed[names]


def outputs_of(member: Member, X: pd.DataFrame, width: int) -> np.ndarray:
    """One member's predictions, (rows, width), checked: a model that answers nonsense must not go unnoticed."""
    values = np.asarray(member.program.predict(member.model, X), dtype=np.float64)
    values = values.reshape(-1, 1) if width == 1 and values.ndim == 1 else values
    if values.shape != (len(X), width):
        raise DamagedError(
            f"{member.name} predicted an array of shape {values.shape} where {(len(X), width)} was expected"
        )
    if not np.isfinite(values).all():
        raise DamagedError(f"{member.name} predicted values that are not finite")
    return values


def combined(members: Sequence[Member], X: pd.DataFrame, width: int) -> np.ndarray:
    """The members' predictions as one, (rows, width), computed in batches of rows."""
    parts = [np.empty((0, width))]
    names, weights = [member.name for member in members], [member.weight for member in members]
    for start in range(0, len(X), BATCH):
        batch = X.iloc[start : start + BATCH].reset_index(drop=True)
        values = [outputs_of(member, batch, width) for member in members]
        parts.append(runtime().combining.combine(values, names, weights, schema()["combination"]))
    return np.concatenate(parts)


def predict(frame: pd.DataFrame, models: Path = TRAINING, folder: Path = Path()) -> pd.DataFrame:
    """One row per row of `frame`, same order and index: `prediction` and, for classes, `proba_<label>` for each.

    Columns may come in any order and further ones are left out. Paths of images count from `folder`. Raises InputError
    when columns or images are missing.
    """
    classes, targets = schema()["task"]["classes"], schema()["task"].get("targets", [])
    X = features_of(frame, folder)
    with contextlib.redirect_stdout(sys.stderr):  # whatever a library prints must not end up among the predictions
        values = combined(load(models), X, len(classes) or len(targets) or 1)
    if targets:
        return several_targets(values, targets, frame.index)
    if not classes:
        return pd.DataFrame({"prediction": values[:, 0]}, index=frame.index)
    # The element type is taken from the labels: an empty table has no values to take it from.
    labels = np.array(classes, dtype=np.int64 if all(isinstance(label, int) for label in classes) else object)
    table: dict[str, Any] = {"prediction": labels[runtime().combining.decide(values, schema()["combination"])]}
    table.update({f"proba_{label}": values[:, position] for position, label in enumerate(classes)})
    return pd.DataFrame(table, index=frame.index)


def several_targets(values: np.ndarray, targets: Sequence[str], index: pd.Index) -> pd.DataFrame:
    """Columns for several targets: `prediction_<target>` each; of labels 0 or 1, then `proba_<label>` each, and where the
    labels came as tags first `prediction` with those of a chance of at least one half."""
    if schema()["task"]["kind"] != "multilabel":
        return pd.DataFrame({f"prediction_{name}": values[:, i] for i, name in enumerate(targets)}, index=index)
    said, separator, table = values >= 0.5, schema()["tag_separator"], {}
    if separator:
        tags = [separator.join(name for name, yes in zip(targets, row, strict=True) if yes) for row in said]
        table["prediction"] = np.array(tags, dtype=object)
    table.update({f"prediction_{name}": said[:, i].astype(np.int64) for i, name in enumerate(targets)})
    table.update({f"proba_{name}": values[:, i] for i, name in enumerate(targets)})
    return pd.DataFrame(table, index=index)


def read(path: Path) -> pd.DataFrame:
    """The cells of the table in `path`, read as the training data was. Raises InputError naming the file."""
    try:
        frame: pd.DataFrame = runtime().reading.read_raw(path.read_bytes(), feature_spec())
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{path} could not be read: {error}") from error
    return frame


def write(table: pd.DataFrame, output: str) -> None:
    """Write a CSV file in UTF-8, or to standard output when `output` is `-`."""
    content = table.to_csv(index=False, lineterminator="\n").encode("utf-8")
    if output == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}") from error


def say_other_versions() -> None:
    """Tell on standard error when the libraries here are not those of requirements.txt."""
    path = HERE.parent / "requirements.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    differences = []
    for name, wanted in (line.split(";")[0].strip().split("==") for line in lines if "==" in line and line[0] != "#"):
        try:
            found = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            continue  # where it is needed, the import says so
        if found != wanted:
            differences.append(f"{name} {found} instead of {wanted}")
    if differences:
        say(f"note: libraries differ from requirements.txt: {', '.join(differences)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 2 when the input is to blame and 1 when the model folder is; the reason is on standard error."""
    parser = argparse.ArgumentParser(description="Predict every row of a table with this model.")
    parser.add_argument("--input", type=Path, required=True, help="CSV, Parquet or Excel file, also gzipped")
    parser.add_argument("--output", default="-", help="CSV file to write; - writes to standard output (default)")
    parser.add_argument("--models", type=Path, default=TRAINING, help="folder of models trained again with train.py")
    options = parser.parse_args(arguments)
    try:
        say_other_versions()
        folder = options.input.resolve().parent
        write(predict(read(options.input), options.models.resolve(), folder), options.output)
    except InputError as error:
        say(f"error: {error}")
        return 2
    except DamagedError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
