"""AutoGluon: `TabularPredictor` with the set's metric, a preset (the job's variant) and a time limit.

Sets split in time are given as they are, date column included: AutoGluon makes year, month, day and weekday of it.
"""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
from autogluon.tabular import TabularPredictor
from toolwork import Work, run, size_mb

METRICS = {
    "roc_auc": "roc_auc",
    "roc_auc_ovr": "roc_auc_ovr",
    "average_precision": "average_precision",
    "log_loss": "log_loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1": "f1",
    "macro_f1": "f1_macro",
    "quadratic_kappa": "quadratic_kappa",
    "mcc": "mcc",
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "r2": "r2",
}


def fit(work: Work) -> None:
    fields, labels = work.training()
    positive = (
        next((one for one in labels.unique() if str(one) == str(work.positive)), None)
        if work.task == "binary" and work.positive is not None
        else None
    )
    predictor = TabularPredictor(
        label=work.target,
        problem_type=work.task,
        eval_metric=METRICS[work.metric],
        path=str(work.model),
        verbosity=2,
        positive_class=positive,
    )
    start_ray(work)
    predictor.fit(
        fields.assign(**{work.target: labels}), presets=work.variant, time_limit=work.limit, num_cpus=work.cores
    )
    work.note("fit", title=predictor.model_best, models=predictor.model_names())


def start_ray(work: Work) -> None:
    """Start ray without its dashboard, which would take many seconds of two cores; AutoGluon then uses the one that runs.

    best_quality makes its trial fit in a process of ray's: in its own process, a trial fit that finds no time would make
    the real one fail too.
    """
    if work.variant == "best_quality":
        import ray

        ray.init(num_cpus=work.cores, include_dashboard=False, log_to_driver=False)


def answers(predictor: TabularPredictor, work: Work, fields: pd.DataFrame) -> tuple[Any, Any, Any]:
    """Predictions, probabilities and their labels, in one pass of the models."""
    if not work.classes:
        return predictor.predict(fields).to_numpy(), None, ()
    shares = predictor.predict_proba(fields)
    return predictor.predict_from_proba(shares).to_numpy(), shares.to_numpy(), shares.columns


def predict(work: Work) -> None:
    predictor = TabularPredictor.load(str(work.model))
    work.write(*answers(predictor, work, work.fields()))


def account(work: Work) -> None:
    predictor = TabularPredictor.load(str(work.model))
    predictor.persist()
    figures = work.latency(lambda fields: answers(predictor, work, fields))
    work.note("account", size_mb=size_mb(work.model), members=predictor.model_names(persisted=True), **figures)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    run(fit, predict, account)
