"""The programs of a release: inference.py and train.py as a user meets them."""

from __future__ import annotations

import ast
import gzip
import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from tests.release.making import (
    BOOSTER,
    ODD_LABELS,
    OWN_SAVING,
    PIPELINE,
    TARGET,
    Made,
    make_release,
    make_task,
    outputs,
    write_data,
)
from tools.release.inference import inference_program
from tools.release.training import fitting_order, training_program

ENSEMBLE = {"i0-linear": PIPELINE, "i0-boosting": BOOSTER}
OWN_CLASS = '''"""The mean, in an object of a class of its own."""

import numpy as np


class Mean:
    def __init__(self, value):
        self.value = value


def fit(X, y, *, task, seed, time_limit, n_jobs):
    return {"mean": Mean(float(y.mean()))}


def predict(model, X):
    return np.full(len(X), model["mean"].value)
'''
PICKLED = '''"""The mean, in an object that no library knows how to save."""

import numpy as np


class Mean:
    def __init__(self, value):
        self.value = value
        self.find = lambda: value


def fit(X, y, *, task, seed, time_limit, n_jobs):
    return {"mean": Mean(float(y.mean()))}


def predict(model, X):
    print("a program that talks")
    return np.full(len(X), model["mean"].value)
'''


def script(path: Path) -> ModuleType:
    """A script of a release as a fresh module."""
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)
    return module


def inference_of(folder: Path) -> ModuleType:
    return script(folder / "model_inference" / "inference.py")


def predicted(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("binary"), "binary", ENSEMBLE, [1.0, 3.0])


@pytest.fixture(scope="module")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("multiclass"), "multiclass", ENSEMBLE)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("regression"), "regression", ENSEMBLE, [0.25, 0.75])


@pytest.fixture(params=["binary", "multiclass", "regression"])
def made(request: pytest.FixtureRequest) -> Made:
    return request.getfixturevalue(request.param)


def test_predictions_are_those_of_the_training_process(made: Made, tmp_path: Path) -> None:
    """The command line gives one line per input row, in order, with the predictions the fitted models gave."""
    out = tmp_path / "predictions.csv"
    assert inference_of(made.folder).main(["--input", str(made.data), "--output", str(out)]) == 0
    table = predicted(out)
    assert len(table) == len(made.features) + 2  # the two rows without a target are predicted too
    np.testing.assert_allclose(outputs(table.drop([3, 50]), made.task), made.expected, rtol=0, atol=1e-9)
    if made.task.classes:
        best = [made.task.classes[place] for place in made.expected.argmax(axis=1)]
        assert table["prediction"].drop([3, 50]).tolist() == best


def test_column_order_further_columns_and_company_do_not_matter(made: Made) -> None:
    """Reversed columns, unknown columns, a foreign index, single rows and small batches change no prediction."""
    inference = inference_of(made.folder)
    odd = made.features.iloc[:, ::-1].assign(unknown="x").set_index(np.arange(len(made.features))[::-1])
    table = inference.predict(odd)
    assert table.index.tolist() == odd.index.tolist()
    np.testing.assert_allclose(outputs(table, made.task), made.expected, rtol=0, atol=1e-9)
    single = pd.concat([inference.predict(made.features.iloc[[place]]) for place in range(5)])
    np.testing.assert_allclose(outputs(single, made.task), made.expected[:5], rtol=0, atol=1e-9)
    inference.BATCH = 7
    np.testing.assert_allclose(outputs(inference.predict(made.features), made.task), made.expected, rtol=0, atol=1e-9)


def test_missing_values_and_unseen_categories_are_predicted(made: Made) -> None:
    """A row with nothing in it, and one with a city nobody saw, get finite predictions."""
    rows = made.features.head(2).copy()
    rows.loc[0, :] = np.nan
    rows.loc[1, "city"] = "Atlantis"
    values = outputs(inference_of(made.folder).predict(rows), made.task)
    assert np.isfinite(values).all()
    if made.task.classes:
        np.testing.assert_allclose(values.sum(axis=1), 1.0)


