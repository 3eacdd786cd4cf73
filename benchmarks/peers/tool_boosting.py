"""The yardstick: scikit-learn's HistGradientBoosting behind skrub's tabular_pipeline, both as they come."""

from __future__ import annotations

import joblib
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from skrub import tabular_pipeline
from toolwork import Work, run, size_mb


def fit(work: Work) -> None:
    """Fit with default parameters; it takes the seconds it takes."""
    fields, labels = work.training()
    kind = HistGradientBoostingClassifier if work.classes else HistGradientBoostingRegressor
    model = tabular_pipeline(kind(random_state=work.seed)).fit(fields, labels)
    work.model.mkdir()
    joblib.dump(model, work.model / "model.joblib")
    work.note("fit", title="histogram gradient boosting, default parameters")


def predict(work: Work) -> None:
    model = joblib.load(work.model / "model.joblib")
    fields = work.fields()
    if work.classes:
        shares = model.predict_proba(fields)
        work.write(model.classes_[shares.argmax(axis=1)], shares, model.classes_)
    else:
        work.write(model.predict(fields))


def account(work: Work) -> None:
    model = joblib.load(work.model / "model.joblib")
    figures = work.latency(model.predict_proba if work.classes else model.predict)
    work.note("account", size_mb=size_mb(work.model), **figures)


if __name__ == "__main__":
    run(fit, predict, account)
