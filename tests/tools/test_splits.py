"""The split: sealed rows, folds, and the files that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from state.settings import Settings
from state.task import Feature, Prepared, SplitPlan, Task
from tools.artifacts import FolderArtifacts
from tools.labels import Labels
from tools.metrics import METRICS
from tools.splits import Dealt, deal, fold_rows, plan_split, prepare


def task_of(kind: str, labels: Labels, split: SplitPlan, **more: object) -> Task:
    classes = sorted(set(labels.tolist())) if kind != "regression" else []
    metric = {"binary": "roc_auc", "multiclass": "macro_f1", "regression": "rmse"}[kind]
    facts = {"kind": kind, "target": "y", "intent": "", "metric": METRICS[metric], "classes": classes, "split": split}
    return Task.model_validate({**facts, "features": [Feature(name="x", kind="numeric")], **more})


def split_of(kind: str, folds: int = 5, **more: object) -> SplitPlan:
    return SplitPlan.model_validate({"kind": kind, "folds": folds, "test_share": 0.2, "reason": "", **more})


def covers(dealt: Dealt, rows: int) -> bool:
    return sorted([*dealt.open_rows, *dealt.sealed_rows]) == list(range(rows))


def table(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(rows, dtype=float)})


def test_each_row_is_sealed_or_validated_once() -> None:
    """A stratified deal loses no row, shares none, and keeps the class shares everywhere."""
    labels = np.array([1] * 60 + [0] * 340, dtype=object)
    dealt = deal(task_of("binary", labels, split_of("stratified")), table(400), labels, seed=0)
    assert covers(dealt, 400)
    assert len(dealt.sealed_rows) == 80
    assert labels[dealt.sealed_rows].sum() == 12
    validated = np.concatenate([valid for _, valid in dealt.folds])
    assert sorted(validated) == list(range(320))
    for train, valid in dealt.folds:
        assert not set(train) & set(valid)
        assert labels[dealt.open_rows][valid].sum() in (9, 10)


def test_the_sealed_rows_do_not_depend_on_the_seed() -> None:
    """Another seed deals the folds anew and shuffles the order, but seals the same rows."""
    labels = np.random.default_rng(0).normal(size=200)
    task = task_of("regression", labels, split_of("random"))
    one, again, other = (deal(task, table(200), labels, seed=seed) for seed in (0, 0, 1))
    assert (one.sealed_rows == other.sealed_rows).all()
    assert (one.open_rows == again.open_rows).all()
    assert (one.open_rows != other.open_rows).any()
    assert not (np.diff(one.open_rows) > 0).all()


def test_regression_folds_see_the_same_range() -> None:
    """With a heavy tail every fold gets its part of the large values."""
    labels = np.random.default_rng(0).pareto(1.5, 500)
    dealt = deal(task_of("regression", labels, split_of("random")), table(500), labels, seed=0)
    high = np.quantile(labels, 0.9)
    assert all(6 <= (labels[dealt.open_rows][valid] > high).sum() <= 10 for _, valid in dealt.folds)


def test_rare_classes_stay_in_every_training_part() -> None:
    """Classes with one, two or three rows break nothing; the single row is never validated or sealed."""
    labels = np.array(["a"] * 60 + ["b"] * 60 + ["one"] + ["two"] * 2 + ["three"] * 3, dtype=object)
    dealt = deal(task_of("multiclass", labels, split_of("stratified")), table(126), labels, seed=3)
    opened = labels[dealt.open_rows]
    for train, valid in dealt.folds:
        assert set(opened[train]) == set(labels)
        assert "one" not in opened[valid]
    assert "one" not in labels[dealt.sealed_rows]


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_groups_are_never_parted(kind: str) -> None:
    """No school is on both sides of any border, and the folds are about equally large."""
    rng = np.random.default_rng(0)
    school = rng.integers(0, 40, 800)
    labels = rng.normal(size=800) if kind == "regression" else rng.integers(0, 2, 800).astype(object)
    frame = table(800).assign(school=school)
    dealt = deal(task_of(kind, labels, split_of("group"), group_columns=["school"]), frame, labels, seed=0)
    assert covers(dealt, 800)
    opened = school[dealt.open_rows]
    assert not set(opened) & set(school[dealt.sealed_rows])
    assert 0.15 < len(dealt.sealed_rows) / 800 < 0.25
    for train, valid in dealt.folds:
        assert not set(opened[train]) & set(opened[valid])
        assert 90 < len(valid) < 170


def test_a_class_that_one_group_holds_stays_in_training() -> None:
    """The only patient of a class is neither sealed nor validated."""
    patient = np.repeat(np.arange(30), 10)
    labels = np.array(["common", "usual"] * 150, dtype=object)
    labels[patient == 7] = "rare"
    frame = table(300).assign(patient=patient)
    dealt = deal(task_of("multiclass", labels, split_of("group"), group_columns=["patient"]), frame, labels, seed=0)
    assert "rare" not in labels[dealt.sealed_rows]
    assert all("rare" in labels[dealt.open_rows][train] for train, _ in dealt.folds)


def panel(months: int = 60) -> pd.DataFrame:
    times = pd.date_range("2015-01-01", periods=months, freq="MS")
    frame = pd.DataFrame({"month": np.tile(times, 3), "animal": np.repeat(["cow", "pig", "hen"], months)})
    return frame.assign(x=1.0).sample(frac=1, random_state=0, ignore_index=True)


def test_time_goes_forward_across_all_series() -> None:
    """The sealed rows are the latest of the panel, and every fold is trained on the past of its window."""
    frame = panel()
    labels = np.arange(len(frame), dtype=float)
    settings = {"group_columns": ["animal"], "time_column": "month", "horizon": 6, "forecast": True}
    task = task_of("regression", labels, split_of("time", folds=3), **settings)
    dealt = deal(task, frame, labels, seed=0)
    month = frame["month"].to_numpy()
    assert len(dealt.sealed_rows) == 36
    assert month[dealt.open_rows].max() < month[dealt.sealed_rows].min()
    opened = month[dealt.open_rows]
    assert len(dealt.folds) == 3
    for train, valid in dealt.folds:
        assert opened[train].max() < opened[valid].min()
        assert len(np.unique(opened[valid])) == 6
    ends = [opened[valid].max() for _, valid in dealt.folds]
    assert ends == sorted(ends, reverse=True)


def test_a_missing_time_stays_in_training() -> None:
    """A row without a time can be learnt from, but never judged on."""
    frame = table(100).assign(day=pd.date_range("2020-01-01", periods=100))
    frame.loc[[3, 50], "day"] = pd.NaT
    labels = np.arange(100, dtype=float)
    dealt = deal(task_of("regression", labels, split_of("time", folds=3), time_column="day"), frame, labels, seed=0)
    places = np.flatnonzero(np.isin(dealt.open_rows, [3, 50]))
    assert len(places) == 2
    assert all(set(places) <= set(train) for train, _ in dealt.folds)


def test_the_plan_makes_fewer_folds_where_rows_are_scarce() -> None:
    """Four positives cannot be in five validation folds; the plan says so."""
    labels = np.array([1] * 4 + [0] * 200, dtype=object)
    plan = plan_split(Settings(), "binary", labels, "why.")
    assert plan.folds == 3
    assert "rarest class" in plan.reason
    assert plan.kind == "stratified"


def test_a_large_table_gets_fewer_folds_unless_a_person_said_otherwise() -> None:
    """Above 100,000 rows three folds are enough; a number in the settings is kept."""
    labels = np.zeros(200_000)
    assert plan_split(Settings(), "regression", labels, "").folds == 3
    assert plan_split(Settings(folds=7), "regression", labels, "").folds == 7
    assert plan_split(Settings(), "regression", np.zeros(700_000), "").folds == 1


def test_a_single_hold_out_is_a_fifth() -> None:
    """One fold means one part of five is predicted."""
    labels = np.random.default_rng(0).normal(size=500)
    dealt = deal(task_of("regression", labels, split_of("random", folds=1)), table(500), labels, seed=0)
    assert [(len(train), len(valid)) for train, valid in dealt.folds] == [(320, 80)]


def test_too_few_groups_or_times_are_refused() -> None:
    """Two groups cannot be training, validation and test; the message says what to do."""
    labels = np.zeros(100)
    with pytest.raises(InputError, match="only 2 groups"):
        plan_split(Settings(), "regression", labels, "", groups=np.repeat([0, 1], 50))
    with pytest.raises(InputError, match="different times"):
        plan_split(Settings(), "regression", labels, "", times=np.repeat([0.0, 1.0], 50))


def prepared_of(tmp_path: Path, **more: object) -> tuple[Prepared, FolderArtifacts, Dealt, Labels, pd.DataFrame]:
    store = FolderArtifacts(tmp_path)
    labels = np.array([1, 2] * 50, dtype=object)
    frame = table(100).assign(secret=labels.astype(float))
    task = task_of("binary", labels, split_of("stratified", **more))
    dealt = deal(task, frame, labels, seed=0)
    test = (frame.iloc[:10], labels[:10]) if more else None
    spec = store.put_json({})
    return (
        prepare(frame, labels, dealt, task, store, read_spec=spec, source="abc", test=test),
        store,
        dealt,
        labels,
        frame,
    )


def test_the_files_hold_what_their_readers_may_see(tmp_path: Path) -> None:
    """Features hold used columns of open rows only; a fold's file holds labels of its training rows only."""
    prepared, store, dealt, labels, frame = prepared_of(tmp_path)
    features = store.get_frame(prepared.features)
    assert list(features.columns) == ["x"]
    assert features["x"].tolist() == frame["x"].to_numpy()[dealt.open_rows].tolist()
    for fold, (train, valid) in enumerate(fold_rows(prepared, store)):
        given = store.get_frame(prepared.train_files[fold])
        assert given["row"].tolist() == train.tolist()
        assert given["label"].tolist() == labels[dealt.open_rows][train].tolist()
        asked = store.get_frame(prepared.valid_files[fold])
        assert list(asked.columns) == ["row"]
        assert asked["row"].tolist() == valid.tolist()
    sealed = store.get_frame(prepared.sealed_features)
    assert not set(sealed["x"]) & set(features["x"])
    assert prepared.rows + prepared.sealed_rows == 100


