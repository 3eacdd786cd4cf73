"""Storing fitted models: equal to the last bit, without pickle where possible, refusing what is not safe."""

from __future__ import annotations

import ast
import importlib
import io
import json
import operator
import os
import pickle
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import skops.io
import skrub
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tools.portable import allowed, ensembles, saving
from tools.portable.saving import load_model, save_model

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "number": RNG.normal(size=80),
        "kind": pd.Series(RNG.choice(["a", "b", "c"], 80)).astype(object),
        "note": [f"word{place % 7} and more {place}" for place in range(80)],
        "day": pd.date_range("2024-01-01", periods=80),
    }
)
LABEL = (TABLE["number"] > 0).astype(int).to_numpy()


def _round_trip(model: Any, folder: Path) -> Any:
    assert save_model(model, folder)["unsafe"] is False
    return load_model(folder)


def test_plain_data_keeps_its_types(tmp_path: Path) -> None:
    """Numbers, texts, lists, tuples, None, NaN, integer keys and numpy scalars come back as they were."""
    model = {
        "deep": [1, 2.5, "text", None, True, (3, ["x"])],
        7: {"nan": float("nan"), "far": float("-inf"), "tenth": 0.1},
        "numpy": [np.float32(0.1), np.int64(2**60), np.bool_(True)],
    }
    loaded = _round_trip(model, tmp_path)
    assert loaded["deep"] == model["deep"]
    assert isinstance(loaded["deep"][5], tuple)
    assert np.isnan(loaded[7]["nan"])
    assert loaded[7]["far"] == float("-inf")
    assert [type(value) for value in loaded["numpy"]] == [np.float32, np.int64, np.bool_]
    assert loaded["numpy"] == model["numpy"]


def test_arrays_and_tables_are_equal(tmp_path: Path) -> None:
    """Arrays of every plain type, object arrays, sparse matrices, frames, series and indexes are equal afterwards."""
    model = {
        "float": RNG.normal(size=(3, 4)).astype(np.float32),
        "text": np.array(["a", "bb"]),
        "objects": np.array([["a", np.nan], [None, 3]], dtype=object),
        "sparse": sparse.random(5, 6, density=0.4, format="csr", random_state=0),
        "frame": TABLE,
        "series": pd.Series([1.0, 2.0], index=["x", "y"], name="s"),
        "index": pd.Index(["p", "q"]),
    }
    loaded = _round_trip(model, tmp_path)
    assert loaded["float"].dtype == np.float32
    assert np.array_equal(loaded["float"], model["float"])
    assert loaded["objects"][0, 0] == "a"
    assert loaded["objects"][1, 0] is None
    assert (loaded["sparse"] != model["sparse"]).nnz == 0
    pd.testing.assert_frame_equal(loaded["frame"], TABLE)
    pd.testing.assert_series_equal(loaded["series"], model["series"])
    assert list(loaded["index"]) == ["p", "q"]
    assert loaded["index"].name is None


def _estimators() -> dict[str, tuple[Any, Any]]:
    numbers, codes = TABLE[["number"]].to_numpy(), OneHotEncoder().fit(TABLE[["kind"]])
    columns = ColumnTransformer(
        [
            ("number", make_pipeline(QuantileTransformer(n_quantiles=20), SplineTransformer()), ["number"]),
            ("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
            ("note", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)), "note"),
        ]
    )
    plain = TABLE.drop(columns="day")
    return {
        "pipeline": (make_pipeline(columns, LogisticRegression()).fit(plain, LABEL), plain),
        "hashing": (
            make_pipeline(HashingVectorizer(n_features=256), TruncatedSVD(4)).fit(TABLE["note"]),
            TABLE["note"],
        ),
        "target means": (TargetEncoder().fit(TABLE[["kind"]], LABEL), TABLE[["kind"]]),
        "one-hot": (codes, TABLE[["kind"]]),
        "histogram": (HistGradientBoostingClassifier(max_iter=20).fit(numbers, LABEL), numbers),
        "trees": (ExtraTreesRegressor(20, random_state=0).fit(numbers, LABEL), numbers),
        "kernel": (SVR().fit(numbers, LABEL), numbers),
        "skrub": (skrub.tabular_pipeline("classifier").fit(TABLE, LABEL), TABLE),
        "fingerprints": (skrub.MinHashEncoder(n_components=5).fit(TABLE["note"]), TABLE["note"]),
    }


