"""Tree ensembles of scikit-learn as plain arrays, to the last bit: no pickle, and much quicker than one file per tree.

An estimator is taken apart into JSON (its class and parameters) and named arrays. The nodes of all its trees lie one
behind the other, one array per field, in the smallest type that holds the values; what trees share is written once.
Estimators that hold ensembles (pipelines, votings, calibrations, …) are taken apart too, so that a forest is reached
wherever it sits; every other part is handed to the caller. Put together again are estimators of the classes in HOLDERS
and of the program's own module only, and only when every child and feature number of every tree lies within bounds:
scikit-learn itself follows them without a look.

Stands alone: imports numpy and, when there is something to do, the libraries the estimators are from.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

Node = dict[str, Any]
Arrays = dict[str, Any]
"""Name → array."""

_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting"
_CLASSES = {
    "sklearn.tree._classes": " ".join(_TREES),
    "sklearn.ensemble._forest": "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor "
    "RandomTreesEmbedding",
    "sklearn.ensemble._gb": "GradientBoostingClassifier GradientBoostingRegressor",
    f"{_HISTOGRAM}.gradient_boosting": "HistGradientBoostingClassifier HistGradientBoostingRegressor",
    "sklearn.ensemble._iforest": "IsolationForest",
    "sklearn.ensemble._bagging": "BaggingClassifier BaggingRegressor",
    "sklearn.ensemble._weight_boosting": "AdaBoostClassifier AdaBoostRegressor",
    "sklearn.ensemble._voting": "VotingClassifier VotingRegressor",
    "sklearn.ensemble._stacking": "StackingClassifier StackingRegressor",
    "sklearn.pipeline": "Pipeline FeatureUnion",
    "sklearn.compose._column_transformer": "ColumnTransformer",
    "sklearn.compose._target": "TransformedTargetRegressor",
    "sklearn.multiclass": "OneVsRestClassifier OneVsOneClassifier OutputCodeClassifier",
    "sklearn.multioutput": "MultiOutputClassifier MultiOutputRegressor ClassifierChain RegressorChain",
    "sklearn.calibration": "CalibratedClassifierCV _CalibratedClassifier",
    "sklearn.feature_selection._from_model": "SelectFromModel",
    "sklearn.feature_selection._rfe": "RFE RFECV",
    "sklearn.model_selection._search": "GridSearchCV RandomizedSearchCV",
    "sklearn.model_selection._classification_threshold": "FixedThresholdClassifier TunedThresholdClassifierCV",
    "sklearn.semi_supervised._self_training": "SelfTrainingClassifier",
    "sklearn.frozen._frozen": "FrozenEstimator",
    "lightgbm.sklearn": "LGBMClassifier LGBMRegressor",
}
HOLDERS = frozenset(f"{module}.{name}" for module, names in _CLASSES.items() for name in names.split())
"""The classes that are taken apart. None of them runs code of its file when its attributes are set."""
_SINGLE_TREES = frozenset(f"sklearn.tree._classes.{name}" for name in _TREES)
_PREDICTOR = f"{_HISTOGRAM}.predictor.TreePredictor"
_BITS = ("binned_left_cat_bitsets", "raw_left_cat_bitsets")
_NATIVE = ("lightgbm.basic.Booster", "xgboost.", "catboost.")
"""Beginnings of the names of models that have a format of their own; `store` knows it."""
_BUNCH = "sklearn.utils._bunch.Bunch"


def name_of(kind: type) -> str:
    """The dotted name of a class."""
    return f"{kind.__module__}.{kind.__name__}"


def holds_trees(part: Any, own: str = "") -> bool:
    """Whether an estimator is, or has somewhere inside, trees or a model with a format of its own library.

    own: name of the program's own module; its objects are looked through too.
    """
    return _holds(part, own, set())


def take_apart(part: Any, store: Callable[[Any], Node], own: str = "") -> tuple[Node, Arrays]:
    """JSON and named arrays that `put_together` makes the estimator of again.

    store: what to do with parts that are no trees and hold none; returns JSON. Raises TypeError for an object without
    plain attributes.
    """
    taking = _Taking(store, own)
    return {"scikit-learn": _version(), "root": taking.node(part)}, taking.arrays


def put_together(node: Node, arrays: Mapping[str, Any], load: Callable[[Node], Any], own: str = "") -> Any:
    """The estimator that `take_apart` took apart. load: the inverse of its `store`.

    Raises ValueError when the trees were saved with another minor version of scikit-learn, when a class is not one of
    HOLDERS or of the module `own`, and when trees point outside themselves or outside the columns.
    """
    if node["scikit-learn"] != _version():
        raise ValueError(
            f"its trees were saved with scikit-learn {node['scikit-learn']}, and {_version()} is installed; "
            "install the libraries of requirements.txt"
        )
    return _Putting(arrays, load, own).part(node["root"])


def _version() -> str:
    """Major and minor version of scikit-learn: the layout of trees changes with those only."""
    version: str = importlib.import_module("sklearn").__version__
    return ".".join(version.split(".")[:2])


def _holds(part: Any, own: str, seen: set[int]) -> bool:
    kind = type(part)
    if kind in (str, int, float, bool, type(None)) or id(part) in seen:
        return False
    seen.add(id(part))
    name = name_of(kind)
    if name in _SINGLE_TREES:
        return hasattr(part, "tree_")
    if name == _PREDICTOR or name.startswith(_NATIVE):
        return True
    if isinstance(part, Mapping):
        return any(_holds(item, own, seen) for item in part.values())
    if kind in (list, tuple):
        return any(_holds(item, own, seen) for item in part)
    if kind is np.ndarray and part.dtype.kind == "O":
        return any(_holds(item, own, seen) for item in part.ravel())
    if name in HOLDERS or (own and kind.__module__ == own):
        return any(_holds(item, own, seen) for item in getattr(part, "__dict__", {}).values())
    return False


# ---- taking apart ---------------------------------------------------------------------------------------------------


class _Taking:
    """Takes one estimator apart; `arrays` fills up on the way."""

    def __init__(self, store: Callable[[Any], Node], own: str) -> None:
        self.store = store
        self.own = own
        self.arrays: Arrays = {}
        self.numbers: dict[int, int] = {}

    def node(self, part: Any) -> Node:
        """JSON for one part with everything inside it."""
        kind: type = type(part)
        if part is None or kind in (bool, int, str) or (kind is float and math.isfinite(part)):
            return {"is": "value", "value": part}
        if (kind is np.ndarray or issubclass(kind, np.generic)) and part.dtype.kind not in "OV":
            return {"is": "array" if kind is np.ndarray else "scalar", "array": self.put(np.asarray(part))}
        if kind is np.ndarray and part.dtype.kind == "O":
            return {"is": "objects", "shape": list(part.shape), "items": self.node(part.ravel().tolist())}
        if kind is list or kind is tuple:
            return {"is": kind.__name__, **self._items(list(part))}
        if kind is dict or name_of(kind) == _BUNCH:
            pairs = [[self.node(key), self.node(item)] for key, item in part.items()]
            return {"is": "dict" if kind is dict else "bunch", "pairs": pairs}
        known = name_of(kind) in HOLDERS or (self.own and kind.__module__ == self.own)
        apart = name_of(kind) in _SINGLE_TREES or (known and holds_trees(part, self.own))
        return self._object(part) if apart else {"is": "part", "part": self.store(part)}

    def put(self, array: Any) -> str:
        """Name under which an array is kept."""
        name = f"a{len(self.arrays):04d}"
        self.arrays[name] = np.ascontiguousarray(array).reshape(np.shape(array))
        return name

    def _object(self, part: Any) -> Node:
        if id(part) in self.numbers:
            return {"is": "again", "number": self.numbers[id(part)]}
        number = self.numbers[id(part)] = len(self.numbers)
        if name_of(type(part)) in _SINGLE_TREES and hasattr(part, "tree_"):
            return {"is": "tree", "number": number, **self._trees([part])}
        state = part.__getstate__()
        if not isinstance(state, dict) or isinstance(part, Mapping | list | tuple | set | str | bytes | np.ndarray):
            raise TypeError(f"a {type(part).__name__} keeps more than plain attributes")
        attributes = {name: self.node(value) for name, value in state.items()}
        return {"is": "object", "number": number, "class": name_of(type(part)), "attributes": attributes}

    def _items(self, items: list[Any]) -> Node:
        """Items of a list: trees of one kind all at once, others one by one."""
        names = {name_of(type(item)) for item in items}
        if len(items) > 1 and len(names) == 1 and names <= _SINGLE_TREES and _alike(items):
            return {"trees": self._trees(items)}
        if items and names == {"builtins.list"}:
            flat = [item for part in items for item in part]
            if flat and {name_of(type(item)) for item in flat} == {_PREDICTOR}:
                return {"predictors": self._predictors(flat), "lengths": [len(part) for part in items]}
        return {"items": [self.node(item) for item in items]}

    def _trees(self, trees: list[Any]) -> Node:
        """Fitted trees of one class: what they share once, what differs one by one, their nodes in columns."""
        states = [tree.__getstate__() for tree in trees]
        inner = [state.pop("tree_") for state in states]
        parts = [tree.__getstate__() for tree in inner]
        same = {name for name in states[0] if all(_equal(state.get(name), states[0][name]) for state in states)}
        return {
            "class": name_of(type(trees[0])),
            "same": {name: self.node(states[0][name]) for name in states[0] if name in same},
            "each": [{name: self.node(value) for name, value in state.items() if name not in same} for state in states],
            "features": int(inner[0].n_features),
            "outputs": int(inner[0].n_outputs),
            "classes": [int(count) for count in np.atleast_1d(inner[0].n_classes)],
            "depths": [int(part["max_depth"]) for part in parts],
            "counts": [int(part["node_count"]) for part in parts],
            "nodes": self._columns([part["nodes"] for part in parts]),
            "values": self.put(np.concatenate([part["values"] for part in parts])),
        }

    def _predictors(self, predictors: list[Any]) -> Node:
        """The trees of a histogram boosting: their nodes in columns, and the bits of their categories."""
        bits = {name: [getattr(one, name) for one in predictors] for name in _BITS}
        return {
            "counts": [len(one.nodes) for one in predictors],
            "nodes": self._columns([one.nodes for one in predictors]),
            "bit_counts": [len(one) for one in bits[_BITS[0]]],
            "bits": {name: self.put(np.concatenate(parts)) for name, parts in bits.items()},
        }

    def _columns(self, parts: list[Any]) -> dict[str, str]:
        """The fields of structured arrays, joined; field → name of its array."""
        names = parts[0].dtype.names
        return {name: self.put(_narrow(np.concatenate([part[name] for part in parts]))) for name in names}


def _alike(trees: list[Any]) -> bool:
    """Whether fitted trees have the same attributes, columns, outputs and classes."""
    if not all(hasattr(tree, "tree_") for tree in trees):
        return False
    facts = {
        (tree.tree_.n_features, tree.tree_.n_outputs, tuple(np.atleast_1d(tree.tree_.n_classes)), tuple(vars(tree)))
        for tree in trees
    }
    return len(facts) == 1


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return isinstance(one, bool | int | float | str | np.generic) and bool(one == other)


def _narrow(values: Any) -> Any:
    """The same numbers in the smallest type that holds them: whole numbers as integers."""
    if values.dtype.kind == "f":
        whole = np.abs(values) < 2.0**31
        if not (whole.all() and (values == np.floor(values)).all()) or np.signbit(values[values == 0]).any():
            return values
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu" or not len(values):
        return values
    low, high = int(values.min()), int(values.max())
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values


# ---- putting together -----------------------------------------------------------------------------------------------


class _Putting:
    """Puts one estimator together."""

    def __init__(self, arrays: Mapping[str, Any], load: Callable[[Node], Any], own: str) -> None:
        self.arrays = arrays
        self.load = load
        self.own = own
        self.made: dict[int, Any] = {}

    def part(self, node: Node) -> Any:
        """The part a node stands for."""
        kind = node["is"]
        if kind == "value":
            return node["value"]
        if kind == "array":
            return self.arrays[node["array"]]
        if kind == "scalar":
            return self.arrays[node["array"]][()]
        if kind in ("list", "tuple"):
            items = self._items(node)
            return tuple(items) if kind == "tuple" else items
        if kind == "objects":
            items = self.part(node["items"])
            array = np.empty(len(items), dtype=object)
            array[:] = items
            return array.reshape(node["shape"])
        if kind in ("dict", "bunch"):
            content = {self.part(key): self.part(item) for key, item in node["pairs"]}
            return content if kind == "dict" else importlib.import_module("sklearn.utils").Bunch(**content)
        return self.load(node["part"]) if kind == "part" else self._object(node)

    def _object(self, node: Node) -> Any:
        if node["is"] == "again":
            return self.made[node["number"]]
        if node["is"] == "tree":
            made = self._trees(node)[0]
        else:
            state = {name: self.part(value) for name, value in node["attributes"].items()}
            made = _filled(self._class(node["class"]), state)
            _check_columns(made)
        self.made[node["number"]] = made
        return made

    def _class(self, name: str) -> type:
        module, _, last = name.rpartition(".")
        if name not in HOLDERS and not (self.own and module == self.own):
            raise ValueError(f"{name!r} is no class that may be loaded from arrays")
        found = getattr(sys.modules.get(module) or importlib.import_module(module), last)
        if not isinstance(found, type) or found.__module__ != module:
            raise ValueError(f"{name!r} is no class of {module!r}")
        return found

    def _items(self, node: Node) -> list[Any]:
        if "trees" in node:
            return self._trees(node["trees"])
        if "predictors" in node:
            flat = self._predictors(node["predictors"])
            ends = np.cumsum([0, *node["lengths"]])
            return [flat[start:end] for start, end in pairwise(ends)]
        return [self.part(item) for item in node["items"]]

    def _trees(self, node: Node) -> list[Any]:
        if node["class"] not in _SINGLE_TREES:
            raise ValueError(f"{node['class']!r} is no class of trees")
        kind, inner = self._class(node["class"]), importlib.import_module("sklearn.tree._tree").Tree
        counts, values = np.array(node["counts"]), self.arrays[node["values"]]
        nodes = self._nodes(node["nodes"], _node_type("sklearn.tree._tree", "NODE_DTYPE"), counts)
        _check_nodes(counts, nodes["left_child"], nodes["right_child"], nodes["left_child"] == -1)
        inside = nodes["left_child"] != -1
        _check(((nodes["feature"] >= 0) & (nodes["feature"] < node["features"]))[inside].all(), "a column of its own")
        same, ends, made = {name: self.part(one) for name, one in node["same"].items()}, np.cumsum([0, *counts]), []
        for place, (start, end) in enumerate(pairwise(ends)):
            tree = inner(node["features"], np.array(node["classes"], dtype=np.intp), node["outputs"])
            tree.__setstate__(
                {
                    "max_depth": node["depths"][place],
                    "node_count": int(end - start),
                    "nodes": nodes[start:end],
                    "values": values[start:end],
                }
            )
            own = {name: self.part(one) for name, one in node["each"][place].items()}
            made.append(_filled(kind, {**same, **own, "tree_": tree}))
        return made

    def _predictors(self, node: Node) -> list[Any]:
        kind = importlib.import_module(f"{_HISTOGRAM}.predictor").TreePredictor
        counts = np.array(node["counts"])
        nodes = self._nodes(node["nodes"], _node_type(f"{_HISTOGRAM}.common", "PREDICTOR_RECORD_DTYPE"), counts)
        leaf = nodes["is_leaf"].astype(bool)
        _check_nodes(counts, nodes["left"], nodes["right"], leaf)
        choices = np.repeat(node["bit_counts"], counts)
        split = nodes["is_categorical"].astype(bool) & ~leaf
        _check((nodes["bitset_idx"] < choices)[split].all(), "a category set of its own")
        bits = {name: self.arrays[array] for name, array in node["bits"].items()}
        for array in bits.values():
            _check(array.dtype == np.uint32 and array.shape == (sum(node["bit_counts"]), 8), "whole category sets")
        ends, marks = np.cumsum([0, *counts]), np.cumsum([0, *node["bit_counts"]])
        return [
            kind(nodes[start:end].copy(), *(bits[name][low:high].copy() for name in _BITS))
            for (start, end), (low, high) in zip(pairwise(ends), pairwise(marks), strict=True)
        ]

    def _nodes(self, columns: dict[str, str], dtype: Any, counts: Any) -> Any:
        """Nodes as scikit-learn keeps them, out of their columns."""
        if set(columns) != set(dtype.names):
            raise ValueError("its trees have other fields than those of the scikit-learn that is installed")
        _check(len(counts) > 0 and counts.min() > 0, "nodes")
        nodes: Any = np.zeros(int(counts.sum()), dtype=dtype)
        for name, array in columns.items():
            _check(self.arrays[array].shape == nodes.shape, "a value in every field of every node")
            nodes[name] = self.arrays[array]
        return nodes


@cache
def _node_type(module: str, name: str) -> Any:
    """The dtype of a node in the scikit-learn that is installed."""
    found: ModuleType = importlib.import_module(module)
    return getattr(found, name)


def _filled(kind: type, state: dict[str, Any]) -> Any:
    """An object with these attributes; its constructor is not run, as when a pickle is read."""
    made: Any = object.__new__(kind)
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        made.__dict__.update(state)
    return made


def _check_nodes(counts: Any, left: Any, right: Any, leaf: Any) -> None:
    """Children come after their parent and within their own tree: then following them always ends at a leaf."""
    place = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    size = np.repeat(counts, counts)
    for child in (left.astype(np.int64), right.astype(np.int64)):
        _check(((child > place) & (child < size))[~leaf].all(), "children of its own")


def _check_columns(made: Any) -> None:
    """No tree may look for columns its estimator does not have."""
    columns = getattr(made, "n_features_in_", None)
    if columns is None:
        return
    trees = getattr(made, "estimators_", [])
    for tree in trees.ravel() if isinstance(trees, np.ndarray) else trees:
        if name_of(type(tree)) in _SINGLE_TREES:
            _check(tree.tree_.n_features <= columns, "columns of its estimator")
    for rounds in getattr(made, "_predictors", []):
        for one in rounds:
            _check((one.nodes["feature_idx"] < columns)[one.nodes["is_leaf"] == 0].all(), "columns of its estimator")


def _check(good: Any, what: str) -> None:
    if not good:
        raise ValueError(f"a tree does not keep to {what}: the file is damaged")
