"""Trains a released model again."""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import importlib
import json
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

with contextlib.suppress(ImportError):  # soon, for skops looks for its functions in all modules before it
    importlib.import_module("scipy.special")
import pandas as pd

HERE = Path(__file__).resolve().parent
INFERENCE = HERE.parent / "model_inference"


class InputError(ValueError):
    """The data that was given cannot be trained on; the message says why and what to do."""


def say(text: str) -> None:
    """One line of progress on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def module_from(path: Path, name: str) -> ModuleType:
    """Run a Python file as a module called `name`."""
    if not path.is_file():
        raise InputError(f"{path} is missing: copy the model folder again, whole")
    module = ModuleType(name)
    module.__file__ = str(path)
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module  # dataclasses and pickle look their module up here
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 -- what an import does
    return module


@functools.cache
def runtime() -> Any:
    """The modules of ../model_inference as one package, so that they can import each other: `reading`, `saving`."""
    package = ModuleType("release_runtime")
    package.__path__ = []  # it has no folder: only what is put in here can be imported from it
    sys.modules[package.__name__] = package
    for name in ("images", "quantities", "reading", "allowed", "ensembles", "words", "saving", "combining"):
        if name in ("images", "quantities") and not (INFERENCE / f"{name}.py").is_file():
            continue  # no column needs it
        setattr(package, name, module_from(INFERENCE / f"{name}.py", f"{package.__name__}.{name}"))
    return package


def canonical_labels(column: pd.Series, classes: list[Any]) -> pd.Series:
    """The values of a class column as the labels of the task. Raises InputError listing labels it does not know."""
    known: dict[Any, Any] = {str(label): label for label in classes}
    numbers = {float(label): label for label in classes if _is_number(label)}

    def label_of(value: Any) -> Any:
        return known.get(str(value), numbers.get(float(value)) if _is_number(value) else None)

    table = {value: label_of(value) for value in column.unique()}
    if unknown := sorted(str(value) for value, label in table.items() if label is None):
        raise InputError(
            f"column {column.name!r} holds labels the model was not made for: {', '.join(map(repr, unknown[:10]))}; "
            f"it knows {', '.join(map(repr, classes))}"
        )
    whole = all(isinstance(label, int) for label in classes)
    return pd.Series([table[value] for value in column], name="label", dtype="int64" if whole else "object")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def read(path: Path, schema: dict[str, Any]) -> pd.DataFrame:
    """The rows of one file that have a label. Raises InputError naming the file."""
    columns = schema["target_columns"]
    try:
        frame: pd.DataFrame = runtime().reading.read_table(path, schema["read"])
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{path} cannot be trained on: {error}") from error
    labelled = frame[frame[columns].notna().all(axis=1)]
    say(f"{path}: {len(frame)} rows, {len(frame) - len(labelled)} of them left out for lack of a {schema['target']!r}")
    wanted: pd.DataFrame = labelled[list(schema["read"]["columns"])]
    return wanted


def training_rows(paths: Sequence[Path], schema: dict[str, Any]) -> tuple[pd.DataFrame, pd.Series | pd.DataFrame]:
    """Features and labels of every row with a label, in the order of the files; several targets as a column each."""
    target, names = schema["target"], [feature["name"] for feature in schema["features"]]
    frame = pd.concat([read(path, schema) for path in paths], ignore_index=True)
    if frame.empty:
        raise InputError(f"no row has a value in {target!r}, the column to predict")
    if schema["task"].get("targets"):
        return frame[names], several_labels(frame, schema)
    if classes := schema["task"]["classes"]:
        return frame[names], canonical_labels(frame[target], classes)
    return frame[names], frame[target].astype("float64").rename("label")


def several_labels(frame: pd.DataFrame, schema: dict[str, Any]) -> pd.DataFrame:
    """Several targets, a column each: numbers, or 0 and 1 read from numbers, from two texts, or from a column of tags."""
    targets, separator = schema["task"]["targets"], schema["tag_separator"]
    if separator:
        cells = [set(tags_of(str(text), separator)) for text in frame[schema["target_columns"][0]]]
        return pd.DataFrame({name: [int(name in tags) for tags in cells] for name in targets}, dtype="int64")
    labels = schema["task"]["kind"] == "multilabel"
    columns = {}
    for name, texts in zip(targets, schema["target_texts"] or [[]] * len(targets), strict=True):
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            column = column.astype(str) == texts[1]
        columns[name] = column.astype("int64" if labels else "float64")
    return pd.DataFrame(columns)


def tags_of(text: str, separator: str) -> list[str]:
    """The tags of one cell: parts without blanks, brackets and quotes."""
    parts = re.sub(r"^[\[\(\{]|[\]\)\}]$", "", text.strip()).split(separator)
    return [tag for part in parts if (tag := part.strip().strip("'\"").strip())]


def released_rows(y: pd.Series | pd.DataFrame, schema: dict[str, Any]) -> np.ndarray | None:
    """Positions, in fitting order, of the rows the released model was fitted on; None when this is other data.

    Order matters: many learners draw rows by position, so only the same order gives the same model again.
    """
    path = HERE / "rows.npy"
    if not path.is_file() or labels_hash(y) != schema["training"]["labels"]:
        return None
    rows: np.ndarray = np.load(path, allow_pickle=False)
    return rows


def rows_of(record: dict[str, Any], count: int, rows: int, *, known: bool) -> np.ndarray | slice:
    """Which of the rows a model is fitted on, in fitting order: all, those outside its fold, or a part for lack of time.

    known: the rows are those of the released model, whose folds and parts are known; of other rows none is left out but
    those of a fold, where there are `count` > 1 to deal them into.
    """
    if known and record["rows"]:
        places: np.ndarray = np.load(HERE / record["rows"], allow_pickle=False)
        return places
    if record["fold"] is None or count < 2:
        return slice(None)
    return np.flatnonzero(np.arange(rows) % count != record["fold"] % count)


def labels_hash(y: pd.Series | pd.DataFrame) -> str:
    """What training data is recognised by: SHA-256 over the labels in the order of the file."""
    values = y.tolist() if isinstance(y, pd.Series) else y.to_numpy(dtype="float64").tolist()
    return hashlib.sha256("\n".join(map(str, values)).encode("utf-8")).hexdigest()


def fit_member(
    record: dict[str, Any],
    X: pd.DataFrame,
    y: pd.Series | pd.DataFrame,
    schema: dict[str, Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Fit one member and write its model under the output folder. Returns its line of members.json."""
    name, folder = record["candidate"], options.output / Path(record["model"]).name
    path = HERE / record["program"]
    program = module_from(path, record["module"])
    task = dict(schema["task"])
    if record["effective"]:
        task["effective"] = record["effective"]  # what the released fit arrived at; replayed without a clock
    limit = None if record["effective"] else options.time_limit
    random.seed(options.seed)
    np.random.seed(options.seed % 2**32)
    started = time.monotonic()
    model = program.fit(X, y, task=task, seed=options.seed, time_limit=limit, n_jobs=options.jobs)
    folder.mkdir(parents=True)
    if record["own_saving"]:
        program.save(model, folder)
        unsafe = record["unsafe"]
    else:
        unsafe = runtime().saving.save_model(model, folder, own=record["module"])["unsafe"]
    say(f"{name}: fitted in {time.monotonic() - started:.1f} s, saved to {folder}")
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    # The program is named with the hash it has now: whoever changes it and trains again gets a model that fits it.
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {**record, "program_sha256": sha256, "model": folder.name, "files": files, "unsafe": unsafe}