def test_missing_columns_are_named_without_a_traceback(
    binary: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without some of the columns ends with 2, names them all, and writes nothing."""
    path, out = tmp_path / "new.csv", tmp_path / "out.csv"
    path.write_text("age;id\n30;1\n", "utf-8")
    assert inference_of(binary.folder).main(["--input", str(path), "--output", str(out)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    assert all(repr(name) in said.err for name in ("city", "seen on", "height | m", "age"))
    assert not out.exists()


@pytest.mark.parametrize(
    "content", [None, b"", b"\x1f\x8b\x08broken", b"a;b\n1;2;3\n"], ids=["absent", "empty", "gzip", "ragged"]
)
def test_an_unreadable_file_is_refused_by_name(
    binary: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """A file that is absent, empty, truncated or ragged ends with 2 and one sentence that names it."""
    path = tmp_path / "new.csv"
    if content is not None:
        path.write_bytes(content)
    assert inference_of(binary.folder).main(["--input", str(path), "--output", "-"]) == 2
    said = capsys.readouterr()
    assert "new.csv" in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_header_alone_gives_a_header_alone(made: Made, tmp_path: Path) -> None:
    """No rows in, no rows out, and the columns are all there."""
    path, out = tmp_path / "new.csv", tmp_path / "out.csv"
    path.write_text("age;city;seen on;height | m\n", "utf-8")
    assert inference_of(made.folder).main(["--input", str(path), "--output", str(out)]) == 0
    assert predicted(out).columns.tolist() == ["prediction", *(f"proba_{label}" for label in made.task.classes)]
    assert predicted(out).empty


def test_odd_labels_survive_as_column_names(multiclass: Made, tmp_path: Path) -> None:
    """Labels with an equals sign, commas, quotes and umlauts come out as they are, escaped as CSV does it."""
    out = tmp_path / "out.csv"
    inference_of(multiclass.folder).main(["--input", str(multiclass.data), "--output", str(out)])
    assert predicted(out).columns.tolist() == ["prediction", *(f"proba_{label}" for label in ODD_LABELS)]
    assert set(predicted(out)["prediction"]) <= set(ODD_LABELS)


@pytest.mark.parametrize("form", ["parquet", "gzip", "comma"])
def test_other_file_formats_give_the_same_predictions(regression: Made, tmp_path: Path, form: str) -> None:
    """Rows from Parquet, gzip, or a comma-separated file are read by content, whatever the file is called."""
    path, out = tmp_path / "rows.txt", tmp_path / "out.csv"
    rows = regression.features
    if form == "parquet":
        rows.to_parquet(path)
    elif form == "gzip":
        path.write_bytes(gzip.compress(regression.data.read_bytes()))
    else:
        pd.read_csv(regression.data, sep=";", dtype=str, keep_default_na=False).to_csv(path, index=False)
    assert inference_of(regression.folder).main(["--input", str(path), "--output", str(out)]) == 0
    values = predicted(out)["prediction"]
    values = values if form == "parquet" else values.drop([3, 50])
    np.testing.assert_allclose(values, regression.expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("model_training/programs/i0-linear.py", "was changed since the model was released"),
        ("model_training/training_artifacts/i0-boosting/model.json", "was changed since the model was saved"),
        ("model_training/training_artifacts/i0-boosting/more.json", "does not belong here"),
        ("model_training/members.json", "was changed since the model was released"),
        ("model_inference/schema.json", "was changed since the model was released"),
        ("model_inference/reading.py", "was changed since the model was released"),
        ("model_inference/saving.py", "was changed since the model was released"),
        ("model_inference/allowed.py", "was changed since the model was released"),
        ("model_inference/ensembles.py", "was changed since the model was released"),
        ("manifest.json", "was changed since the model was released"),
    ],
)
def test_a_changed_file_is_not_used(
    regression: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, said: str
) -> None:
    """Whatever is not the released file is refused by name, before any of it runs."""
    folder = Path(shutil.copytree(regression.folder, tmp_path / "release"))
    path = folder / file
    path.write_text((path.read_text("utf-8") if path.exists() else "") + "\nraise SystemExit('it ran')\n", "utf-8")
    assert inference_of(folder).main(["--input", str(regression.data), "--output", "-"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert path.name in error


def test_own_saving_and_pickles_work_and_pickles_are_told(tmp_path: Path) -> None:
    """Programs with their own save and load, or with a class of their own, work and are safe; a pickled model works with
    a note; stdout holds only predictions."""
    made = make_release(tmp_path, "regression", {"own": OWN_SAVING, "class": OWN_CLASS, "pickled": PICKLED})
    assert [member.unsafe for member in made.facts.members] == [False, False, True]
    assert json.loads((made.folder / "manifest.json").read_text("utf-8"))["unsafe"] is True
    assert "Unsafe to load" in (made.folder / "MODEL_CARD.md").read_text("utf-8")
    done = subprocess.run(
        [sys.executable, "-B", str(made.folder / "model_inference/inference.py"), "--input", str(made.data)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    table = pd.read_csv(io.StringIO(done.stdout))
    np.testing.assert_allclose(table["prediction"].drop([3, 50]), made.expected, rtol=0, atol=1e-9)
    assert "note: the model of pickled is a pickle" in done.stderr
    assert "a program that talks" in done.stderr


def test_a_planted_pickle_never_runs(tmp_path: Path) -> None:
    """A bomb put in the place of a saved part is refused by its hash and never loaded."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.write_text, (tmp_path / "boom", "x"))

    made = make_release(tmp_path, "regression", {"i0-linear": PIPELINE})
    (made.folder / "model_training/training_artifacts/i0-linear/part_000.skops").write_bytes(pickle.dumps(Bomb()))
    assert inference_of(made.folder).main(["--input", str(made.data), "--output", "-"]) == 1
    assert not (tmp_path / "boom").exists()


def test_other_library_versions_are_told(binary: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Predicting with other library versions than the pinned ones works and says which differ."""
    path = binary.folder / "requirements.txt"
    pinned = path.read_text("utf-8")
    try:
        path.write_text(pinned.replace("numpy==", "numpy==0."), "utf-8")
        assert inference_of(binary.folder).main(["--input", str(binary.data), "--output", str(tmp_path / "o.csv")]) == 0
    finally:
        path.write_text(pinned, "utf-8")
    assert "note: libraries differ from requirements.txt: numpy" in capsys.readouterr().err


def test_two_releases_in_one_process_do_not_mix(binary: Made, regression: Made) -> None:
    """A program of one release never answers for the other."""
    one, other = inference_of(binary.folder), inference_of(regression.folder)
    one.load(), other.load()
    np.testing.assert_allclose(outputs(one.predict(binary.features), binary.task), binary.expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(other.predict(regression.features)["prediction"], regression.expected, rtol=0, atol=1e-9)


def test_training_again_gives_the_same_model(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """train.py on the data of the release repeats the fit row by row; inference.py predicts with its models."""
    output, out = tmp_path / "again", tmp_path / "out.csv"
    train = script(made.folder / "model_training" / "train.py")
    assert train.main(["--data", str(made.data), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "160 rows, 2 of them left out" in said
    assert "the same 158 rows in the same order" in said
    inference = inference_of(made.folder)
    assert inference.main(["--input", str(made.data), "--models", str(output), "--output", str(out)]) == 0
    np.testing.assert_allclose(outputs(predicted(out).drop([3, 50]), made.task), made.expected, rtol=0, atol=1e-9)


def test_training_on_other_data_uses_every_row(
    regression: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newer data, also in several files, is used whole, and the released models stay as they are."""
    write_data(tmp_path / "newer.csv", "regression", rows=80)
    train = script(regression.folder / "model_training" / "train.py")
    data = [str(tmp_path / "newer.csv"), str(regression.data)]
    assert train.main(["--data", *data, "--output", str(tmp_path / "again")]) == 0
    said = capsys.readouterr().out
    assert "using every row" in said
    assert "80 rows, 2 of them" in said
    inference = inference_of(regression.folder)
    again = inference.predict(regression.features, tmp_path / "again")["prediction"]
    assert np.abs(again - regression.expected).max() > 1e-6
    np.testing.assert_allclose(inference.predict(regression.features)["prediction"], regression.expected, atol=1e-9)


def test_training_refuses_what_it_cannot_use(
    multiclass: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown labels, missing columns and a folder that holds files are refused in one sentence each."""
    train = script(multiclass.folder / "model_training" / "train.py")
    odd = tmp_path / "odd.csv"
    odd.write_text(multiclass.data.read_text("utf-8").replace("größe|*x*", "unheard of"), "utf-8")
    assert train.main(["--data", str(odd), "--output", str(tmp_path / "one")]) == 2
    assert "'unheard of'" in capsys.readouterr().err
    odd.write_text("age;city\n1;2\n", "utf-8")
    assert train.main(["--data", str(odd), "--output", str(tmp_path / "one")]) == 2
    assert repr(TARGET) in capsys.readouterr().err
    released = multiclass.folder / "model_training" / "training_artifacts"
    assert train.main(["--data", str(multiclass.data), "--output", str(released)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_fitting_order_of_a_test_file_of_the_persons_own() -> None:
    """The test file's rows follow those of the training file, and are left out when the fit left them out."""
    known = pd.DataFrame({"label": [10.0, 11.0, 12.0], "source_row": [2, 0, 1]})
    hidden = pd.DataFrame({"label": [20.0, 21.0], "source_row": [0, 1]})
    order, labels = fitting_order(known, hidden, refit="all", test_given=True)
    assert order.tolist() == [2, 0, 1, 3, 4]
    assert labels.tolist() == [11.0, 12.0, 10.0, 20.0, 21.0]
    order, labels = fitting_order(known, hidden, refit="train", test_given=True)
    assert order.tolist() == [2, 0, 1]
    assert labels.tolist() == [11.0, 12.0, 10.0]
    held = pd.DataFrame({"label": [20.0, 21.0], "source_row": [4, 3]})
    order, labels = fitting_order(known, held, refit="train", test_given=False)
    assert order.tolist() == [2, 0, 1]
    assert labels.tolist() == [11.0, 12.0, 10.0, 21.0, 20.0]


def test_the_programs_are_clean_and_import_nothing_of_ours(made: Made, tmp_path: Path) -> None:
    """The written sources pass ruff's error rules and import the standard library, numpy and pandas only."""
    names = ["model_inference/inference.py", "model_training/train.py"]
    subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F,E9", *names],
        cwd=made.folder,
        check=True,
    )
    for name in names:
        tree = ast.parse((made.folder / name).read_text("utf-8"))
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {module.partition(".")[0] for module in modules} <= {*sys.stdlib_module_names, "numpy", "pandas"}


def test_a_docstring_holds_whatever_a_column_is_called() -> None:
    """Quotes and backslashes in names neither break the source nor run."""
    odd = 'a """ b \\N{x} \\'
    task = make_task("regression")
    task = task.but(target=odd, features=[*task.features, task.features[0].but(name=odd + '"')])
    members = [{"candidate": "one", "weight": 0.5}, {"candidate": "two", "weight": 0.5}]
    for source in (inference_program(task, members), training_program(task, [])):
        text = ast.get_docstring(ast.parse(source), clean=False)
        assert text is not None
        assert "b" in text
