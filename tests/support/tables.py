"""Small real-looking tables with a signal in them."""

from __future__ import annotations

import numpy as np
import pandas as pd


def loans(rows: int = 240, seed: int = 7) -> pd.DataFrame:
    """A binary task: numbers, categories, a date, missing values, an identifier; `default` is yes or no."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10, 0.5, rows)
    debt = rng.gamma(2.0, 4000.0, rows)
    purpose = rng.choice(["car", "house", "travel", "study"], rows)
    risk = debt / income * 3 + (purpose == "travel") * 1.2 + rng.normal(0, 0.5, rows)
    table = pd.DataFrame(
        {
            "loan_id": np.arange(1000, 1000 + rows),
            "income": income.round(2),
            "debt": debt.round(2),
            "purpose": purpose,
            "opened": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
            "default": np.where(risk > np.quantile(risk, 0.65), "yes", "no"),
        }
    )
    table.loc[rng.choice(rows, rows // 10, replace=False), "income"] = np.nan
    table.loc[rng.choice(rows, rows // 12, replace=False), "purpose"] = np.nan
    return table


def houses(rows: int = 240, seed: int = 3) -> pd.DataFrame:
    """A regression task with a skewed positive target."""
    rng = np.random.default_rng(seed)
    area = rng.uniform(30, 250, rows)
    quality = rng.choice(["poor", "fair", "good", "fine"], rows)
    factor = pd.Series(quality).map({"poor": 0.7, "fair": 0.9, "good": 1.1, "fine": 1.5}).to_numpy()
    price = area * 1800 * factor * rng.lognormal(0, 0.15, rows)
    return pd.DataFrame(
        {"area": area.round(1), "quality": quality, "year": rng.integers(1900, 2020, rows), "price": price.round(0)}
    )


def flowers(rows: int = 180, seed: int = 5) -> pd.DataFrame:
    """A multiclass task: three kinds told apart by two lengths."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["iris", "lily", "rose"], rows)
    centre = pd.Series(kind).map({"iris": 1.0, "lily": 2.0, "rose": 3.2}).to_numpy()
    return pd.DataFrame(
        {
            "petal": (centre + rng.normal(0, 0.4, rows)).round(3),
            "sepal": (centre * 0.5 + rng.normal(0, 0.5, rows)).round(3),
            "colour": np.where(rng.random(rows) < 0.8, "white", "red"),
            "kind": kind,
        }
    )
