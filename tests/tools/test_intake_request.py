"""Checking what is asked: every problem at once, each with its cure; good requests pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest

from state.errors import InputError
from state.settings import Settings
from tests.tools.intake_files import write
from tools.intake.request import Request, check_request, settings_problems
from tools.intake.table import table_from_frame


def orders(rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 9, rows).round(2),
            "city": rng.choice(["Rome", "Oslo", "Bern"], rows),
            "shop": rng.integers(0, 9, rows),
            "day": pd.date_range("2020-01-01", periods=rows).strftime("%Y-%m-%d"),
            "Price": rng.normal(50, 9, rows).round(3),
            "churn": rng.choice(["yes", "no"], rows),
        }
    )


@pytest.fixture
def data(tmp_path: Path) -> str:
    return saved(tmp_path, "orders.csv", orders())


def saved(folder: Path, name: str, frame: pd.DataFrame, **options: Any) -> str:
    frame.to_csv(folder / name, index=False, **options)
    return str(folder / name)


def ask(**settings: Any) -> Request:
    return check_request(Settings(**settings))


def refusal(**settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        ask(**settings)
    assert all(problem.cure for problem in caught.value.problems)
    return str(caught.value)


def test_a_good_request_passes(data: str) -> None:
    """A named target needs no reason, a guessed one has one."""
    request = ask(data=data, target="Price", metric="RMSE", group_columns=["shop"], time_column="day")
    assert (request.target, request.target_reason, request.test) == ("Price", "", None)
    guessed = ask(data=data, intent="Who will churn?")
    assert guessed.target == "churn"
    assert "intent" in guessed.target_reason
    assert ask(data=data, target="churn", metric="auc", positive="yes", kind="binary").target == "churn"
    assert check_request(Settings(target="Price"), table_from_frame(orders())).table.path == ""


def test_every_problem_is_told_at_once(data: str, tmp_path: Path) -> None:
    """Options, columns, metric and the test file are all checked before anything is said."""
    message = refusal(
        data=data,
        target="price",
        metric="auk",
        time_column="days",
        group_columns=["shoop"],
        name="../x",
        memory_mb=5,
        experts={"enginer": "builtin"},
        time_limit=float("inf"),
        test_data=str(tmp_path / "order.csv"),
    )
    for words in (
        "it is written 'Price' there",
        "no metric 'auk'",
        "did you mean 'day'?",
        "did you mean 'shop'?",
        "'../x' cannot name a run",
        "--memory-mb",
        "no role 'enginer'",
        "--time-limit: inf",
        "did you mean",
    ):
        assert words in message
    assert message.startswith("9 problems")


def test_a_missing_file_does_not_hide_the_rest(tmp_path: Path) -> None:
    """Even without data, metric and test file are checked."""
    write(tmp_path, "orders.csv", "a,b\n")
    message = refusal(data=str(tmp_path / "order.csv"), metric="auk", test_data=str(tmp_path / "gone.parquet"))
    assert "orders.csv" in message
    assert "no metric 'auk'" in message
    assert "gone.parquet" in message
    assert "no data was given" in refusal()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "Prices"}, "did you mean 'Price'"),
        ({"target": "nothing"}, "the columns are 'age', 'city'"),
        ({"target": "Price", "metric": "roc_auc"}, "cannot score a regression task"),
        ({"target": "churn", "metric": "rmse"}, "cannot score a binary task"),
        ({"target": "churn", "kind": "regression"}, "needs numbers; it is text, e.g. 'no' (line 2)"),
        ({"target": "city", "kind": "binary"}, "use --kind multiclass"),
        ({"target": "Price", "kind": "binary"}, "use --kind regression"),
        ({"target": "churn", "positive": "Yes"}, "the classes are 'no' and 'yes'"),
        ({"target": "city", "positive": "Rome"}, "there are 3"),
        ({"target": "day"}, "dates"),
        ({"target": "city", "group_columns": ["city"]}, "is the target itself"),
        ({"target": "Price", "time_column": "city"}, "cannot be read as dates"),
        ({"target": "Price", "group_columns": ["churn"]}, "holds 2 groups"),
        ({"target": "Price", "expert": "gpt"}, "'gpt' is no expert"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(data: str, settings: dict[str, Any], said: str) -> None:
    """Target, metric, kind, class and columns are held against the table."""
    assert said in refusal(data=data, **settings)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([np.nan] * 80, "every value is missing"),
        ([1.5] * 10 + [np.nan] * 70, "only 10 of 80 rows"),
        (["yes"] * 80, "there is only one value, 'yes'"),
        ([3] * 80, "there is only one value, '3'"),
        ([f"name {i}" for i in range(80)], "80 different values in 80 rows"),
        (["1.5", "1e400", "inf"] + ["2.5", "3"] * 38 + ["4"], "line 3: 1e400, line 4: inf"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(tmp_path: Path, values: list[object], said: str) -> None:
    """Empty, constant, infinite and identifying targets are named with their place."""
    path = saved(tmp_path, "t.csv", orders().assign(goal=values))
    message = refusal(data=path, target="goal")
    assert said in message
    assert "'goal'" in message


def test_a_numeric_class_may_be_positive(tmp_path: Path) -> None:
    """Labels 1 and 2 are named as a person writes them."""
    path = saved(tmp_path, "t.csv", orders().assign(goal=[1, 2] * 40))
    assert ask(data=path, target="goal", positive="2").target == "goal"
    assert "'1' and '2'" in refusal(data=path, target="goal", positive="0")


def test_one_column_alone_predicts_nothing(tmp_path: Path) -> None:
    """A table with only the target is refused."""
    assert "only one column" in refusal(data=saved(tmp_path, "one.csv", orders()[["Price"]]), target="Price")


def test_a_test_file_is_read_in_the_types_of_the_training_file(data: str, tmp_path: Path) -> None:
    """Another dialect and column order do not matter; columns too many are said."""
    rest = orders(30)[::-1].assign(extra=1, age=5.0)
    path = saved(tmp_path, "test.csv", rest[list(rest.columns)[::-1]], sep=";")
    request = ask(data=data, target="churn", test_data=path)
    assert request.test is not None
    assert list(request.test.columns) == list(request.table.frame.columns)
    assert request.test.dtypes.tolist() == request.table.frame.dtypes.tolist()
    assert request.test["city"].tolist() == rest["city"].tolist()
    assert any("'extra'" in note for note in request.table.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop(columns="churn"), "'churn' is not in the test file"),
        (lambda frame: frame.drop(columns=["age", "shop"]), "there is no column 'shop'"),
        (lambda frame: frame.assign(age="old"), "'age' holds numbers in the training file"),
        (lambda frame: frame.assign(churn="maybe"), "classes the training file lacks: 'maybe'"),
        (lambda frame: frame.assign(churn=np.nan), "every value of the target 'churn' is missing"),
        (lambda frame: frame.head(0), "no row of data"),
    ],
)
def test_a_test_file_that_does_not_match_is_refused(data: str, tmp_path: Path, change: Any, said: str) -> None:
    """Missing columns, other contents, unknown or missing labels are told by name."""
    path = saved(tmp_path, "test.csv", change(orders(30).assign(age=1.5)))
    assert said in refusal(data=data, target="churn", test_data=path)


def test_the_training_file_is_no_test_file(data: str) -> None:
    """The same file twice would seal nothing."""
    assert "is the training file" in refusal(data=data, target="churn", test_data=data)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"time_limit": "abc"}, "--time-limit: 'abc' is no number"),
        ({"time_limit": -5}, "--time-limit: -5 is not more than 0"),
        ({"seed": -1}, "--seed: -1 is less than 0"),
        ({"folds": 1}, "at least 2 and at most 20"),
        ({"test_share": 1.5}, "less than 0.9"),
        ({"kind": "clustering"}, "choose 'binary', 'multiclass', 'regression', 'multilabel' or 'multiregression'"),
        ({"tagret": "x"}, "did you mean --target?"),
        ({"review": ["plans"]}, "choose 'plan' or 'release'"),
        ({"jobs": 1.5}, "--jobs: 1.5 is no whole number"),
        ({"target": 3}, "--target: 3"),
    ],
)
def test_settings_errors_name_option_and_cure(settings: dict[str, Any], said: str) -> None:
    """What pydantic refuses is told as options of the command line."""
    with pytest.raises(pydantic.ValidationError) as caught:
        Settings(**settings)
    problems = settings_problems(caught.value)
    assert said in "\n".join(map(str, problems))
    assert all(problem.cure for problem in problems)
