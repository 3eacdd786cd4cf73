"""The child side of a job: loads a program, calls its fit and predict, writes what comes back into `out/`.

Stands alone (standard library, numpy and pandas): it runs in a forked child that has already been confined, and no
module of ours but those of this folder and of `portable` is there. What each kind of job reads and writes:

    fold     program.py features.arrow train.arrow valid.arrow → predictions.npy [model/…]
    fit      program.py features.arrow train.arrow [probe.arrow] → model/… [probe.npy]
    predict  program.py features.arrow model/… → predictions.npy
    explain  as fold → predictions.npy, permuted.npz with arrays p0, p1, … in the order of params["columns"]
    script   any files → whatever the script writes into out/

Every kind but script writes result.json. A failure writes traceback.txt. No score is computed here, and a prediction is
judged by nobody here: it only has to be an array of numbers.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import math
import os
import random
import runpy
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DONE, ERROR, MEMORY, BAD_OUTPUT, DISK = 0, 1, 3, 4, 5
"""Exit codes of a child."""
PORTABLE = "modelwright_portable"
"""Name the warm parent gives to the folder `tools/portable`."""
BATCH = 50_000
"""Rows predicted at a time; bounds memory, changes no prediction."""
_LINES = 60
_OWN_LINES = 24
_SMALL, _MOST_KEPT = 2**20, 64 * 2**20
"""Bytes of the largest fold model that is kept: of a small table, and of a large one."""
_LARGE_TABLE = 100_000
"""Cells from which on a table is large, and a fit may take long."""
_LATENCY_ROWS = 1000
"""Rows that latency is told for."""
_LONG = 0.25
"""Seconds of a prediction beyond which it is not made once more to be timed."""
_NO_NETWORK = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EADDRNOTAVAIL)
_DISK_ERRORS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class BadOutputError(Exception):
    """A program returned something that is no prediction."""


def run(request: Mapping[str, Any]) -> int:
    """Do one job in the working folder `out/`. Returns the exit code; never raises.

    `request` is {folder, kind, params, time_limit, n_jobs, limits, tier}. Writes `out/`, and `traceback.txt` there on failure.
    """
    folder = Path(request["folder"])
    try:
        _KINDS[request["kind"]](folder / "in", folder / "out", request)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:  # noqa: BLE001 - the single boundary: whatever a program raises becomes a record
        if isinstance(error, SystemExit) and request["kind"] == "script" and error.code in (None, 0):
            return DONE
        note = _task_note(error, request) or _sandbox_note(error, str(request.get("tier", "")))
        if note:
            error.add_note(note)
        _write_traceback(folder, error)
        return _exit_code(error)
    return DONE


def _exit_code(error: BaseException) -> int:
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, BadOutputError):
        return BAD_OUTPUT
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return DISK
    return ERROR


def _task_note(error: BaseException, request: Mapping[str, Any]) -> str:
    """That the limit of tasks may be why no process or thread could be started; the system refuses beyond it, too."""
    tasks = request.get("limits", {}).get("tasks")
    if tasks and (isinstance(error, BlockingIOError) or "can't start new thread" in str(error)):
        return f"no further process or thread could be started; the limit is {tasks}"
    return ""


def _sandbox_note(error: BaseException, tier: str) -> str:
    """What a program should know of its sandbox when that may be why it failed; empty otherwise."""
    if not isinstance(error, OSError | EOFError):
        return ""
    number = error.errno if isinstance(error, OSError) else None
    if tier == "T1" and (number in _NO_NETWORK or isinstance(error, socket.gaierror)):
        return "sandbox tier strong (T1): there is no network but the job's own loopback"
    if tier == "T1" and number in (errno.EROFS, errno.EPERM):
        return "sandbox tier strong (T1): a program writes into out/ and its temporary folder, nothing else"
    if tier == "T2" and (
        number in (errno.EACCES, errno.EPERM) or isinstance(error, EOFError) or "AF_UNIX" in str(error)
    ):
        return (
            "sandbox tier standard (T2): a program cannot connect to anything. There is no network, and nothing works "
            "that connects processes through a named socket: multiprocessing.Manager, the start method forkserver, "
            "DataLoader with num_workers > 0. Pools by fork or spawn work when n_jobs is above 1. "
            "It reads libraries and in/, and writes into out/ and its temporary folder, nothing else"
        )
    return ""


# ---- kinds of jobs --------------------------------------------------------------------------------------------------


def _fold(inputs: Path, out: Path, request: Mapping[str, Any]) -> None:
    program, model, facts = _fitted(inputs, request)
    frame = _features(inputs, "valid.arrow")
    started = time.perf_counter()
    predictions = _predict(program, model, frame)
    facts.update(predict_seconds=time.perf_counter() - started, rows=len(predictions))
    _save_array(out / "predictions.npy", predictions)
    if "model_format" in request["params"]:
        facts.update(_latency(program, model, frame, facts["predict_seconds"]))
        facts.update(_saved(program, model, out / "model"))
        # Several of each candidate lie in the store; one of a small table is quickly made again. No clock decides here:
        # a job that is repeated must leave the same.
        large = facts["train_rows"] * len(frame.columns) >= _LARGE_TABLE
        if facts["model_bytes"] > (_MOST_KEPT if large else _SMALL):
            shutil.rmtree(out / "model")
    _write_json(out / "result.json", facts)


def _latency(program: ModuleType, model: Any, frame: pd.DataFrame, first: float) -> dict[str, float]:
    """{predict_ms}: milliseconds to predict 1,000 rows in one call, the model being warm. first: seconds of all rows.

    Rows are taken again where there are fewer. Scaled from the first call where that took long; empty when a program
    cannot predict a row twice, which is no failure of the fold.
    """
    import numpy as np

    if len(frame) >= _LATENCY_ROWS and first > _LONG:
        return {"predict_ms": 1000 * first * _LATENCY_ROWS / len(frame)}
    if first > _LONG:
        return {"predict_ms": 1000 * first}
    rows = frame.take(np.resize(np.arange(len(frame)), _LATENCY_ROWS)).reset_index(drop=True)
    started = time.perf_counter()
    try:
        _predict(program, model, rows)
    except (ArithmeticError, BadOutputError, LookupError, RuntimeError, TypeError, ValueError):
        return {}
    return {"predict_ms": 1000 * (time.perf_counter() - started)}


def _saved(program: ModuleType, model: Any, folder: Path) -> dict[str, Any]:
    """Save a model into a new folder. Returns {own_saving, unsafe, model_bytes}."""
    folder.mkdir()
    facts: dict[str, Any]
    if callable(getattr(program, "save", None)) and callable(getattr(program, "load", None)):
        program.save(model, folder)
        facts = {"own_saving": True, "unsafe": False}
    else:
        facts = {"own_saving": False, "unsafe": bool(portable("saving").save_model(model, folder)["unsafe"])}
    return {**facts, "model_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())}


def _fit(inputs: Path, out: Path, request: Mapping[str, Any]) -> None:
    program, model, facts = _fitted(inputs, request)
    if (inputs / "probe.arrow").exists():
        frame = _features(inputs, "probe.arrow")
        started = time.perf_counter()
        probe = _predict(program, model, frame)
        facts.update(predict_seconds=time.perf_counter() - started)
        _save_array(out / "probe.npy", probe)
    facts.update(_saved(program, model, out / "model"))
    _write_json(out / "result.json", facts)


def _predict_saved(inputs: Path, out: Path, request: Mapping[str, Any]) -> None:
    _seed(int(request["params"].get("seed", 0)))
    program = _load_program(inputs / "program.py")
    # A view: what a program writes into it goes into a copy, for the file itself may be mapped read-only.
    features = portable("tables").read_arrow(inputs / "features.arrow").iloc[:]
    seconds, parts = 0.0, []
    for folder in request["params"].get("models", [""]):
        if request["params"].get("own_saving"):
            model = program.load(inputs / "model" / folder)
        else:
            # A pickle runs code when it is loaded, and here code of this very program is run anyway, in the sandbox.
            model = portable("saving").load_model(inputs / "model" / folder, allow_unsafe=True)
        started = time.perf_counter()
        parts.append(_predict(program, model, features))
        seconds += time.perf_counter() - started
    predictions = parts[0] if len(parts) == 1 else _beside(parts)
    _save_array(out / "predictions.npy", predictions)
    _write_json(out / "result.json", {"predict_seconds": seconds, "rows": len(predictions)})


def _beside(parts: list[np.ndarray]) -> np.ndarray:
    """Predictions of several models of one program, columns beside columns."""
    import numpy as np

    return np.ascontiguousarray(np.column_stack(parts))


def _explain(inputs: Path, out: Path, request: Mapping[str, Any]) -> None:
    import numpy as np

    program, model, facts = _fitted(inputs, request)
    frame = _features(inputs, "valid.arrow")
    started = time.perf_counter()
    predictions = _predict(program, model, frame.copy())
    generator = np.random.default_rng(int(request["params"].get("seed", 0)))
    permuted = {}
    for number, column in enumerate(request["params"].get("columns", [])):
        shuffled = frame.copy()
        shuffled[column] = frame[column].to_numpy()[generator.permutation(len(frame))]
        permuted[f"p{number}"] = _predict(program, model, shuffled)
    facts.update(predict_seconds=time.perf_counter() - started, rows=len(predictions))
    _save_array(out / "predictions.npy", predictions)
    with open(out / "permuted.npz", "wb") as file:
        np.savez(file, **permuted)  # type: ignore[arg-type] # the stubs take every keyword for allow_pickle
    _write_json(out / "result.json", facts)


def _script(inputs: Path, out: Path, request: Mapping[str, Any]) -> None:
    name, *arguments = request["params"]["argv"]
    path = inputs / name
    places = {"in/": inputs, "out/": out}
    sys.argv = [str(path)]
    for argument in map(str, arguments):
        place = places.get(argument[: argument.find("/") + 1])
        sys.argv.append(str(place / argument.partition("/")[2]) if place else argument)
    sys.path.insert(0, str(path.parent))
    _seed(int(request["params"].get("seed", 0)))
    runpy.run_path(str(path), run_name="__main__")


_KINDS: dict[str, Callable[[Path, Path, Mapping[str, Any]], None]] = {
    "fold": _fold,
    "fit": _fit,
    "predict": _predict_saved,
    "explain": _explain,
    "script": _script,
}


# ---- programs -------------------------------------------------------------------------------------------------------


def portable(name: str) -> Any:
    """A module of `tools/portable`; already loaded when the warm parent could load it."""
    return importlib.import_module(f"{PORTABLE}.{name}")


def _load_program(path: Path) -> ModuleType:
    """Import program.py as the module `program`."""
    # So that processes a program starts anew (spawn, loky) can import it, and do not run our own script again.
    sys.path.insert(0, str(path.parent))
    sys.modules["__main__"] = ModuleType("__main__")
    spec = importlib.util.spec_from_file_location("program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["program"] = module
    spec.loader.exec_module(module)
    return module


def _fitted(inputs: Path, request: Mapping[str, Any]) -> tuple[ModuleType, Any, dict[str, Any]]:
    """Load program and training rows and fit. Returns (program, model, first facts for result.json)."""
    params = request["params"]
    seed = int(params.get("seed", 0))
    _seed(seed)
    program = _load_program(inputs / "program.py")
    train = portable("tables").read_arrow(inputs / "train.arrow")
    targets = params["task"].get("targets")
    labels = _several(train, targets, params["task"]) if targets else _labels(train["label"], params["task"])
    frame = _features(inputs, "train.arrow")
    started = time.perf_counter()
    model = program.fit(
        frame,
        labels,
        task=params["task"],
        seed=seed,
        time_limit=request.get("time_limit"),
        n_jobs=int(request.get("n_jobs", 1)),
    )
    facts: dict[str, Any] = {"fit_seconds": time.perf_counter() - started, "train_rows": len(labels)}
    effective = model.get("effective") if isinstance(model, Mapping) else None
    facts["effective"] = plain(effective) if effective else {}
    return program, model, facts


def _seed(seed: int) -> None:
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)


def _labels(values: pd.Series, task: Mapping[str, Any]) -> pd.Series:
    """Labels as a program gets them: float64 to regress; int64, or str in an object column, to classify."""
    import pandas as pd

    if task["kind"] == "regression":
        return pd.Series(values.to_numpy(dtype="float64"), name="label")
    if all(isinstance(label, int) and not isinstance(label, bool) for label in task["classes"]):
        return pd.Series(values.to_numpy().astype("int64"), name="label")
    return pd.Series([str(label) for label in values], dtype="object", name="label")


def _features(inputs: Path, file: str) -> pd.DataFrame:
    """The rows of features.arrow that a file names in its column `row`, in that order; no other row is copied."""
    tables = portable("tables")
    rows = tables.read_arrow(inputs / file, ["row"])["row"].to_numpy().astype("int64")
    frame: pd.DataFrame = tables.read_arrow(inputs / "features.arrow", rows=rows)
    return frame


def _several(train: pd.DataFrame, targets: list[str], task: Mapping[str, Any]) -> pd.DataFrame:
    """Several targets as a program gets them: a column each, float64 to regress, int64 of 0 and 1 for labels."""
    import pandas as pd

    kind = "int64" if task["kind"] == "multilabel" else "float64"
    values = {name: train[f"label_{place}"].to_numpy().astype(kind) for place, name in enumerate(targets)}
    return pd.DataFrame(values)


def _predict(program: ModuleType, model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Predictions of all rows, of many in batches, as a release makes them: what a row needs does not add up."""
    import numpy as np

    starts = range(0, max(1, len(frame)), BATCH)
    if len(starts) == 1:
        return _numbers(program.predict(model, frame))
    parts = [
        _numbers(program.predict(model, frame.iloc[start : start + BATCH].reset_index(drop=True))) for start in starts
    ]
    try:
        return np.concatenate(parts)
    except ValueError as error:
        raise BadOutputError(f"predict returned arrays of different shapes for parts of a table: {error}") from error


