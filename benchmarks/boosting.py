"""The yardstick: scikit-learn's HistGradientBoosting behind skrub's tabular_pipeline, both as they come."""

from __future__ import annotations

import argparse
import json
import sys
import time

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from skrub import tabular_pipeline


def main() -> None:
    """Fit on one file, predict another, print seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--csv", default="{}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    began = time.monotonic()
    reading = json.loads(options.csv)
    train, test = (pd.read_csv(path, **reading) for path in (options.train, options.test))
    labels = train.pop(options.target)
    kept = labels.notna()
    learner = (
        HistGradientBoostingRegressor(random_state=options.seed)
        if options.task == "regression"
        else HistGradientBoostingClassifier(random_state=options.seed)
    )
    model = tabular_pipeline(learner).fit(train[kept], labels[kept])
    fields = test.drop(columns=options.target)
    table = pd.DataFrame({"prediction": model.predict(fields)})
    if options.task != "regression":
        shares = model.predict_proba(fields)
        for place, label in enumerate(model.classes_):
            table[f"proba_{label}"] = shares[:, place]
    table.to_csv(options.out, index=False)
    json.dump({"seconds": time.monotonic() - began}, sys.stdout)


if __name__ == "__main__":
    main()
