"""Small real releases: programs written here, fitted here, saved and published by the parts under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pandas as pd

from state.candidate import Check, Combination, Score
from state.release import Baseline, DataOrigin, ReleaseFacts, ReleaseMember
from state.task import Feature, Metric, SplitPlan, Task
from tools.artifacts import FolderArtifacts
from tools.intake.sniff import file_hash
from tools.portable.combining import combine, decide
from tools.portable.reading import read_table
from tools.portable.saving import save_model
from tools.release.folder import publish, runtime_files
from tools.release.inference import inference_program
from tools.release.training import fitting_order
from tools.workbench import library_versions

Kind = Literal["binary", "multiclass", "regression"]

PIPELINE = '''"""Imputed, scaled and one-hot encoded columns into a linear model."""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def fit(X, y, *, task, seed, time_limit, n_jobs):
    numbers = [name for name, kind in task["columns"].items() if kind == "numeric"]
    words = [name for name, kind in task["columns"].items() if kind == "category"]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), words),
    )
    model = Ridge() if task["kind"] == "regression" else LogisticRegression(max_iter=500)
    pipeline = make_pipeline(columns, model).fit(X, y)
    return {"pipeline": pipeline, "classes": list(task["classes"])}


def predict(model, X):
    pipeline = model["pipeline"]
    if not model["classes"]:
        return pipeline.predict(X)
    known = list(pipeline.classes_)
    shares = np.zeros((len(X), len(model["classes"])))
    for place, label in enumerate(model["classes"]):
        if label in known:
            shares[:, place] = pipeline.predict_proba(X)[:, known.index(label)]
    return shares
'''

BOOSTER = '''"""Gradient boosted trees over integer codes, with bagging, so that the order of the rows matters."""

import lightgbm as lgb
import numpy as np
import pandas as pd


def encode(X, codes):
    columns = {}
    for name in X.columns:
        if name in codes:
            columns[name] = X[name].map({value: i for i, value in enumerate(codes[name])}).astype("float64")
        elif pd.api.types.is_datetime64_any_dtype(X[name]):
            columns[name] = (X[name] - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
        else:
            columns[name] = X[name].to_numpy(dtype="float64")
    return pd.DataFrame(columns, index=X.index).to_numpy()


def fit(X, y, *, task, seed, time_limit, n_jobs):
    codes = {
        name: sorted(X[name].dropna().unique().tolist())
        for name, kind in task["columns"].items()
        if kind in ("category", "text")
    }
    effective = dict(task.get("effective") or {"rounds": 40})
    classes = list(task["classes"])
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task["kind"]]
    settings = {
        "objective": objective, "verbosity": -1, "seed": seed, "num_threads": n_jobs, "deterministic": True,
        "bagging_freq": 1, "bagging_fraction": 0.7, "min_data_in_leaf": 5, "num_leaves": 7,
    }
    if task["kind"] == "multiclass":
        settings["num_class"] = len(classes)
    target = y.to_numpy() if not classes else y.map({label: i for i, label in enumerate(classes)}).to_numpy()
    booster = lgb.train(settings, lgb.Dataset(encode(X, codes), label=target), num_boost_round=effective["rounds"])
    return {"booster": booster, "codes": codes, "kind": task["kind"], "effective": effective}


def predict(model, X):
    values = model["booster"].predict(encode(X, model["codes"]))
    return np.column_stack([1 - values, values]) if model["kind"] == "binary" else values
'''

OWN_SAVING = '''"""The mean of the target, saved in a format of its own."""

import json
from dataclasses import dataclass

import numpy as np


@dataclass
class Model:
    mean: float


def fit(X, y, *, task, seed, time_limit, n_jobs):
    return Model(float(y.mean()))


def predict(model, X):
    return np.full(len(X), model.mean)


def save(model, folder):
    (folder / "mean.json").write_text(json.dumps({"mean": model.mean}))


def load(folder):
    return Model(**json.loads((folder / "mean.json").read_text()))
'''

EFFECTIVE = {"rounds": 25, "rows": 50}
"""What a fit arrived at, for programs that name it."""
ODD_LABELS = ["=1+1", 'a "quoted", label', "größe|*x*"]
LABELS: dict[str, list[Any]] = {"binary": [0, 1], "multiclass": ODD_LABELS, "regression": []}
TARGET = "the target"
READ_SPEC: dict[str, Any] = {
    "version": 1,
    "format": "csv",
    "delimiter": ";",
    "encoding": "utf-8",
    "decimal": ",",
    "thousands": None,
    "missing": ["", "?"],
    "quotechar": '"',
    "sheet": None,
    "columns": {
        "age": {"type": "number", "format": None},
        "city": {"type": "text", "format": None},
        "seen on": {"type": "datetime", "format": "%d.%m.%Y"},
        "height | m": {"type": "number", "format": None},
        "id": {"type": "number", "format": None},
    },
}


@dataclass
class Made:
    """A published release and what it must be measured against."""

    folder: Path
    task: Task
    data: Path
    """The training file, rows without target included."""
    features: pd.DataFrame
    """Feature columns of the labelled rows, in the order of the file."""
    expected: np.ndarray
    """Predictions of the fitted models for `features`, made by the process that fitted them."""
    artifacts: FolderArtifacts
    files: dict[str, str]
    facts: ReleaseFacts
    read_spec: dict[str, Any]


def write_data(path: Path, kind: Kind, rows: int = 160) -> None:
    """A semicolon-separated file with decimal commas, missing values, a date column, and rows without a target."""
    rng = np.random.default_rng(7)
    age = rng.integers(18, 80, rows).astype(float)
    city = rng.choice(["Oslo", "Łódź", "Rio, RJ", 'the "Hague"'], rows)
    height = np.round(rng.normal(1.7, 0.1, rows), 3)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")
    signal = age / 30 + (city == "Oslo") * 2 + rng.normal(0, 0.5, rows)
    labels = LABELS[kind]
    target: list[Any] = [float(value) for value in np.round(signal, 4)]
    if labels:
        target = [labels[place] for place in pd.qcut(signal, len(labels), labels=False)]
    table = pd.DataFrame(
        {
            "id": [str(place) for place in range(rows)],
            "height | m": [f"{value:.3f}".replace(".", ",") for value in height],
            TARGET: [str(value).replace(".", ",") if not labels else str(value) for value in target],
            "city": city,
            "seen on": days.strftime("%d.%m.%Y"),
            "age": [f"{value:.0f}" for value in age],
        }
    )
    table.loc[[3, 50], TARGET] = ""
    table.loc[[5, 9], "age"] = "?"
    table.loc[[6, 9], "city"] = ""
    table.to_csv(path, index=False, sep=";")


def make_task(kind: Kind) -> Task:
    """A task on the columns of `write_data`."""
    names = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
    needs: Any = "values" if kind == "regression" else "probabilities"
    kinds: dict[str, Any] = {"age": "numeric", "city": "category", "seen on": "datetime", "height | m": "numeric"}
    return Task(
        kind=kind,
        target=TARGET,
        intent="Say what the target will be | before it is known",
        metric=Metric(name=names[kind], direction="lower", needs=needs),
        classes=LABELS[kind],
        positive=1 if kind == "binary" else None,
        features=[Feature(name=name, kind=kinds[name], missing=0.0125, cardinality=9) for name in kinds],
        excluded={"id": "looks like an identifier"},
        split=SplitPlan(kind="random", folds=5, test_share=0.2, reason="No groups and no time order were found."),
        decisions=["2 rows without a target were left out."],
    )


def program_module(code: str) -> ModuleType:
    """The program as the process that runs it has it."""
    import sys

    module = ModuleType("program")
    sys.modules["program"] = module
    exec(compile(code, "program.py", "exec"), module.__dict__)
    return module


def make_release(
    root: Path,
    kind: Kind,
    programs: dict[str, str],
    weights: Sequence[float] | None = None,
    *,
    inference_code: str | None = None,
    combination: Combination | None = None,
    folds: int = 0,
    part: int = 0,
) -> Made:
    """Fit the programs on the shuffled rows of a file, save their models and publish the release in root/release.

    folds: publish so many fold models of each program, fitted on the rows outside the test set without those of a fold.
    part: fit on so many of the rows outside the test set.
    """
    combination = combination or Combination()
    data = root / "train.csv"
    write_data(data, kind)
    task, spec = make_task(kind), {**READ_SPEC, "columns": dict(READ_SPEC["columns"])}
    spec["columns"][TARGET] = {"type": "text" if kind == "multiclass" else "number", "format": None}
    labelled = read_table(data, spec).dropna(subset=[TARGET]).reset_index(drop=True)
    features, labels = labelled[[feature.name for feature in task.features]], labelled[TARGET]
    if kind == "binary":
        labels = labels.astype("int64")
    places = np.random.default_rng(1).permutation(len(labelled))
    known = pd.DataFrame({"label": labels.to_numpy()[places[30:]], "source_row": places[30:]})
    hidden = pd.DataFrame({"label": labels.to_numpy()[places[:30]], "source_row": places[:30]})
    order, all_labels = fitting_order(known, hidden, refit="train" if folds or part else "all", test_given=False)
    dealt = {fold: np.flatnonzero(np.arange(len(known)) % folds != fold) for fold in range(folds)}
    some = np.arange(0, len(known), 2)[:part]

    artifacts = FolderArtifacts(root / "artifacts")
    members, parts = [], []
    fits = [(place, fold) for place in range(len(programs)) for fold in (dealt or [None])]
    for place, fold in fits:
        name, code = list(programs.items())[place]
        rows = order[some] if part else order if fold is None else order[dealt[fold]]
        module = program_module(code)
        effective = {name: value for name, value in EFFECTIVE.items() if f'"{name}"' in code}
        model = module.fit(
            features.iloc[rows].reset_index(drop=True),
            labels.iloc[rows].reset_index(drop=True).rename("label"),
            task=task.for_program(effective),
            seed=3,
            time_limit=None,
            n_jobs=1,
        )
        folder = root / "models" / name / str(fold)
        folder.mkdir(parents=True)
        own = hasattr(module, "save")
        unsafe = module.save(model, folder) or False if own else save_model(model, folder)["unsafe"]
        members.append(
            ReleaseMember(
                candidate=name,
                weight=(weights[place] if weights else 1.0) / max(1, folds),
                fold=fold,
                program=artifacts.put_text(code),
                effective=effective,
                model={path.name: artifacts.put(path) for path in sorted(folder.iterdir())},
                own_saving=own,
                unsafe=bool(unsafe),
                title="A <b>title</b>",
                rows=part,
            )
        )
        parts.append(np.asarray(module.predict(model, features)))
    files = runtime_files(
        members,
        task=task,
        read_spec=spec,
        inference_code=inference_code or inference_program(task, members, combination.rule()),
        artifacts=artifacts,
        seed=3,
        order=order,
        labels=all_labels,
        combination=combination,
        parts={(0 if folds else None, part): some} if part else {(fold, 0): places for fold, places in dealt.items()},
    )
    names, shares = [member.candidate for member in members], [member.weight for member in members]
    expected = combine(parts, names, shares, combination.rule())
    facts = make_facts(task, spec, members, len(labelled), data).but(combination=combination.plain())
    examples = {"examples": features.head(5), "example_predictions": answer(task, expected[:5], combination)}
    publish(root / "release", files, facts, artifacts=artifacts, **examples)
    return Made(root / "release", task, data, features, expected, artifacts, files, facts, spec)


def answer(task: Task, values: np.ndarray, combination: Combination | None = None) -> pd.DataFrame:
    """What an inference program answers when these are the outputs."""
    if not task.classes:
        return pd.DataFrame({"prediction": values})
    best = [task.classes[place] for place in decide(values, (combination or Combination()).rule())]
    return pd.DataFrame(
        {"prediction": best, **{f"proba_{label}": values[:, place] for place, label in enumerate(task.classes)}}
    )


def make_facts(
    task: Task, read_spec: dict[str, Any], members: list[ReleaseMember], rows: int, data: Path
) -> ReleaseFacts:
    """Facts as a publisher gathers them."""
    return ReleaseFacts(
        run_id="2f1f6c1e-0000-4000-8000-000000000000",
        run_name="calm-otter",
        created="2026-01-02T03:04:05+00:00",
        modelwright="0.1.0",
        intent=task.intent,
        task=task,
        read_spec=read_spec,
        members=members,
        candidate="best",
        score=Score(value=0.4321, folds=[0.4, 0.5], low=0.4, high=0.46, rows=rows - 30),
        test=Score(value=0.45, folds=[], low=0.38, high=0.52, rows=30),
        opening={"number": 1, "when": "2026-01-02T03:05:00+00:00", "earlier": []},
        fitted_rows=rows,
        rows=rows,
        sealed_rows=30,
        seed=3,
        source=file_hash(data),
        origin=DataOrigin(path=str(data)),
        sandbox="basic (T3)",
        versions=library_versions(),
        baselines=[Baseline(name="constant", score=0.69)],
        checks=[Check(name="inference on real rows", status="passed", detail="largest difference 0")],
        limits=["Rows of city | town are few."],
    )


def outputs(table: pd.DataFrame, task: Task) -> np.ndarray:
    """The numbers of an output table, shaped as a program's predictions."""
    if task.kind == "regression":
        return table["prediction"].to_numpy(dtype=float)
    return table[[f"proba_{label}" for label in task.classes]].to_numpy(dtype=float)
