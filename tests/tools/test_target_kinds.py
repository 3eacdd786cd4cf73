"""What framing learns of a target beyond its kind: counts, exposures, many zeros; classes with an order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from state.settings import Settings
from state.task import Task
from tools.framing import frame_task
from tools.intake.request import check_request
from tools.intake.table import table_from_frame
from tools.orders import order_of, says_ordered
from tools.profiling.profile import profile_table
from tools.targetkinds import implied_kind

RNG = np.random.default_rng(8)


def framed(frame: pd.DataFrame, target: str, **settings: object) -> Task:
    """Checked, profiled and framed as a build does it."""
    made = Settings.model_validate({"target": target, **settings})
    table = table_from_frame(frame)
    check_request(made, table)
    profile = profile_table(table.frame, target, made.intent, kind=implied_kind(made, table.frame[target]))
    return frame_task(made, table.frame, profile, target)


def policies(rows: int = 400) -> pd.DataFrame:
    years = RNG.uniform(0.2, 2, rows).round(3)
    return pd.DataFrame(
        {
            "age": RNG.normal(45, 12, rows).round(1),
            "policy_years": years,
            "claims": RNG.poisson(0.8 * years).astype(float),
            "paid": np.where(RNG.random(rows) < 0.7, 0.0, RNG.gamma(2, 500, rows)).round(2),
        }
    )


def answers(labels: list[object], rows: int = 300) -> pd.DataFrame:
    return pd.DataFrame({"x": RNG.normal(size=rows), "z": RNG.normal(size=rows), "y": RNG.choice(labels, rows)})


def test_counts_and_many_zeros_are_recognised_and_said() -> None:
    """Whole numbers from 0 up are counts, a share of exact zeros is told; neither may be predicted below 0."""
    claims = framed(policies(), "claims", kind="regression")
    assert claims.target_traits[0] == "count"
    assert claims.is_never_negative
    assert any("no prediction lies below 0" in one for one in claims.decisions)
    paid = framed(policies(), "paid")
    assert "zero-inflated" in paid.target_traits
    assert paid.is_never_negative
    assert paid.metric.name == "rmse"


def test_prices_and_signed_values_are_no_counts() -> None:
    """Whole prices far from 0 and values with negative ones stay plain numbers."""
    frame = policies().assign(price=RNG.integers(300, 20_000, 400).astype(float), change=RNG.normal(size=400))
    assert not framed(frame, "price").is_never_negative
    assert framed(frame, "change").target_traits == []


def test_an_exposure_the_intent_names_is_used_and_chooses_the_metric() -> None:
    """Claims per year of exposure: the column is found, said, and Poisson's deviance judges."""
    task = framed(
        policies(), "claims", kind="regression", intent="Number of claims per year; policy years is the exposure"
    )
    assert task.exposure == "policy_years"
    assert "exposure" in task.target_traits
    assert task.metric.name == "poisson_deviance"
    assert task.for_program()["exposure"] == "policy_years"
    assert framed(policies(), "claims", kind="regression", intent="Number of claims").exposure is None


def test_a_deviance_is_refused_for_values_it_is_not_defined_for() -> None:
    """Gamma needs positive values, Poisson no negative ones; the message names the value and what to choose."""
    with pytest.raises(InputError, match="gamma_deviance needs positive values only, but 'paid' reaches 0"):
        framed(policies(), "paid", metric="gamma_deviance")
    frame = policies().assign(change=RNG.normal(size=400))
    with pytest.raises(InputError, match="poisson_deviance needs a target without negative values"):
        framed(frame, "change", metric="poisson")


@pytest.mark.parametrize(
    ("labels", "intent", "expected"),
    [
        (["low", "high", "medium"], "", ["low", "medium", "high"]),
        (["Ideal", "Fair", "Premium", "Good", "Very Good"], "", ["Fair", "Good", "Very Good", "Premium", "Ideal"]),
        (["XL", "S", "M", "L"], "", ["S", "M", "L", "XL"]),
        (["often", "never", "sometimes"], "", ["never", "sometimes", "often"]),
        (["Strongly agree", "Agree", "Disagree", "Neutral"], "", ["Disagree", "Neutral", "Agree", "Strongly agree"]),
        (["10 stars", "2 stars", "1 stars"], "", []),
        (["stage 10", "stage 2", "stage 1"], "on a scale", ["stage 1", "stage 2", "stage 10"]),
        (["tepid", "boiling", "icy"], "in the order icy < tepid < boiling", ["icy", "tepid", "boiling"]),
        (["very good", "good", "so"], "from so to good to very good, ordinal", ["so", "good", "very good"]),
        (["red", "green", "blue"], "ordinal", []),
    ],
)
def test_the_order_of_classes(labels: list[str], intent: str, expected: list[str]) -> None:
    """Known scales, numbered labels and the intent's own words tell an order; colours have none."""
    found = order_of(sorted(labels), intent, wanted=says_ordered(intent))
    assert (found[0] if found else []) == expected


def test_a_known_scale_orders_the_classes_and_says_so() -> None:
    """The order is in task.classes and in the decisions; the metric nobody named stays the usual one."""
    task = framed(answers(["low", "high", "medium"]), "y")
    assert task.classes == ["low", "medium", "high"]
    assert task.is_ordinal
    assert any("low < medium < high" in one for one in task.decisions)
    assert task.metric.name == "accuracy"


def test_a_metric_of_ranks_makes_classes_of_ratings() -> None:
    """Whole numbers judged by quadratic weighted kappa are ordered classes, even where they look like amounts."""
    frame = answers([3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).rename(columns={"y": "quality_score"})
    task = framed(frame, "quality_score", metric="quadratic_weighted_kappa")
    assert (task.kind, task.is_ordinal, task.classes) == ("multiclass", True, [3, 4, 5, 6, 7, 8])
    assert framed(frame, "quality_score").kind == "regression"


def test_an_intent_that_speaks_of_order_chooses_kappa() -> None:
    """Ordinal words in the sentence set the metric when nobody named one."""
    task = framed(answers([1.0, 2.0, 3.0, 4.0]), "y", kind="multiclass", intent="Rate severity on a scale of 1 to 4")
    assert task.metric.name == "quadratic_kappa"
    assert task.is_ordinal


def test_mean_error_of_ranks_needs_an_order() -> None:
    """mae on ordered texts counts ranks; on colours it is refused with a way out."""
    assert framed(answers(["low", "high", "medium"]), "y", metric="mae").metric.name == "rank_mae"
    with pytest.raises(InputError, match="have no order that is known"):
        framed(answers(["red", "green", "blue"]), "y", metric="mae")
