"""Saves fitted models to a folder and loads them again, without pickle wherever the parts of the model allow it.

A model is plain data (numbers, texts, lists, tuples, dicts) with fitted objects somewhere inside it. `model.json` holds
the structure; each array, table or estimator lies in a file of its own, in the format its library means for it:

    numpy arrays            .npy
    pandas tables, columns  .arrow
    LightGBM boosters       .txt     XGBoost .ubj     CatBoost .cbm
    trees of scikit-learn   .npz     plain arrays, wherever in an estimator they sit (ensembles.py)
    scikit-learn, skrub     .skops   only names of a fixed list, and of the program's own module (allowed.py)
    vocabularies of these   .json    lists of words (words.py)
    anything else           .pickle  marked unsafe; loading it runs code, so it has to be asked for

Equal models give equal files, byte for byte, whenever and in whichever process they are saved; only a pickle may differ.

Needs allowed.py, ensembles.py and words.py beside it; else nothing is imported but the standard library and the libraries the
model itself is made of.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def _beside(name: str) -> Any:
    """A module that lies beside this one, which may be part of a package or the neighbour of a script."""
    if __package__:
        return importlib.import_module(f"{__package__}.{name}")
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


allowed, ensembles, words = _beside("allowed"), _beside("ensembles"), _beside("words")
FORMAT = 3
OWN = "program"
"""Name under which the module is loaded that made the model and predicts with it."""

_ADDRESSES = ("_stop_words_id",)
"""Attributes of scikit-learn that hold an address in memory, to warn once; it finds another one after loading anyway."""

Node = dict[str, Any]


def save_model(model: Any, folder: str | Path, *, own: str = OWN) -> dict[str, Any]:
    """Write `model` into `folder`, which is made when absent and must hold no other model.

    own: name of the loaded module whose classes the model may be made of. Returns {"unsafe": True when a part had to
    be pickled, "files": names of all files written, model.json last}.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(folder, own)
    tree = writer.store(model)
    content = {"format": FORMAT, "unsafe": writer.unsafe, "model": tree}
    (folder / "model.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return {"unsafe": writer.unsafe, "files": [*writer.files, "model.json"]}


def load_model(folder: str | Path, *, allow_unsafe: bool = False, own: str = OWN) -> Any:
    """Read what `save_model` wrote. own: name of the loaded module whose classes the model may be made of.

    Raises ValueError when the format is unknown, when a part is pickled and `allow_unsafe` is not set, when a file
    holds a type that may not be loaded, and when trees were saved with another scikit-learn or are damaged.
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
    return _Reader(folder, allow_unsafe, own).load(content["model"])


class _Pickled(Exception):
    """A part of an estimator could only be pickled."""


class _Writer:
    """Stores the parts of one model, giving each file a number."""

    def __init__(self, folder: Path, own: str) -> None:
        self.folder = folder
        self.own = own
        self.files: list[str] = []
        self.unsafe = False
        self._inside = 0

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
        if ensembles.holds_trees(part, self.own) and (node := self._arrays(part)) is not None:
            return node
        return self._skops(part) or self._pickle(part)

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

    def _arrays(self, part: Any) -> Node | None:
        """Store an estimator with its trees as arrays; None when something in it can only be pickled."""
        known = len(self.files)
        path = self._name(".npz")
        self._inside += 1
        try:
            tree, arrays = ensembles.take_apart(part, self.store, self.own)
        except (_Pickled, TypeError):
            for name in self.files[known:]:
                (self.folder / name).unlink(missing_ok=True)
            del self.files[known:]
            return None
        finally:
            self._inside -= 1
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return {"is": "estimator", "file": path.name, "tree": tree}

    def _skops(self, part: Any) -> Node | None:
        """Store with skops; None when the object holds something skops cannot store or we would not load again."""
        with words.words_apart(part, self.own) as vocabularies:
            try:
                content = _dumped(part)
            except (TypeError, AttributeError, ValueError, NotImplementedError, RecursionError):  # for foreign objects
                return None
        if allowed.refused(_schema(content), self.own):
            return None
        path = self._name(".skops")
        path.write_bytes(_settled(content))
        node: Node = {"is": "skops", "file": path.name}
        if vocabularies:
            apart = self._name(".json")
            apart.write_text(json.dumps(vocabularies), encoding="ascii")
            node["words"] = apart.name
        return node

    def _pickle(self, part: Any) -> Node:
        if self._inside:
            raise _Pickled
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


_KNOWN_SKOPS = "0.16."
"""The versions whose inner functions `_dumped` calls."""


def _dumped(part: Any) -> bytes:
    """What `skops.io.dumps` gives, with its description on one line: indenting that took more than half of a save."""
    skops = importlib.import_module("skops")
    if not skops.__version__.startswith(_KNOWN_SKOPS):
        content: bytes = importlib.import_module("skops.io").dumps(part)
        return content
    inner = importlib.import_module("skops.io._persist")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        context = inner.SaveContext(zip_file=file)
        state = inner.get_state(part, context)
        context.clear_memo()  # until here it kept what was made on the way, so that no two parts had one address
        state |= {"protocol": context.protocol, "_skops_version": skops.__version__}
        file.writestr("schema.json", json.dumps(state))
    return made.getvalue()


def _schema(content: bytes) -> dict[str, Any]:
    """The description in a .skops file: which types it holds, and how they are put together."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        schema: dict[str, Any] = json.loads(file.read("schema.json"))
    return schema


def _settled(content: bytes) -> bytes:
    """A .skops file without the traces of its making: skops names parts by their address in memory and dates them."""
    numbers: dict[str, int] = {}

    def settle(node: Any) -> Any:
        if isinstance(node, list):
            return [settle(item) for item in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("__id__"), int):
            node = {**node, "__id__": number(str(node["__id__"]))}
        if isinstance(node.get("file"), str):
            node = {**node, "file": renamed(node["file"])}
        for name in _ADDRESSES:
            if isinstance(node.get(name), dict) and "content" in node[name]:
                node = {**node, name: {**node[name], "content": "0"}}
        return {key: settle(item) for key, item in node.items()}

    def number(identity: str) -> int:
        return numbers.setdefault(identity, len(numbers) + 1)

    def renamed(name: str) -> str:
        stem, dot, suffix = name.partition(".")
        return f"{number(stem)}{dot}{suffix}"

    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        schema = json.dumps(settle(json.loads(old.read("schema.json"))))  # indented it takes much longer, and space
        parts = {renamed(name): old.read(name) for name in old.namelist() if name != "schema.json"}
        for name, part in [*sorted(parts.items()), ("schema.json", schema.encode())]:
            new.writestr(zipfile.ZipInfo(name), part)  # a ZipInfo of its own has the date 1980-01-01
    return made.getvalue()


class _Reader:
    """Loads the parts of one model."""

    def __init__(self, folder: Path, allow_unsafe: bool, own: str) -> None:
        self.folder = folder
        self.allow_unsafe = allow_unsafe
        self.own = own
        self._readers: dict[str, Callable[[Path, Node], Any]] = {
            "array": lambda path, _: np.load(path, allow_pickle=False),
            "scalar": lambda path, _: np.load(path, allow_pickle=False)[()],
            "frame": self._pandas,
            "series": self._pandas,
            "index": self._pandas,
            "lightgbm": self._native,
            "xgboost": self._native,
            "catboost": self._native,
            "estimator": self._estimator,
            "skops": self._skops,
            "pickle": self._pickle,
        }

    def load(self, node: Node) -> Any:
        """Rebuild the part a node of model.json stands for."""
        kind = node["is"]
        if kind == "value":
            return node["value"]
        if kind == "float":
            return float(node["value"])
        if kind in ("list", "tuple"):
            items = [self.load(item) for item in node["items"]]
            return tuple(items) if kind == "tuple" else items
        if kind == "dict":
            return {self.load(key): self.load(item) for key, item in node["items"]}
        if kind == "objects":
            array = np.empty(len(node["items"]), dtype=object)
            array[:] = [self.load(item) for item in node["items"]]
            return array.reshape(node["shape"])
        if kind not in self._readers:
            raise ValueError(
                f"{self.folder / 'model.json'} names a part of unknown kind {kind!r}; it was written by newer code"
            )
        path = self.folder / Path(node["file"]).name
        if not path.is_file():
            raise ValueError(
                f"the model in {self.folder} is incomplete: {path.name} is missing; copy the whole folder again"
            )
        return self._readers[kind](path, node)

    def _pandas(self, path: Path, node: Node) -> pd.DataFrame | pd.Series | pd.Index:
        pyarrow = importlib.import_module("pyarrow")
        with pyarrow.OSFile(str(path), "rb") as source:
            frame: pd.DataFrame = pyarrow.ipc.open_file(source).read_all().to_pandas()
        for place in node["objects"]:
            column = frame.columns[place]
            frame[column] = frame[column].astype(object).where(frame[column].notna(), np.nan)
        if node["is"] == "frame":
            return frame
        name = self.load(node["name"])
        return frame["values"].rename(name) if node["is"] == "series" else pd.Index(frame["values"].array, name=name)

    def _native(self, path: Path, node: Node) -> Any:
        library = importlib.import_module(node["is"])
        if node["is"] == "lightgbm":
            return library.Booster(model_file=str(path))
        if node["class"] not in _NATIVE[node["is"]][1]:
            raise ValueError(f"{path} is said to be a {node['class']!r}, which has no format of its own")
        model = getattr(library, node["class"])()
        model.load_model(str(path))
        return model

    def _estimator(self, path: Path, node: Node) -> Any:
        with np.load(path, allow_pickle=False) as arrays:
            try:
                return ensembles.put_together(node["tree"], dict(arrays), self.load, self.own)
            except ValueError as error:
                raise ValueError(f"{path} cannot be loaded: {error}") from error

    def _skops(self, path: Path, node: Node) -> Any:
        content = path.read_bytes()
        schema = _schema(content)
        if refused := allowed.refused(schema, self.own):
            raise ValueError(f"{path} holds types that may not be loaded: {', '.join(refused)}")
        part = importlib.import_module("skops.io").loads(content, trusted=allowed.names_in(schema))
        if "words" in node:
            apart = self.folder / Path(node["words"]).name
            try:
                words.put_words_back(part, json.loads(apart.read_text(encoding="utf-8")), self.own)
            except (OSError, ValueError) as error:
                raise ValueError(f"{apart} cannot be used: {error}; copy the whole folder again") from error
        return part

    def _pickle(self, path: Path, _: Node) -> Any:
        # model.json may be wrong about the whole, so the part is asked again.
        if not self.allow_unsafe:
            raise ValueError(f"{path} is a pickle, and loading it runs code; pass allow_unsafe=True if you trust it")
        return pickle.loads(path.read_bytes())  # noqa: S301  the caller has asked for it in so many words
