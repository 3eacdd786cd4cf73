"""Framing: task kind, classes, columns, entities and time, decided from data and intent and said in sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from state.settings import Settings
from state.task import Task
from tools.framing import canonical_labels, frame_task
from tools.intent import horizon_in, unseen_entities, wanted_output, wants_forecast
from tools.profiling.profile import profile_table
from tools.timeline import Step, infer_step

RNG = np.random.default_rng(0)


def text(values: object) -> pd.Series:
    return pd.Series(list(values), dtype=object)  # type: ignore[call-overload]


def framed(frame: pd.DataFrame, target: str, intent: str = "", **settings: object) -> Task:
    made = Settings.model_validate({"intent": intent, **settings})
    profile = profile_table(
        frame, target, intent, kind=made.kind, time_column=made.time_column, group_columns=made.group_columns
    )
    return frame_task(made, frame, profile, target)


def pupils() -> pd.DataFrame:
    school = np.repeat(np.arange(40), 10)
    return pd.DataFrame(
        {
            "school": school.astype(float),
            "ses": RNG.normal(size=400),
            "sector": text(np.where(school % 2, "public", "private")),
            "score": RNG.normal(size=400),
        }
    )


def visits(intent_column: str = "patient_id") -> pd.DataFrame:
    return pd.DataFrame(
        {
            intent_column: RNG.integers(100, 150, 300).astype(float),
            "pulse": RNG.normal(70, 9, 300),
            "ill": text(RNG.choice(["yes", "no"], 300, p=[0.3, 0.7])),
        }
    )


def slaughter() -> pd.DataFrame:
    months = pd.date_range("2010-01-01", periods=80, freq="MS")
    keys = [(animal, state) for animal in ("cow", "pig") for state in ("north", "south", "west")]
    parts = [pd.DataFrame({"month": months, "animal": animal, "state": state}) for animal, state in keys]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(animal=text(frame["animal"]), state=text(frame["state"]), count=RNG.normal(100, 9, len(frame)))


def said(task: Task) -> str:
    return "\n".join(task.decisions)


def test_a_plain_table_of_two_classes() -> None:
    """Identifiers and constants are left out with their reason, the rare yes is positive, folds are stratified."""
    frame = pd.DataFrame(
        {
            "id": np.arange(1.0, 201),
            "age": RNG.normal(40, 9, 200),
            "country": text(["here"] * 200),
            "churned": text(RNG.choice(["yes", "no"], 200)),
        }
    )
    task = framed(frame, "churned", "Which customers leave?")
    assert (task.kind, task.classes, task.positive) == ("binary", ["no", "yes"], "yes")
    assert [feature.name for feature in task.features] == ["age"]
    assert set(task.excluded) == {"id", "country"}
    assert "identifier" in task.excluded["id"]
    assert (task.split.kind, task.split.folds, task.split.test_share) == ("stratified", 5, 0.2)
    assert "Column 'id' is not used" in said(task)
    assert Task.model_validate(task.plain()) == task


def test_a_column_equal_to_the_target_is_left_out() -> None:
    """A copy of the target is handled and said, not refused."""
    frame = pupils().assign(again=lambda table: table["score"])
    task = framed(frame, "score")
    assert "copy of the target" in task.excluded["again"]


def test_a_partly_missing_target_is_said() -> None:
    """Rows without a target are left out of the labels, and a sentence counts them."""
    frame = pupils()
    frame.loc[:9, "score"] = np.nan
    assert "10 of 400 rows have no target" in said(framed(frame, "score"))
    labels, known = canonical_labels(frame["score"], "regression")
    assert (len(labels), known.sum()) == (390, 390)
    assert not known[:10].any()


def test_labels_have_one_form() -> None:
    """Whole numbers are ints, others and truth values are texts, quantities are floats."""
    assert canonical_labels(pd.Series([1.0, 2.0, np.nan]), "binary")[0].tolist() == [1, 2]
    assert canonical_labels(pd.Series([0.5, 1.5]), "binary")[0].tolist() == ["0.5", "1.5"]
    assert canonical_labels(pd.Series([True, False]), "binary")[0].tolist() == ["True", "False"]
    assert canonical_labels(text(["b", np.nan, "a"]), "multiclass")[0].tolist() == ["b", "a"]
    assert canonical_labels(pd.Series([1, 2]), "regression")[0].dtype == np.float64


@pytest.mark.parametrize(
    ("labels", "given", "intent", "positive"),
    [
        ([0, 1], "", "", 1),
        ([1, 2], "", "", 2),
        ([1, 2], "1", "", 1),
        ([1, 2], "2.0", "", 2),
        (["ham", "spam"], "", "Detect spam messages", "spam"),
        (["M", "R"], "", "Tell mines (M) from rocks (R)", "M"),
        (["benign", "malignant"], "", "", "malignant"),
        (["left", "right"], "right", "", "right"),
        (["blue", "red"], "", "", "red"),
    ],
)
def test_the_positive_class(labels: list[object], given: str, intent: str, positive: object) -> None:
    """Given, spoken of, meaning yes, or rarer: in this order."""
    values = np.resize(np.array([labels[0], labels[0], labels[1]], dtype=object), 90)
    frame = pd.DataFrame({"x": RNG.normal(size=90), "y": pd.Series(values).infer_objects()})
    assert framed(frame, "y", intent, positive=given).positive == positive


def test_entities_the_intent_has_not_seen_stay_together() -> None:
    """“Schools we have not seen”: a split by school, which no program sees, while its own features stay."""
    task = framed(pupils(), "score", "Predict scores; the model will be used on schools we have not seen.")
    assert (task.split.kind, task.group_columns) == ("group", ["school"])
    assert [feature.name for feature in task.features] == ["ses", "sector"]
    assert "not seen before" in task.split.reason


def test_persons_with_several_rows_stay_together() -> None:
    """A patient number with many rows each groups the split without a word of intent."""
    task = framed(visits(), "ill", "Tell who is ill")
    assert (task.split.kind, task.group_columns) == ("group", ["patient_id"])


def test_given_groups_count() -> None:
    """A column named by the person is taken, whatever it looks like."""
    task = framed(visits("ward"), "ill", group_columns=["ward"])
    assert (task.split.kind, task.group_columns) == ("group", ["ward"])
    assert "as given" in task.split.reason
    assert framed(visits("ward"), "ill").split.kind == "stratified"


def test_unseen_things_without_a_column_are_said() -> None:
    """When no column tells the entities apart, the split is plain and a sentence says what is missing."""
    task = framed(visits("ward"), "ill", "It shall work on unseen hospitals")
    assert task.split.kind == "stratified"
    assert "no column says" in said(task)


def test_a_forecast_of_a_panel() -> None:
    """The words ask for coming years: forward in time, one series per animal and state, which stay features."""
    task = framed(slaughter(), "count", "Forecast the monthly number by animal and state for the coming years.")
    assert (task.split.kind, task.forecast, task.time_column) == ("time", True, "month")
    assert task.group_columns == ["animal", "state"]
    assert {feature.name for feature in task.features} == {"month", "animal", "state"}
    assert task.horizon == 16
    assert task.metric.name == "mae"


@pytest.mark.parametrize(
    ("intent", "horizon"),
    [
        ("Forecast the count for the coming year", 12),
        ("Forecast the count of the next 3 months", 3),
        ("Forecast the count two quarters ahead", 6),
    ],
)
def test_the_horizon_is_read_from_the_intent(intent: str, horizon: int) -> None:
    """A named length of time becomes steps of the series."""
    assert framed(slaughter(), "count", intent).horizon == horizon


def test_a_bare_series_is_a_forecast_without_words() -> None:
    """A table of nothing but days and values can only be continued."""
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=300), "load": RNG.normal(size=300)})
    task = framed(frame, "load")
    assert (task.split.kind, task.forecast) == ("time", True)


def test_dates_alone_make_no_forecast() -> None:
    """Bookings with an arrival date are no series; the split stays random, and the date is pointed out."""
    frame = pd.DataFrame(
        {
            "arrival": RNG.choice(pd.date_range("2020-01-01", periods=200), 400),
            "guests": RNG.integers(1, 5, 400).astype(float),
            "room": text(RNG.choice(list("abc"), 400)),
            "price": RNG.gamma(3, 30, 400),
        }
    )
    task = framed(frame, "price", "Predict the daily room price of a booking")
    assert (task.split.kind, task.forecast, task.time_column) == ("random", False, None)
    assert "'arrival' could order the rows" in said(task)
    given = framed(frame, "price", "Predict the daily room price", time_column="arrival")
    assert (given.split.kind, given.forecast) == ("time", True)


def test_events_that_differ_by_accident_are_no_series() -> None:
    """Where time and two categories happen to name each row once, yet most steps are empty, there are no series."""
    frame = pd.DataFrame(
        {
            "when": RNG.choice(pd.date_range("2020-01-01", periods=3000, freq="h"), 2000),
            "desk": text(RNG.choice([f"d{i}" for i in range(20)], 2000)),
            "topic": text(RNG.choice([f"t{i}" for i in range(20)], 2000)),
            "minutes": RNG.gamma(2, 9, 2000),
        }
    )
    assert framed(frame, "minutes", "How long do calls take next month?").split.kind == "random"
    plain = framed(frame, "minutes", "Forecast how long calls take")
    assert (plain.split.kind, plain.group_columns, plain.horizon) == ("time", [], None)


def test_a_given_metric_fits_or_is_refused() -> None:
    """Aliases work; a metric that cannot score the task is an input error."""
    assert framed(pupils(), "score", metric="root_mean_squared_error").metric.name == "rmse"
    with pytest.raises(InputError, match="cannot score a regression"):
        framed(pupils(), "score", metric="auc")
    with pytest.raises(InputError, match="negative values"):
        framed(pupils(), "score", metric="rmsle")


@pytest.mark.parametrize(
    ("frame", "target", "settings", "message"),
    [
        (pupils(), "score", {"time_column": "Ses "}, "did you mean 'ses'"),
        (pupils(), "score", {"group_columns": ["score"]}, "is the target"),
        (pupils(), "score", {"time_column": "sector"}, "no times"),
        (pupils(), "sector", {"positive": "both"}, "choose one of 'private', 'public'"),
        (pupils(), "sector", {"kind": "regression"}, "needs numbers"),
        (pupils(), "school", {"kind": "binary"}, "has 40 classes"),
        (pupils().assign(sector="same"), "sector", {}, "one class only"),
        (pupils().assign(sector=text(["a"] * 398 + ["b"] * 2)), "sector", {}, "has 2 rows"),
        (pupils().assign(name=text(f"pupil {i}" for i in range(400))), "name", {}, "400 classes in 400 rows"),
        (pupils()[["score"]].assign(c=1.0), "score", {}, "no column is left"),
    ],
)
def test_what_cannot_be_framed_is_refused(
    frame: pd.DataFrame, target: str, settings: dict[str, object], message: str
) -> None:
    """Each refusal names the place and the cure."""
    with pytest.raises(InputError, match=message):
        framed(frame, target, **settings)


def test_several_wrong_columns_are_listed_at_once() -> None:
    """A person corrects all of them in one go."""
    frame = pupils()
    settings = Settings(time_column="when", group_columns=["who"])
    profile = profile_table(frame, "score")
    with pytest.raises(InputError) as caught:
        frame_task(settings, frame, profile, "score")
    assert len(caught.value.problems) == 2


def test_a_single_row_of_a_class_is_said() -> None:
    """It can be learnt from but not tested."""
    frame = pupils().assign(sector=text(["a"] * 200 + ["b"] * 199 + ["lone"]))
    assert "never tested: 'lone'" in said(framed(frame, "sector"))


def test_the_words_of_an_intent() -> None:
    """Sentences as people write them."""
    assert unseen_entities("works for patients never seen before") == ["patient"]
    assert unseen_entities("Tell enhancers from other genome sequences") == []
    assert unseen_entities("will be used in other hospitals") == ["hospital"]
    assert wants_forecast("Forecast sales") == "plainly"
    assert wants_forecast("Who will leave next month?") == "perhaps"
    assert wants_forecast("Estimate the price") == "no"
    assert wanted_output("Tell which flower it is") == "classes"
    assert wanted_output("Estimate how much it costs") == "numbers"
    days = Step("day", 1, 0)
    assert [horizon_in(f"for {words}", days) for words in ("tomorrow", "the coming year", "the coming years")] == [
        1,
        365,
        None,
    ]


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("MS", "1 month"),
        ("ME", "1 month"),
        ("QS", "1 quarter"),
        ("YS", "1 year"),
        ("W", "1 week"),
        ("15min", "15 minutes"),
    ],
)
def test_the_step_of_a_series(freq: str, expected: str) -> None:
    """Months of different lengths are still one month apart; positions count steps."""
    times = pd.Series(pd.date_range("2019-01-31", periods=30, freq=freq))
    step = infer_step(times)
    assert step is not None
    assert str(step) == expected
    assert step.positions(times).tolist() == list(range(30))
