"""FLAML: `AutoML.fit` with a time budget, task and metric mapped, all columns as pandas reads them.

Sets split in time are given in time order with their dates parsed, and `split_type="time"`.
"""

from __future__ import annotations

import pickle
from typing import Any

import pandas as pd
from flaml import AutoML
from toolwork import Work, in_time_order, run, size_mb, with_dates

METRICS = {
    "roc_auc": "roc_auc",
    "average_precision": "ap",
    "log_loss": "log_loss",
    "accuracy": "accuracy",
    "f1": "f1",
    "macro_f1": "macro_f1",
    "rmse": "rmse",
    "mae": "mae",
    "r2": "r2",
}
"""Our metric → FLAML's. One that is not here is left to FLAML (`auto`), and the cell says so."""


def fit(work: Work) -> None:
    fields, labels = in_time_order(work, *work.training())
    if work.task == "binary" and work.positive is not None:
        # FLAML takes the last label in sorting order for the positive one.
        labels = (labels.astype(str) == str(work.positive)).astype(int)
    metric = METRICS.get(work.metric, "auto")
    told: dict[str, Any] = {"split_type": "time"} if work.time_column else {}
    automl = AutoML()
    automl.fit(
        X_train=fields,
        y_train=labels,
        task="classification" if work.classes else "regression",
        metric=metric,
        time_budget=work.limit,
        n_jobs=work.cores,
        seed=work.seed,
        verbose=1,
        log_file_name="",
        **told,
    )
    work.model.mkdir()
    with (work.model / "automl.pkl").open("wb") as file:
        pickle.dump(automl, file, pickle.HIGHEST_PROTOCOL)
    work.note("fit", title=str(automl.best_estimator), metric=metric, config=automl.best_config)


def load(work: Work) -> AutoML:
    with (work.model / "automl.pkl").open("rb") as file:
        return pickle.load(file)


def predict(work: Work) -> None:
    automl, fields = load(work), with_dates(work, work.fields())
    if not work.classes:
        work.write(automl.predict(fields))
        return
    shares = automl.predict_proba(fields)
    labels = list(automl.classes_)
    if work.task == "binary" and work.positive is not None:
        known = work.training()[1].astype(str).unique()
        labels = [next(label for label in known if label != str(work.positive)), str(work.positive)]
    said = pd.Series(shares.argmax(axis=1)).map(dict(enumerate(labels)))
    work.write(said, shares, labels)


def account(work: Work) -> None:
    automl = load(work)
    figures = work.latency(automl.predict_proba if work.classes else automl.predict, with_dates(work, work.fields()))
    work.note("account", size_mb=size_mb(work.model), **figures)


if __name__ == "__main__":
    run(fit, predict, account)
