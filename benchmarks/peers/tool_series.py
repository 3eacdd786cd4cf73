"""AutoGluon for time series: `TimeSeriesPredictor` on sets split in time, told how many steps ahead the test rows reach.

Models that load pre-trained weights from a hub (Chronos2, Toto2) are left out: the machine has no network.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor
from toolwork import Work, run, size_mb, with_dates

METRICS = {"mae": "MAE", "rmse": "RMSE"}
WEIGHTS_NEEDED = ["Chronos2", "Toto2"]


def keys_of(work: Work, table: pd.DataFrame) -> pd.Series:
    """The name of each row's series."""
    if not work.keys:
        return pd.Series("all", index=table.index)
    return table[work.keys].astype(str).agg(" · ".join, axis=1)


def step_of(times: pd.Series) -> str:
    """The usual step between neighbouring times as pandas names it; holes are then filled by AutoGluon."""
    known = pd.DatetimeIndex(sorted(times.unique()))
    if frequency := pd.infer_freq(known):
        return str(frequency)
    days = float(pd.Series(known).diff().median() / pd.Timedelta(days=1))
    starts = bool((known.day == 1).all())
    for most, name in ((1.5, "D"), (8, f"W-{known[0].strftime('%a').upper()}"), (32, "MS" if starts else "ME")):
        if days <= most:
            return name
    return ("QS" if starts else "QE") if days <= 93 else ("YS" if starts else "YE")


def series(work: Work) -> TimeSeriesDataFrame:
    fields, labels = work.training()
    fields = with_dates(work, fields)
    table = pd.DataFrame({"item_id": keys_of(work, fields), "timestamp": fields[work.time_column], "target": labels})
    # Rows of one series and one moment, should there be any, become their mean.
    return TimeSeriesDataFrame(table.groupby(["item_id", "timestamp"], as_index=False)["target"].mean())


def fit(work: Work) -> None:
    known, asked = series(work), with_dates(work, work.fields())
    times = known.reset_index()["timestamp"]
    step = step_of(times)
    ahead = len(pd.date_range(times.max(), asked[work.time_column].max(), freq=step))
    predictor = TimeSeriesPredictor(
        target="target",
        prediction_length=max(1, ahead),
        freq=step,
        eval_metric=METRICS.get(work.metric, "MAE"),
        path=str(work.model),
    )
    predictor.fit(
        known,
        presets=work.variant,
        time_limit=work.limit,
        excluded_model_types=WEIGHTS_NEEDED,
        random_seed=work.seed,
    )
    work.note("fit", title=predictor.model_best, models=predictor.model_names(), step=step, ahead=ahead)


def forecast(predictor: TimeSeriesPredictor, known: TimeSeriesDataFrame) -> pd.Series:
    return predictor.predict(known)["mean"]


def predict(work: Work) -> None:
    """The forecast nearest in time to each test row of its series; the median of all labels for an unknown series."""
    known, asked = series(work), with_dates(work, work.fields())
    told: Any = forecast(TimeSeriesPredictor.load(str(work.model)), known)
    middle = float(known["target"].median())
    answers = pd.Series(middle, index=asked.index)
    for key, rows in asked.groupby(keys_of(work, asked)):
        if key in told.index.get_level_values(0):
            values = told.loc[key].sort_index()
            places = values.index.get_indexer(pd.DatetimeIndex(rows[work.time_column]), method="nearest")
            answers[rows.index] = values.to_numpy()[places]
    work.write(answers)


def account(work: Work) -> None:
    predictor, known = TimeSeriesPredictor.load(str(work.model)), series(work)
    predictor.persist()
    figures = work.latency(lambda _: forecast(predictor, known))
    work.note("account", size_mb=size_mb(work.model), **figures)


if __name__ == "__main__":
    run(fit, predict, account)
