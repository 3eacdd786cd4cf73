"""Custody of labels: what a program is given, what it could derive from it, and how openings are counted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest

from state.candidate import Combination
from state.jobs import Receipt
from state.release import ReleaseMember
from state.settings import Settings
from state.task import Feature, Prepared, SplitPlan, Task
from tools import memberjobs
from tools.artifacts import FolderArtifacts
from tools.catalogue import Catalogue, RunRow
from tools.labels import Labels
from tools.metrics import METRICS
from tools.splits import Dealt, deal, plan_split, prepare

if TYPE_CHECKING:
    from tools.workbench import Workbench

SEED = 0
ROWS = 300


def sorted_table(rows: int = ROWS) -> tuple[pd.DataFrame, Labels]:
    """A file in the order of its labels, as exports often are; its one column says nothing about them."""
    labels = np.array(["no"] * (rows // 2) + ["yes"] * (rows - rows // 2), dtype=object)
    return pd.DataFrame({"x": np.random.default_rng(5).normal(size=rows)}), labels


def task_of(labels: Labels, **split: object) -> Task:
    plan = SplitPlan.model_validate({"kind": "stratified", "folds": 5, "test_share": 0.2, "reason": "", **split})
    facts = {
        "kind": "binary",
        "target": "y",
        "intent": "",
        "metric": METRICS["accuracy"],
        "classes": sorted(set(labels)),
        "features": [Feature(name="x", kind="numeric")],
        "split": plan,
    }
    return Task.model_validate(facts)


@pytest.fixture
def store(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path)


def prepared_of(store: FolderArtifacts, **more: object) -> tuple[Prepared, Dealt, Labels]:
    frame, labels = sorted_table()
    task = task_of(labels, test_given="test" in more)
    dealt = deal(task, frame, labels, seed=SEED)
    return prepare(frame, labels, dealt, task, store, read_spec=store.put_json({}), source="s", **more), dealt, labels  # type: ignore[arg-type]  # `more` is test=


def test_no_file_of_a_fold_holds_a_label_of_its_validation_rows(store: FolderArtifacts) -> None:
    """Features carry no target, training files no validation row, validation files nothing but row numbers."""
    prepared, _, _ = prepared_of(store)
    assert list(store.get_frame(prepared.features).columns) == ["x"]
    for train, valid in zip(prepared.train_files, prepared.valid_files, strict=True):
        given, asked = store.get_frame(train), store.get_frame(valid)
        assert list(given.columns) == ["row", "label"]
        assert list(asked.columns) == ["row"]
        assert not set(given["row"]) & set(asked["row"])
        assert len(given) + len(asked) == prepared.rows


def reading(order: np.ndarray, train: np.ndarray, valid: np.ndarray, labels: Labels) -> tuple[int, float]:
    """For an order that is believed to be the file's: how often known labels change along it, and how many of the
    hidden ones follow from the known ones beside them."""
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    known = train[np.argsort(place[train])]
    line = (labels[known] == "yes").astype(float)
    guessed = np.interp(place[valid], place[known], line) > 0.5
    return int(np.abs(np.diff(line)).sum()), float(np.mean(guessed == (labels[valid] == "yes")))


def test_the_order_of_rows_cannot_be_worked_out_from_the_seed(store: FolderArtifacts) -> None:
    """A program that knows the seed, our code and the number of rows cannot put a sorted file back in order.

    It tries every total the open rows may stem from, and keeps the order in which the labels it knows change least.
    """
    _, dealt, labels = prepared_of(store)
    opened = labels[dealt.open_rows]
    train, valid = dealt.folds[0]
    tried = []
    for total in range(len(opened), 2 * len(opened)):
        shuffled = np.random.default_rng([SEED, total]).permutation(len(opened))
        tried.append(reading(np.argsort(shuffled), train, valid, opened))
    _, hidden = min(tried)
    assert hidden < 0.75, "validation labels follow from the seed"


def test_the_dealing_of_folds_cannot_be_worked_out_from_the_seed() -> None:
    """Two tables that differ only in labels nobody in a fold is shown are shuffled in unrelated orders."""
    frame, labels = sorted_table()
    task = task_of(labels)
    one = deal(task, frame, labels, seed=SEED)
    other_labels = labels.copy()
    place = one.open_rows[one.folds[0][1][0]]
    other_labels[place] = "no" if labels[place] == "yes" else "yes"
    other = deal(task, frame, other_labels, seed=SEED)
    same = np.mean(one.open_rows[: len(other.open_rows)][:200] == other.open_rows[:200])
    assert same < 0.1


def test_the_deal_is_the_same_for_the_same_data_and_seed() -> None:
    """Repeated runs and forks get the same folds, so that nothing is trained twice."""
    frame, labels = sorted_table()
    one, again = (deal(task_of(labels), frame.copy(), labels.copy(), seed=SEED) for _ in range(2))
    assert (one.open_rows == again.open_rows).all()
    assert all((a[1] == b[1]).all() for a, b in zip(one.folds, again.folds, strict=True))


@pytest.mark.parametrize("given", [False, True], ids=["held back", "the person's own file"])
def test_sealed_rows_come_in_no_order(store: FolderArtifacts, given: bool) -> None:
    """A program that predicts the sealed rows by their place in a sorted file is no better than a guess."""
    more = {"test": sorted_table(90)} if given else {}
    prepared, _, _ = prepared_of(store, **more)
    hidden = store.get_frame(prepared.sealed_labels)
    by_place = np.arange(len(hidden)) >= len(hidden) / 2
    assert abs(float(np.mean(by_place == (hidden["label"] == "yes"))) - 0.5) < 0.25
    frame, labels = sorted_table(90) if given else sorted_table()
    rows = hidden["source_row"].to_numpy().astype(int)
    assert hidden["label"].tolist() == labels[rows].tolist()
    assert store.get_frame(prepared.sealed_features)["x"].tolist() == frame["x"].to_numpy()[rows].tolist()


def test_the_sealed_choice_follows_the_data_alone() -> None:
    """No setting that a person turns for another look (seed, folds) changes which rows are sealed."""
    frame, labels = sorted_table()
    sealed = [
        set(deal(task_of(labels, folds=folds), frame, labels, seed=seed).sealed_rows)
        for seed, folds in ((0, 5), (7, 3))
    ]
    assert sealed[0] == sealed[1]


def test_openings_name_the_earlier_ones(tmp_path: Path) -> None:
    """The third run that opens the same rows is told of the first two, oldest first; a repeated step opens nothing."""
    catalogue = Catalogue(tmp_path / "catalogue.db")
    receipts = []
    for number in range(3):
        catalogue.add_run(RunRow(id=f"run-{number}", name=f"name-{number}", created=f"2024-01-0{number + 1}"))
        facts = {"run_id": f"run-{number}", "candidate": "best", "code_hash": "c", "data_hash": "d"}
        receipts += [catalogue.open_test("rows", **facts) for _ in range(2)]
    catalogue.close()
    assert [receipt["number"] for receipt in receipts] == [1, 1, 2, 2, 3, 3]
    assert [one["name"] for one in receipts[-1]["earlier"]] == ["name-0", "name-1"]
    assert receipts[-1]["when"] == receipts[-2]["when"]


def test_a_test_file_is_the_same_whatever_it_is_trained_on(store: FolderArtifacts) -> None:
    """A person's test file opened again after the training data changed counts as opened before."""
    frame, labels = sorted_table()
    task = task_of(labels, test_given=True)
    test = sorted_table(90)
    spec = store.put_json({})
    keys = []
    for source, rows in (("one", 300), ("other", 250)):
        part, known = frame.iloc[:rows].reset_index(drop=True), labels[:rows]
        dealt = deal(task, part, known, seed=SEED)
        keys.append(prepare(part, known, dealt, task, store, read_spec=spec, source=source, test=test).sealed_key)
    assert keys[0] == keys[1]