def test_openings_are_counted_under_data_and_sealed_rows(tmp_path: Path) -> None:
    """The same data and rows have one key, also in another store; other data have another."""
    one, store, dealt, labels, frame = prepared_of(tmp_path / "a")
    other, *_ = prepared_of(tmp_path / "b")
    assert one.sealed_key == other.sealed_key
    task = task_of("binary", labels, split_of("stratified"))
    third = prepare(frame, labels, dealt, task, store, read_spec=one.read_spec, source="other")
    assert third.sealed_key != one.sealed_key


def test_a_given_test_file_is_the_sealed_set(tmp_path: Path) -> None:
    """Then no row is held back."""
    prepared, store, dealt, labels, _ = prepared_of(tmp_path, test_given=True)
    assert (prepared.rows, prepared.sealed_rows) == (100, 10)
    assert len(dealt.sealed_rows) == 0
    assert sorted(store.get_frame(prepared.sealed_labels)["label"]) == sorted(labels[:10])


def test_a_test_file_that_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    """Missing columns and unknown classes are listed together."""
    labels = np.array([1, 2] * 50, dtype=object)
    task = task_of("binary", labels, split_of("stratified", test_given=True))
    store = FolderArtifacts(tmp_path)
    test = (pd.DataFrame({"z": [1.0]}), np.array([3], dtype=object))
    dealt = deal(task, table(100), labels, seed=0)
    with pytest.raises(InputError) as caught:
        prepare(table(100), labels, dealt, task, store, read_spec=store.put_json({}), source="", test=test)
    assert "'x'" in str(caught.value)
    assert "training lacks: 3" in str(caught.value)