def test_estimators_predict_the_same_to_the_last_bit(tmp_path: Path) -> None:
    """Pipelines, encoders, forests, histogram boosting, kernels and skrub objects round trip exactly, none pickled."""
    fitted = _estimators()
    loaded = _round_trip({name: estimator for name, (estimator, _) in fitted.items()}, tmp_path)
    for name, (estimator, data) in fitted.items():
        method = next(m for m in ("predict_proba", "predict", "transform") if hasattr(estimator, m))
        before, after = getattr(estimator, method)(data), getattr(loaded[name], method)(data)
        dense = [part.toarray() if sparse.issparse(part) else np.asarray(part) for part in (before, after)]
        assert np.array_equal(*dense), name
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 12_000_000


def test_boosters_are_kept_in_their_own_format(tmp_path: Path) -> None:
    """A LightGBM booster is a text file and predicts the same afterwards, early stopping or not."""
    numbers = TABLE[["number"]].to_numpy()
    booster = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(numbers, label=LABEL), 15)
    loaded = _round_trip({"boosters": [booster]}, tmp_path)
    assert (tmp_path / "part_000.txt").read_text().startswith("tree")
    assert np.array_equal(booster.predict(numbers), loaded["boosters"][0].predict(numbers))


class Home:
    """A class no library knows."""

    def __init__(self, value: int) -> None:
        self.value = value


def test_foreign_objects_are_pickled_marked_and_refused(tmp_path: Path) -> None:
    """What only pickle can hold is stored, marked unsafe, and loaded only when asked for in so many words."""
    report = save_model({"own": Home(3), "fine": 1}, tmp_path)
    assert report == {"unsafe": True, "files": ["part_000.pickle", "model.json"]}
    with pytest.raises(ValueError, match="loading those runs code"):
        load_model(tmp_path)
    assert load_model(tmp_path, allow_unsafe=True)["own"].value == 3


def test_a_skops_file_with_foreign_types_is_refused(tmp_path: Path) -> None:
    """A file swapped for one that names other types is not loaded, although model.json calls it safe."""
    import skops.io

    save_model({"model": LogisticRegression()}, tmp_path)
    skops.io.dump(Home(1), tmp_path / "part_000.skops")
    with pytest.raises(ValueError, match=r"types that may not be loaded.*Home"):
        load_model(tmp_path)