def test_another_share_is_another_look_at_the_same_rows(store: FolderArtifacts) -> None:
    """A run that seals a quarter opens again what one that sealed a fifth has opened, and is counted so."""
    frame, labels = sorted_table()
    spec, keys, sealed = store.put_json({}), [], []
    for share in (0.2, 0.25):
        task = task_of(labels, test_share=share)
        dealt = deal(task, frame, labels, seed=SEED)
        sealed.append(set(dealt.sealed_rows))
        keys.append(prepare(frame, labels, dealt, task, store, read_spec=spec, source="s").sealed_key)
    assert sealed[0] < sealed[1]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("fault", ["one row for all", "out of range", "none"])
def test_each_member_of_the_sealed_test_is_validated(store: FolderArtifacts, fault: str) -> None:
    """A member's invalid predictions are not hidden by the mean with a valid one."""
    labels = sorted_table()[1]
    good = np.full((4, 2), 0.5)
    other = {"one row for all": good[:1], "out of range": good + [[0.4, -0.4]] * 4 + 0.2, "none": good}[fault]
    members = [ReleaseMember(candidate=name, weight=0.5, program="", effective={}, model={}) for name in "ab"]
    receipts = [
        Receipt(key="k", kind="predict", status="done", outputs={"predictions.npy": store.put_array(part)})
        for part in (good, other)
    ]
    desk = cast("Workbench", SimpleNamespace(artifacts=store))
    mean = memberjobs.combined(desk, task_of(labels), 4, members, receipts, Combination())
    assert mean.shape == ((4, 2) if fault == "none" else (0,))


def test_the_plan_of_a_split_names_no_row() -> None:
    """What experts are shown of the split is a kind, numbers and reasons."""
    frame, labels = sorted_table()
    plan = plan_split(Settings(), "binary", labels, "random rows")
    assert not any(isinstance(value, list | dict) for value in plan.plain().values())
    assert len(frame) == ROWS