def train(options: argparse.Namespace) -> None:
    """Fit every member on the data and write models and members.json to the output folder."""
    schema = json.loads((INFERENCE / "schema.json").read_text("utf-8"))
    options.seed = schema["training"]["seed"] if options.seed is None else options.seed
    options.jobs = options.jobs or schema["training"]["n_jobs"]
    if options.output.exists() and any(options.output.iterdir()):
        raise InputError(f"{options.output} is not empty; name another folder with --output")
    X, y = training_rows(options.data, schema)
    rows = released_rows(y, schema)
    if rows is None:
        say(f"using every row: these are not known to be the rows of the released model ({len(y)} rows)")
    else:
        X, y = X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)
        say(f"this is the data the released model was fitted on: using the same {len(rows)} rows in the same order")
    members = json.loads((HERE / "members.json").read_text("utf-8"))
    count = len({record["fold"] for record in members})
    written = []
    for record in members:
        places = rows_of(record, count, len(y), known=rows is not None)
        part = X.iloc[places].reset_index(drop=True), y.iloc[places].reset_index(drop=True)
        written.append(fit_member(record, *part, schema, options))
    content = json.dumps(written, indent=2, ensure_ascii=False, allow_nan=False)
    (options.output / "members.json").write_text(content + "\n", "utf-8")
    say(f"done; predict with: python {INFERENCE / 'inference.py'} --models {options.output} --input new.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 2 when the data or an option is to blame; the reason is on standard error."""
    parser = argparse.ArgumentParser(description="Train this model again: its programs, its parameters.")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="tables with the features and the target")
    parser.add_argument("--output", type=Path, default=Path("training_artifacts"), help="new folder for the models")
    parser.add_argument("--seed", type=int, default=None, help="random seed (default: that of the release)")
    parser.add_argument("--jobs", type=int, default=0, help="threads (default: as for the release)")
    parser.add_argument("--time-limit", type=float, default=3600.0, help="seconds told to programs that need a limit")
    try:
        train(parser.parse_args(arguments))
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
