"""The data sets of the quality benchmark, their outer split, and how predictions are scored from outside.

The tool under test never sees the outer test rows, nor any field of the set but file, target, metric, intent, limit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

OUTER_SHARE = 0.25


def load_sets(folder: Path) -> list[dict[str, Any]]:
    """The sets that `datasets.json` in the folder names. Ends the command where there is none."""
    described = folder / "datasets.json"
    if not described.is_file():
        raise SystemExit(
            f"no {described}: --data names a folder with data sets and a datasets.json that describes them"
        )
    return json.loads(described.read_text())


def raw_table(folder: Path, one: dict[str, Any]) -> pd.DataFrame:
    """The file as text, so that writing it again changes nothing."""
    sep = one.get("csv", {}).get("sep", ",")
    return pd.read_csv(folder / one["file"], sep=sep, dtype=str, keep_default_na=False)


def outer_split(table: pd.DataFrame, one: dict[str, Any], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows: the latest times, unseen groups, or a stratified draw, as the set says."""
    rng = np.random.default_rng(seed)
    kind = one.get("split", "random")
    if kind == "time":
        times = pd.to_datetime(table[one["time_column"]], format="mixed")
        marks = np.sort(times.unique())
        # Seeds move the border a little, so that one lucky year does not decide.
        border = marks[int(len(marks) * (1 - OUTER_SHARE - 0.01 * seed))]
        last = marks[min(len(marks) - 1, int(len(marks) * (1 - 0.01 * seed)))]
        return table[times < border], table[(times >= border) & (times <= last)]
    if kind == "group":
        groups = table[one["group_column"]]
        names = rng.permutation(groups.unique())
        chosen = groups.isin(names[: int(len(names) * OUTER_SHARE)])
        return table[~chosen], table[chosen]
    test = np.zeros(len(table), dtype=bool)
    strata = table[one["target"]] if one["task"] != "regression" else pd.Series(np.zeros(len(table)), index=table.index)
    for rows in strata.reset_index(drop=True).groupby(strata.to_numpy()).groups.values():
        order = rng.permutation(np.asarray(rows))
        test[order[: round(len(order) * OUTER_SHARE)]] = True
    return table[~test], table[test]


def truth_of(one: dict[str, Any], test: pd.DataFrame) -> np.ndarray:
    """Labels of the test rows: floats for regression, else text."""
    return (
        test[one["target"]].astype(float).to_numpy() if one["task"] == "regression" else test[one["target"]].to_numpy()
    )


def score(one: dict[str, Any], truth: np.ndarray, predictions: pd.DataFrame) -> float:
    """The set's metric from a table with `prediction` and, for classes, `proba_<label>`."""
    said = predictions["prediction"]
    match one["metric"]:
        case "rmse":
            return float(np.sqrt(metrics.mean_squared_error(truth, said.astype(float))))
        case "mae":
            return float(metrics.mean_absolute_error(truth, said.astype(float)))
        case "r2":
            return float(metrics.r2_score(truth, said.astype(float)))
        case "accuracy":
            return float(metrics.accuracy_score(truth, said.astype(str)))
        case "macro_f1":
            return float(metrics.f1_score(truth, said.astype(str), average="macro"))
        case "balanced_accuracy":
            return float(metrics.balanced_accuracy_score(truth, said.astype(str)))
        case "quadratic_kappa":
            return float(metrics.cohen_kappa_score(_levels(truth), _levels(said), weights="quadratic"))
        case "log_loss":
            return _log_loss(truth, predictions)
    positive = str(one.get("positive", sorted(set(truth))[-1]))
    if one["metric"] == "f1":
        return float(metrics.f1_score(truth == positive, said.astype(str) == positive))
    chance = predictions[f"proba_{positive}"].astype(float)
    rank = metrics.roc_auc_score if one["metric"] == "roc_auc" else metrics.average_precision_score
    return float(rank(truth == positive, chance))


def _levels(labels: Any) -> np.ndarray:
    """Ordered classes as whole numbers."""
    return np.asarray(labels, dtype=float).round().astype(int)


def _log_loss(truth: np.ndarray, predictions: pd.DataFrame) -> float:
    """Mean −log of the true label's probability, which is cut at 1e-15."""
    labels = sorted(set(truth))
    shares = predictions[[f"proba_{label}" for label in labels]].astype(float).to_numpy()
    of_truth = shares[np.arange(len(truth)), np.searchsorted(labels, truth)]
    return float(-np.log(np.clip(of_truth, 1e-15, 1.0)).mean())


def error(one: dict[str, Any], value: float) -> float:
    """What is compared: the error itself, or one minus the score."""
    return value if one["metric"] in {"rmse", "mae", "log_loss"} else 1.0 - value


def constant_score(one: dict[str, Any], train: pd.DataFrame, truth: np.ndarray) -> float:
    """The score of the best constant prediction."""
    if one["task"] == "regression":
        labels = train[one["target"]].astype(float)
        constant = labels.median() if one["metric"] == "mae" else labels.mean()
        return score(one, truth, pd.DataFrame({"prediction": np.full(len(truth), constant)}))
    shares = train[one["target"]].value_counts(normalize=True)
    table = pd.DataFrame({f"proba_{label}": np.full(len(truth), share) for label, share in shares.items()})
    table["prediction"] = shares.index[0]
    return score(one, truth, table)


def seasonal_naive_score(one: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame) -> float | None:
    """The value at the same place of the last known season, per series; None for sets without order in time."""
    if one.get("split") != "time":
        return None
    known = _series(train, one)
    wanted = _series(test, one)
    steps = np.diff(np.sort(pd.unique(known["time"]))).astype("timedelta64[D]").astype(int)
    season = pd.DateOffset(years=1)
    daily = bool(np.median(steps) <= 1)
    answers = []
    lookup = {key: group.set_index("time")["value"] for key, group in known.groupby("key")}
    overall = float(known["value"].median())
    for key, time in zip(wanted["key"], wanted["time"], strict=True):
        past, moment = lookup.get(key), time
        if past is None:
            answers.append(overall)
            continue
        last = past.index.max()
        while moment > last:
            moment = moment - season
        near = past.index.get_indexer([moment], method="nearest", tolerance=pd.Timedelta(days=3 if daily else 20))[0]
        answers.append(float(past.iloc[near]) if near >= 0 else float(past.iloc[-1]))
    return score(one, truth_of(one, test), pd.DataFrame({"prediction": answers}, index=wanted.index))


def _series(table: pd.DataFrame, one: dict[str, Any]) -> pd.DataFrame:
    keys = one.get("group_columns", [])
    return (
        pd.DataFrame(
            {
                "time": pd.to_datetime(table[one["time_column"]], format="mixed"),
                "key": table[keys].agg(" · ".join, axis=1) if keys else "",
                "value": table[one["target"]].astype(float),
            }
        )
        .sort_values("time", kind="stable")
        .reindex(table.index)
    )