def test_damage_is_said_plainly(tmp_path: Path) -> None:
    """A missing part, a path out of the folder and an unknown format are refused with what to do."""
    save_model({"a": np.arange(3)}, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "part_000.npy").rename(tmp_path / "away.npy")
    with pytest.raises(ValueError, match=r"part_000\.npy is missing"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(ValueError, match="model format 99; this code reads 3"):
        load_model(tmp_path)


# ---- trees as arrays ------------------------------------------------------------------------------------------------

X = np.abs(RNG.normal(size=(90, 4)))
Y = (X[:, 0] + X[:, 1] > 1.5).astype(int) + (X[:, 2] > 1)
VALUES = 2 * X[:, 0] + X[:, 1]
MIXED = pd.DataFrame(X, columns=list("abcd")).assign(kind=pd.Categorical(RNG.choice(["x", "y", "z"], 90)))
HOLES = np.where(X > 2, np.nan, X)
ENSEMBLES: dict[str, tuple[Any, Any, Any]] = {
    "forest": (RandomForestClassifier(6, random_state=0, oob_score=True), X, Y),
    "texts for classes": (RandomForestClassifier(3, random_state=0), X, np.array(["a", "b", "c"])[Y]),
    "extra trees, grown twice": (ExtraTreesClassifier(6, random_state=0, warm_start=True), X, Y > 0),
    "values": (RandomForestRegressor(4, random_state=0, min_samples_leaf=3), X, VALUES),
    "two targets": (ExtraTreesRegressor(3, random_state=0), X, np.column_stack([VALUES, X[:, 3]])),
    "two class targets": (RandomForestClassifier(3, random_state=0), X, np.column_stack([Y, Y > 0])),
    "missing values": (RandomForestClassifier(3, random_state=0), HOLES, Y),
    "monotonic": (RandomForestRegressor(3, random_state=0, monotonic_cst=[1, 0, 0, 0]), X, VALUES),
    "one tree": (DecisionTreeRegressor(max_depth=3), X, VALUES),
    "pruned tree": (DecisionTreeClassifier(ccp_alpha=0.01, max_leaf_nodes=7), X, Y),
    "gradient boosting": (GradientBoostingClassifier(n_estimators=4, random_state=0), X, Y),
    "gradient boosting on a forest": (
        GradientBoostingRegressor(n_estimators=3, init=RandomForestRegressor(2, random_state=0), loss="huber"),
        X,
        VALUES,
    ),
    "histogram boosting with categories": (
        HistGradientBoostingClassifier(max_iter=4, categorical_features="from_dtype"),
        MIXED,
        Y,
    ),
    "histogram boosting": (HistGradientBoostingRegressor(max_iter=4), HOLES, VALUES),
    "isolation forest": (IsolationForest(n_estimators=4, random_state=0), X, None),
    "bagging": (BaggingClassifier(n_estimators=3, max_features=0.5, random_state=0), X, Y),
    "adaptive boosting": (AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=3), X, Y),
    "pipeline": (make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)), X, Y),
    "pipeline over columns": (
        make_pipeline(
            make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["kind"])),
            RandomForestClassifier(3, random_state=0),
        ),
        MIXED,
        Y,
    ),
    "votes": (
        VotingClassifier(
            [
                ("forest", RandomForestClassifier(3, random_state=0)),
                ("linear", LogisticRegression()),
                ("booster", lgb.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)),
            ],
            voting="soft",
        ),
        X,
        Y,
    ),
    "stack": (StackingRegressor([("f", ExtraTreesRegressor(2)), ("r", Ridge())], RandomForestRegressor(2)), X, VALUES),
    "calibrated": (CalibratedClassifierCV(RandomForestClassifier(2), cv=2, method="isotonic"), X, Y),
    "search": (GridSearchCV(RandomForestClassifier(2), {"max_depth": [2, 3]}, cv=2), X, Y),
    "several": (MultiOutputRegressor(RandomForestRegressor(2)), X, np.column_stack([VALUES, X[:, 3]])),
    "log target": (
        TransformedTargetRegressor(RandomForestRegressor(2), func=np.log1p, inverse_func=np.expm1),
        X,
        VALUES,
    ),
    "own random state": (RandomForestClassifier(2, random_state=np.random.RandomState(0)), X, Y),
    "booster in a pipeline": (
        make_pipeline(StandardScaler(), lgb.LGBMRegressor(n_estimators=3, verbose=-1)),
        X,
        VALUES,
    ),
}


def _answers(model: Any, rows: Any) -> list[np.ndarray]:
    """Everything a model says about rows."""
    methods = [one for one in ("predict_proba", "decision_function", "predict", "apply") if hasattr(model, one)]
    answers = [getattr(model, method)(rows) for method in methods]
    return [np.asarray(part) for answer in answers for part in (answer if isinstance(answer, list) else [answer])]


@pytest.mark.parametrize("name", ENSEMBLES)
def test_trees_predict_the_same_to_the_last_bit_wherever_they_sit(name: str, tmp_path: Path) -> None:
    """Forests, boostings and what holds them answer bit for bit as before, and nothing of them is pickled."""
    model, rows, target = ENSEMBLES[name]
    model.fit(rows, target)
    if name == "extra trees, grown twice":
        model.set_params(n_estimators=9).fit(rows, target)
    loaded = _round_trip({"deep": [model]}, tmp_path)["deep"][0]
    assert type(loaded) is type(model)
    assert loaded.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    before, after = _answers(model, rows), _answers(loaded, rows)
    assert len(before) == len(after) > 0
    assert all(
        np.array_equal(one, other) and one.dtype == other.dtype for one, other in zip(before, after, strict=True)
    )


