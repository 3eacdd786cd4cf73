"""Storing fitted models: equal to the last bit, without pickle where possible, refusing what is not safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import skrub
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, SplineTransformer, TargetEncoder
from sklearn.svm import SVR

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
    with pytest.raises(ValueError, match="model format 99; this code reads 1"):
        load_model(tmp_path)
