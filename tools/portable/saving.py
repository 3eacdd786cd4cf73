"""Saves fitted models to a folder and loads them again, without pickle wherever the parts of the model allow it.

A model is plain data (numbers, texts, lists, tuples, dicts) with fitted objects somewhere inside it. `model.json` holds
the structure; each array, table or estimator lies in a file of its own, in the format its library means for it:

    numpy arrays            .npy
    pandas tables, columns  .arrow
    LightGBM boosters       .txt     XGBoost .ubj     CatBoost .cbm
    scikit-learn, skrub     .skops   (only types from the libraries in TRUSTED are ever loaded)
    anything else           .pickle  marked unsafe; loading it runs code, so it has to be asked for

Stands alone: nothing is imported but the standard library and the libraries the model itself is made of.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FORMAT = 1
TRUSTED = (
    "sklearn.", "skrub.", "scipy.sparse.", "scipy.stats.", "scipy.interpolate.", "scipy._lib.array_api_compat.",
    "lightgbm.", "xgboost.", "catboost.", "numpy.dtype", "numpy.random.", "numpy.ndarray", "pandas.core.", "pandas.api.",
    "pandas._libs.", "pandas.Categorical", "collections.", "datetime.", "functools.partial",
)  # fmt: skip
"""Beginnings of the dotted names that a .skops file may hold: the types fitted transformers and estimators are made of.
A partial is fine since skops checks the function inside it by the same list."""

Node = dict[str, Any]


def save_model(model: Any, folder: str | Path) -> dict[str, Any]:
    """Write `model` into `folder`, which is made when absent and must hold no other model.

    Returns {"unsafe": True when a part had to be pickled, "files": names of all files written, model.json last}.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(folder)
    tree = writer.store(model)
    content = {"format": FORMAT, "unsafe": writer.unsafe, "model": tree}
    (folder / "model.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return {"unsafe": writer.unsafe, "files": [*writer.files, "model.json"]}


def load_model(folder: str | Path, *, allow_unsafe: bool = False) -> Any:
    """Read what `save_model` wrote.

    Raises ValueError when the format is unknown, when a part is pickled and `allow_unsafe` is not set, or when a
    .skops file holds a type that is not from the libraries in TRUSTED.
    """
    folder = Path(folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(
            f"{folder / 'model.json'} has model format {content.get('format')!r}; this code reads {FORMAT}"
        )
    if content["unsafe"] and not allow_unsafe:
        raise ValueError(
            f"the model in {folder} has pickled parts, and loading those runs code; "
            "pass allow_unsafe=True if you trust where it came from"
        )
    return _load(content["model"], folder)


class _Writer:
    """Stores the parts of one model, giving each file a number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[str] = []
        self.unsafe = False

    def store(self, part: Any) -> Node:
        """Store one part, with everything inside it, and return the node that stands for it in model.json."""
        if part is None or type(part) in (bool, int, str):
            return {"is": "value", "value": part}
        if type(part) is float:
            return {"is": "value", "value": part} if math.isfinite(part) else {"is": "float", "value": repr(part)}
        if type(part) is list or type(part) is tuple:
            return {"is": type(part).__name__, "items": [self.store(item) for item in part]}
        if isinstance(part, Mapping) and type(part).__module__ in ("builtins", "types", "collections"):
            return {"is": "dict", "items": [[self.store(key), self.store(item)] for key, item in part.items()]}
        return self._store_leaf(part)

    def _store_leaf(self, part: Any) -> Node:
        if isinstance(part, np.generic) and part.dtype.kind not in "OV":
            return {"is": "scalar", "file": self._numpy(np.asarray(part))}
        if type(part) is np.ndarray and part.dtype.kind not in "OV":
            return {"is": "array", "file": self._numpy(part)}
        if type(part) is np.ndarray and part.dtype.kind == "O":
            return {"is": "objects", "shape": list(part.shape), "items": [self.store(item) for item in part.ravel()]}
        if isinstance(part, pd.DataFrame | pd.Series | pd.Index):
            return self._pandas(part)
        library = type(part).__module__.partition(".")[0]
        if library in _NATIVE and (node := self._native(part, library)) is not None:
            return node
        if library in ("sklearn", "skrub", "scipy", "lightgbm") and (node := self._skops(part)) is not None:
            return node
        return self._pickle(part)

    def _name(self, suffix: str) -> Path:
        name = f"part_{len(self.files):03d}{suffix}"
        self.files.append(name)
        return self.folder / name

    def _numpy(self, array: np.ndarray) -> str:
        path = self._name(".npy")
        np.save(path, array, allow_pickle=False)
        return path.name

    def _pandas(self, part: pd.DataFrame | pd.Series | pd.Index) -> Node:
        pyarrow = importlib.import_module("pyarrow")
        if isinstance(part, pd.DataFrame):
            kind, frame = "frame", part
        elif isinstance(part, pd.Series):
            kind, frame = "series", part.to_frame(name="values")
        else:
            kind, frame = "index", pd.DataFrame({"values": part})
        table = pyarrow.Table.from_pandas(frame)
        path = self._name(".arrow")
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        name = None if isinstance(part, pd.DataFrame) else self.store(part.name)
        # Arrow knows one kind of text; which columns held Python objects is noted beside it.
        objects = [place for place, dtype in enumerate(frame.dtypes) if pd.api.types.is_object_dtype(dtype)]
        return {"is": kind, "file": path.name, "name": name, "objects": objects}

    def _native(self, part: Any, library: str) -> Node | None:
        suffix, classes = _NATIVE[library]
        if type(part).__name__ not in classes:
            return None
        path = self._name(suffix)
        part.save_model(str(path))
        return {"is": library, "file": path.name, "class": type(part).__name__}

    def _skops(self, part: Any) -> Node | None:
        """Store with skops; None when the object holds something skops cannot store or we would not load again."""
        io = importlib.import_module("skops.io")
        path = self._name(".skops")
        try:
            io.dump(part, path)
            refused = [name for name in io.get_untrusted_types(file=path) if not _trusted(name)]
        except (TypeError, AttributeError, ValueError, NotImplementedError):  # what skops raises for foreign objects
            refused = ["?"]
        if not refused:
            return {"is": "skops", "file": path.name}
        path.unlink(missing_ok=True)
        self.files.remove(path.name)
        return None

    def _pickle(self, part: Any) -> Node:
        self.unsafe = True
        path = self._name(".pickle")
        # A class defined in the program itself can only be stored by value, which is what cloudpickle does.
        dumps = (
            importlib.import_module("cloudpickle").dumps if importlib.util.find_spec("cloudpickle") else pickle.dumps
        )
        path.write_bytes(dumps(part))
        return {"is": "pickle", "file": path.name}


_NATIVE: dict[str, tuple[str, tuple[str, ...]]] = {
    "lightgbm": (".txt", ("Booster",)),
    "xgboost": (".ubj", ("Booster", "XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")),
    "catboost": (".cbm", ("CatBoost", "CatBoostClassifier", "CatBoostRegressor")),
}
"""Library → suffix, and the classes that have a format of their own."""


def _trusted(name: str) -> bool:
    return name.startswith(TRUSTED)


def _load(node: Node, folder: Path) -> Any:
    """Rebuild the part a node of model.json stands for."""
    kind = node["is"]
    if kind == "value":
        return node["value"]
    if kind == "float":
        return float(node["value"])
    if kind in ("list", "tuple"):
        items = [_load(item, folder) for item in node["items"]]
        return tuple(items) if kind == "tuple" else items
    if kind == "dict":
        return {_load(key, folder): _load(item, folder) for key, item in node["items"]}
    if kind == "objects":
        array = np.empty(len(node["items"]), dtype=object)
        array[:] = [_load(item, folder) for item in node["items"]]
        return array.reshape(node["shape"])
    if kind not in _READERS:
        raise ValueError(f"{folder / 'model.json'} names a part of unknown kind {kind!r}; it was written by newer code")
    path = folder / Path(node["file"]).name
    if not path.is_file():
        raise ValueError(f"the model in {folder} is incomplete: {path.name} is missing; copy the whole folder again")
    return _READERS[kind](path, node)


def _read_pandas(path: Path, node: Node) -> pd.DataFrame | pd.Series | pd.Index:
    pyarrow = importlib.import_module("pyarrow")
    with pyarrow.OSFile(str(path), "rb") as source:
        frame: pd.DataFrame = pyarrow.ipc.open_file(source).read_all().to_pandas()
    for place in node["objects"]:
        column = frame.columns[place]
        frame[column] = frame[column].astype(object).where(frame[column].notna(), np.nan)
    if node["is"] == "frame":
        return frame
    name = _load(node["name"], path.parent)
    return frame["values"].rename(name) if node["is"] == "series" else pd.Index(frame["values"].array, name=name)


def _read_native(path: Path, node: Node) -> Any:
    library = importlib.import_module(node["is"])
    if node["is"] == "lightgbm":
        return library.Booster(model_file=str(path))
    model = getattr(library, node["class"])()
    model.load_model(str(path))
    return model


def _read_skops(path: Path, _: Node) -> Any:
    io = importlib.import_module("skops.io")
    named = io.get_untrusted_types(file=path)
    if refused := [name for name in named if not _trusted(name)]:
        raise ValueError(f"{path} holds types that may not be loaded: {', '.join(refused)}")
    return io.load(path, trusted=named)


_READERS: dict[str, Callable[[Path, Node], Any]] = {
    "array": lambda path, _: np.load(path, allow_pickle=False),
    "scalar": lambda path, _: np.load(path, allow_pickle=False)[()],
    "frame": _read_pandas,
    "series": _read_pandas,
    "index": _read_pandas,
    "lightgbm": _read_native,
    "xgboost": _read_native,
    "catboost": _read_native,
    "skops": _read_skops,
    "pickle": lambda path, _: pickle.loads(path.read_bytes()),  # noqa: S301  load_model refused it unless asked for
}