def test_a_forest_is_one_file_of_arrays(tmp_path: Path) -> None:
    """No file per tree, no pickle and no skops: JSON and one .npz, smaller than a pickle of the same forest."""
    forest = RandomForestClassifier(40, random_state=0).fit(X, Y)
    assert save_model(forest, tmp_path)["files"] == ["part_000.npz", "model.json"]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < len(pickle.dumps(forest))
    loaded = load_model(tmp_path)
    assert [tree.random_state for tree in loaded.estimators_] == [tree.random_state for tree in forest.estimators_]
    assert np.array_equal(loaded.feature_importances_, forest.feature_importances_)
    assert save_model(loaded, tmp_path / "again")["files"] == ["part_000.npz", "model.json"]
    assert (tmp_path / "again" / "part_000.npz").read_bytes() == (tmp_path / "part_000.npz").read_bytes()


def _tampered(folder: Path, change: Any) -> None:
    """Rewrite the arrays of a saved forest after `change(arrays, node)`."""
    content = json.loads((folder / "model.json").read_text())
    with np.load(folder / "part_000.npz") as file:
        arrays = dict(file)
    change(arrays, content["model"]["tree"])
    np.savez(folder / "part_000.npz", **arrays)
    (folder / "model.json").write_text(json.dumps(content))


def _set(field: str, place: int, value: float) -> Any:
    def change(arrays: dict[str, np.ndarray], tree: Any) -> None:
        found = tree["root"]["attributes"]
        nodes = found["estimators_"]["trees"] if "estimators_" in found else found["_predictors"]["predictors"]
        column = arrays[nodes["nodes"][field]].astype(np.int64)
        column[place] = value
        arrays[nodes["nodes"][field]] = column

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("left_child", 0, 10**6),
        _set("left_child", 0, 0),  # its own child: a walk without end
        _set("right_child", 0, -7),
        _set("feature", 0, 4),
        _set("feature", 0, -1),
    ],
)
def test_trees_that_point_outside_are_refused(change: Any, tmp_path: Path) -> None:
    """Node numbers are followed unseen by scikit-learn, so a damaged or made-up file must not get that far."""
    save_model(RandomForestRegressor(3, random_state=0).fit(X, VALUES), tmp_path)
    load_model(tmp_path)
    _tampered(tmp_path, change)
    with pytest.raises(ValueError, match=r"part_000\.npz cannot be loaded: a tree does not keep to"):
        load_model(tmp_path)


