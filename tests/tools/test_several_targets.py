"""Several targets at once: how they are recognised and refused, their metrics, programs, and columns of a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from state.candidate import Plan
from state.errors import InputError
from state.profile import Profile
from state.settings import Settings
from state.task import Task
from tools.framing import frame_task
from tools.intake.request import check_request
from tools.intake.table import table_from_frame
from tools.metrics import METRICS, metric_for
from tools.naive import constant_predictions
from tools.portable.saving import load_model, save_model
from tools.profiling.profile import profile_table
from tools.program import check_program
from tools.recipes.catalogue import applicable, find_recipe, write_program
from tools.recipes.several import one_profile, one_target
from tools.release.inference import output_columns
from tools.resampling import statistic_of
from tools.scoring import check_predictions, make_score, score, several_of
from tools.several import held_back, prepared_values, profile_of_several, values_of, with_summary

RNG = np.random.default_rng(5)
LABELS = (RNG.random((240, 3)) < [0.2, 0.5, 0.7]).astype(float)
CHANCES = np.clip(0.4 * LABELS + RNG.uniform(0.0, 0.6, (240, 3)), 0, 1)
NUMBERS = RNG.normal(size=(240, 2)) * [1.0, 100.0]
GUESS = NUMBERS + RNG.normal(size=(240, 2)) * [0.5, 80.0]


@dataclass(frozen=True)
class Framed:
    """A framed table of several targets."""

    frame: pd.DataFrame
    profile: Profile
    task: Task


def framed(frame: pd.DataFrame, target: Any, **settings: object) -> Framed:
    """Checked, profiled and framed as a build does it."""
    made = Settings.model_validate({"target": target, **settings})
    request = check_request(made, table_from_frame(frame))
    assert request.several is not None
    table = with_summary(request.table.frame, request.several)
    profile = profile_table(
        table.drop(columns=held_back(request.several)), request.target, made.intent, kind="regression"
    )
    profile = profile_of_several(profile, table, request.several)
    return Framed(table, profile, frame_task(made, table, profile, request.target, request.several))


def sensors(rows: int = 160) -> pd.DataFrame:
    x, z = RNG.normal(size=(2, rows))
    noise = RNG.normal(size=(2, rows)) * 0.2
    return pd.DataFrame(
        {
            "x": x,
            "z": z,
            "site": RNG.choice(["north", "south"], rows),
            "load": (2 * x + noise[0]).round(4),
            "heat": (300 + 80 * z + 20 * noise[1]).round(3),
            "alarm": (x + noise[0] > 0.4).astype(float),
            "fault": np.where(z + noise[1] > 0, "yes", "no"),
        }
    )


# ---- recognising and refusing ----------------------------------------------------------------------------------------


def test_columns_named_with_commas_or_as_a_list_are_several_targets() -> None:
    """Numbers make a multiregression, columns of yes or no a multilabel task; none of them is a feature."""
    one = framed(sensors(), "load,heat").task
    assert (one.kind, one.targets, one.target, one.metric.name) == (
        "multiregression",
        ["load", "heat"],
        "load, heat",
        "scaled_rmse",
    )
    two = framed(sensors().drop(columns=["load", "heat"]), ["alarm", "fault"])
    assert (two.task.kind, two.task.targets, two.task.metric.name) == ("multilabel", ["alarm", "fault"], "mean_roc_auc")
    assert {feature.name for feature in two.task.features} == {"x", "z", "site"}
    values = prepared_values(two.frame, two.task)
    assert values.shape == (160, 2)
    assert set(np.unique(values)) == {0.0, 1.0}


def test_a_column_of_tags_is_read_as_labels() -> None:
    """`red;blue` becomes one yes-or-no target per tag, in the order of the alphabet."""
    tags = [";".join(name for name, yes in zip(("blue", "green", "red"), row, strict=True) if yes) for row in LABELS]
    frame = pd.DataFrame({"x": RNG.normal(size=240), "colours": [text or "red" for text in tags]})
    found = framed(frame, "colours", kind="multilabel")
    assert found.task.targets == ["blue", "green", "red"]
    assert found.task.tag_separator == ";"
    values = prepared_values(found.frame, found.task)
    assert np.array_equal(values[:, 0], LABELS[:, 0])
    assert [feature.name for feature in found.task.features] == ["x"]


def test_a_row_that_lacks_one_target_is_left_out() -> None:
    """Rows are learnt from only where all targets are known."""
    frame = sensors()
    frame.loc[:4, "heat"] = np.nan
    assert "5 of 160 rows have no target" in "\n".join(framed(frame, "load,heat").task.decisions)


def test_a_copy_of_one_of_the_targets_is_no_feature() -> None:
    """What tells a single target is found, though the targets are looked at together."""
    frame = sensors().drop(columns=["alarm", "fault"]).assign(again=lambda table: table["heat"])
    assert "copy of the target" in framed(frame, "load,heat").task.excluded["again"]


def test_bad_targets_are_refused_with_all_problems_at_once() -> None:
    """Twice the same, an absent one with its nearest name, a constant one, mixed kinds: each is said."""
    with pytest.raises(InputError) as caught:
        framed(sensors(), "load,load,heet")
    assert "'load' is named 2 times" in str(caught.value)
    assert "heat" in str(caught.value)
    flat = sensors().assign(alarm=0.0)
    with pytest.raises(InputError, match="target 'alarm' is always 0"):
        framed(flat, "alarm,fault")
    with pytest.raises(InputError) as mixed:
        framed(sensors(), "load,site,heat", metric="f1")
    assert "targets of mixed kinds: 'site' holds texts" in str(mixed.value)
    assert "cannot score a multiregression task" in str(mixed.value)


# ---- metrics ---------------------------------------------------------------------------------------------------------


def test_label_metrics_are_scikit_learns() -> None:
    """Areas, precisions, F1, hamming loss and subset accuracy are its values for an indicator matrix."""
    said = CHANCES >= 0.5
    wanted = {
        "mean_roc_auc": sk.roc_auc_score(LABELS, CHANCES, average="macro"),
        "mean_average_precision": sk.average_precision_score(LABELS, CHANCES, average="macro"),
        "micro_f1": sk.f1_score(LABELS, said, average="micro"),
        "label_f1": sk.f1_score(LABELS, said, average="macro"),
        "hamming_loss": sk.hamming_loss(LABELS, said),
        "subset_accuracy": sk.accuracy_score(LABELS, said),
        "mean_log_loss": np.mean([sk.log_loss(LABELS[:, i], CHANCES[:, i]) for i in range(3)]),
    }
    for name, value in wanted.items():
        assert score(METRICS[name], LABELS, CHANCES) == pytest.approx(value, rel=1e-9), name


def test_each_number_counts_the_same_unless_uniform() -> None:
    """Scaled errors do not change with a target's unit; uniform ones are means in the targets' own units."""
    scaled = score(METRICS["scaled_rmse"], NUMBERS, GUESS)
    assert scaled == pytest.approx(score(METRICS["scaled_rmse"], NUMBERS * [1, 1000], GUESS * [1, 1000]))
    errors = [sk.root_mean_squared_error(NUMBERS[:, i], GUESS[:, i]) / NUMBERS[:, i].std() for i in range(2)]
    assert scaled == pytest.approx(np.mean(errors))
    assert score(METRICS["mean_r2"], NUMBERS, GUESS) == pytest.approx(sk.r2_score(NUMBERS, GUESS))
    uniform = sk.mean_absolute_error(NUMBERS, GUESS, multioutput="uniform_average")
    assert score(METRICS["uniform_mae"], NUMBERS, GUESS) == pytest.approx(uniform)


@pytest.mark.parametrize(
    "name", [name for name in METRICS if name.startswith(("mean_", "scaled_", "uniform_", "hamm"))]
)
def test_a_resample_has_the_value_of_its_rows(name: str) -> None:
    """Row weights give the metric of the rows repeated as often."""
    y, p = (LABELS, CHANCES) if METRICS[name].needs != "values" else (NUMBERS, GUESS)
    drawn = RNG.integers(0, 240, 240)
    weights = np.bincount(drawn, minlength=240).astype(float)[None, :]
    found = statistic_of(name, METRICS[name].needs, y, p, 0, 0)(weights)[0]
    assert found == pytest.approx(score(METRICS[name], y[drawn], p[drawn]), rel=1e-9)


def test_scores_of_several_targets_have_intervals() -> None:
    """Pooled and per fold, the interval holds the value."""
    for name, y, p in (
        ("micro_f1", LABELS, CHANCES),
        ("subset_accuracy", LABELS, CHANCES),
        ("scaled_mae", NUMBERS, GUESS),
    ):
        found = make_score(METRICS[name], y, p, [np.arange(120), np.arange(120, 240)])
        assert found.low < found.value < found.high
        assert len(found.folds) == 2


def test_common_names_mean_the_form_for_several_targets() -> None:
    """auc, f1 and accuracy of labels, and rmse of numbers, are taken as their means."""
    assert metric_for("auc", "multilabel")[0].name == "mean_roc_auc"
    assert metric_for("f1", "multilabel")[0].name == "label_f1"
    assert metric_for("accuracy", "multilabel")[0].name == "subset_accuracy"
    assert metric_for("rmse", "multiregression")[0].name == "scaled_rmse"


def test_predictions_of_several_targets_are_checked() -> None:
    """One column per target; chances lie between 0 and 1 and need not add up."""
    task = framed(sensors().drop(columns=["load", "heat"]), "alarm,fault").task
    assert check_predictions(np.full((4, 2), 0.9), 4, [], several=several_of(task)) == []
    assert "one column per target" in check_predictions(np.zeros(4), 4, [], several=several_of(task))[0]
    assert "outside 0 to 1" in check_predictions(np.full((4, 2), 1.4), 4, [], several=several_of(task))[0]


# ---- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "recipe", "metric"),
    [
        ("load,heat", "linear", ""),
        ("load,heat", "boosting", "mae"),
        ("alarm,fault", "forest", ""),
        ("alarm,fault", "linear", "micro_f1"),
    ],
)
def test_every_recipe_serves_several_targets(targets: str, recipe: str, metric: str, tmp_path: Any) -> None:
    """The program of one target is fitted once per target; it learns, replays, is stored without pickle."""
    names = targets.split(",")
    others = {"load", "heat", "alarm", "fault"} - set(names)
    found = framed(sensors().drop(columns=list(others)), targets, metric=metric)
    task, profile = found.task, found.profile
    assert recipe in {one.name for one, _ in applicable(task, profile)}
    variant = find_recipe(recipe).variants(one_target(task), one_profile(task, profile))[0]
    small = {
        key: value
        for key, value in {"rounds": 30, "trees": 30, "members": 1, "inner": 2}.items()
        if key in variant.params
    }
    plan = Plan(id="p", title=variant.title, rationale=variant.why, recipe=recipe, params={**variant.params, **small})
    code = write_program(plan, task, profile)
    assert check_program(code) == []
    program: dict[str, Any] = {"__name__": "program"}
    exec(compile(code, recipe, "exec"), program)
    X = found.frame[[feature.name for feature in task.features]]
    y = prepared_values(found.frame, task)
    labels = pd.DataFrame(y, columns=task.targets).astype("int64" if task.kind == "multilabel" else "float64")
    train, test = slice(0, 120), slice(120, 160)
    options: dict[str, Any] = {"seed": 1, "n_jobs": 1}
    model = program["fit"](X.iloc[train], labels.iloc[train], task=task.for_program(), time_limit=20.0, **options)
    held = X.iloc[test].reset_index(drop=True)
    values = program["predict"](model, held)
    assert check_predictions(values, 40, [], several=several_of(task)) == []
    constant = constant_predictions(task, y[train], 40)
    assert task.metric.better(score(task.metric, y[test], values), score(task.metric, y[test], constant))
    replay = task.for_program(model["effective"])
    again = program["fit"](X.iloc[train], labels.iloc[train], task=replay, time_limit=None, **options)
    assert np.array_equal(values, program["predict"](again, held))
    assert save_model(model, tmp_path)["unsafe"] is False
    assert np.array_equal(values, program["predict"](load_model(tmp_path), held))


# ---- release ---------------------------------------------------------------------------------------------------------


def test_a_release_has_columns_for_each_target() -> None:
    """Numbers: prediction_<target>. Labels: prediction_<label> and proba_<label>, and the tags again where they were tags."""
    numbers = framed(sensors(), "load,heat").task
    assert [one["name"] for one in output_columns(numbers)] == ["prediction_load", "prediction_heat"]
    labels = framed(sensors().drop(columns=["load", "heat"]), "alarm,fault").task
    names = [one["name"] for one in output_columns(labels)]
    assert names == ["prediction_alarm", "prediction_fault", "proba_alarm", "proba_fault"]
    assert output_columns(labels.but(tag_separator=";"))[0] == {"name": "prediction", "type": "text"}


def test_tags_in_lists_and_quotes_are_the_same_tags() -> None:
    """['a', 'b'] and a;b mean the same labels."""
    frame = pd.DataFrame({"x": RNG.normal(size=60), "tags": ["['a', 'b']", "['b']", "['a']"] * 20})
    made = Settings(target="tags", kind="multilabel")
    several = check_request(made, table_from_frame(frame)).several
    assert several is not None
    assert several.names == ["a", "b"]
    assert values_of(frame, several)[:3].tolist() == [[1, 1], [0, 1], [1, 0]]