def _numbers(values: Any) -> np.ndarray:
    import numpy as np

    try:
        return np.ascontiguousarray(values, dtype="float64")
    except (TypeError, ValueError) as error:
        raise BadOutputError(
            f"predict returned a {type(values).__name__} that is no array of numbers: {error}"
        ) from error


# ---- writing --------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Numpy scalars, arrays, tuples and non-finite numbers as plain JSON data. Raises BadOutputError otherwise."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise BadOutputError(f'model["effective"] holds a {type(value).__name__}; only plain JSON data can be replayed')


def _save_array(path: Path, values: np.ndarray) -> None:
    import numpy as np

    np.save(path, values, allow_pickle=False)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _write_traceback(folder: Path, error: BaseException) -> None:
    """Write out/traceback.txt: at most 60 lines, the program's own frames kept; also print it into the log."""
    text = traceback_text(error, folder / "in")
    print(text, file=sys.stderr)  # noqa: T201 - the log is this process's stderr
    try:
        (folder / "out" / "traceback.txt").write_text(text, encoding="utf-8")
    except OSError:  # the disk limit itself may be what failed; the log has the text
        os.truncate(folder / "out" / "traceback.txt", 0) if (folder / "out" / "traceback.txt").exists() else None


def traceback_text(error: BaseException, inputs: Path) -> str:
    """A traceback as the program's author wants it: without our frames, paths relative to the program."""
    report = traceback.TracebackException.from_exception(error, capture_locals=False)
    own = [number for number, frame in enumerate(report.stack) if frame.filename.startswith(str(inputs))]
    if own:
        report.stack = traceback.StackSummary.from_list(list(report.stack)[own[0] :])
    lines = "".join(report.format()).replace(f"{inputs}/", "").rstrip().splitlines()
    if len(lines) <= _LINES:
        return "\n".join(lines)
    mine = [line for line in _own_frames(report.stack, inputs) if line][:_OWN_LINES]
    tail = lines[-(_LINES - len(mine) - 2) :]
    return "\n".join([*mine, f"  … {len(lines) - len(tail)} lines left out, the last ones follow …", *tail])


def _own_frames(stack: traceback.StackSummary, inputs: Path) -> list[str]:
    own = traceback.StackSummary.from_list([frame for frame in stack if frame.filename.startswith(str(inputs))])
    return "".join(own.format()).replace(f"{inputs}/", "").splitlines()
