"""Guessing the column to predict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from tools.intake.table import Table, table_from_frame
from tools.intake.target import guess_target


def table(**columns: object) -> Table:
    """Columns by what they hold: "f" floats, a number n: integers below n, a list: those words, "id": 0, 1, 2, …"""
    rng = np.random.default_rng(0)

    def values(kind: object) -> object:
        if kind == "f":
            return rng.normal(size=80)
        if kind == "id":
            return np.arange(80)
        if kind == "prose":
            return [f"some free text number {i}" for i in range(80)]
        if kind == "dates":
            return pd.date_range("2020-01-01", periods=80)
        return rng.integers(0, kind, 80) if isinstance(kind, int) else rng.choice(kind, 80)

    return table_from_frame(pd.DataFrame({name: values(kind) for name, kind in columns.items()}))


@pytest.mark.parametrize(
    ("intent", "columns", "target"),
    [
        ("Predict customer churn", {"CustomerID": "id", "Churn": ["Yes", "No"], "tenure": "f"}, "Churn"),
        ("Which passengers survived?", {"PassengerId": "id", "Survived": 2, "Age": "f"}, "Survived"),
        ("Predict the price from cut and size", {"cut": ["a", "b"], "price": "f", "size": "f"}, "price"),
        (
            "Predict the average price per room",
            {"avg_price_per_room": "f", "reserved_room": 5, "x": "f"},
            "avg_price_per_room",
        ),
        ("Detect spam messages", {"type": ["ham", "spam"], "text": "prose"}, "type"),
        ("Tell mines (M) from rocks (R)", {"object": ["M", "R"], "band": "f"}, "object"),
        (
            "Forecast the number of animals by animal",
            {"Animal": ["pig", "cow"], "Count": 900, "Month": "dates"},
            "Count",
        ),
        ("Predict pupils' mathematics achievement; new schools", {"school": 30, "mAch": "f", "ses": "f"}, "mAch"),
        ("Forecast the minimum temperature", {"Date": "dates", "Temp": "f", "other": "f"}, "Temp"),
        ("Score applications by the risk of default", {"age": "f", "default": 2, "job": ["a", "b"]}, "default"),
        ("Will the customer buy?", {"purchased": 2, "age": "f", "income": "f"}, "purchased"),
        ("Find fraudulent payments", {"is_fraud": 2, "amount": "f"}, "is_fraud"),
    ],
)
def test_the_intent_names_the_target(intent: str, columns: dict[str, object], target: str) -> None:
    """Names, synonyms, abbreviations and class values in the sentence lead to the column."""
    name, reason = guess_target(table(**columns), intent)
    assert name == target
    assert target in reason
    assert "intent" in reason
    assert reason.endswith(".")


def test_without_words_a_usual_name_then_the_last_column() -> None:
    """`target` is a usual name; else the last column is taken, and that is said."""
    assert guess_target(table(target=2, a="f", b="f"), "")[0] == "target"
    name, reason = guess_target(table(a="f", b="f", c="f"), "do something clever")
    assert name == "c"
    assert "last column" in reason


def test_dates_identifiers_and_prose_are_no_targets() -> None:
    """When the last column cannot be learnt and nothing else stands out, the person is asked to name one."""
    with pytest.raises(InputError, match="--target"):
        guess_target(table(a="f", b="f", note="prose"), "")
    with pytest.raises(InputError, match="no column stands out"):
        guess_target(table(a="f", when="dates"), "")
