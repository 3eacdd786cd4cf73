"""Every recipe on every kind of table: contract, odd rows, invariances, determinism, replay, storage."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.recipe_cases import CASES, Case, odd_rows, pairs
from tools.portable.saving import load_model, save_model
from tools.program import check_program
from tools.recipes.catalogue import find_recipe, write_program
from tools.recipes.changes import conservative

PAIRS = pairs()


@pytest.fixture(scope="module")
def fitted() -> Any:
    """Programs with their models, fitted once per case and recipe."""
    known: dict[tuple[str, str], tuple[Case, dict[str, Any], Any]] = {}

    def get(name: str, recipe: str) -> tuple[Case, dict[str, Any], Any]:
        if (name, recipe) not in known:
            case = CASES[name]()
            program = case.program(recipe)
            known[name, recipe] = (case, program, case.fit(program))
        return known[name, recipe]

    return get


def test_every_recipe_is_used_by_some_case() -> None:
    """No recipe goes untested."""
    from tools.recipes.catalogue import RECIPES

    assert {recipe for _, recipe in PAIRS} == set(RECIPES)


def test_written_programs_keep_the_contract_and_are_clean(tmp_path: Path) -> None:
    """Programs pass our static check, and a linter finds no unused name, no unsorted import, no badly laid out line."""
    for name, recipe in PAIRS:
        case = CASES[name]()
        for kind, plan in {"full": case.plan(recipe), "careful": case.plan(recipe)}.items():
            params = (
                conservative(plan.params)
                if kind == "careful"
                else find_recipe(recipe).variants(case.task, case.profile)[0].params
            )
            code = write_program(plan.but(params=params), case.task, case.profile)
            assert check_program(code) == [], (name, recipe)
            (tmp_path / f"{name}_{recipe.replace('-', '_')}_{kind}.py").write_text(code, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    lint = subprocess.run(
        [*ruff, "check", "--isolated", "--line-length=120", "--select=F,E4,E7,E9,E501,W,I", "--quiet", tmp_path],
        capture_output=True,
        text=True,
    )
    assert lint.returncode == 0, lint.stdout
    layout = subprocess.run(
        [*ruff, "format", "--isolated", "--line-length=120", "--diff", "--quiet", tmp_path],
        capture_output=True,
        text=True,
    )
    assert layout.returncode == 0, layout.stdout[:3000]


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_predictions_are_valid_for_odd_rows(fitted: Any, name: str, recipe: str) -> None:
    """Missing values, unseen categories, infinities and far dates give finite predictions of the right shape."""
    case, program, model = fitted(name, recipe)
    odd = odd_rows(case)
    values = program["predict"](model, odd)
    if case.task.is_classification:
        assert values.shape == (len(odd), len(case.task.classes))
        assert np.allclose(values.sum(axis=1), 1.0)
        assert values.min() >= 0.0
    else:
        assert values.shape == (len(odd),)
    assert np.isfinite(values).all()


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_a_row_is_predicted_by_itself(fitted: Any, name: str, recipe: str) -> None:
    """Alone, in another order, or with the columns turned round, a row gets the same prediction."""
    case, program, model = fitted(name, recipe)
    rows = pd.concat([case.X.iloc[-8:], odd_rows(case)], ignore_index=True)
    together = program["predict"](model, rows)
    alone = np.concatenate(
        [program["predict"](model, rows.iloc[[place]].reset_index(drop=True)) for place in range(len(rows))]
    )
    assert np.abs(alone - together).max() < 1e-9
    turned = program["predict"](model, rows.iloc[::-1, ::-1].reset_index(drop=True))[::-1]
    assert np.abs(turned - together).max() < 1e-9


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_same_seed_same_model_and_effective_parameters_replay_it(fitted: Any, name: str, recipe: str) -> None:
    """A second fit, told the effective parameters and no time limit, gives the very same predictions."""
    case, program, model = fitted(name, recipe)
    first = program["predict"](model, case.X)
    task = case.task.for_program(effective=model.get("effective"))
    again = case.fit(program, task=task, time_limit=None)
    assert np.array_equal(first, program["predict"](again, case.X))


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_models_are_stored_without_pickle(fitted: Any, name: str, recipe: str, tmp_path: Path) -> None:
    """A model saved and loaded predicts the same to the last bit, and nothing of it had to be pickled."""
    case, program, model = fitted(name, recipe)
    assert save_model(model, tmp_path)["unsafe"] is False
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 20_000_000
    loaded = load_model(tmp_path)
    assert np.array_equal(program["predict"](model, case.X), program["predict"](loaded, case.X))


def test_hashed_texts_are_not_stored_with_the_model(fitted: Any, tmp_path: Path) -> None:
    """What the hashing encoder remembers of texts it has seen, in training or prediction, is in no file of the model."""
    case, program, model = fitted("binary", "histogram")
    hashed = [name for name, step in model["table"].transformers_.items() if type(step).__name__ == "MinHashEncoder"]
    assert hashed
    program["predict"](model, case.X)
    save_model(model, tmp_path)
    stored = b"".join(
        archive.read(name)
        for file in tmp_path.glob("*.skops")
        for archive in [zipfile.ZipFile(file)]
        for name in archive.namelist()
    )
    texts = {text for name in hashed for text in case.X[name].dropna()}
    assert [text for text in texts if text.encode() in stored] == []


@pytest.mark.parametrize(
    ("name", "recipe"),
    [pair for pair in PAIRS if pair[0] in ("classes", "grades", "binary", "protein", "active", "pictures")],
)
def test_a_class_may_be_absent_from_the_training_rows(name: str, recipe: str) -> None:
    """All classes keep their column when a fold lacks one, and also when it holds a single one."""
    case = CASES[name]()
    program = case.program(recipe)
    codes = case.y.map({label: code for code, label in enumerate(case.task.classes)}).to_numpy()
    for kept in (codes > 0, codes == 0):
        values = program["predict"](case.fit(program, np.flatnonzero(kept)[:80]), case.X)
        assert values.shape == (len(case.X), len(case.task.classes))
        assert np.isfinite(values).all()
        assert np.allclose(values.sum(axis=1), 1.0)


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_the_time_limit_is_obeyed_and_a_model_comes_anyway(name: str, recipe: str) -> None:
    """With next to no time a program still ends with a model that predicts."""
    case = CASES[name]()
    program = case.program(recipe)
    model = case.fit(program, slice(0, 100), time_limit=0.01)
    assert np.isfinite(program["predict"](model, case.X.iloc[:5])).all()


@pytest.mark.parametrize("name", list(CASES))
def test_recipes_learn_the_signal(fitted: Any, name: str) -> None:
    """On rows held back the better of the first two recipes clearly beats a constant."""
    case = CASES[name]()
    share = int(len(case.X) * 0.7)
    order = (
        np.arange(len(case.X))
        if not case.task.forecast
        else np.argsort(case.X[case.task.time_column], kind="stable").to_numpy()
    )
    train, test = order[:share], order[share:]
    gains = []
    for recipe in [recipe for pair_name, recipe in PAIRS if pair_name == name][:2]:
        program = case.program(recipe)
        values = program["predict"](case.fit(program, train), case.X.iloc[test].reset_index(drop=True))
        gains.append(_gain(case, train, test, values))
    assert max(gains) > 0.2, gains


def _gain(case: Case, train: np.ndarray, test: np.ndarray, values: np.ndarray) -> float:
    """Share of a constant's error that is saved."""
    truth = case.y.iloc[test].to_numpy()
    if case.task.is_classification:
        constant = case.y.iloc[train].mode()[0]
        wrong = np.mean(np.array(case.task.classes, dtype=object)[values.argmax(axis=1)] != truth)
        return float(1 - wrong / max(np.mean(constant != truth), 1e-9))
    return float(1 - np.abs(values - truth).mean() / np.abs(case.y.iloc[train].median() - truth).mean())


def test_constant_and_empty_columns_do_no_harm() -> None:
    """Columns that turn out constant or empty in a fold leave every recipe working."""
    case = CASES["values"]()
    flat = case.X.copy()
    flat["size"], flat["weight"] = 1.0, np.nan
    flat["colour"], flat["note"], flat["bought"] = "red", np.nan, pd.NaT
    for _, recipe in (pair for pair in PAIRS if pair[0] == "values"):
        program = case.program(recipe)
        model = program["fit"](flat, case.y, task=case.task.for_program(), seed=1, time_limit=30.0, n_jobs=1)
        assert np.isfinite(program["predict"](model, case.X)).all(), recipe
