"""Whether training and sealed rows can be told apart by their features: adversarial validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from state.candidate import Finding
from state.task import Feature, Task
from tools.leaks.encoding import numbers_of
from tools.leaks.sides import SHOWN, Result, Sides, found, passed, skipped, spaced

NAME = "training and sealed rows look alike"
_ROWS, _FULL_ROWS = 2_000, 20_000
"""Most rows of each side."""
_COLUMNS, _FULL_COLUMNS = 60, 400
_TOLD_APART = 0.55
"""An area under the curve whose whole interval lies above this is drift."""
_FOLDS = 3
_LETTERS = "ACGTU"
_ROUNDS = 40


def check_drift(sides: Sides, task: Task) -> Result:
    """Train a small classifier to tell training rows from sealed rows; out of fold it should do no better than chance.

    Uses features only. In a grouped split its own folds keep groups whole, since a group it has seen is told by its
    constants. Times are expected to drift, so that a split by time gets a remark only.
    """
    train = spaced(sides.trained, _FULL_ROWS if sides.full else _ROWS)
    sealed = spaced(np.arange(len(sides.sealed_features)), _FULL_ROWS if sides.full else _ROWS)
    if min(len(train), len(sealed)) < 30:
        return skipped(NAME, f"{len(sealed)} sealed rows are too few to tell")
    most = _FULL_COLUMNS if sides.full else _COLUMNS
    matrix, names, left_out = _matrix(sides, task, train, sealed, most)
    if not names:
        return skipped(NAME, "no column to tell them by")
    side = np.repeat([0, 1], [len(train), len(sealed)])
    groups = _groups(sides, train, sealed)
    chances, gains = _out_of_fold(matrix, side, groups)
    area, low, high = area_with_interval(chances, side, groups)
    reduced = _reduction(sides, train, sealed, left_out)
    detail = f"a classifier tells them apart with an area under the curve of {area:.3f} [{low:.3f}, {high:.3f}]"
    if low <= _TOLD_APART:
        return passed(NAME, detail, reduced=reduced)
    return found(NAME, detail, [_finding(sides, task, detail, area, matrix, side, names, gains)], reduced=reduced)


def _finding(
    sides: Sides,
    task: Task,
    detail: str,
    area: float,
    matrix: NDArray[np.float64],
    side: NDArray[np.int64],
    names: list[str],
    gains: NDArray[np.float64],
) -> Finding:
    expected = task.split.kind == "time"
    telling: list[str] = list(dict.fromkeys(names[place] for place in np.argsort(-gains)[:SHOWN] if gains[place] > 0))
    dates = {feature.name for feature in task.features if feature.kind == "datetime"}
    evidence = []
    for name in telling:
        values = matrix[:, names.index(name)]
        one, other = (_middle(values[side == which], dates=name in dates) for which in (0, 1))
        evidence.append(f"{name}: median {one} in training, {other} in sealed rows")
    meaning = (
        "times go on, so this is expected"
        if expected
        else "the test score says little about rows like those of training, and the other way round"
    )
    return Finding(
        id="drift",
        source="review",
        topic="drift",
        severity="info" if expected else "warning",
        route="report" if expected else "ask",
        text=f"{detail}, most of all by {', '.join(map(repr, telling))}: {meaning}",
        evidence=evidence,
        data={"area": round(area, 4), "columns": telling},
    )


def _middle(values: NDArray[np.float64], *, dates: bool) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "missing"
    middle = float(np.median(known))
    return str(pd.Timestamp(int(middle)).date()) if dates else f"{middle:.6g}"


def _matrix(
    sides: Sides, task: Task, train: NDArray[np.int64], sealed: NDArray[np.int64], most: int
) -> tuple[NDArray[np.float64], list[str], int]:
    """Numbers for a tree: training rows above sealed rows, with the column each number is made of."""
    parts: list[NDArray[np.float64]] = []
    names: list[str] = []
    # The time of a split by time tells the sides apart by construction.
    others = [one for one in task.features if task.split.kind != "time" or one.name != task.time_column]
    features = [others[place] for place in spaced(np.arange(len(others)), most)]
    for feature in features:
        column = pd.concat(
            [sides.features[feature.name].iloc[train], sides.sealed_features[feature.name].iloc[sealed]],
            ignore_index=True,
        )
        for values in _numbers(column, feature):
            if len(np.unique(values)) > 1:
                parts.append(values)
                names.append(feature.name)
    matrix = np.column_stack(parts) if parts else np.empty((len(train) + len(sealed), 0))
    return matrix, names, len(others) - len(features)


def _numbers(column: pd.Series[Any], feature: Feature) -> list[NDArray[np.float64]]:
    if feature.kind in {"numeric", "datetime"}:
        return [numbers_of(column)]
    missing = column.isna().to_numpy()
    if feature.kind == "image":  # what of a picture can be told by its text says nothing
        return [missing.astype(np.float64)]
    texts = column.astype(object).where(~missing, "").astype(str)
    if feature.kind == "category":
        codes = texts.map(texts.value_counts().rank(method="first")).to_numpy(dtype=np.float64)
        return [np.where(missing, np.nan, codes)]
    lengths = np.asarray(texts.str.len(), dtype=np.float64)
    words = np.asarray(texts.str.count(" "), dtype=np.float64)
    digits = texts.str.count(r"\d").to_numpy(dtype=np.float64) / np.maximum(lengths, 1.0)
    shares = [np.asarray(texts.str.count(letter) / np.maximum(lengths, 1.0), dtype=np.float64) for letter in _LETTERS]
    return [lengths, words, np.asarray(digits), *(shares if feature.kind == "sequence" else [])]


def _groups(sides: Sides, train: NDArray[np.int64], sealed: NDArray[np.int64]) -> NDArray[Any] | None:
    if "group" not in sides.known:
        return None
    both = [sides.known["group"].to_numpy()[train], sides.hidden["group"].to_numpy()[sealed]]
    return np.concatenate(both).astype(str)


def _out_of_fold(
    matrix: NDArray[np.float64], side: NDArray[np.int64], groups: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chances of being a sealed row, each from a model that has not seen it; and the gain by column."""
    from lightgbm import Dataset, train
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    settings = {
        "objective": "binary",
        "num_leaves": 8,
        "learning_rate": 0.1,
        "min_data_in_leaf": max(5, len(side) // 100),
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 0,
    }
    chances = np.full(len(side), np.nan)
    gains = np.zeros(matrix.shape[1])
    splitter: Any = (
        StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        if groups is None
        else StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    )
    for learn, judge in splitter.split(matrix, side, groups):
        model = train(settings, Dataset(matrix[learn], side[learn], free_raw_data=True), num_boost_round=_ROUNDS)
        chances[judge] = np.asarray(model.predict(matrix[judge])).reshape(-1)
        gains += model.feature_importance("gain")
    return chances, gains


def area_with_interval(
    chances: NDArray[np.float64], side: NDArray[np.int64], groups: NDArray[Any] | None = None
) -> tuple[float, float, float]:
    """Area under the ROC curve with a 95 % interval.

    Hanley and McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982. Rows of one group are no
    independent witnesses, so where there are groups, they are counted.
    """
    from sklearn.metrics import roc_auc_score

    area = float(roc_auc_score(side, chances))
    if groups is None:
        up, down = int(side.sum()), int((side == 0).sum())
    else:
        up, down = len(np.unique(groups[side == 1])), len(np.unique(groups[side == 0]))
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (up - 1) * (one - area**2) + (down - 1) * (two - area**2)) / (up * down)
    margin = 1.96 * float(np.sqrt(max(0.0, variance)))
    return area, max(0.0, area - margin), min(1.0, area + margin)


def _reduction(sides: Sides, train: NDArray[np.int64], sealed: NDArray[np.int64], left_out: int) -> str:
    said = []
    if len(train) < len(sides.trained) or len(sealed) < len(sides.sealed_features):
        said.append(f"{len(train):,} and {len(sealed):,} rows looked at")
    if left_out:
        said.append(f"{left_out} columns left out")
    return ", ".join(said)