@pytest.mark.parametrize(("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 9), ("bitset_idx", 10**6)])
def test_histogram_trees_that_point_outside_are_refused(field: str, value: int, tmp_path: Path) -> None:
    """The same for histogram boosting, its sets of categories included."""
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(np.floor(2 * X), Y)
    nodes = np.concatenate([one.nodes for rounds in model._predictors for one in rounds])
    place = int(np.flatnonzero(nodes["is_categorical"] & ~nodes["is_leaf"])[0]) if field == "bitset_idx" else 0
    save_model(model, tmp_path)
    load_model(tmp_path)
    _tampered(tmp_path, _set(field, place, value))
    with pytest.raises(ValueError, match="a tree does not keep to"):
        load_model(tmp_path)


def test_another_scikit_learn_and_another_class_are_refused(tmp_path: Path) -> None:
    """Trees of another minor version are refused with the cure; a class that is no ensemble is never made."""
    save_model(RandomForestRegressor(2, random_state=0).fit(X, VALUES), tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(
        text.replace(f'"scikit-learn": "{ensembles._version()}"', '"scikit-learn": "0.9"')
    )
    with pytest.raises(ValueError, match=r"saved with scikit-learn 0\.9.*requirements\.txt"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(
        text.replace("sklearn.ensemble._forest.RandomForestRegressor", "subprocess.Popen")
    )
    with pytest.raises(ValueError, match=r"'subprocess\.Popen' is no class that may be loaded"):
        load_model(tmp_path)


# ---- what may be loaded ---------------------------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A program with a class of its own, loaded as programs are; it has also imported something."""
    module = ModuleType("program")
    code = """
from os import system

class Shifted:
    def __init__(self, inner, by):
        self.inner, self.by = inner, by

    def predict(self, rows):
        return self.inner.predict(rows) + self.by
"""
    exec(compile(code, "program.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "program", module)
    return module


def test_classes_of_the_programs_own_module_are_stored_without_pickle(program: ModuleType, tmp_path: Path) -> None:
    """Its code runs anyway to predict, so an object of it is stored by state; without that module it is refused."""
    models = {
        "plain": program.Shifted(Ridge().fit(X, VALUES), 1.5),
        "forest": make_pipeline(StandardScaler(), RandomForestRegressor(3, random_state=0)).fit(X, VALUES),
        "around a forest": program.Shifted(RandomForestRegressor(3, random_state=0).fit(X, VALUES), 0.5),
    }
    loaded = _round_trip(models, tmp_path)
    for name, model in models.items():
        assert np.array_equal(model.predict(X), loaded[name].predict(X)), name
    del sys.modules["program"]
    with pytest.raises(ValueError, match=r"program\.Shifted"):
        load_model(tmp_path)


def _hostile(program: ModuleType) -> dict[str, Any]:
    fitted = LogisticRegression().fit(X, Y)
    return {
        "a function that runs code": FunctionTransformer(os.system),
        "one inside a library": FunctionTransformer(importlib.import_module("pandas.core.computation.eval").eval),
        "one inside scikit-learn": FunctionTransformer(importlib.import_module("sklearn.datasets").load_files),
        "a partial of one": partial(os.system, "true"),
        "one the program only imported": FunctionTransformer(program.system),
        "a bound method": FunctionTransformer(fitted.predict),
        "a method caller": operator.methodcaller("fit"),
        "a bare tree": DecisionTreeRegressor().fit(X, VALUES),
    }


def test_skops_files_that_could_do_more_than_compute_are_refused(program: ModuleType, tmp_path: Path) -> None:
    """Files skops itself would write and, told to trust their names, load: each is refused by its name here."""
    save_model({"model": Ridge()}, tmp_path)
    for name, model in _hostile(program).items():
        content = skops.io.dumps(model)
        (tmp_path / "part_000.skops").write_bytes(content)
        with pytest.raises(ValueError, match="types that may not be loaded"):
            load_model(tmp_path)
        if name != "a bare tree":  # that one is stored as arrays
            assert save_model(model, tmp_path / name)["unsafe"] is True, name


def test_a_file_cannot_choose_older_readers(tmp_path: Path) -> None:
    """The number of the protocol, which the file's author chooses, cannot bring back readers that looked less closely."""
    save_model({"model": Ridge().fit(X, VALUES)}, tmp_path)
    path = tmp_path / "part_000.skops"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    for protocol in (0, 1, True, None, "2"):
        schema = {**json.loads(parts["schema.json"]), "protocol": protocol}
        with zipfile.ZipFile(path, "w") as file:
            for name, content in {**parts, "schema.json": json.dumps(schema).encode()}.items():
                file.writestr(name, content)
        with pytest.raises(ValueError, match="protocol"):
            load_model(tmp_path)


def test_a_pickle_is_not_loaded_because_the_folder_calls_itself_safe(tmp_path: Path) -> None:
    """model.json says safe, and a part of it is a pickle all the same: it is not loaded."""
    save_model({"own": Home(3)}, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**content, "unsafe": False}))
    with pytest.raises(ValueError, match=r"part_000\.pickle is a pickle"):
        load_model(tmp_path)


def test_every_name_on_the_list_exists_and_lies_where_it_says() -> None:
    """The list holds no misspelled name, no module, and no name that leads to something defined elsewhere."""
    for name in sorted(allowed.ALLOWED | ensembles.HOLDERS):
        module, _, last = name.rpartition(".")
        found = getattr(importlib.import_module(module), last)
        assert callable(found), name
        assert not isinstance(found, ModuleType), name
        home = getattr(found, "__module__", None) or module
        assert home == module or home.partition(".")[0] == module.partition(".")[0] == "numpy", name


def test_our_own_process_loads_no_model() -> None:
    """Outside what runs in the sandbox or belongs to a release, nothing loads a stored model or a pickle."""
    root = Path(__file__).resolve().parents[2]
    inside = {"tools/portable", "tools/release/templates", "tools/executors/harness.py"}
    loading = ("load_model", "loads", "load")
    found = []
    for path in (
        file for folder in ("state", "tools", "nodes", "graphs") for file in sorted((root / folder).rglob("*.py"))
    ):
        name = path.relative_to(root).as_posix()
        if any(name.startswith(part) for part in inside):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in loading:
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if node.attr == "load_model" or owner in ("pickle", "cloudpickle", "joblib", "skops", "torch"):
                    found.append(name)
            if isinstance(node, ast.alias) and node.name in ("pickle", "cloudpickle", "joblib", "load_model"):
                found.append(name)
    assert found == []


def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    """Fitted twice in different places of memory and at different times, a model has the same bytes in every file."""
    words, target = np.array(["good day", "bad day", "so so", "fine day"] * 5), np.arange(20) % 2
    kept = []
    for name in ("one", "other"):
        kept.append([object() for _ in range(len(kept) * 1000)])  # addresses differ between the two
        model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(words, target)
        folder = tmp_path / name
        save_model({"model": model, "twice": [model, model]}, folder)
        kept.append(model)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert any(name.endswith(".skops") for name in names)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_the_quick_way_to_save_gives_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put together from inner functions of skops equals, byte for byte, what its public function makes."""
    model = {
        "table": skrub.TableVectorizer().fit(TABLE),
        "steps": make_pipeline(StandardScaler(), QuantileTransformer(n_quantiles=10)).fit(TABLE[["number"]]),
        "link": FunctionTransformer(np.log1p),
    }
    quick = save_model(model, tmp_path / "quick")
    monkeypatch.setattr(saving, "_KNOWN_SKOPS", "another version")
    assert save_model(model, tmp_path / "public") == quick
    assert any(name.endswith(".skops") for name in quick["files"])
    for name in quick["files"]:
        assert (tmp_path / "quick" / name).read_bytes() == (tmp_path / "public" / name).read_bytes(), name


# ---- vocabularies -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wordy() -> tuple[Any, list[str]]:
    """A pipeline within a column transformer that knows several hundred pieces of words, odd ones among them."""
    texts = [f"order {number:03d} für Ölwechsel\tnow\u2028 {'x' * (number % 5)}" for number in range(300)]
    inner = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), TruncatedSVD(3, random_state=0))
    table = pd.DataFrame({"note": texts, "number": np.arange(300.0)})
    return ColumnTransformer([("note", inner, "note"), ("rest", "passthrough", ["number"])]).fit(table), texts


def test_vocabularies_lie_apart_as_words(wordy: tuple[Any, list[str]], tmp_path: Path) -> None:
    """They are a list of words in a file of their own; the loaded model gives the same numbers, and the saved one too."""
    model, texts = wordy
    table = pd.DataFrame({"note": [*texts[:20], "never seen"], "number": 1.0})
    before = model.transform(table)
    vocabulary = dict(model.named_transformers_["note"][0].vocabulary_)
    files = save_model(model, tmp_path)["files"]
    words = json.loads((tmp_path / next(name for name in files if name.endswith(".json"))).read_text())
    assert [sorted(vocabulary, key=lambda word: vocabulary[word])] == words
    assert model.named_transformers_["note"][0].vocabulary_ == vocabulary
    loaded = load_model(tmp_path)
    assert loaded.named_transformers_["note"][0].vocabulary_ == vocabulary
    assert np.array_equal(loaded.transform(table), before)
    assert np.array_equal(model.transform(table), before)


def test_missing_words_are_told(wordy: tuple[Any, list[str]], tmp_path: Path) -> None:
    """A file of words that is gone or cut is named, with what to do."""
    name = next(name for name in save_model(wordy[0], tmp_path)["files"] if name.endswith(".json"))
    (tmp_path / name).write_text("[]")
    with pytest.raises(ValueError, match=rf"{name} cannot be used: vocabulary 0 is missing.*copy the whole folder"):
        load_model(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} cannot be used"):
        load_model(tmp_path)
